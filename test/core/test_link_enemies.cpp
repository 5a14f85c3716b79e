// A link whose other end violates the protocol.

#include <gtest/gtest.h>

#include <future>
#include <random>
#include <thread>

#include "raw_rig.hpp"

namespace depthai {
namespace {

using namespace test;

struct Attack {
  const char* words;
  void (*run)(Rig&);
};

TEST(LinkEnemies, bytes_that_break_the_rules_end_the_link_and_name_the_culprit) {
  using namespace xlink;
  const Attack kAttacks[] = {
      {"which is not open", [](Rig& rig) { rig.peer.request(kWriteRequest, 9, 100); }},
      {"its window has 64",
       [](Rig& rig) { rig.peer.request(kWriteRequest, rig.open_from_peer("left", 64), 65); }},
      {"at most 134217728",
       [](Rig& rig) { rig.peer.request(kWriteRequest, rig.open_from_peer("left", 64), 1u << 31); }},
      {"has not opened",
       [](Rig& rig) { rig.peer.request(kWriteRequest, rig.open_from_link("left", 64, 0), 1); }},
      {"released 5 bytes",
       [](Rig& rig) { rig.peer.request(kReleaseRequest, rig.open_from_link("left", 64, 0), 5); }},
      {"type 7", [](Rig& rig) { rig.peer.request(static_cast<Type>(7)); }},
      {"type 305419896", [](Rig& rig) { rig.peer.request(static_cast<Type>(0x12345678)); }},
  };
  for (const Attack& attack : kAttacks) {
    Rig rig(Role::host);
    const auto queue = std::make_shared<PacketQueue>(8, 8);
    auto waiting = std::async(std::launch::async, [&] { rig.link.read("other", kSoon); });
    const auto before = BufferPool::shared().statistics().taken;
    attack.run(rig);
    const std::string detail = rig.down();
    ASSERT_NE(detail.find(attack.words), std::string::npos) << detail;
    EXPECT_EQ(rig.link.failure(), detail);
    EXPECT_EQ(BufferPool::shared().statistics().taken, before) << "memory for " << attack.words;
    try {
      waiting.get();
      ADD_FAILURE() << attack.words;
    } catch (const ProtocolError& error) {
      EXPECT_EQ(error.culprit(), Role::device);
    }
    EXPECT_THROW(rig.link.ping(kSoon), ProtocolError);
    EXPECT_THROW(rig.peer.receive_bytes(1 << 20), LinkError) << "the pipe is closed";
  }
}

TEST(LinkEnemies, other_end_that_never_reads_cannot_make_the_queue_grow_without_limit) {
  Rig rig(Role::device);
  EXPECT_THROW(
      {
        for (int i = 0; i < 1'000'000; ++i) rig.peer.request(xlink::kPingRequest);
      },
      LinkError);
  EXPECT_NE(rig.down().find("does not read"), std::string::npos);
  EXPECT_GT(rig.link.counters()["events_dropped"], 0U);
}

/// Reads and ignores all that the link sends.
class Draining {
 public:
  explicit Draining(Rig& rig) : rig_(rig), thread_([this] { run(); }) {}
  Draining(const Draining&) = delete;
  Draining& operator=(const Draining&) = delete;
  ~Draining() {
    rig_.peer.hang_up();
    thread_.join();
  }

 private:
  void run() {
    try {
      for (;;) rig_.peer.receive_bytes(1);
    } catch (const LinkError&) {
    }
  }

  Rig& rig_;
  std::thread thread_;
};

/// Creates `streams` streams and writes `packets` packets of `bytes` on each.
void flood(Rig& rig, std::uint32_t streams, int packets, std::size_t bytes) {
  const Bytes payload(bytes);
  for (std::uint32_t id = 0; id < streams; ++id) {
    rig.peer.create("flood" + std::to_string(id), 64u << 20);
    for (int i = 0; i < packets; ++i) rig.peer.write(id, payload);
  }
}

std::uint64_t total_of(Link& link, const char* counter) {
  std::uint64_t total = 0;
  for (auto& [name, counters] : link.stream_counters()) total += counters[counter];
  return total;
}

TEST(LinkEnemies, unread_packets_fill_bounded_memory) {
  const struct {
    Role role;
    std::size_t limit;  // in bytes, by default
  } kCases[] = {{Role::host, std::size_t{32} << 20}, {Role::device, std::size_t{256} << 20}};
  for (const auto& [role, limit] : kCases) {
    const auto before = BufferPool::shared().statistics().used_bytes;
    Rig rig(role);
    const Draining draining(rig);
    flood(rig, 20, 30, std::size_t{1} << 20);
    EXPECT_TRUE(eventually([&] { return rig.link.counters()["packets_in"] == 600; }));
    const auto used = BufferPool::shared().statistics().used_bytes - before;
    EXPECT_LE(used, limit) << role_name(role);
    EXPECT_GT(used, limit / 2) << role_name(role);
    EXPECT_GT(total_of(rig.link, "dropped"), 300U);
    EXPECT_TRUE(rig.link.is_up());
  }
}

TEST(LinkEnemies, credit_of_packets_on_an_unopened_stream_comes_back_when_the_host_opens_it) {
  Rig rig(Role::host);
  const auto id = rig.open_from_peer("left", 1 << 20);
  for (int i = 0; i < 64; ++i) rig.peer.write(id, Bytes(1000));
  for (int i = 0; i < 64; ++i) rig.peer.expect(xlink::kWriteResponse);
  const auto queue = std::make_shared<PacketQueue>(100, 100);
  auto opened = std::async(std::launch::async,
                           [&] { return rig.link.open_stream("left", 64, queue, kSoon); });
  for (int i = 0; i < 64; ++i) EXPECT_EQ(rig.peer.expect(xlink::kReleaseRequest).size, 1000U);
  rig.peer.serve(xlink::kCreateRequest, xlink::kAck, id);
  opened.get();
  EXPECT_EQ(queue->take().size(), 64U);
  rig.peer.write(id, Bytes(1000));
  rig.peer.expect(xlink::kWriteResponse);
  rig.peer.expect(xlink::kReleaseRequest);
}

TEST(LinkEnemies, packets_beyond_the_credit_of_an_unopened_stream_end_the_link) {
  Rig rig(Role::host);
  const Draining draining(rig);
  rig.peer.create("left", 1 << 20);
  for (int i = 0; i < 65; ++i) rig.peer.write(0, Bytes(1));
  EXPECT_NE(rig.down().find("64 packets of it are not released"), std::string::npos);
}

TEST(LinkEnemies, a_packet_that_a_queue_drops_gives_its_own_stream_credit_back) {
  LinkOptions options;
  options.auto_release = false;
  Rig rig(Role::host, options);
  const auto queue = std::make_shared<PacketQueue>(1, 1);
  for (const std::uint32_t id : {0, 1}) {
    auto opened = std::async(std::launch::async, [&] {
      return rig.link.open_stream(id == 0 ? "left" : "right", 64, queue, kSoon);
    });
    rig.peer.serve(xlink::kCreateRequest, xlink::kAck, id);
    opened.get();
    EXPECT_EQ(rig.open_from_peer(id == 0 ? "left" : "right", 1024), id);
  }
  rig.peer.write(0, Bytes(10));
  rig.peer.expect(xlink::kWriteResponse);
  rig.peer.write(1, Bytes(20));
  rig.peer.expect(xlink::kWriteResponse);
  const xlink::Header release = rig.peer.expect(xlink::kReleaseRequest);
  EXPECT_EQ(release.stream_id, 0U);
  EXPECT_EQ(release.size, 10U);
}

TEST(LinkEnemies, random_messages_end_the_link_or_are_answered) {
  for (std::uint32_t seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    Rig rig(seed % 2 != 0 ? Role::host : Role::device);
    const Draining draining(rig);
    rig.peer.create("left", 4096);
    try {
      for (int i = 0; i < 200; ++i) {
        auto header = xlink::make_request(static_cast<xlink::Type>(random() % 15),
                                          static_cast<std::int32_t>(random() % 300), random() % 3,
                                          random() % 200, "left");
        if (random() % 50 == 0) header.name[random() % 64] = static_cast<char>(random());
        if (random() % 50 == 0) header.size = random();
        const bool has_payload = header.type == xlink::kWriteRequest && header.size < 5000;
        rig.peer.send(header, has_payload ? Bytes(header.size) : Bytes());
      }
    } catch (const LinkError&) {
    }
    rig.peer.hang_up();
    EXPECT_NE(rig.down(), "(not down)") << "seed " << seed;
  }
}

}  // namespace
}  // namespace depthai
