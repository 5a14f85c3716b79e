#include "python/rcl_publisher.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <vector>

#ifdef DEPTHAI_HAS_RCL
#include <rcl/publisher.h>
#include <rcutils/error_handling.h>
#endif

namespace depthai {
namespace {

/// A function of a library that the process has loaded; null if it has not.
template <typename Function>
Function* loaded_function(const char* library, const char* name) {
  void* const loaded = ::dlopen(library, RTLD_NOW | RTLD_NOLOAD);
  if (loaded == nullptr) return nullptr;
  void* const symbol = ::dlsym(loaded, name);
  ::dlclose(loaded);  // undoes the reference of dlopen; the library stays loaded
  return reinterpret_cast<Function*>(symbol);
}

}  // namespace

void check_parts(const SerializedParts& parts) {
  const auto refuse = [](const std::string& what, std::size_t found, std::size_t most) {
    throw std::invalid_argument(what + " has " + std::to_string(found) + " bytes, at most " +
                                std::to_string(most) + " fit");
  };
  if (parts.size > parts.buffer.size()) refuse("the payload", parts.size, parts.buffer.size());
  if (parts.prefix_size > Buffer::kHeadroom) {
    refuse("the prefix", parts.prefix_size, Buffer::kHeadroom);
  }
  const std::size_t room = parts.buffer.size() - parts.size + Buffer::kTailroom;
  if (parts.suffix_size > room) refuse("the suffix", parts.suffix_size, room);
}

std::string serialized(const SerializedParts& parts) {
  check_parts(parts);
  const auto text = [](const std::uint8_t* bytes) { return reinterpret_cast<const char*>(bytes); };
  std::string result;
  result.reserve(parts.prefix_size + parts.size + parts.suffix_size);
  result.append(text(parts.prefix), parts.prefix_size);
  result.append(text(parts.buffer.data()), parts.size);
  result.append(text(parts.suffix), parts.suffix_size);
  return result;
}

#ifdef DEPTHAI_HAS_RCL

namespace {

/// The functions of rcl that are used. Looked up once: rcl is never unloaded.
struct Rcl {
  decltype(rcl_publish_serialized_message)* publish;
  decltype(rcutils_get_error_string)* error_string;
  decltype(rcutils_reset_error)* reset_error;

  bool is_complete() const { return publish && error_string && reset_error; }
};

Rcl find_rcl() {
  return {loaded_function<decltype(rcl_publish_serialized_message)>(
              "librcl.so", "rcl_publish_serialized_message"),
          loaded_function<decltype(rcutils_get_error_string)>("librcutils.so",
                                                              "rcutils_get_error_string"),
          loaded_function<decltype(rcutils_reset_error)>("librcutils.so", "rcutils_reset_error")};
}

/// An allocator that does nothing: the message lies in a Buffer of the core.
rcutils_allocator_t no_allocator() {
  rcutils_allocator_t allocator{};
  allocator.allocate = [](std::size_t, void*) -> void* { return nullptr; };
  allocator.deallocate = [](void*, void*) {};
  allocator.reallocate = [](void*, std::size_t, void*) -> void* { return nullptr; };
  allocator.zero_allocate = [](std::size_t, std::size_t, void*) -> void* { return nullptr; };
  return allocator;
}

}  // namespace

bool has_rcl() { return find_rcl().is_complete(); }

void publish_serialized(std::uintptr_t publisher, const SerializedParts& parts) {
  check_parts(parts);
  static const Rcl rcl = [] {
    const Rcl found = find_rcl();
    if (!found.is_complete()) throw std::runtime_error("librcl is not loaded in this process");
    return found;
  }();
  const std::lock_guard<std::mutex> lock(parts.buffer.ends());
  std::uint8_t* const begin = parts.buffer.data() - parts.prefix_size;
  std::uint8_t* const end = parts.buffer.data() + parts.size;
  const std::vector<std::uint8_t> covered(end, end + parts.suffix_size);
  std::copy_n(parts.prefix, parts.prefix_size, begin);
  std::copy_n(parts.suffix, parts.suffix_size, end);
  rcl_serialized_message_t message{};
  message.buffer = begin;
  message.buffer_length = parts.prefix_size + parts.size + parts.suffix_size;
  message.buffer_capacity = message.buffer_length;
  message.allocator = no_allocator();
  const rcl_ret_t code =
      rcl.publish(reinterpret_cast<const rcl_publisher_t*>(publisher), &message, nullptr);
  std::copy(covered.begin(), covered.end(), end);
  if (code == RCL_RET_OK) return;
  const std::string words = rcl.error_string().str;
  rcl.reset_error();
  throw std::runtime_error("rcl_publish_serialized_message: " + words + " (code " +
                           std::to_string(code) + ")");
}

#else

bool has_rcl() { return false; }

void publish_serialized(std::uintptr_t, const SerializedParts& parts) {
  check_parts(parts);
  throw std::runtime_error("this extension was built without the headers of rcl");
}

#endif

}  // namespace depthai
