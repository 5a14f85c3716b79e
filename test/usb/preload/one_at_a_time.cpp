// A preload library in front of umockdev's, which remembers by number which file is a device, and
// forgets a number after the file is closed: if another thread has got the same number meanwhile,
// its device is taken for a plain file. Here, opening and closing exclude each other.

#include <dlfcn.h>
#include <fcntl.h>

#include <cstdarg>
#include <mutex>

namespace {

std::recursive_mutex g_mutex;

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

int open_file(const char* name, const char* path, int flags, mode_t mode) {
  const std::lock_guard<std::recursive_mutex> lock(g_mutex);
  return next<int(const char*, int, ...)>(name)(path, flags, mode);
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

int close(int fd) {
  const std::lock_guard<std::recursive_mutex> lock(g_mutex);
  return next<int(int)>("close")(fd);
}

}  // extern "C"
