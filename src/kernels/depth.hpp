/// Loops over depth images: uint16, millimetres, 0 = not measured.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.hpp"

namespace depthai {

// All throw std::invalid_argument for other shapes and types than those given here, and for arrays
// that overlap or whose elements are not aligned.

/// Which pixels become points.
struct PointSelection {
  std::size_t step;     ///< one pixel of each block of step x step, at index step / 2 of both sides
  std::uint16_t limit;  ///< farthest depth, mm
};

/// Where points get their colour. Without an image it is 0.
struct PointColor {
  const Array* image = nullptr;       ///< (H, W) uint8 as the depth, or BGR with `projection`
  const Array* projection = nullptr;  ///< (3, 4) float32: point -> pixel of the rectified image
  /// (Hr, Wr) int32: pixel of the rectified image -> index of the image's pixel, others = none.
  /// Without it the image is the rectified one.
  const Array* pixels = nullptr;
};

/// (H, W) depth -> (H / step, W / step, 4) float32: x, y, z in m and 0x00RRGGBB; x, y, z are NaN
/// where nothing is measured. The ray of a point is (columns[column], rows[row], 1).
void make_points(const Array& depth, const Array& columns, const Array& rows,
                 const Array& destination, PointSelection selection, const PointColor& color);

/// (H, W) depth -> (Hd, Wd) depth as another camera sees it; the nearest wins, 0 where nothing is
/// measured. projection: (3, 4) float32, point in mm -> pixel of that camera, of which the third
/// coordinate is its depth. The ray of a pixel is (columns[column], rows[row], 1). scratch:
/// float32, 10 W elements.
void register_depth(const Array& depth, const Array& columns, const Array& rows,
                    const Array& projection, const Array& scratch, const Array& destination);

/// (H, W) depth of a rectified pair that keeps the distortion of its lenses -> (H, W) depth of the
/// right camera without; what the left image cannot show is not measured.
/// places: int32, pixel -> index of the source pixel that shows its ray, others = none.
/// left: float32, how far each source pixel of the left image is from its column without
/// distortion; right: the same of the right image, for the source pixel of each pixel.
/// measured, undistorted: disparity (px) times depth (mm), before and after.
void undistort_depth(const Array& depth, const Array& places, const Array& left, const Array& right,
                     const Array& destination, float measured, float undistorted);

}  // namespace depthai
