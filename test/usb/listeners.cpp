// Telling programs of a device, when one of them stops listening in that moment.
//
// umockdev looks for the sockets of those who listen and writes to one after the other; if one has
// gone meanwhile it ends this process. Programs here come and go with each scan, so: who has gone
// need not be told. Linked into the rig, these two stand before libc's.

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
  // umockdev expects a socket that nobody listens at; one that was deleted is no different.
  if (result < 0 && errno == ENOENT && address->sa_family == AF_UNIX) errno = ECONNREFUSED;
  return result;
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  const ssize_t count = next<ssize_t(int, const msghdr*, int)>("sendmsg")(fd, message, flags);
  const bool has_gone = count < 0 && (errno == ECONNREFUSED || errno == EPIPE ||
                                      errno == ECONNRESET || errno == ENOTCONN);
  const bool is_full = count < 0 && errno == EAGAIN;  // it has stopped listening, but for the name
  return has_gone || is_full ? 0 : count;
}

}  // extern "C"
