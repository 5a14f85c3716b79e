// Two links back to back.

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <numeric>
#include <thread>

#include "link/link.hpp"
#include "raw_peer.hpp"

namespace depthai {
namespace {

using test::Bytes;
using test::kSoon;
using namespace std::chrono_literals;

LinkOptions manual_release() {
  LinkOptions options;
  options.auto_release = false;
  return options;
}

struct LinkPair {
  explicit LinkPair(const LinkOptions& options = {}) : LinkPair(make_socket_pair(), options) {}
  LinkPair(const std::pair<std::shared_ptr<Transport>, std::shared_ptr<Transport>>& ends,
           const LinkOptions& options)
      : host(ends.first, Role::host, options), device(ends.second, Role::device, options) {}

  /// Open both directions in the order of the protocol: host first.
  std::uint32_t open(const std::string& name, std::uint32_t host_window,
                     std::uint32_t device_window, std::shared_ptr<PacketQueue> queue = nullptr) {
    const auto id = host.open_stream(name, host_window, std::move(queue), kSoon);
    EXPECT_EQ(device.open_stream(name, device_window, nullptr, kSoon), id);
    return id;
  }

  Link host;
  Link device;
};

WriteOptions within(Timeout credit) {
  WriteOptions options;
  options.credit = credit;
  options.response = kSoon;
  return options;
}

bool write(Link& link, const std::string& name, const Bytes& bytes, Timeout credit = kSoon) {
  const Part part{bytes.data(), bytes.size()};
  return link.write(name, &part, 1, within(credit));
}

Bytes bytes_of(const Packet& packet) {
  return {packet.buffer->data(), packet.buffer->data() + packet.buffer->size()};
}

Bytes counting(std::size_t size) {
  Bytes bytes(size);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  return bytes;
}

TEST(Link, ping_is_answered_and_reported) {
  LinkPair links;
  links.host.ping(kSoon);
  EXPECT_EQ(links.device.next_event(kSoon)->kind, LinkEvent::Kind::ping);
}

TEST(Link, host_opens_then_device_opens_then_device_writes) {
  LinkPair links;
  EXPECT_EQ(links.host.open_stream("left", 1000, nullptr, kSoon), 0U);
  const auto event = links.device.next_event(kSoon);
  EXPECT_EQ(event->kind, LinkEvent::Kind::opened);
  EXPECT_EQ(event->stream, "left");
  EXPECT_EQ(event->size, 1024U);
  EXPECT_FALSE(links.device.has_stream("left")) << "the answer alone is not enough";
  EXPECT_THROW(write(links.device, "left", {1}), LinkError);
  EXPECT_EQ(links.device.open_stream("left", 4096, nullptr, kSoon), 0U);
  EXPECT_TRUE(links.device.has_stream("left"));
  EXPECT_TRUE(write(links.device, "left", counting(3000)));
  const auto packet = links.host.read("left", kSoon);
  EXPECT_EQ(*packet->stream, "left");
  EXPECT_EQ(bytes_of(*packet), counting(3000));
  EXPECT_GT(packet->received_ns, 0);
}

TEST(Link, packet_of_several_parts_arrives_as_one_piece) {
  LinkPair links;
  links.open("left", 64, 1 << 20);
  const Bytes bytes = counting(200'000);
  std::vector<Part> parts;
  for (std::size_t at = 0; at < bytes.size(); at += 1000) parts.push_back({&bytes[at], 1000});
  parts.insert(parts.begin() + 7, Part{nullptr, 0});
  EXPECT_TRUE(links.device.write("left", parts.data(), parts.size(), within(kSoon)));
  EXPECT_TRUE(links.device.write("left", nullptr, 0, within(kSoon)));
  EXPECT_EQ(bytes_of(*links.host.read("left", kSoon)), bytes);
  EXPECT_EQ(links.host.read("left", kSoon)->buffer->size(), 0U);
}

TEST(Link, packets_go_to_the_queue_they_were_opened_with) {
  LinkPair links;
  const auto queue = std::make_shared<PacketQueue>(100, 2);
  links.open("left", 64, 1024, queue);
  links.open("right", 64, 1024, queue);
  for (std::uint8_t i = 0; i < 3; ++i) EXPECT_TRUE(write(links.device, "left", {i}));
  EXPECT_TRUE(write(links.device, "right", {9}));
  std::vector<Bytes> contents;
  ASSERT_TRUE(test::eventually([&] { return links.host.counters()["packets_in"] == 4; }));
  for (const Packet& packet : queue->take()) contents.push_back(bytes_of(packet));
  EXPECT_EQ(contents, (std::vector<Bytes>{{1}, {2}, {9}}));
  EXPECT_EQ(links.host.stream_counters()["left"]["dropped"], 1U);
  EXPECT_THROW(links.host.read("left", 0s), LinkError);
}

TEST(Link, stream_without_own_creation_can_be_read) {
  LinkPair links;
  links.host.open_stream("config_h2d", 1000, nullptr, kSoon);
  EXPECT_TRUE(write(links.host, "config_h2d", {1, 2, 3}));
  EXPECT_EQ(bytes_of(*links.device.read("config_h2d", kSoon)), (Bytes{1, 2, 3}));
  links.host.close_stream("config_h2d", kSoon);
  EXPECT_FALSE(links.host.has_stream("config_h2d"));
}

TEST(Link, unread_packet_survives_the_close_of_its_stream) {
  LinkPair links;
  links.host.open_stream("config_h2d", 1000, nullptr, kSoon);
  EXPECT_TRUE(write(links.host, "config_h2d", {1}));
  links.host.close_stream("config_h2d", kSoon);
  EXPECT_EQ(bytes_of(*links.device.read("config_h2d", kSoon)), Bytes{1});
  EXPECT_EQ(links.host.open_stream("config_h2d", 2000, nullptr, kSoon), 0U);
}

TEST(Link, packet_that_arrived_before_the_queue_is_moved_into_it) {
  LinkPair links;
  links.host.open_stream("left", 1000, nullptr, kSoon);
  EXPECT_TRUE(write(links.host, "left", {5}));
  auto reader = std::async(std::launch::async, [&] { return links.device.read("other", kSoon); });
  const auto queue = std::make_shared<PacketQueue>(8, 8);
  links.device.open_stream("left", 1000, queue, kSoon);
  ASSERT_TRUE(queue->wait(kSoon));
  EXPECT_EQ(bytes_of(queue->take()[0]), Bytes{5});
  links.device.close();
  EXPECT_THROW(reader.get(), LinkError);
}

TEST(Link, write_waits_for_credit_and_continues_when_it_arrives) {
  LinkPair links(manual_release());
  links.open("left", 64, 128);
  EXPECT_TRUE(write(links.device, "left", Bytes(64)));
  EXPECT_TRUE(write(links.device, "left", Bytes(60)));
  EXPECT_FALSE(write(links.device, "left", Bytes(64), 0s));
  EXPECT_FALSE(write(links.device, "left", Bytes(5), 1ms));
  EXPECT_TRUE(write(links.device, "left", Bytes(4), 0s)) << "a small packet still fits";
  auto counters = links.device.stream_counters()["left"];
  EXPECT_EQ(counters["refused_writes"], 2U);
  EXPECT_EQ(counters["tx_bytes"], 128U);
  EXPECT_EQ(counters["tx_packets"], 3U);
  auto blocked = std::async(std::launch::async,
                            [&] { return write(links.device, "left", Bytes(64), std::nullopt); });
  links.host.release(*links.host.read("left", kSoon));
  EXPECT_TRUE(blocked.get());
}

TEST(Link, at_most_64_packets_are_unreleased) {
  LinkPair links(manual_release());
  links.open("left", 64, 1 << 20);
  for (int i = 0; i < 64; ++i) ASSERT_TRUE(write(links.device, "left", {1}, 0s)) << i;
  EXPECT_FALSE(write(links.device, "left", {1}, 0s));
  links.host.release(*links.host.read("left", kSoon));
  EXPECT_TRUE(write(links.device, "left", {1}));
}

TEST(Link, packet_larger_than_the_window_is_refused_locally) {
  LinkPair links;
  links.open("left", 64, 128);
  EXPECT_THROW(write(links.device, "left", Bytes(129)), LinkError);
  EXPECT_TRUE(write(links.device, "left", Bytes(128)));
  const Part huge{nullptr, std::size_t{1} << 33};
  EXPECT_THROW(links.device.write("left", &huge, 1, within(0s)), LinkError);
  EXPECT_TRUE(links.device.is_up());
}

TEST(Link, releases_leave_in_order_of_arrival) {
  LinkPair links(manual_release());
  links.open("left", 64, 1024);
  for (const std::size_t size : {100U, 200U, 300U}) write(links.device, "left", Bytes(size));
  std::vector<Packet> packets;
  for (int i = 0; i < 3; ++i) packets.push_back(*links.host.read("left", kSoon));
  links.host.release(packets[2]);
  links.host.release(packets[1]);
  links.host.ping(kSoon);  // its answer comes after all releases
  EXPECT_EQ(links.device.stream_counters()["left"]["tx_bytes"], 600U);
  EXPECT_THROW(links.host.release(packets[1]), LinkError) << "twice";
  links.host.release(packets[0]);
  links.host.ping(kSoon);
  EXPECT_EQ(links.device.stream_counters()["left"]["tx_bytes"], 0U);
  EXPECT_THROW(links.host.release(packets[0]), LinkError);
  EXPECT_THROW(links.host.release(Packet{}), LinkError);
}

TEST(Link, packet_dropped_by_its_queue_gives_its_credit_back) {
  LinkPair links(manual_release());
  links.open("left", 64, 1024, std::make_shared<PacketQueue>(1, 1));
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(write(links.device, "left", Bytes(512)));
  links.host.ping(kSoon);
  EXPECT_EQ(links.device.stream_counters()["left"]["tx_packets"], 1U);
}

TEST(Link, close_waits_for_releases) {
  LinkPair links(manual_release());
  links.host.open_stream("inBlob", 1024, nullptr, kSoon);
  EXPECT_TRUE(write(links.host, "inBlob", Bytes(1000)));
  EXPECT_THROW(links.host.close_stream("inBlob", 1ms), LinkTimeoutError);
  EXPECT_TRUE(links.host.has_stream("inBlob")) << "a close that timed out did not happen";
  auto closing =
      std::async(std::launch::async, [&] { links.host.close_stream("inBlob", std::nullopt); });
  links.device.release(*links.device.read("inBlob", kSoon));
  closing.get();
  EXPECT_FALSE(links.host.has_stream("inBlob"));
  EXPECT_THROW(links.host.close_stream("inBlob", kSoon), LinkError);
  LinkEvent::Kind last = LinkEvent::Kind::ping;
  while (const auto event = links.device.next_event(0s)) last = event->kind;
  EXPECT_EQ(last, LinkEvent::Kind::closed);
}

TEST(Link, closed_and_reopened_stream_has_a_new_window) {
  LinkPair links;
  links.open("left", 64, 128);
  links.host.close_stream("left", kSoon);
  links.device.close_stream("left", kSoon);
  EXPECT_EQ(links.open("left", 64, 4096), 0U);
  EXPECT_TRUE(write(links.device, "left", Bytes(4096)));
}

TEST(Link, creation_beyond_the_table_or_the_window_is_refused) {
  LinkPair links;
  links.host.open_stream("left", 128, nullptr, kSoon);
  EXPECT_THROW(links.host.open_stream("left", 256, nullptr, kSoon), LinkError);
  for (int i = 1; i < 32; ++i) links.host.open_stream(std::to_string(i), 64, nullptr, kSoon);
  EXPECT_THROW(links.host.open_stream("one too many", 64, nullptr, kSoon), LinkError);
  links.host.close_stream("1", kSoon);
  EXPECT_THROW(links.host.open_stream("huge", 1 << 30, nullptr, kSoon), LinkError);
  EXPECT_EQ(links.host.counters()["refusals_in"], 3U);
  links.host.ping(kSoon);
  for (const std::string& name : {std::string(), std::string(64, 'x'), std::string("a\0b", 3)}) {
    EXPECT_THROW(links.host.open_stream(name, 64, nullptr, kSoon), std::invalid_argument);
  }
  EXPECT_THROW(links.host.open_stream("x", 0, nullptr, kSoon), std::invalid_argument);
}

TEST(Link, reset_is_answered_and_ends_the_link_without_a_failure) {
  LinkPair links;
  links.host.reset(kSoon);
  EXPECT_FALSE(links.host.is_up());
  EXPECT_EQ(links.host.failure(), "");
  EXPECT_EQ(links.device.next_event(kSoon)->kind, LinkEvent::Kind::reset);
  EXPECT_EQ(links.device.next_event(kSoon)->kind, LinkEvent::Kind::down);
  EXPECT_FALSE(links.device.next_event(std::nullopt));
}

TEST(Link, both_ends_push_at_once_without_a_dead_lock) {
  constexpr std::size_t kSize = 8 << 20;
  LinkPair links;
  links.open("left", kSize, kSize);
  const Bytes bytes = counting(kSize);
  auto pushing = [&](Link& link) {
    return std::async(std::launch::async, [&] {
      for (int i = 0; i < 4; ++i) ASSERT_TRUE(write(link, "left", bytes));
    });
  };
  auto from_host = pushing(links.host), from_device = pushing(links.device);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(bytes_of(*links.host.read("left", kSoon)), bytes);
    EXPECT_EQ(bytes_of(*links.device.read("left", kSoon)), bytes);
  }
  from_host.get();
  from_device.get();
}

TEST(Link, many_threads_write_many_streams) {
  LinkPair links;
  std::vector<std::string> names;
  for (int i = 0; i < 4; ++i) names.push_back("stream" + std::to_string(i));
  const auto queue = std::make_shared<PacketQueue>(10'000, 10'000);
  for (const auto& name : names) links.open(name, 64, 8192, queue);
  std::vector<std::thread> writers;
  for (const auto& name : names) {
    for (int i = 0; i < 2; ++i) {
      writers.emplace_back([&links, name] {
        for (std::size_t n = 0; n < 200; ++n) write(links.device, name, counting(n * 17 % 4000));
      });
    }
  }
  for (auto& writer : writers) writer.join();
  ASSERT_TRUE(test::eventually([&] { return links.host.counters()["packets_in"] == 1600; }));
  for (const Packet& packet : queue->take()) {
    ASSERT_EQ(bytes_of(packet), counting(packet.buffer->size()));
  }
}

TEST(Link, steady_stream_allocates_no_payload_memory) {
  LinkPair links;
  const auto queue = std::make_shared<PacketQueue>(8, 4);
  links.open("left", 64, 1'024'064, queue);
  const Bytes bytes(921'656);
  const auto stream = [&](int packets) {
    for (int i = 0; i < packets; ++i) {
      ASSERT_TRUE(write(links.device, "left", bytes));
      queue->take();
    }
  };
  stream(10);
  const auto before = BufferPool::shared().statistics();
  stream(50);
  const auto after = BufferPool::shared().statistics();
  EXPECT_EQ(after.taken - before.taken, 50U);
  EXPECT_EQ(after.reused - before.reused, 50U);
}

TEST(Link, packet_outlives_its_link) {
  std::optional<Packet> packet;
  {
    LinkPair links;
    links.open("left", 64, 1024);
    write(links.device, "left", counting(1000));
    packet = links.host.read("left", kSoon);
  }
  EXPECT_EQ(bytes_of(*packet), counting(1000));
}

TEST(Link, transport_belongs_to_one_link) {
  const auto ends = make_socket_pair();
  Link first(ends.first, Role::host);
  EXPECT_THROW(Link(ends.first, Role::device), LinkError);
  EXPECT_TRUE(first.is_up());
}

TEST(Link, counters_add_up) {
  LinkPair links;
  links.open("left", 64, 1024);
  write(links.device, "left", Bytes(1000));
  links.host.ping(kSoon);
  EXPECT_EQ(links.host.counters()["packets_in"], 1U);
  EXPECT_EQ(links.device.counters()["packets_out"], 1U);
  // The device sent: answers to creation, release and ping; its creation; its packet.
  EXPECT_TRUE(test::eventually(
      [&] { return links.device.counters()["bytes_out"] == 3 * 84 + 84 + 84 + 1000; }));
  EXPECT_EQ(links.host.stream_counters()["left"]["bytes_in"], 1000U);
  EXPECT_EQ(links.device.stream_counters()["left"]["bytes_out"], 1000U);
}

}  // namespace
}  // namespace depthai
