/// Connects a booted board's bulk endpoints to a process with the device's side of the session.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "board.hpp"

namespace rig {

/// Connected to a socket that carries XLink as a plain byte stream. Splits the received bytes into
/// the transfers of a real device: one for each header, payloads in chunks.
class SessionPipe {
 public:
  using Lock = std::unique_lock<std::mutex>;
  static constexpr std::size_t kHeaderBytes = 84;
  static constexpr std::size_t kMaxQueued = 4 << 20;

  /// `mutex` guards the board; `changed` is notified when its queue grew or bytes were sent;
  /// `on_end` is called (mutex not held) when the far end hung up.
  SessionPipe(Board& board, std::mutex& mutex, std::condition_variable& changed,
              const std::string& path, std::function<void()> on_end)
      : board_(board), mutex_(mutex), changed_(changed), on_end_(std::move(on_end)) {
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::strncpy(name.sun_path, path.c_str(), sizeof(name.sun_path) - 1);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&name), sizeof(name)) == 0;
    if (!connected_) return;
    reader_ = std::thread(&SessionPipe::read, this);
    writer_ = std::thread(&SessionPipe::write, this);
  }
  SessionPipe(const SessionPipe&) = delete;
  SessionPipe& operator=(const SessionPipe&) = delete;
  /// The mutex must not be held.
  ~SessionPipe() {
    {
      const Lock lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    ::shutdown(fd_, SHUT_RDWR);
    if (reader_.joinable()) reader_.join();
    if (writer_.joinable()) writer_.join();
    ::close(fd_);
  }

  bool connected() const { return connected_; }

  /// Mutex held: take the bytes of one OUT transfer; `sent()` counts the finished ones.
  void send(Bytes bytes) { to_send_.push_back(std::move(bytes)); }
  std::uint64_t sent() const { return sent_; }

 private:
  bool receive(std::uint8_t* data, std::size_t size) {
    return size == 0 || ::recv(fd_, data, size, MSG_WAITALL) == ssize_t(size);
  }

  bool queue(Bytes bytes, bool is_header) {
    Lock lock(mutex_);
    changed_.wait(lock, [&] { return ending_ || board_.queued_bytes < kMaxQueued; });
    if (ending_) return false;
    is_header ? board_.queue_header(bytes) : board_.queue(std::move(bytes));
    changed_.notify_all();
    return true;
  }

  bool read_message() {
    Bytes header(kHeaderBytes);
    if (!receive(header.data(), header.size())) return false;
    std::uint32_t type = 0, size = 0;
    std::memcpy(&type, &header[4], 4);
    std::memcpy(&size, &header[76], 4);
    if (!queue(std::move(header), true)) return false;
    for (std::size_t left = type == 0 ? size : 0; left > 0;) {
      Bytes chunk(std::min(left, board_.chunk_bytes));
      left -= chunk.size();
      if (!receive(chunk.data(), chunk.size()) || !queue(std::move(chunk), false)) return false;
    }
    return true;
  }

  void read() {
    while (read_message()) {
    }
    on_end_();
  }

  void write() {
    Lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return ending_ || !to_send_.empty(); });
      if (ending_) return;
      const Bytes bytes = std::move(to_send_.front());
      to_send_.pop_front();
      lock.unlock();
      for (std::size_t done = 0; done < bytes.size();) {
        const ssize_t count = ::send(fd_, &bytes[done], bytes.size() - done, MSG_NOSIGNAL);
        if (count <= 0) break;  // the reader notices it, too
        done += std::size_t(count);
      }
      lock.lock();
      ++sent_;
      changed_.notify_all();
    }
  }

  Board& board_;
  std::mutex& mutex_;
  std::condition_variable& changed_;
  const std::function<void()> on_end_;
  int fd_ = -1;
  bool connected_ = false;
  bool ending_ = false;
  std::deque<Bytes> to_send_;
  std::uint64_t sent_ = 0;
  std::thread reader_, writer_;
};

}  // namespace rig
