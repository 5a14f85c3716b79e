/// Images through a table of places: rectification.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/kernels.hpp"

namespace depthai {

/// Where each pixel of a result lies in the source, in 1/32 px; between pixels it is interpolated.
///
/// Places and weights are those of OpenCV's remap with fixed-point maps, results differ by at most
/// one level. What lies outside of the source counts as 0.
class Remap {
 public:
  /// x, y: (H, W) float32, px; NaN = outside. The source has `height` rows of `width`, at least
  /// 4 x 4. Throws std::invalid_argument.
  Remap(const Array& x, const Array& y, std::size_t width, std::size_t height);

  /// (height, width) -> (H, W) or (height, width, 3) -> (H, W, 3) uint8. Throws
  /// std::invalid_argument for other arrays, and for arrays that overlap.
  void apply(const Array& source, const Array& destination) const;

 private:
  /// A result of which a part lies outside, or is too close to the end of the source.
  struct Border {
    std::size_t index;  // in the result
    std::int32_t x, y;
    int part_x, part_y;  // 1/32 px
  };

  void add(std::size_t index, float x, float y);
  void put_border(const Array& source, const Array& destination, std::size_t channels) const;

  const std::size_t width_, height_, rows_, columns_;
  std::vector<std::uint32_t> places_;  // index of the upper left pixel in the source
  std::vector<std::uint8_t> parts_x_, parts_y_;
  std::vector<Border> border_;
};

}  // namespace depthai
