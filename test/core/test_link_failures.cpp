// How calls on a link end when its other end hangs up, stays silent or does not read.

#include <gtest/gtest.h>

#include <functional>
#include <future>

#include "link/link.hpp"
#include "raw_peer.hpp"

namespace depthai {
namespace {

using namespace test;

WriteOptions within(Timeout timeout) {
  WriteOptions options;
  options.credit = timeout;
  options.response = timeout;
  return options;
}

/// A host link with a raw peer. "left" (id 0, window 64) is open in both directions and has 64
/// unreleased bytes.
struct Rig {
  explicit Rig(const LinkOptions& options = {}) : Rig(make_socket_pair(), options) {}
  Rig(const std::pair<std::shared_ptr<Transport>, std::shared_ptr<Transport>>& ends,
      const LinkOptions& options)
      : peer(ends.second),
        link(ends.first, Role::host, options),
        queue(std::make_shared<PacketQueue>(8, 8)) {
    auto opened = std::async(std::launch::async, [&] {
      link.open_stream("left", 64, queue, kSoon);
      write(64, kSoon);
    });
    peer.serve(xlink::kCreateRequest);
    peer.serve(xlink::kWriteRequest);
    opened.get();
    peer.create("left", 1024);
    peer.expect(xlink::kCreateResponse);
    EXPECT_EQ(link.next_event(kSoon)->kind, LinkEvent::Kind::opened);
  }

  bool write(std::size_t size, Timeout timeout, const char* name = "left") {
    const Bytes bytes(size);
    const Part part{bytes.data(), bytes.size()};
    return link.write(name, &part, 1, within(timeout));
  }

  RawPeer peer;
  Link link;
  std::shared_ptr<PacketQueue> queue;
};

struct Wait {
  const char* name;
  std::function<void(Rig&)> run;
};

/// Every call that may wait, without a limit.
const Wait kWaits[] = {
    {"ping", [](Rig& rig) { rig.link.ping(std::nullopt); }},
    {"open_stream", [](Rig& rig) { rig.link.open_stream("x", 64, nullptr, std::nullopt); }},
    {"close_stream", [](Rig& rig) { rig.link.close_stream("left", std::nullopt); }},
    {"write", [](Rig& rig) { rig.write(64, std::nullopt); }},
    {"read", [](Rig& rig) { rig.link.read("other", std::nullopt); }},
    {"queue", [](Rig& rig) { rig.queue->wait(std::nullopt); }},
    {"next_event",
     [](Rig& rig) {
       if (rig.link.next_event(std::nullopt)->kind == LinkEvent::Kind::down) throw LinkError("");
     }},
};

/// All waiting calls, each in its own thread and on a rig of its own: close_stream and write of one
/// stream exclude each other.
void expect_all_waits_to_throw(const std::function<void(Rig&)>& accident) {
  for (const Wait& wait : kWaits) {
    Rig rig;
    std::promise<void> started;
    auto waiting = std::async(std::launch::async, [&] {
      started.set_value();
      wait.run(rig);
    });
    started.get_future().wait();
    accident(rig);
    EXPECT_EQ(waiting.wait_for(kSoon), std::future_status::ready) << wait.name;
    EXPECT_THROW(waiting.get(), LinkError) << wait.name;
    EXPECT_FALSE(rig.link.is_up());
  }
}

TEST(LinkFailures, hang_up_between_messages_ends_every_wait) {
  expect_all_waits_to_throw([](Rig& rig) { rig.peer.hang_up(); });
}

TEST(LinkFailures, hang_up_in_a_header_ends_every_wait) {
  expect_all_waits_to_throw([](Rig& rig) {
    rig.peer.send(Bytes(50, 0));
    rig.peer.hang_up();
  });
}

TEST(LinkFailures, hang_up_in_a_payload_ends_every_wait) {
  expect_all_waits_to_throw([](Rig& rig) {
    rig.peer.request(xlink::kWriteRequest, 0, 1000, "", Bytes(500));
    rig.peer.hang_up();
  });
}

TEST(LinkFailures, failure_names_the_number_of_bytes_read) {
  Rig rig;
  rig.peer.request(xlink::kWriteRequest, 0, 1000, "", Bytes(500));
  rig.peer.hang_up();
  EXPECT_THROW(rig.queue->wait(kSoon), LinkError);
  EXPECT_EQ(rig.link.failure(), "socketpair: the other end hung up (500 of 1000 bytes read)");
  EXPECT_EQ(rig.link.next_event(kSoon)->detail, rig.link.failure());
  EXPECT_THROW(rig.link.ping(kSoon), LinkError);
  EXPECT_THROW(rig.write(1, kSoon), LinkError);
  EXPECT_THROW(rig.link.read("other", kSoon), LinkError);
  EXPECT_THROW(rig.link.reset(kSoon), LinkError);
  EXPECT_FALSE(rig.link.has_stream("left"));
}

TEST(LinkFailures, close_here_ends_every_wait) {
  for (const Wait& wait : kWaits) {
    Rig rig;
    auto waiting = std::async(std::launch::async, [&] { wait.run(rig); });
    rig.link.close();
    ASSERT_EQ(waiting.wait_for(kSoon), std::future_status::ready) << wait.name;
    if (std::string(wait.name) == "queue") {
      waiting.get();
    } else {
      EXPECT_THROW(waiting.get(), LinkError) << wait.name;
    }
    EXPECT_EQ(rig.link.failure(), "");
  }
}

TEST(LinkFailures, silence_ends_bounded_waits_and_leaves_the_link_up) {
  Rig rig;
  EXPECT_THROW(rig.link.ping(1ms), LinkTimeoutError);
  EXPECT_THROW(rig.link.open_stream("x", 64, nullptr, 1ms), LinkTimeoutError);
  EXPECT_THROW(rig.link.close_stream("left", 1ms), LinkTimeoutError);
  EXPECT_FALSE(rig.write(64, 1ms)) << "no credit";
  EXPECT_FALSE(rig.link.read("other", 1ms));
  EXPECT_FALSE(rig.link.next_event(1ms));
  rig.peer.request(xlink::kReleaseRequest, 0, 64);
  EXPECT_TRUE(eventually([&] { return rig.link.stream_counters()["left"]["tx_packets"] == 0; }));
  EXPECT_THROW(rig.write(64, 1ms), LinkTimeoutError) << "no answer";
  EXPECT_TRUE(rig.link.is_up());
}

TEST(LinkFailures, second_opening_waits_for_the_first) {
  Rig rig;
  auto first =
      std::async(std::launch::async, [&] { return rig.link.open_stream("a", 64, nullptr, kSoon); });
  const auto request = rig.peer.expect(xlink::kCreateRequest);
  EXPECT_THROW(rig.link.open_stream("b", 64, nullptr, 1ms), LinkTimeoutError);
  rig.peer.answer(request, xlink::kAck, 1);
  EXPECT_EQ(first.get(), 1U);
  auto second =
      std::async(std::launch::async, [&] { return rig.link.open_stream("b", 64, nullptr, kSoon); });
  EXPECT_EQ(xlink::name_of(rig.peer.serve(xlink::kCreateRequest, xlink::kAck, 2)), "b");
  EXPECT_EQ(second.get(), 2U);
}

TEST(LinkFailures, half_sent_packet_that_the_other_end_does_not_read_ends_the_link) {
  LinkOptions options;
  options.transfer_limit = 20ms;
  Rig rig(options);
  auto opened = std::async(std::launch::async,
                           [&] { rig.link.open_stream("big", 64 << 20, nullptr, kSoon); });
  rig.peer.serve(xlink::kCreateRequest, xlink::kAck, 1);
  opened.get();
  EXPECT_THROW(rig.write(64 << 20, 1ms, "big"), LinkError);
  EXPECT_NE(rig.link.failure().find("stopped taking bytes"), std::string::npos);
}

TEST(LinkFailures, close_does_not_wait_for_an_end_that_does_not_read) {
  Rig rig;
  auto opened = std::async(std::launch::async,
                           [&] { rig.link.open_stream("big", 64 << 20, nullptr, kSoon); });
  rig.peer.serve(xlink::kCreateRequest, xlink::kAck, 1);
  opened.get();
  auto writing = std::async(std::launch::async, [&] { rig.write(64 << 20, std::nullopt, "big"); });
  rig.peer.expect(xlink::kWriteRequest);  // the header was sent
  rig.link.close();
  EXPECT_THROW(writing.get(), LinkError);
}

TEST(LinkFailures, reset_ends_with_an_answer_or_a_hang_up_but_not_with_silence) {
  for (const bool answers : {true, false}) {
    Rig rig;
    auto reset = std::async(std::launch::async, [&] { rig.link.reset(std::nullopt); });
    const auto request = rig.peer.expect(xlink::kResetRequest);
    answers ? rig.peer.answer(request) : rig.peer.hang_up();
    reset.get();
    EXPECT_EQ(rig.link.failure(), "");
    EXPECT_FALSE(rig.link.is_up());
  }
  Rig rig;
  EXPECT_THROW(rig.link.reset(1ms), LinkTimeoutError);
}

TEST(LinkFailures, close_sends_queued_messages) {
  for (int round = 0; round < 50; ++round) {
    Rig rig;
    rig.peer.request(xlink::kResetRequest);
    EXPECT_EQ(rig.link.next_event(kSoon)->kind, LinkEvent::Kind::reset);
    rig.link.close();
    rig.peer.expect(xlink::kResetResponse);
  }
}

TEST(LinkFailures, nothing_follows_a_reset) {
  Rig rig;
  auto reset = std::async(std::launch::async, [&] { rig.link.reset(kSoon); });
  const auto request = rig.peer.expect(xlink::kResetRequest);
  rig.peer.request(xlink::kPingRequest);  // would be answered otherwise
  rig.peer.answer(request);
  reset.get();
  EXPECT_THROW(rig.peer.receive(), LinkError);
}

TEST(LinkFailures, close_may_come_from_many_threads_in_the_middle_of_everything) {
  for (int round = 0; round < 30; ++round) {
    const auto ends = make_socket_pair();
    auto host = std::make_unique<Link>(ends.first, Role::host);
    auto device = std::make_unique<Link>(ends.second, Role::device);
    host->open_stream("left", 1 << 20, nullptr, kSoon);
    device->open_stream("left", 1 << 20, nullptr, kSoon);
    const auto until_down = [](const std::function<void()>& call) {
      return std::thread([call] {
        try {
          for (;;) call();
        } catch (const LinkError&) {
        }
      });
    };
    const Bytes bytes(300'000);
    const Part part{bytes.data(), bytes.size()};
    std::vector<std::thread> threads;
    threads.push_back(until_down([&] { device->write("left", &part, 1, within(kSoon)); }));
    threads.push_back(until_down([&] { host->write("left", &part, 1, within(kSoon)); }));
    threads.push_back(until_down([&] { host->read("left", kSoon); }));
    threads.push_back(until_down([&] { host->ping(kSoon); }));
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] { host->close(); });
      threads.emplace_back([&] { device->close(); });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(host->failure() == "" || device->failure() == "", true);
  }
}

}  // namespace
}  // namespace depthai
