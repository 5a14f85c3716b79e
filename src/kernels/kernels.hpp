/// Loops over pixels, one pass each, with checked shapes. No memory of their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace depthai {

/// A C-contiguous array that belongs to somebody else.
struct Array {
  std::uint8_t* data;
  std::size_t bytes;
  char type;  ///< 'B' uint8, 'H' uint16, 'f' float32; others are refused
  std::size_t item_bytes;
  std::vector<std::size_t> shape;

  std::size_t count() const { return bytes / item_bytes; }
};

// All throw std::invalid_argument for shapes and types that are not those given here, and for
// arrays that overlap. `mirrored`: each row of the source is read from its end; the source has
// the shape (…, H, W) then, and nothing works in place.

/// destination[i] = table[source[i]], whatever the shapes. uint8 -> uint16 or float32, uint16 ->
/// uint8 or float32; the table has 256 or 65536 entries of the destination's type.
void map_table(const Array& source, const Array& table, const Array& destination,
               bool mirrored = false);

/// (3, H, W) -> (H, W, 3) uint8.
void interleave(const Array& source, const Array& destination, bool mirrored = false);

/// Elements above the limit become 0: uint16, whatever the shapes. May work in place.
void zero_above(const Array& source, const Array& destination, std::uint16_t limit,
                bool mirrored = false);

/// Depth in mm, uint16 -> m, float32, whatever the shapes; NaN for 0 and for what is beyond the
/// limit (mm).
void metres(const Array& source, const Array& destination, std::uint16_t limit,
            bool mirrored = false);

/// I420, (H * 3 / 2, W) -> BGR, (H, W, 3) uint8, at most one level from OpenCV's bytes. H and W are
/// even.
void bgr_from_i420(const Array& source, const Array& destination);

/// Reverse each row: (H, W) uint8.
void mirror(const Array& source, const Array& destination);

/// (H, W) uint8 through a (256, 3) uint8 table -> (H, W, 3) uint8.
void colorize(const Array& source, const Array& table, const Array& destination,
              bool mirrored = false);

}  // namespace depthai
