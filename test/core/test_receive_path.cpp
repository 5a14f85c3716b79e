// Where the link reads the bytes of a packet to, and with how many reads.

#include <gtest/gtest.h>

#include <mutex>
#include <vector>

#include "raw_rig.hpp"

namespace depthai {
namespace {

using test::Bytes;
using test::kSoon;

struct Read {
  const std::uint8_t* data;
  std::size_t size;
};

/// A transport that records its reads.
class Noting : public Transport {
 public:
  explicit Noting(std::shared_ptr<Transport> transport) : transport_(std::move(transport)) {}

  void read_exactly(std::uint8_t* data, std::size_t size) override {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      reads_.push_back({data, size});
    }
    transport_->read_exactly(data, size);
  }
  void write(const Part* parts, std::size_t count) override { transport_->write(parts, count); }
  void limit_write(std::chrono::milliseconds limit) override { transport_->limit_write(limit); }
  void close() noexcept override { transport_->close(); }
  std::string describe() const override { return transport_->describe(); }

  std::vector<Read> of_payloads() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<Read> result;
    for (const Read& read : reads_) {
      if (read.size > xlink::kHeaderBytes) result.push_back(read);
    }
    return result;
  }

 private:
  const std::shared_ptr<Transport> transport_;
  mutable std::mutex mutex_;
  std::vector<Read> reads_;
};

TEST(ReceivePath, one_read_puts_a_payload_into_its_final_buffer) {
  const auto ends = make_socket_pair();
  const auto noting = std::make_shared<Noting>(ends.first);
  Link host(noting, Role::host), device(ends.second, Role::device);
  const auto queue = std::make_shared<PacketQueue>(8, 8);
  host.open_stream("left", 64, queue, kSoon);
  device.open_stream("left", 4 << 20, nullptr, kSoon);
  std::vector<Packet> packets;
  for (const std::size_t size : {3'660U, 921'656U, 3'110'456U}) {
    ASSERT_TRUE(test::write(device, "left", Bytes(size, 7)));
    ASSERT_TRUE(queue->wait(kSoon));
    for (Packet& packet : queue->take()) packets.push_back(std::move(packet));
  }
  const auto reads = noting->of_payloads();
  ASSERT_EQ(reads.size(), packets.size());
  for (std::size_t i = 0; i < reads.size(); ++i) {
    EXPECT_EQ(reads[i].data, packets[i].buffer->data());
    EXPECT_EQ(reads[i].size, packets[i].buffer->size());
  }
}

}  // namespace
}  // namespace depthai
