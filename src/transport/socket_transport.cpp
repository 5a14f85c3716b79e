#include "transport/socket_transport.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "base/error.hpp"

namespace depthai {
namespace {

// Large enough for a frame, so that the sender is not woken for every few pages of it. The kernel
// caps the value (net.core.wmem_max); a smaller buffer works, too.
constexpr int kSocketBufferBytes = 4 << 20;
constexpr std::size_t kLargestRead = std::size_t{1} << 30;

std::string error_text(int code) { return std::generic_category().message(code); }

/// A file descriptor that is closed unless released.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

/// A socket address that was read from text.
struct Address {
  int family = AF_UNSPEC;
  socklen_t size = 0;
  sockaddr_storage storage{};
  std::string path;  // of a unix socket

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Address unix_address(const std::string& text, const std::string& path) {
  sockaddr_un name{};
  if (path.empty() || path.size() >= sizeof(name.sun_path)) {
    throw std::invalid_argument("address '" + text + "': the path must have 1 to " +
                                std::to_string(sizeof(name.sun_path) - 1) + " characters");
  }
  name.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), name.sun_path);
  Address address;
  address.family = AF_UNIX;
  address.size = sizeof(name);
  address.path = path;
  std::memcpy(&address.storage, &name, sizeof(name));
  return address;
}

Address tcp_address(const std::string& text, const std::string& host_and_port) {
  const auto colon = host_and_port.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == host_and_port.size()) {
    throw std::invalid_argument("address '" + text + "' must be tcp:host:port");
  }
  const std::string host = host_and_port.substr(0, colon);
  const std::string port = host_and_port.substr(colon + 1);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int code = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); code != 0) {
    throw DeviceNotFoundError(text + ": " + ::gai_strerror(code));
  }
  Address address;
  address.family = found->ai_family;
  address.size = found->ai_addrlen;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);
  return address;
}

Address parse_address(const std::string& text) {
  if (text.compare(0, 5, "unix:") == 0) return unix_address(text, text.substr(5));
  if (text.compare(0, 4, "tcp:") == 0) return tcp_address(text, text.substr(4));
  throw std::invalid_argument("address '" + text + "' must be unix:/path or tcp:host:port");
}

/// `text` with its port replaced by the one that the kernel chose.
std::string with_real_port(const std::string& text, int fd) {
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return text;
  std::uint16_t port = 0;  // at the same place for IPv4 and IPv6
  std::memcpy(&port, reinterpret_cast<const char*>(&bound) + offsetof(sockaddr_in, sin_port),
              sizeof(port));
  return text.substr(0, text.rfind(':') + 1) + std::to_string(ntohs(port));
}

void tune_socket(int fd) {
  const int size = kSocketBufferBytes;
  for (const int option : {SO_SNDBUF, SO_RCVBUF}) {
    ::setsockopt(fd, SOL_SOCKET, option, &size, sizeof(size));
  }
  const int on = 1;  // fails on unix sockets, which need no TCP_NODELAY
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/// True if a non-blocking connect() has succeeded in time.
bool connected_in_time(int fd, Timeout timeout, int* code) {
  pollfd ready{fd, POLLOUT, 0};
  const Deadline deadline(timeout);
  int count = 0;
  do {
    count = ::poll(&ready, 1, deadline.poll_ms());
  } while (count < 0 && errno == EINTR);
  if (count == 0) {
    *code = ETIMEDOUT;
    return false;
  }
  socklen_t size = sizeof(*code);
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, code, &size);
  return *code == 0;
}

/// Remove a unix socket that a dead process left behind. Other files stay.
void remove_stale_socket(const Address& address) {
  struct stat status{};
  if (::lstat(address.path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return;
  const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(probe.get(), address.get(), address.size) != 0 && errno == ECONNREFUSED) {
    ::unlink(address.path.c_str());
  }
}

constexpr std::size_t kMaxVectors = 64;

/// The first kMaxVectors parts, as an array for sendmsg().
class Vectors {
 public:
  Vectors(const Part* parts, std::size_t count) : end_(std::min(count, kMaxVectors)) {
    for (std::size_t i = 0; i < end_; ++i) {
      vectors_[i] = {const_cast<std::uint8_t*>(parts[i].data), parts[i].size};
    }
  }
  bool empty() const { return first_ == end_; }

  ssize_t send(int fd, int flags) {
    msghdr message{};
    message.msg_iov = vectors_.data() + first_;
    message.msg_iovlen = end_ - first_;
    return ::sendmsg(fd, &message, flags);
  }

  /// Drop the first `size` bytes.
  void advance(std::size_t size) {
    while (!empty() && size >= vectors_[first_].iov_len) size -= vectors_[first_++].iov_len;
    if (empty()) return;
    vectors_[first_].iov_base = static_cast<char*>(vectors_[first_].iov_base) + size;
    vectors_[first_].iov_len -= size;
  }

 private:
  std::array<iovec, kMaxVectors> vectors_;
  std::size_t first_ = 0;
  std::size_t end_;
};

}  // namespace

SocketTransport::SocketTransport(int fd, std::string description)
    : fd_(fd), description_(std::move(description)) {
  int type = 0;
  socklen_t size = sizeof(type);
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) {
    throw LinkError(description_ + ": not a stream socket");
  }
  tune_socket(fd);
}

SocketTransport::~SocketTransport() { ::close(fd_); }

void SocketTransport::read_exactly(std::uint8_t* data, std::size_t size) {
  std::size_t done = 0;
  while (done < size) {
    const auto want = std::min(size - done, kLargestRead);
    const auto count = ::recv(fd_, data + done, want, MSG_WAITALL);
    if (count > 0) {
      done += static_cast<std::size_t>(count);
    } else if (count == 0 || errno != EINTR) {
      const auto reason = count == 0 ? "the other end hung up" : error_text(errno);
      throw LinkError(description_ + ": " + reason + " (" + std::to_string(done) + " of " +
                      std::to_string(size) + " bytes read)");
    }
  }
}

void SocketTransport::write(const Part* parts, std::size_t count) {
  for (std::size_t begin = 0; begin < count; begin += kMaxVectors) {
    Vectors vectors(parts + begin, count - begin);
    while (!vectors.empty()) {
      const auto sent = vectors.send(fd_, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) {
        throw LinkError(description_ + (errno == EAGAIN
                                            ? ": the other end stopped taking bytes"
                                            : ": sending failed: " + error_text(errno)));
      }
      vectors.advance(static_cast<std::size_t>(sent));
    }
  }
}

std::size_t SocketTransport::write_now(const Part* parts, std::size_t count) noexcept {
  const auto sent = Vectors(parts, count).send(fd_, MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent > 0 ? static_cast<std::size_t>(sent) : 0;
}

void SocketTransport::limit_write(std::chrono::milliseconds limit) {
  const timeval time{limit.count() / 1000, limit.count() % 1000 * 1000};
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
}

// Shut down only. The destructor closes the descriptor, when no thread can use it any more:
// otherwise a reader that is about to call recv() could read from an unrelated new descriptor.
void SocketTransport::close() noexcept { ::shutdown(fd_, SHUT_RDWR); }

std::pair<std::shared_ptr<Transport>, std::shared_ptr<Transport>> make_socket_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
    throw LinkError("socketpair: " + error_text(errno));
  }
  return {std::make_shared<SocketTransport>(fds[0], "socketpair"),
          std::make_shared<SocketTransport>(fds[1], "socketpair")};
}

std::shared_ptr<Transport> connect_socket(const std::string& address, Timeout timeout) {
  const Address target = parse_address(address);
  Descriptor fd(::socket(target.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) throw LinkError(address + ": " + error_text(errno));
  int code = 0;
  if (::connect(fd.get(), target.get(), target.size) != 0) code = errno;
  if (code == EINPROGRESS) connected_in_time(fd.get(), timeout, &code);
  if (code != 0) {
    throw DeviceNotFoundError(address + ": cannot connect (" + error_text(code) + ")");
  }
  const int flags = ::fcntl(fd.get(), F_GETFL);
  ::fcntl(fd.get(), F_SETFL, flags & ~O_NONBLOCK);
  return std::make_shared<SocketTransport>(fd.release(), address);
}

SocketListener::SocketListener(const std::string& address) : address_(address) {
  const Address place = parse_address(address);
  Descriptor fd(::socket(place.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  if (place.family == AF_UNIX) {
    remove_stale_socket(place);
  } else {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  }
  if (fd.get() < 0 || ::bind(fd.get(), place.get(), place.size) != 0 ||
      ::listen(fd.get(), 16) != 0) {
    throw LinkError("listen at " + address + ": " + error_text(errno));
  }
  if (place.family != AF_UNIX) address_ = with_real_port(address, fd.get());
  path_ = place.path;
  wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd_ < 0) throw LinkError("eventfd: " + error_text(errno));
  fd_ = fd.release();
}

SocketListener::~SocketListener() {
  close();
  ::close(wake_fd_);
  ::close(fd_);
}

std::shared_ptr<Transport> SocketListener::accept(Timeout timeout) {
  const Deadline deadline(timeout);
  for (;;) {
    std::array<pollfd, 2> ready{{{fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}}};
    const int count = ::poll(ready.data(), ready.size(), deadline.poll_ms());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw LinkError(address_ + ": " + error_text(errno));
    if (count == 0 || ready[1].revents != 0) return nullptr;
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) return std::make_shared<SocketTransport>(fd, address_);
    // Another thread accepted it, or the caller hung up again: wait for the next one.
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
      throw LinkError("accept at " + address_ + ": " + error_text(errno));
    }
  }
}

void SocketListener::close() noexcept {
  if (closed_.exchange(true)) return;  // another listener may own the path by now
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof(one));
  ::shutdown(fd_, SHUT_RDWR);
  if (!path_.empty()) ::unlink(path_.c_str());
}

}  // namespace depthai
