// A link whose other end violates the protocol.

#include <gtest/gtest.h>

#include <future>
#include <random>

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

TEST(LinkEnemies, random_messages_end_the_link_or_are_answered) {
  for (std::uint32_t seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    Rig rig(seed % 2 != 0 ? Role::host : Role::device);
    std::thread reader([&] {
      try {
        for (;;) rig.peer.receive_bytes(1);
      } catch (const LinkError&) {
      }
    });
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
    reader.join();
    EXPECT_NE(rig.down(), "(not down)") << "seed " << seed;
  }
}

}  // namespace
}  // namespace depthai
