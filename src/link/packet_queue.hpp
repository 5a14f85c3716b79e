/// Packets, and the bounded queue between a link's reader and one consumer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
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

/// If `capacity_per_stream` packets of a stream wait, a new one replaces the oldest of that stream;
/// if `capacity` packets wait in total, it replaces the oldest of all. Drops are counted by stream.
/// Thread-safe; one consumer.
class PacketQueue {
 public:
  PacketQueue(std::size_t capacity, std::size_t capacity_per_stream);
  PacketQueue(const PacketQueue&) = delete;
  PacketQueue& operator=(const PacketQueue&) = delete;
  ~PacketQueue();

  /// Never waits. Returns the packet that was dropped, if any (the new one if the queue is closed).
  std::optional<Packet> push(Packet packet);

  /// True when packets wait, false after the timeout or when the queue was closed.
  /// Throws the failure's exception when the link has failed and the queue is empty.
  bool wait(Timeout timeout);

  /// All waiting packets, in order of arrival. Never waits.
  std::vector<Packet> take();

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

  Packet remove(std::deque<Packet>::iterator position);
  void update_signal();

  const std::size_t capacity_;
  const std::size_t capacity_per_stream_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Packet> packets_;
  std::map<std::string, StreamCount> counts_;  // by stream
  bool ended_ = false;
  std::optional<Failure> failure_;
  int event_fd_ = -1;       // made by the first fileno()
  bool signalled_ = false;  // event_fd_ is readable
};

}  // namespace depthai
