#include "kernels/depth.hpp"
#include "kernels/loops.hpp"

namespace depthai {
namespace {

using Shape = std::vector<std::size_t>;

void check_undistortion(const Array& depth, const Array& places, const Array& left,
                        const Array& right, const Array& destination, float measured) {
  const Shape& shape = depth.shape;
  require(depth.type == 'H' && shape.size() == 2 && destination.type == 'H' &&
              destination.shape == shape,
          "undistort_depth: must be (H, W) uint16 -> (H, W) uint16");
  require(places.type == 'i' && places.shape == shape && left.type == 'f' && left.shape == shape &&
              right.type == 'f' && right.shape == shape,
          "undistort_depth: places must be (H, W) int32, left and right (H, W) float32");
  require(measured >= 0, "undistort_depth: disparity times depth must not be negative");
  for (const Array* source : {&depth, &places, &left, &right}) {
    require(source->is_aligned() && destination.is_aligned(),
            "undistort_depth: the elements of an array are not aligned in memory");
    require(!overlap(*source, destination), "undistort_depth: the arrays must not overlap");
  }
}

}  // namespace

void undistort_depth(const Array& depth, const Array& places, const Array& left, const Array& right,
                     const Array& destination, float measured, float undistorted) {
  check_undistortion(depth, places, left, right, destination, measured);
  constexpr float kFarthest = 65534.0F;
  const auto* const from = values_of<std::uint16_t>(depth);
  const auto* const place = values_of<std::int32_t>(places);
  const auto* const shift_left = values_of<float>(left);
  const auto* const shift_right = values_of<float>(right);
  auto* const to = values_of<std::uint16_t>(destination);
  const auto count = static_cast<std::int64_t>(depth.count());
  const auto width = static_cast<std::int64_t>(depth.shape[1]);
  const double rows_per_pixel = 1.0 / static_cast<double>(width > 0 ? width : 1);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t here = place[i];
    const std::uint16_t mm = here >= 0 && here < count ? from[here] : std::uint16_t{0};
    to[i] = 0;
    if (mm == 0) continue;
    const float step = measured / static_cast<float>(mm);
    const auto row = static_cast<std::int64_t>((static_cast<double>(here) + 0.5) * rows_per_pixel);
    const float column = static_cast<float>(here - row * width) + step + 0.5F;
    if (!(column < static_cast<float>(width))) continue;  // the left camera does not see it
    const float shift = shift_left[row * width + static_cast<std::int64_t>(column)];
    const float disparity = step + shift - shift_right[i];
    const float far = undistorted / disparity;
    if (disparity > 0 && far >= 0.5F && far <= kFarthest) {
      to[i] = static_cast<std::uint16_t>(far + 0.5F);
    }
  }
}

}  // namespace depthai
