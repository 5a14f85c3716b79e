/// Pooled memory for payloads.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

namespace depthai {

/// Keeps freed blocks for reuse, so that a frame causes neither an allocation nor new page faults.
/// Beyond the limits the block that was returned longest ago goes back to the system first. Blocks
/// unused for `max_idle` go back, too: after a burst the pool shrinks to what the streams use.
/// Thread-safe.
class BufferPool {
 public:
  struct Block {
    std::uint8_t* memory = nullptr;
    std::size_t size = 0;
  };
  struct Statistics {
    std::size_t taken = 0;        // blocks handed out so far
    std::size_t reused = 0;       // of those: without a new allocation
    std::size_t used_blocks = 0;  // handed out now
    std::size_t used_bytes = 0;   // of those
    std::size_t free_blocks = 0;
    std::size_t free_bytes = 0;
  };
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kAlignment = 64;

  BufferPool(std::size_t max_free_bytes, std::size_t max_free_blocks,
             Clock::duration max_idle = std::chrono::seconds(2));
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  /// At least `size` bytes, contents undefined. Throws std::bad_alloc.
  Block take(std::size_t size);
  void give_back(Block block) noexcept;
  /// Return all free blocks to the system; called when the streams have ended.
  void release() noexcept;
  Statistics statistics() const;

  /// The pool of this process. Never destroyed, because buffers may outlive all other objects.
  /// Works in a child of fork(), too.
  static BufferPool& shared();

 private:
  struct Free {
    Block block;
    Clock::time_point since;
  };

  const std::size_t max_free_bytes_;
  const std::size_t max_free_blocks_;
  const Clock::duration max_idle_;
  mutable std::mutex mutex_;
  std::deque<Free> free_;  // oldest first
  Statistics statistics_;
};

/// Memory for one payload, with room before and after it for the ends of a serialised message.
class Buffer {
 public:
  static constexpr std::size_t kHeadroom = 512;
  static constexpr std::size_t kTailroom = 128;

  /// `size` bytes, contents undefined. Throws std::bad_alloc.
  explicit Buffer(std::size_t size, BufferPool& pool = BufferPool::shared());
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  /// Aligned to 64 bytes; kHeadroom bytes before and kTailroom bytes after it may be used, too.
  std::uint8_t* data() { return block_.memory + kHeadroom; }
  std::size_t size() const { return size_; }
  /// All bytes of its block.
  std::size_t memory_bytes() const { return block_.size; }

  /// Lock it to write into headroom or tailroom.
  std::mutex& ends() { return ends_; }

 private:
  BufferPool& pool_;
  const std::size_t size_;
  const BufferPool::Block block_;
  std::mutex ends_;
};
static_assert(Buffer::kHeadroom % BufferPool::kAlignment == 0, "payloads are aligned");

}  // namespace depthai
