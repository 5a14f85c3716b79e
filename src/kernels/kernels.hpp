/// Loops over pixels: one pass each, shapes checked, no memory allocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace depthai {

/// A C-contiguous array, not owned.
struct Array {
  std::uint8_t* data;
  std::size_t bytes;
  char type;  ///< 'B' uint8, 'H' uint16, 'i' int32, 'I' uint32, 'f' float32; else refused
  std::size_t item_bytes;
  std::vector<std::size_t> shape;

  std::size_t count() const { return bytes / item_bytes; }
  bool is_aligned() const { return reinterpret_cast<std::uintptr_t>(data) % item_bytes == 0; }
};

// All throw std::invalid_argument for other shapes and types than those given here, and for arrays
// that overlap or whose elements are not aligned. `mirrored`: each row of the source is read
// backwards; the source must have the shape (…, H, W) then, and must not be the destination.

/// destination[i] = table[source[i]]; shapes may differ. uint8 -> uint16 or float32, uint16 ->
/// uint8 or float32; the table has 256 or 65536 entries of the destination's type.
void map_table(const Array& source, const Array& table, const Array& destination,
               bool mirrored = false);

/// (3, H, W) -> (H, W, 3) uint8.
void interleave(const Array& source, const Array& destination, bool mirrored = false);

/// Set uint16 elements above the limit to 0; shapes may differ. May work in place.
void zero_above(const Array& source, const Array& destination, std::uint16_t limit,
                bool mirrored = false);

/// Depth: uint16, mm -> float32, m; shapes may differ. NaN for 0 and for values above the limit
/// (mm).
void metres(const Array& source, const Array& destination, std::uint16_t limit,
            bool mirrored = false);

/// I420, (H * 3 / 2, W) -> BGR, (H, W, 3) uint8; differs from OpenCV by at most one level. H and W
/// must be even.
void bgr_from_i420(const Array& source, const Array& destination);

/// Reverse each row: (H, W) uint8.
void mirror(const Array& source, const Array& destination);

/// (H, W) uint8 through a (256, 3) uint8 table -> (H, W, 3) uint8.
void colorize(const Array& source, const Array& table, const Array& destination,
              bool mirrored = false);

}  // namespace depthai
