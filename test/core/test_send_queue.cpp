// A link sends at once where possible, and with its writer thread where it would have to wait.

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <vector>

#include "link/send_queue.hpp"
#include "raw_peer.hpp"

namespace depthai {
namespace {

using test::Bytes;
using test::kSoon;

constexpr std::size_t kEverything = static_cast<std::size_t>(-1);

/// A transport that sends a limited number of bytes at once, and counts bytes of waiting writes.
class Reluctant : public Transport {
 public:
  Reluctant(std::shared_ptr<Transport> transport, std::size_t at_once)
      : transport_(std::move(transport)), at_once_(at_once) {}

  std::atomic<std::size_t> waited{0};  // bytes
  std::atomic<bool> fell_short{false};

  void read_exactly(std::uint8_t*, std::size_t) override {}
  void write(const Part* parts, std::size_t count) override {
    for (std::size_t i = 0; i < count; ++i) waited += parts[i].size;
    transport_->write(parts, count);
  }
  std::size_t write_now(const Part* parts, std::size_t count) noexcept override {
    std::size_t left = at_once_, wanted = 0;
    std::vector<Part> first;
    for (std::size_t i = 0; i < count && left > 0; ++i) {
      first.push_back({parts[i].data, std::min(parts[i].size, left)});
      left -= first.back().size;
    }
    for (std::size_t i = 0; i < count; ++i) wanted += parts[i].size;
    const auto sent = first.empty() ? 0 : transport_->write_now(first.data(), first.size());
    if (sent < wanted) fell_short = true;
    return sent;
  }
  void limit_write(std::chrono::milliseconds) override {}
  void close() noexcept override { transport_->close(); }
  std::string describe() const override { return "reluctant"; }

 private:
  const std::shared_ptr<Transport> transport_;
  const std::size_t at_once_;
};

/// A queue, and the other end of its transport.
struct Rig {
  explicit Rig(std::size_t at_once) : Rig(make_socket_pair(), at_once) {}
  Rig(const std::pair<std::shared_ptr<Transport>, std::shared_ptr<Transport>>& ends,
      std::size_t at_once)
      : transport(std::make_shared<Reluctant>(ends.first, at_once)),
        peer(ends.second),
        queue(transport, [](const Failure&) {}) {
    queue.start();
  }
  ~Rig() {
    queue.abort();
    transport->close();
    queue.join();
  }

  std::shared_ptr<Reluctant> transport;
  test::RawPeer peer;
  SendQueue queue;
};

xlink::Header ping(std::int32_t id) { return xlink::make_request(xlink::kPingRequest, id); }

class WriterThatSends : public testing::TestWithParam<std::size_t> {};

TEST_P(WriterThatSends, loses_and_swaps_nothing) {
  Rig rig(GetParam());
  Bytes payload(100'000);
  std::iota(payload.begin(), payload.end(), std::uint8_t{0});
  const Part part{payload.data(), payload.size()};
  std::int32_t next = 1;
  for (int turn = 0; turn < 20; ++turn) {
    rig.queue.enqueue({ping(next), ping(next + 1), ping(next + 2)});
    const auto packet = xlink::make_request(xlink::kWriteRequest, next + 3, 0, 100'000);
    SendQueue::Transfer transfer;
    rig.queue.enqueue(packet, &part, 1, transfer);
    std::thread reader([&] {
      for (int i = 0; i < 4; ++i) EXPECT_EQ(rig.peer.receive().id, next + i);
      EXPECT_EQ(rig.peer.receive_bytes(payload.size()), payload);
    });
    EXPECT_TRUE(rig.queue.complete(transfer));
    reader.join();
    next += 4;
  }
  EXPECT_TRUE(rig.queue.drain(kSoon));
  EXPECT_EQ(rig.queue.bytes_sent(), 20 * (4 * xlink::kHeaderBytes + payload.size()));
}

INSTANTIATE_TEST_SUITE_P(at_once, WriterThatSends,
                         testing::Values(0, 1, 83, 84, 85, 200, kEverything),
                         testing::PrintToStringParamName());

TEST(SendQueue, enqueue_sends_in_the_calling_thread_if_it_need_not_wait) {
  Rig rig(kEverything);
  for (std::int32_t id = 1; id <= 100; ++id) rig.queue.enqueue({ping(id)});
  EXPECT_EQ(rig.queue.bytes_sent(), 100 * xlink::kHeaderBytes);
  EXPECT_EQ(rig.transport->waited, 0U);
}

TEST(SendQueue, enqueue_does_not_wait_for_an_end_that_does_not_read) {
  Rig rig(kEverything);
  std::int32_t posted = 0;
  while (!rig.transport->fell_short) rig.queue.enqueue({ping(++posted)});
  for (std::int32_t id = 1; id <= posted; ++id) EXPECT_EQ(rig.peer.receive().id, id);
}

}  // namespace
}  // namespace depthai
