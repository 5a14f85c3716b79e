/// Publishing a serialised message through rcl, in place. Nothing of ROS is linked: librcl is
/// looked up in the process that has loaded it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/buffer.hpp"

namespace depthai {

/// One serialised message: a prefix, the first `size` bytes of a buffer, a suffix. The prefix has
/// at most Buffer::kHeadroom bytes; the suffix ends at most Buffer::kTailroom bytes behind the
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

/// Write the ends around the payload and publish all of it. `publisher` is an rcl_publisher_t*.
/// Bytes behind `size` that the suffix covers are back in place afterwards.
/// Throws std::runtime_error with rcl's words, or if there is no rcl.
void publish_serialized(std::uintptr_t publisher, const SerializedParts& parts);

}  // namespace depthai
