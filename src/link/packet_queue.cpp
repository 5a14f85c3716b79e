#include "link/packet_queue.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace depthai {

PacketQueue::PacketQueue(std::size_t capacity, std::size_t capacity_per_stream)
    : capacity_(capacity), capacity_per_stream_(capacity_per_stream) {
  if (capacity == 0 || capacity_per_stream == 0) {
    throw std::invalid_argument("a packet queue must have room for at least one packet");
  }
}

PacketQueue::~PacketQueue() {
  if (event_fd_ >= 0) ::close(event_fd_);
}

std::optional<Packet> PacketQueue::push(Packet packet) {
  std::optional<Packet> drop;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (ended_) return packet;
    StreamCount& count = counts_[*packet.stream];
    if (count.waiting >= capacity_per_stream_) {
      drop = remove(std::find_if(packets_.begin(), packets_.end(), [&](const Packet& waiting) {
        return *waiting.stream == *packet.stream;
      }));
    } else if (packets_.size() >= capacity_) {
      drop = remove(packets_.begin());
    }
    if (drop) ++counts_[*drop->stream].dropped;
    ++count.waiting;
    packets_.push_back(std::move(packet));
    update_signal();
  }
  changed_.notify_one();
  return drop;
}

bool PacketQueue::wait(Timeout timeout) {
  const Deadline deadline(timeout);
  std::unique_lock<std::mutex> lock(mutex_);
  deadline.wait(changed_, lock, [this] { return !packets_.empty() || ended_; });
  if (!packets_.empty()) return true;
  if (failure_) failure_->raise();
  return false;
}

std::vector<Packet> PacketQueue::take() {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<Packet> result(std::make_move_iterator(packets_.begin()),
                             std::make_move_iterator(packets_.end()));
  packets_.clear();
  for (auto& [stream, count] : counts_) count.waiting = 0;
  update_signal();
  return result;
}

std::optional<Packet> PacketQueue::pop(Timeout timeout) {
  const Deadline deadline(timeout);
  std::unique_lock<std::mutex> lock(mutex_);
  deadline.wait(changed_, lock, [this] { return !packets_.empty() || ended_; });
  if (packets_.empty()) return std::nullopt;
  Packet first = remove(packets_.begin());
  update_signal();
  return first;
}

int PacketQueue::fileno() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (event_fd_ < 0) {
    event_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    update_signal();
  }
  return event_fd_;
}

std::map<std::string, std::uint64_t> PacketQueue::dropped() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::map<std::string, std::uint64_t> result;
  for (const auto& [stream, count] : counts_) result[stream] = count.dropped;
  return result;
}

std::uint64_t PacketQueue::dropped(const std::string& stream) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = counts_.find(stream);
  return found == counts_.end() ? 0 : found->second.dropped;
}

bool PacketQueue::has_ended() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return ended_;
}

void PacketQueue::close() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
    failure_.reset();
    update_signal();
  }
  changed_.notify_all();
}

void PacketQueue::fail(const Failure& failure) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (ended_) return;
    ended_ = true;
    failure_ = failure;
    update_signal();
  }
  changed_.notify_all();
}

Packet PacketQueue::remove(std::deque<Packet>::iterator position) {
  Packet packet = std::move(*position);
  packets_.erase(position);
  --counts_[*packet.stream].waiting;
  return packet;
}

void PacketQueue::update_signal() {
  const bool wanted = ended_ || !packets_.empty();
  if (event_fd_ < 0 || wanted == signalled_) return;
  std::uint64_t value = 1;
  if (wanted) {
    [[maybe_unused]] const auto written = ::write(event_fd_, &value, sizeof(value));
  } else {
    [[maybe_unused]] const auto read = ::read(event_fd_, &value, sizeof(value));
  }
  signalled_ = wanted;
}

}  // namespace depthai
