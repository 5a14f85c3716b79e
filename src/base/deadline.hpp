/// The point in time at which a wait ends.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

namespace depthai {

/// How long to wait at most; nullopt = no limit.
using Timeout = std::optional<std::chrono::nanoseconds>;

class Deadline {
 public:
  explicit Deadline(Timeout timeout) {
    if (timeout) end_ = std::chrono::steady_clock::now() + *timeout;
  }

  /// Wait until `ready()` is true. False after the timeout. `ready` is called with `lock` held.
  template <typename Ready>
  bool wait(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
            Ready ready) const {
    if (end_) return changed.wait_until(lock, *end_, ready);
    changed.wait(lock, ready);
    return true;
  }

  /// Milliseconds left for poll(2): rounded up, never negative, -1 = no limit.
  int poll_ms() const {
    if (!end_) return -1;
    const auto left = *end_ - std::chrono::steady_clock::now();
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    constexpr long long kLongest = 1'000'000'000;
    return static_cast<int>(ms < 0 ? 0 : (ms > kLongest ? kLongest : ms));
  }

 private:
  std::optional<std::chrono::steady_clock::time_point> end_;
};

}  // namespace depthai
