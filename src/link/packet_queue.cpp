#include "link/packet_queue.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
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
  take();
  if (event_fd_ >= 0) ::close(event_fd_);
}

std::vector<Packet> PacketQueue::push(Packet packet, const std::shared_ptr<ByteBudget>& budget) {
  std::vector<Packet> drops;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (ended_) {
      drops.push_back(std::move(packet));
      return drops;
    }
    StreamCount& count = counts_[*packet.stream];
    const auto drop = [&](Packet dropped) {
      ++counts_[*dropped.stream].dropped;
      drops.push_back(std::move(dropped));
    };
    if (count.waiting >= capacity_per_stream_) {
      drop(remove(oldest_of(*packet.stream)));
    } else if (packets_.size() >= capacity_) {
      drop(remove(packets_.begin()));
    }
    bool fits = budget == nullptr || budget->take(packet.buffer->memory_bytes());
    while (!fits && !packets_.empty()) {
      drop(remove(count.waiting > 0 ? oldest_of(*packet.stream) : packets_.begin()));
      fits = budget->take(packet.buffer->memory_bytes());
    }
    if (fits) {
      ++count.waiting;
      packets_.push_back({std::move(packet), budget});
    } else {
      drop(std::move(packet));
    }
    update_signal();
  }
  changed_.notify_one();
  return drops;
}

bool PacketQueue::wait(Timeout timeout) {
  const Deadline deadline(timeout);
  std::unique_lock<std::mutex> lock(mutex_);
  deadline.wait(changed_, lock, [this] { return !packets_.empty() || ended_; });
  if (!packets_.empty()) return true;
  if (failure_) failure_->raise();
  return false;
}

std::vector<Packet> PacketQueue::take(std::size_t most) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<Packet> result;
  result.reserve(std::min(most, packets_.size()));
  while (!packets_.empty() && result.size() < most) result.push_back(remove(packets_.begin()));
  update_signal();
  return result;
}

std::vector<Packet> PacketQueue::drop_before(std::int64_t received_ns) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<Packet> drops;
  while (!packets_.empty() && packets_.front().packet.received_ns < received_ns) {
    drops.push_back(remove(packets_.begin()));
    ++counts_[*drops.back().stream].dropped;
  }
  update_signal();
  return drops;
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

Packet PacketQueue::remove(std::deque<Waiting>::iterator position) {
  Packet packet = std::move(position->packet);
  if (position->budget) position->budget->give_back(packet.buffer->memory_bytes());
  packets_.erase(position);
  --counts_[*packet.stream].waiting;
  return packet;
}

std::deque<PacketQueue::Waiting>::iterator PacketQueue::oldest_of(const std::string& stream) {
  return std::find_if(packets_.begin(), packets_.end(),
                      [&](const Waiting& waiting) { return *waiting.packet.stream == stream; });
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
