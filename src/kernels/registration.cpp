#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/depth.hpp"
#include "kernels/loops.hpp"

namespace depthai {
namespace {

using Shape = std::vector<std::size_t>;
using Depth = std::uint16_t;

constexpr float kNotMeasured = std::numeric_limits<float>::quiet_NaN();

/// What one row of the source covers in the target: px, NaN where nothing is measured, and mm.
struct Footprints {
  float *left, *right, *top, *bottom, *depth;

  /// Arrays in the scratch memory.
  Footprints(float* scratch, std::size_t width)
      : left(scratch),
        right(scratch + width),
        top(scratch + 2 * width),
        bottom(scratch + 3 * width),
        depth(scratch + 4 * width) {}
};

/// Distances between the rays of neighbours, in columns and rows.
struct Pitch {
  float x, y;
};

float pitch_of(const Array& rays) {
  const float* const values = values_of<float>(rays);
  const std::size_t last = rays.count() - 1;
  return (values[last] - values[0]) / static_cast<float>(last);
}

/// Footprint of each pixel of a row: the box around its corners, all at its depth.
DEPTHAI_FOR_EACH_CPU void project_row(const Depth* __restrict depth,
                                      const float* __restrict columns, float row, std::size_t count,
                                      const float* p, Pitch pitch, const Footprints& to) {
  // A pixel that is twice as large as seen by the source is close to the target's own plane.
  constexpr float kLargest = 2.0F, kNearest = 0.5F, kFarthest = 65534.5F;
  const float ax = p[0], bx = p[1], cx = p[1] * row + p[2], dx = p[3];
  const float ay = p[4], by = p[5], cy = p[5] * row + p[6], dy = p[7];
  const float az = p[8], bz = p[9], cz = p[9] * row + p[10], dz = p[11];
  float* __restrict left = to.left, * __restrict right = to.right, * __restrict top = to.top, * __restrict bottom = to.bottom, * __restrict far = to.depth;
  for (std::size_t i = 0; i < count; ++i) {
    const int mm = depth[i];
    const auto z = static_cast<float>(mm);
    const float distance = z * (az * columns[i] + cz) + dz;
    const float scale = 1.0F / distance;
    const float u = (z * (ax * columns[i] + cx) + dx) * scale;
    const float v = (z * (ay * columns[i] + cy) + dy) * scale;
    const float ratio = z * scale, half = 0.5F * (ratio < kLargest ? ratio : kLargest);
    const float wide = half * (std::fabs(ax - u * az) * pitch.x + std::fabs(bx - u * bz) * pitch.y);
    const float high = half * (std::fabs(ay - v * az) * pitch.x + std::fabs(by - v * bz) * pitch.y);
    const bool is_seen = (mm > 0) & (distance >= kNearest) & (distance < kFarthest);
    const float x = is_seen ? u : kNotMeasured, y = is_seen ? v : kNotMeasured;
    left[i] = x - wide;
    right[i] = x + wide;
    top[i] = y - high;
    bottom[i] = y + high;
    far[i] = is_seen ? distance : 0.0F;
  }
}

// A gap between neighbours that is at most as wide as one of them is a step of the depth on one
// surface: the farther one closes it, and goes a little below the nearer one, whose sides are not
// parallel to its own if the cameras are rotated. A wider gap shows what was hidden from the
// source.
constexpr float kOverlap = 0.25F;

/// Extend pixels to where their next neighbours begin.
DEPTHAI_FOR_EACH_CPU void extend_ends(const float* __restrict begin, float* __restrict end,
                                      const float* __restrict next_begin,
                                      const float* __restrict depth,
                                      const float* __restrict next_depth, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const float old = end[i], next = next_begin[i];
    const float size = old - begin[i];
    const bool is_step = (next > old) & (next - old <= size) & (depth[i] >= next_depth[i]);
    end[i] = is_step ? next + kOverlap * size : old;
  }
}

/// Extend pixels to where the neighbours before them end.
DEPTHAI_FOR_EACH_CPU void extend_beginnings(float* __restrict begin, const float* __restrict end,
                                            const float* __restrict last_end,
                                            const float* __restrict depth,
                                            const float* __restrict last_depth, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const float old = begin[i], last = last_end[i];
    const float size = end[i] - old;
    const bool is_step = (old > last) & (old - last <= size) & (depth[i] >= last_depth[i]);
    begin[i] = is_step ? last - kOverlap * size : old;
  }
}

constexpr std::size_t kStretch = 256;

/// Whole pixels of the target, first and behind the last.
struct Boxes {
  std::array<std::int32_t, kStretch> left, right, top, bottom, depth;
};

/// The smallest integer that is not less, within 0 to `limit`; 0 for NaN.
DEPTHAI_INLINE std::int32_t ceiling(float value, float limit) {
  const float above = value > 0.0F ? value : 0.0F;
  const float within = above < limit ? above : limit;
  const auto whole = static_cast<std::int32_t>(within);
  return whole + (static_cast<float>(whole) < within ? 1 : 0);
}

DEPTHAI_FOR_EACH_CPU void round_boxes(const Footprints& from, std::size_t start, std::size_t count,
                                      float width, float height, Boxes& to) {
  for (std::size_t i = 0; i < count; ++i) {
    to.left[i] = ceiling(from.left[start + i], width);
    to.right[i] = ceiling(from.right[start + i], width);
    to.top[i] = ceiling(from.top[start + i], height);
    to.bottom[i] = ceiling(from.bottom[start + i], height);
    to.depth[i] = static_cast<std::int32_t>(from.depth[start + i] + 0.5F);
  }
}

/// The nearest depth wins; less one, 0 is the largest value.
void splat(const Boxes& boxes, std::size_t count, std::size_t width, Depth* to) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t left = boxes.left[i], right = boxes.right[i];
    const auto depth = static_cast<Depth>(boxes.depth[i]);
    if (left >= right) continue;
    for (std::int32_t y = boxes.top[i]; y < boxes.bottom[i]; ++y) {
      Depth* const row = to + static_cast<std::size_t>(y) * width;
      for (std::int32_t x = left; x < right; ++x) {
        if (static_cast<Depth>(row[x] - 1) >= depth) row[x] = depth;
      }
    }
  }
}

void splat_row(const Footprints& row, std::size_t count, const Array& destination) {
  const std::size_t height = destination.shape[0], width = destination.shape[1];
  Boxes boxes;
  for (std::size_t start = 0; start < count; start += kStretch) {
    const std::size_t part = std::min(kStretch, count - start);
    round_boxes(row, start, part, static_cast<float>(width), static_cast<float>(height), boxes);
    splat(boxes, part, width, values_of<Depth>(destination));
  }
}

void check_registration(const Array& depth, const Array& columns, const Array& rows,
                        const Array& projection, const Array& scratch, const Array& destination) {
  constexpr std::size_t kMostPixels = std::size_t{1} << 24;  // whole numbers of a float
  require(is_image(depth, 'H') && is_image(destination, 'H'),
          "register_depth: must be (H, W) -> (Hd, Wd) uint16");
  require(depth.shape[0] > 1 && depth.shape[1] > 1, "register_depth: at least 2 x 2 pixels");
  require(columns.type == 'f' && columns.shape == Shape{depth.shape[1]} && rows.type == 'f' &&
              rows.shape == Shape{depth.shape[0]},
          "register_depth: columns and rows must be float32, one for each column and row");
  require(projection.type == 'f' && projection.shape == Shape{3, 4},
          "register_depth: the projection must be (3, 4) float32");
  require(scratch.type == 'f' && scratch.count() >= 10 * depth.shape[1],
          "register_depth: scratch must be float32 with at least 10 W elements");
  require(destination.count() <= kMostPixels, "register_depth: at most 16777216 pixels");
  for (const Array* source : {&columns, &rows, &projection, &scratch}) {
    require(source->is_aligned(), "register_depth: an array is not aligned in memory");
  }
  const Array* const sources[] = {&depth, &columns, &rows, &projection};
  for (const Array* source : sources) {
    require(!overlap(*source, destination) && !overlap(*source, scratch),
            "register_depth: the arrays must not overlap");
  }
  require(!overlap(scratch, destination), "register_depth: the arrays must not overlap");
}

}  // namespace

void register_depth(const Array& depth, const Array& columns, const Array& rows,
                    const Array& projection, const Array& scratch, const Array& destination) {
  check_registration(depth, columns, rows, projection, scratch, destination);
  std::fill_n(values_of<Depth>(destination), destination.count(), Depth{0});
  const std::size_t height = depth.shape[0], width = depth.shape[1];
  const Pitch pitch{pitch_of(columns), pitch_of(rows)};
  float* const memory = values_of<float>(scratch);
  Footprints above(memory, width), here(memory + 5 * width, width);
  for (std::size_t y = 0; y < height; ++y) {
    std::swap(above, here);
    project_row(values_of<Depth>(depth) + y * width, values_of<float>(columns),
                values_of<float>(rows)[y], width, values_of<float>(projection), pitch, here);
    extend_ends(here.left, here.right, here.left + 1, here.depth, here.depth + 1, width - 1);
    extend_beginnings(here.left + 1, here.right + 1, here.right, here.depth + 1, here.depth,
                      width - 1);
    if (y == 0) continue;
    extend_ends(above.top, above.bottom, here.top, above.depth, here.depth, width);
    extend_beginnings(here.top, here.bottom, above.bottom, here.depth, above.depth, width);
    splat_row(above, width, destination);
  }
  splat_row(here, width, destination);
}

}  // namespace depthai
