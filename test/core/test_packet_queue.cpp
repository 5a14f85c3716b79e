#include <gtest/gtest.h>
#include <poll.h>

#include <cstring>
#include <thread>

#include "link/packet_queue.hpp"

namespace depthai {
namespace {

using namespace std::chrono_literals;

constexpr auto kSoon = 20s;

Packet packet(const std::string& stream, std::uint64_t serial, std::size_t size = 1) {
  return {std::make_shared<const std::string>(stream), 0, std::make_shared<Buffer>(size), serial};
}

std::vector<std::pair<std::string, std::uint64_t>> taken(PacketQueue& queue) {
  std::vector<std::pair<std::string, std::uint64_t>> result;
  for (const Packet& each : queue.take()) result.emplace_back(*each.stream, each.serial);
  return result;
}
using Expected = std::vector<std::pair<std::string, std::uint64_t>>;

bool is_readable(int fd) {
  pollfd ready{fd, POLLIN, 0};
  return ::poll(&ready, 1, 0) == 1;
}

TEST(PacketQueue, gives_packets_in_order_of_arrival) {
  PacketQueue queue(8, 8);
  queue.push(packet("left", 0));
  queue.push(packet("right", 1));
  queue.push(packet("left", 2));
  EXPECT_EQ(taken(queue), (Expected{{"left", 0}, {"right", 1}, {"left", 2}}));
  EXPECT_TRUE(queue.take().empty());
}

TEST(PacketQueue, full_stream_drops_its_own_oldest_packet) {
  PacketQueue queue(100, 2);
  queue.push(packet("right", 0));
  queue.push(packet("left", 1));
  queue.push(packet("right", 2));
  queue.push(packet("left", 3));
  const auto drops = queue.push(packet("left", 4));
  ASSERT_EQ(drops.size(), 1U);
  EXPECT_EQ(drops[0].serial, 1U);
  EXPECT_EQ(taken(queue), (Expected{{"right", 0}, {"right", 2}, {"left", 3}, {"left", 4}}));
  EXPECT_EQ(queue.dropped().at("left"), 1U);
  EXPECT_EQ(queue.dropped().at("right"), 0U);
}

TEST(PacketQueue, full_queue_drops_the_oldest_of_all) {
  PacketQueue queue(2, 2);
  queue.push(packet("left", 0));
  queue.push(packet("right", 1));
  queue.push(packet("right", 2));
  EXPECT_EQ(taken(queue), (Expected{{"right", 1}, {"right", 2}}));
  EXPECT_EQ(queue.dropped("left"), 1U);
  EXPECT_EQ(queue.dropped("nobody"), 0U);
}

TEST(PacketQueue, packets_beyond_the_budget_replace_the_oldest_of_their_stream) {
  constexpr std::size_t kSize = 9 << 10;
  const auto budget = std::make_shared<ByteBudget>(3 * Buffer(kSize).memory_bytes());
  PacketQueue queue(100, 100), other(100, 100);
  queue.push(packet("left", 0, kSize), budget);
  queue.push(packet("right", 1, kSize), budget);
  other.push(packet("right", 2, kSize), budget);
  EXPECT_EQ(queue.push(packet("right", 3, kSize), budget).at(0).serial, 1U);
  EXPECT_EQ(queue.push(packet("rgb", 4, kSize), budget).at(0).serial, 0U) << "else the oldest";
  EXPECT_EQ(taken(queue), (Expected{{"right", 3}, {"rgb", 4}}));
  EXPECT_EQ(queue.dropped("left") + queue.dropped("right"), 2U);
  EXPECT_EQ(budget->used(), Buffer(kSize).memory_bytes()) << "what was taken is free again";
  EXPECT_EQ(other.push(packet("right", 5, 4 * kSize), budget).size(), 2U) << "never fits";
  EXPECT_EQ(other.dropped("right"), 2U);
  EXPECT_EQ(budget->used(), 0U);
}

TEST(PacketQueue, budget_is_free_again_when_a_queue_with_packets_is_deleted) {
  const auto budget = std::make_shared<ByteBudget>(1 << 20);
  std::make_unique<PacketQueue>(8, 8)->push(packet("left", 0), budget);
  EXPECT_EQ(budget->used(), 0U);
}

TEST(PacketQueue, take_resets_the_number_of_waiting_packets) {
  PacketQueue queue(100, 1);
  queue.push(packet("left", 0));
  queue.take();
  EXPECT_TRUE(queue.push(packet("left", 1)).empty());
  EXPECT_EQ(queue.pop(0s)->serial, 1U);
  EXPECT_TRUE(queue.push(packet("left", 2)).empty());
  EXPECT_EQ(queue.dropped("left"), 0U);
}

TEST(PacketQueue, takes_no_more_than_asked_for) {
  PacketQueue queue(8, 8);
  for (std::uint64_t serial = 0; serial < 5; ++serial) queue.push(packet("left", serial));
  const int fd = queue.fileno();
  EXPECT_EQ(queue.take(2).size(), 2U);
  EXPECT_TRUE(is_readable(fd));
  EXPECT_EQ(taken(queue), (Expected{{"left", 2}, {"left", 3}, {"left", 4}}));
  EXPECT_FALSE(is_readable(fd));
}

TEST(PacketQueue, drops_what_arrived_before_a_time) {
  PacketQueue queue(8, 8);
  for (std::uint64_t serial = 0; serial < 4; ++serial) {
    Packet each = packet(serial % 2 ? "right" : "left", serial);
    each.received_ns = static_cast<std::int64_t>(10 * serial);
    queue.push(each);
  }
  EXPECT_TRUE(queue.drop_before(0).empty());
  EXPECT_EQ(queue.drop_before(20).size(), 2U);
  EXPECT_EQ(queue.dropped("left"), 1U);
  EXPECT_EQ(taken(queue), (Expected{{"left", 2}, {"right", 3}}));
  EXPECT_TRUE(queue.drop_before(1000).empty());
}

TEST(PacketQueue, wait_ends_after_the_timeout) {
  PacketQueue queue(8, 8);
  EXPECT_FALSE(queue.wait(0s));
  EXPECT_FALSE(queue.wait(1ms));
  EXPECT_FALSE(queue.pop(1ms));
}

TEST(PacketQueue, wait_ends_with_a_packet_from_another_thread) {
  PacketQueue queue(8, 8);
  std::thread producer([&] { queue.push(packet("left", 7)); });
  EXPECT_TRUE(queue.wait(kSoon));
  producer.join();
  EXPECT_EQ(taken(queue), (Expected{{"left", 7}}));
}

TEST(PacketQueue, close_wakes_the_consumer_and_keeps_waiting_packets) {
  PacketQueue queue(8, 8);
  std::thread closer([&] { queue.close(); });
  EXPECT_FALSE(queue.wait(kSoon));
  closer.join();
  queue.close();
  EXPECT_TRUE(queue.has_ended());

  PacketQueue filled(8, 8);
  filled.push(packet("left", 0));
  filled.close();
  EXPECT_TRUE(filled.wait(0s));
  EXPECT_EQ(filled.push(packet("left", 1)).at(0).serial, 1U);
  EXPECT_EQ(taken(filled), (Expected{{"left", 0}}));
  EXPECT_FALSE(filled.wait(std::nullopt));
}

TEST(PacketQueue, failure_is_thrown_once_the_queue_is_empty) {
  PacketQueue queue(8, 8);
  queue.push(packet("left", 0));
  queue.fail({Failure::Kind::protocol, "bad bytes", Role::device});
  EXPECT_TRUE(queue.wait(0s));
  EXPECT_EQ(queue.take().size(), 1U);
  EXPECT_THROW(queue.wait(std::nullopt), ProtocolError);
  queue.close();
  EXPECT_FALSE(queue.wait(std::nullopt));
}

TEST(PacketQueue, descriptor_is_readable_while_packets_wait) {
  PacketQueue queue(8, 8);
  queue.push(packet("left", 0));
  const int fd = queue.fileno();
  EXPECT_EQ(queue.fileno(), fd);
  EXPECT_TRUE(is_readable(fd));
  queue.push(packet("left", 1));
  queue.pop(0s);
  EXPECT_TRUE(is_readable(fd));
  queue.take();
  EXPECT_FALSE(is_readable(fd));
  queue.push(packet("left", 2));
  EXPECT_TRUE(is_readable(fd));
  queue.take();
  queue.close();
  EXPECT_TRUE(is_readable(fd)) << "the end wakes a select(), too";
}

TEST(PacketQueue, refuses_a_capacity_of_zero) {
  EXPECT_THROW(PacketQueue(0, 1), std::invalid_argument);
  EXPECT_THROW(PacketQueue(1, 0), std::invalid_argument);
}

// ---- memory ----------------------------------------------------------------------------------

TEST(Buffer, payload_is_aligned_and_has_room_around_it) {
  for (const std::size_t size : {0U, 1U, 63U, 1024U, 921'656U, 3'110'456U}) {
    Buffer buffer(size);
    EXPECT_EQ(buffer.size(), size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 0U);
    std::memset(buffer.data() - Buffer::kHeadroom, 0xAB,
                Buffer::kHeadroom + size + Buffer::kTailroom);
  }
}

TEST(BufferPool, gives_the_same_memory_again) {
  BufferPool pool(10 << 20, 8);
  std::uint8_t* first = nullptr;
  for (int i = 0; i < 10; ++i) {
    Buffer buffer(1'000'000, pool);
    if (first == nullptr) first = buffer.data();
    EXPECT_EQ(buffer.data(), first);
    EXPECT_EQ(pool.statistics().used_blocks, 1U);
  }
  EXPECT_EQ(pool.statistics().used_blocks, 0U);
  EXPECT_EQ(pool.statistics().taken, 10U);
  EXPECT_EQ(pool.statistics().reused, 9U);
}

TEST(BufferPool, gives_packets_of_nearly_one_size_the_same_memory) {
  BufferPool pool(10 << 20, 8);
  for (const std::size_t size : {100'000U, 100'700U, 99'000U}) Buffer(size, pool);
  EXPECT_EQ(pool.statistics().reused, 2U);
}

TEST(BufferPool, keeps_no_more_than_its_limits) {
  BufferPool by_bytes(3 << 20, 100);
  BufferPool by_count(100 << 20, 2);
  for (BufferPool* pool : {&by_bytes, &by_count}) {
    std::vector<std::unique_ptr<Buffer>> buffers;
    for (int i = 0; i < 10; ++i) buffers.push_back(std::make_unique<Buffer>(1 << 20, *pool));
    buffers.clear();
    EXPECT_LE(pool->statistics().free_bytes, std::size_t{3} << 20);
    EXPECT_EQ(pool->statistics().free_blocks, 2U);
  }
}

TEST(BufferPool, frees_blocks_that_are_not_used) {
  BufferPool pool(100 << 20, 100, std::chrono::seconds(0));
  std::vector<std::unique_ptr<Buffer>> burst;
  for (int i = 0; i < 10; ++i) burst.push_back(std::make_unique<Buffer>(1 << 20, pool));
  burst.clear();
  EXPECT_EQ(pool.statistics().free_blocks, 1U);
  Buffer(1 << 20, pool);
  EXPECT_EQ(pool.statistics().reused, 1U);
}

TEST(BufferPool, release_returns_all_free_blocks) {
  BufferPool pool(100 << 20, 100);
  for (const std::size_t size : {1'000U, 1'000'000U}) Buffer(size, pool);
  EXPECT_EQ(pool.statistics().free_blocks, 2U);
  pool.release();
  EXPECT_EQ(pool.statistics().free_blocks, 0U);
  EXPECT_EQ(pool.statistics().free_bytes, 0U);
  EXPECT_EQ(Buffer(1'000'000, pool).data()[999'999], 0) << "new memory, from the system";
}

TEST(BufferPool, refuses_an_impossible_size) {
  BufferPool pool(1, 1);
  EXPECT_THROW(pool.take(~std::size_t{0}), std::bad_alloc);
}

}  // namespace
}  // namespace depthai
