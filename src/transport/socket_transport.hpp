/// Transports over stream sockets: unix, TCP, socketpair.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "base/deadline.hpp"
#include "transport/transport.hpp"

namespace depthai {

class SocketTransport final : public Transport {
 public:
  /// Take ownership of a connected stream socket. Throws LinkError if `fd` is not one; the caller
  /// keeps the ownership then.
  SocketTransport(int fd, std::string description);
  ~SocketTransport() override;

  void read_exactly(std::uint8_t* data, std::size_t size) override;
  void write(const Part* parts, std::size_t count) override;
  std::size_t write_now(const Part* parts, std::size_t count) noexcept override;
  void limit_write(std::chrono::milliseconds limit) override;
  void close() noexcept override;
  std::string describe() const override { return description_; }

 private:
  const int fd_;
  const std::string description_;
};

/// Two ends joined by a socketpair.
std::pair<std::shared_ptr<Transport>, std::shared_ptr<Transport>> make_socket_pair();

/// Connect to `unix:/path` or `tcp:host:port`.
/// Throws DeviceNotFoundError if no process listens there, std::invalid_argument for a malformed
/// address.
std::shared_ptr<Transport> connect_socket(const std::string& address, Timeout timeout);

/// Waits for connections at `unix:/path` or `tcp:host:port` (port 0: any free one).
class SocketListener {
 public:
  /// Throws LinkError if it cannot listen there, std::invalid_argument for a malformed address.
  explicit SocketListener(const std::string& address);
  SocketListener(const SocketListener&) = delete;
  SocketListener& operator=(const SocketListener&) = delete;
  ~SocketListener();

  /// The next connection; null after the timeout or when the listener is closed.
  std::shared_ptr<Transport> accept(Timeout timeout);

  /// End all present and later calls of `accept()`. From any thread, may be repeated. Removes the
  /// path of a unix socket.
  void close() noexcept;
  bool is_closed() const { return closed_; }

  /// The bound address, with the port that the kernel chose.
  const std::string& address() const { return address_; }

 private:
  std::string address_;
  std::string path_;  // of a unix socket, to be removed
  std::atomic<bool> closed_{false};
  int fd_ = -1;
  int wake_fd_ = -1;  // eventfd, readable once closed
};

}  // namespace depthai
