/// Publishes a serialised message through rcl, in place. Links no ROS library: it looks up librcl
/// in the process, which must have loaded it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/buffer.hpp"

namespace depthai {

/// One serialised message: a prefix, the first `size` bytes of a buffer, a suffix. The prefix has
/// at most Buffer::kHeadroom bytes; the suffix ends at most Buffer::kTailroom bytes after the
/// buffer's end.
struct SerializedParts {
  Buffer& buffer;
  std::size_t size;
  const std::uint8_t* prefix;
  std::size_t prefix_size;
  const std::uint8_t* suffix;
  std::size_t suffix_size;
};

/// Throws std::invalid_argument if the parts do not fit into the buffer.
void check_parts(const SerializedParts& parts);

/// The message in one piece.
std::string serialized(const SerializedParts& parts);

/// True if this was built with rcl's headers and librcl is loaded in this process.
bool has_rcl();

/// Write prefix and suffix around the payload and publish. `publisher` is an rcl_publisher_t*.
/// The bytes after `size` that the suffix covers are restored afterwards.
/// Throws std::runtime_error with the error text of rcl, or if rcl is not loaded.
void publish_serialized(std::uintptr_t publisher, const SerializedParts& parts);

}  // namespace depthai
