/// Packets, and the bounded queue between a link's reader and one consumer.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/buffer.hpp"
#include "base/deadline.hpp"
#include "base/error.hpp"

namespace depthai {

/// One packet of a stream.
struct Packet {
  std::shared_ptr<const std::string> stream;
  std::int64_t received_ns = 0;    ///< CLOCK_MONOTONIC at the arrival of the last byte
  std::shared_ptr<Buffer> buffer;  ///< the whole payload, trailer included
  std::uint64_t serial = 0;        ///< number of the packet in its stream on this link
};

/// Limits the bytes of the packets that wait in several queues. Thread-safe.
class ByteBudget {
 public:
  explicit ByteBudget(std::size_t limit) : limit_(limit) {}
  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  /// False, and nothing is taken, if fewer bytes are left.
  bool take(std::size_t bytes) {
    std::size_t used = used_;
    do {
      if (bytes > limit_ - used) return false;
    } while (!used_.compare_exchange_weak(used, used + bytes));
    return true;
  }
  void give_back(std::size_t bytes) { used_ -= bytes; }
  std::size_t used() const { return used_; }

 private:
  const std::size_t limit_;
  std::atomic<std::size_t> used_{0};
};

/// If `capacity_per_stream` packets of a stream wait, a new one replaces the oldest of that stream;
/// if `capacity` packets wait in total, it replaces the oldest of all. A packet for which the
/// budget of its link is too small replaces the oldest of its stream, then the oldest of all, until
/// it fits; if it never fits, it is dropped. Drops are counted by stream. Thread-safe; one
/// consumer.
class PacketQueue {
 public:
  PacketQueue(std::size_t capacity, std::size_t capacity_per_stream);
  PacketQueue(const PacketQueue&) = delete;
  PacketQueue& operator=(const PacketQueue&) = delete;
  ~PacketQueue();

  /// Never waits. Returns the packets that were dropped (the new one if the queue is closed). While
  /// the packet waits its memory is taken from `budget`, if any.
  std::vector<Packet> push(Packet packet, const std::shared_ptr<ByteBudget>& budget = nullptr);

  /// True when packets wait, false after the timeout or when the queue was closed.
  /// Throws the failure's exception when the link has failed and the queue is empty.
  bool wait(Timeout timeout);

  /// The waiting packets in order of arrival, at most `most`. Never waits.
  std::vector<Packet> take(std::size_t most = SIZE_MAX);

  /// Drop, count and return the packets that arrived before a time. Never waits.
  std::vector<Packet> drop_before(std::int64_t received_ns);

  /// Wait for the oldest packet and take it; nullopt after the timeout or when the queue has ended.
  std::optional<Packet> pop(Timeout timeout);

  /// An eventfd that is readable while packets wait, and once the queue has ended. The queue owns
  /// it.
  int fileno();

  std::map<std::string, std::uint64_t> dropped() const;
  std::uint64_t dropped(const std::string& stream) const;

  /// True once closed or failed: new packets are refused.
  bool has_ended() const;

  /// Wake the consumer. Waiting packets can still be taken, new ones are refused. Repeatable.
  void close();

  /// As `close()`, and `wait()` throws once the queue is empty. No effect on a closed queue.
  void fail(const Failure& failure);

 private:
  struct StreamCount {
    std::size_t waiting = 0;
    std::uint64_t dropped = 0;
  };
  struct Waiting {
    Packet packet;
    std::shared_ptr<ByteBudget> budget;  // its memory is taken from it; null: from none
  };

  Packet remove(std::deque<Waiting>::iterator position);
  std::deque<Waiting>::iterator oldest_of(const std::string& stream);
  void update_signal();

  const std::size_t capacity_;
  const std::size_t capacity_per_stream_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Waiting> packets_;
  std::map<std::string, StreamCount> counts_;  // by stream
  bool ended_ = false;
  std::optional<Failure> failure_;
  int event_fd_ = -1;       // made by the first fileno()
  bool signalled_ = false;  // event_fd_ is readable
};

}  // namespace depthai
