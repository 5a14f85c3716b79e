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

/// What one stream delivered at once.
struct Packet {
  std::shared_ptr<const std::string> stream;
  std::int64_t received_ns = 0;    ///< CLOCK_MONOTONIC when the last byte was here
  std::shared_ptr<Buffer> buffer;  ///< the whole payload, trailer included
  std::uint64_t serial = 0;        ///< counts the packets of this stream on this link
};

/// When `capacity_per_stream` packets of a stream wait, the oldest of that stream drops for the
/// new one; when `capacity` wait in all, the oldest of all drops. Drops are counted by stream.
/// Thread-safe; one consumer.
class PacketQueue {
 public:
  PacketQueue(std::size_t capacity, std::size_t capacity_per_stream);
  PacketQueue(const PacketQueue&) = delete;
  PacketQueue& operator=(const PacketQueue&) = delete;
  ~PacketQueue();

  /// Never waits. Returns the packet that was dropped for it, if any (itself if closed).
  std::optional<Packet> push(Packet packet);

  /// True when packets wait, false when time is over or the queue was closed.
  /// Throws the failure's exception when the link failed and nothing is left to take.
  bool wait(Timeout timeout);

  /// All waiting packets, in order of arrival. Never waits.
  std::vector<Packet> take();

  /// Wait for the oldest packet and take it; nullopt when time is over or the queue has ended.
  std::optional<Packet> pop(Timeout timeout);

  /// An eventfd that is readable while packets wait, and once the queue has ended. It remains the
  /// queue's own.
  int fileno();

  std::map<std::string, std::uint64_t> dropped() const;
  std::uint64_t dropped(const std::string& stream) const;

  /// True once closed or failed: nothing will be added any more.
  bool has_ended() const;

  /// Wakes the consumer. Packets that wait can still be taken, new ones are refused. Repeatable.
  void close();

  /// As `close()`, and `wait()` throws once nothing is left. A closed queue stays just closed.
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
  int event_fd_ = -1;       // made when somebody asks for it
  bool signalled_ = false;  // what event_fd_ says
};

}  // namespace depthai
