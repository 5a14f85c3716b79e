// Makes it harmless that a program stops listening while umockdev announces a device.
//
// umockdev looks for the sockets of listening programs and writes to one after the other; if one
// was closed meanwhile, umockdev ends this process. Here programs start and stop listening with
// each scan, so a closed socket is no error. Linked into the rig, these two functions replace
// libc's.

#include <dlfcn.h>
#include <sys/socket.h>

#include <cerrno>

namespace {

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

int connect(int fd, const sockaddr* address, socklen_t size) {
  const int result = next<int(int, const sockaddr*, socklen_t)>("connect")(fd, address, size);
  // umockdev accepts a socket without a listener; report a deleted socket in the same way.
  if (result < 0 && errno == ENOENT && address->sa_family == AF_UNIX) errno = ECONNREFUSED;
  return result;
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  const ssize_t count = next<ssize_t(int, const msghdr*, int)>("sendmsg")(fd, message, flags);
  const bool has_gone = count < 0 && (errno == ECONNREFUSED || errno == EPIPE ||
                                      errno == ECONNRESET || errno == ENOTCONN);
  const bool is_full = count < 0 && errno == EAGAIN;  // it no longer reads, but the socket exists
  return has_gone || is_full ? 0 : count;
}

}  // extern "C"
