// A preload library in front of umockdev's, which works around four of its defects.
//
// 1. It remembers by descriptor number which file is a device, and forgets the number only after
// the
//    file is closed. If another thread gets the same number meanwhile, its device is treated as a
//    plain file. Here opening and closing exclude each other.
// 2. It has room for 50 open files of /dev, shared memory included; a ROS node has more. Here
// shared
//    memory is opened without umockdev.
// 3. If a board leaves the bus while it is opened, it remembers -1 as a device. Here closing -1
// makes
//    it forget.
// 4. It blocks all signals while it works and saves the previous mask in one variable, also when it
//    calls itself. The inner call saves a full mask, so signals stay blocked in that thread and the
//    threads that it starts. Here it blocks none.

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <mutex>

namespace {

std::recursive_mutex g_mutex;

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

int open_file(const char* name, const char* path, int flags, mode_t mode) {
  const std::lock_guard<std::recursive_mutex> lock(g_mutex);
  if (std::strncmp(path, "/dev/shm", 8) == 0) {
    return int(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
  }
  const int fd = next<int(const char*, int, ...)>(name)(path, flags, mode);
  if (fd < 0) {
    const int error = errno;
    next<int(int)>("close")(fd);
    errno = error;
  }
  return fd;
}

mode_t mode_of(std::va_list list, int flags) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  std::va_list list;
  va_start(list, flags);
  const mode_t mode = mode_of(list, flags);
  va_end(list);
  return open_file("open", path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  std::va_list list;
  va_start(list, flags);
  const mode_t mode = mode_of(list, flags);
  va_end(list);
  return open_file("open64", path, flags, mode);
}

// A library compiled with _FORTIFY_SOURCE, such as libusb, calls this instead.
int __open_2(const char* path, int flags) { return open_file("open", path, flags, 0); }
int __open64_2(const char* path, int flags) { return open_file("open64", path, flags, 0); }

int pthread_sigmask(int how, const sigset_t* signals, sigset_t* before) noexcept {
  Dl_info caller{};
  if (::dladdr(__builtin_return_address(0), &caller) != 0 &&
      std::strstr(caller.dli_fname, "umockdev-preload") != nullptr) {
    return 0;
  }
  return next<int(int, const sigset_t*, sigset_t*)>("pthread_sigmask")(how, signals, before);
}

int close(int fd) {
  const std::lock_guard<std::recursive_mutex> lock(g_mutex);
  return next<int(int)>("close")(fd);
}

}  // extern "C"
