#include "base/buffer.hpp"

#include <pthread.h>
#include <sys/mman.h>

#include <cstdlib>
#include <limits>
#include <new>

namespace depthai {
namespace {

constexpr std::size_t kMaxFreeBytes = std::size_t{64} << 20;
constexpr std::size_t kMaxFreeBlocks = 256;
constexpr std::size_t kSmallestBlock = 1024;
/// Blocks of at least this size get a mapping of their own. Only then does freeing one return its
/// memory to the system, also after keep_large_buffers().
constexpr std::size_t kSmallestMapped = std::size_t{256} << 10;

/// Round up to one of eight sizes per power of two, so that packets of nearly the same size (an
/// encoded stream) reuse each other's blocks; at most an eighth is wasted.
std::size_t block_size(std::size_t size) {
  if (size <= kSmallestBlock) return kSmallestBlock;
  std::size_t power = kSmallestBlock;
  while (power <= size / 2) power *= 2;
  const std::size_t step = power / 8;
  return (size + step - 1) / step * step;
}

BufferPool::Block allocate(std::size_t size) {
  void* memory = nullptr;
  if (size < kSmallestMapped) {
    memory = std::aligned_alloc(BufferPool::kAlignment, size);
  } else {
    memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) memory = nullptr;
    // Larger pages: looking up a small page costs a large part of the time for copying it.
    if (memory != nullptr) ::madvise(memory, size, MADV_HUGEPAGE);
  }
  if (memory == nullptr) throw std::bad_alloc();
  return {static_cast<std::uint8_t*>(memory), size};
}

void deallocate(const BufferPool::Block& block) {
  if (block.size < kSmallestMapped) {
    std::free(block.memory);
  } else {
    ::munmap(block.memory, block.size);
  }
}

}  // namespace

BufferPool::BufferPool(std::size_t max_free_bytes, std::size_t max_free_blocks,
                       Clock::duration max_idle)
    : max_free_bytes_(max_free_bytes), max_free_blocks_(max_free_blocks), max_idle_(max_idle) {}

BufferPool::~BufferPool() { release(); }

BufferPool& BufferPool::shared() {
  static BufferPool* const pool = [] {
    // A child of fork() inherits a copy of the lock. If another thread held it at that moment, it
    // would stay locked for ever in the child. So the forking thread takes it around the fork.
    ::pthread_atfork([] { shared().mutex_.lock(); }, [] { shared().mutex_.unlock(); },
                     [] { shared().mutex_.unlock(); });
    return new BufferPool(kMaxFreeBytes, kMaxFreeBlocks);
  }();
  return *pool;
}

BufferPool::Block BufferPool::take(std::size_t size) {
  if (size > std::numeric_limits<std::size_t>::max() / 4) throw std::bad_alloc();
  const std::size_t wanted = block_size(size);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++statistics_.taken;
    // Newest first: its pages are the most likely to be in a cache.
    for (auto found = free_.rbegin(); found != free_.rend(); ++found) {
      if (found->block.size != wanted) continue;
      const Block block = found->block;
      free_.erase(std::next(found).base());
      statistics_.free_bytes -= block.size;
      ++statistics_.used_blocks;
      statistics_.used_bytes += block.size;
      ++statistics_.reused;
      return block;
    }
  }
  const Block block = allocate(wanted);
  const std::lock_guard<std::mutex> lock(mutex_);
  ++statistics_.used_blocks;
  statistics_.used_bytes += block.size;
  return block;
}

void BufferPool::give_back(Block block) noexcept {
  std::deque<Free> surplus;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const Clock::time_point now = Clock::now();
    free_.push_back({block, now});
    --statistics_.used_blocks;
    statistics_.used_bytes -= block.size;
    statistics_.free_bytes += block.size;
    while (!free_.empty() &&
           (statistics_.free_bytes > max_free_bytes_ || free_.size() > max_free_blocks_ ||
            now - free_.front().since > max_idle_)) {
      statistics_.free_bytes -= free_.front().block.size;
      surplus.push_back(free_.front());
      free_.pop_front();
    }
  }
  for (const Free& old : surplus) deallocate(old.block);
}

void BufferPool::release() noexcept {
  std::deque<Free> surplus;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    surplus.swap(free_);
    statistics_.free_bytes = 0;
  }
  for (const Free& old : surplus) deallocate(old.block);
}

BufferPool::Statistics BufferPool::statistics() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  Statistics result = statistics_;
  result.free_blocks = free_.size();
  return result;
}

Buffer::Buffer(std::size_t size, BufferPool& pool)
    : pool_(pool), size_(size), block_(pool.take(kHeadroom + size + kTailroom)) {}

Buffer::~Buffer() { pool_.give_back(block_); }

}  // namespace depthai
