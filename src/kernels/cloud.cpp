#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/depth.hpp"
#include "kernels/loops.hpp"

namespace depthai {
namespace {

using Shape = std::vector<std::size_t>;

/// Points of a row that are made together: intermediate values stay in the nearest cache.
constexpr std::size_t kStretch = 256;

template <typename Value>
using Stretch = std::array<Value, kStretch>;

/// Depth in m of every `step`-th pixel, NaN where nothing is measured.
DEPTHAI_FOR_EACH_CPU void take_depth(const std::uint16_t* __restrict from, std::size_t step,
                                     std::size_t count, int limit, float* __restrict z) {
  const auto metres = [limit](int mm) {
    constexpr std::uint32_t kNan = 0x7f'c0'00'00;
    const float m = static_cast<float>(mm) * 0.001F;
    std::uint32_t bits;  // set with integers: a choice between floats becomes a branch
    std::memcpy(&bits, &m, sizeof(bits));
    bits |= mm > limit || mm == 0 ? kNan : 0;
    float measured;
    std::memcpy(&measured, &bits, sizeof(measured));
    return measured;
  };
  if (step == 1) {
    for (std::size_t i = 0; i < count; ++i) z[i] = metres(from[i]);
  } else {
    for (std::size_t i = 0; i < count; ++i) z[i] = metres(from[i * step]);
  }
}

#if defined(__GNUC__) && !defined(__clang__)
typedef float Four __attribute__((vector_size(16)));
typedef std::int32_t Lanes __attribute__((vector_size(16)));

/// Writes sixteen bytes, past the cache if the processor can and `to` is aligned to them.
inline __attribute__((always_inline)) void put(Four value, float* to, bool past_cache) {
#ifdef __SSE2__
  if (past_cache) return __builtin_ia32_movntps(to, value);
#else
  (void)past_cache;
#endif
  std::memcpy(to, &value, sizeof(value));
}

/// Four points; compilers generate far more shuffles than the eight that are necessary.
inline __attribute__((always_inline)) void put_four(Four x, Four y, Four z, Four color, float* to,
                                                    bool past_cache) {
  constexpr Lanes kLow = {0, 4, 1, 5}, kHigh = {2, 6, 3, 7}, kFirst = {0, 1, 4, 5},
                  kSecond = {2, 3, 6, 7};
  const Four xy[] = {__builtin_shuffle(x, y, kLow), __builtin_shuffle(x, y, kHigh)};
  const Four zc[] = {__builtin_shuffle(z, color, kLow), __builtin_shuffle(z, color, kHigh)};
  for (int half = 0; half < 2; ++half) {
    put(__builtin_shuffle(xy[half], zc[half], kFirst), to + 8 * half, past_cache);
    put(__builtin_shuffle(xy[half], zc[half], kSecond), to + 8 * half + 4, past_cache);
  }
}
#endif

/// True if an array is written past the cache: it is larger than the cache of one core, and its
/// points are aligned.
bool is_past_cache(const Array& destination) {
  constexpr std::size_t kCacheBytes = std::size_t{4} << 20;
  const bool is_aligned = reinterpret_cast<std::uintptr_t>(destination.data) % 16 == 0;
  return is_aligned && destination.bytes > kCacheBytes;
}

/// What was written past the cache comes before all later writes, as other threads see it.
void finish_writes() {
#ifdef __SSE2__
  __builtin_ia32_sfence();
#endif
}

DEPTHAI_FOR_EACH_CPU void put_points(const float* __restrict columns, float row,
                                     const float* __restrict z,
                                     const std::uint32_t* __restrict colors, std::size_t count,
                                     float* __restrict to, [[maybe_unused]] bool past_cache) {
  std::size_t i = 0;
#if defined(__GNUC__) && !defined(__clang__)
  for (; i + 4 <= count; i += 4) {
    Four x, depth, color;
    std::memcpy(&x, columns + i, sizeof(x));
    std::memcpy(&depth, z + i, sizeof(depth));
    std::memcpy(&color, colors + i, sizeof(color));
    put_four(x * depth, row * depth, depth, color, to + 4 * i, past_cache);
  }
#endif
  for (; i < count; ++i) {
    const float point[] = {columns[i] * z[i], row * z[i], z[i]};
    std::memcpy(to + 4 * i, point, sizeof(point));
    std::memcpy(to + 4 * i + 3, colors + i, sizeof(*colors));
  }
}

DEPTHAI_FOR_EACH_CPU void take_gray(const std::uint8_t* __restrict from, std::size_t step,
                                    std::size_t count, std::uint32_t* __restrict colors) {
  if (step == 1) {
    for (std::size_t i = 0; i < count; ++i) colors[i] = from[i] * 0x01'01'01U;
  } else {
    for (std::size_t i = 0; i < count; ++i) colors[i] = from[i * step] * 0x01'01'01U;
  }
}

/// The rectified camera that sees points; none without `projection`.
struct View {
  const float* projection;
  std::size_t height, width;
};

/// Index of the rectified pixel that sees each point, -1 = none. A point is z * (column, row, 1).
DEPTHAI_FOR_EACH_CPU void find_pixels(const View& view, const float* __restrict columns, float row,
                                      const float* __restrict z, std::size_t count,
                                      std::int32_t* __restrict found) {
  const float* const p = view.projection;
  const float bx = p[1] * row + p[2], by = p[5] * row + p[6], bz = p[9] * row + p[10];
  const float ax = p[0], ay = p[4], az = p[8], cx = p[3], cy = p[7], cz = p[11];
  const auto right = static_cast<float>(view.width), bottom = static_cast<float>(view.height);
  const auto width = static_cast<std::int32_t>(view.width);
  for (std::size_t i = 0; i < count; ++i) {
    const float scale = 1.0F / (z[i] * (az * columns[i] + bz) + cz);
    const float u = (z[i] * (ax * columns[i] + bx) + cx) * scale + 0.5F;
    const float v = (z[i] * (ay * columns[i] + by) + cy) * scale + 0.5F;
    // NaN fails every comparison; only values within the image are converted to integers.
    const bool is_seen = (u >= 0) & (u < right) & (v >= 0) & (v < bottom) & (scale > 0);
    const auto x = static_cast<std::int32_t>(is_seen ? u : 0.0F);
    const auto y = static_cast<std::int32_t>(is_seen ? v : 0.0F);
    found[i] = is_seen ? y * width + x : -1;
  }
}

/// Colours of pixels by their index in the rectified image.
void take_colors(const PointColor& from, const Stretch<std::int32_t>& found, std::size_t count,
                 std::uint32_t* colors) {
  const std::size_t pixels = from.image->bytes / 3;
  const auto* const raw = from.pixels ? values_of<std::int32_t>(*from.pixels) : nullptr;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t seen = found[i];
    const std::int32_t index = seen >= 0 && raw ? raw[seen] : seen;
    colors[i] = 0;
    if (index < 0 || static_cast<std::size_t>(index) >= pixels) continue;
    const std::uint8_t* const bgr = from.image->data + 3 * static_cast<std::size_t>(index);
    colors[i] = bgr[0] | std::uint32_t{bgr[1]} << 8 | std::uint32_t{bgr[2]} << 16;
  }
}

/// The camera of a colour image, whose arrays it checks.
View view_of(const PointColor& color, const Array& depth) {
  constexpr std::size_t kMostPixels = std::size_t{1} << 24;  // whole numbers of a float
  if (color.image == nullptr) return {};
  const Array& image = *color.image;
  if (color.projection == nullptr) {
    require(image.type == 'B' && image.shape == depth.shape,
            "points: an image without projection must be (H, W) uint8, of the size of the depth");
    return {};
  }
  const Array& matrix = *color.projection;
  const Array& seen = color.pixels != nullptr ? *color.pixels : image;
  require(image.type == 'B' && image.shape.size() == 3 && image.shape[2] == 3,
          "points: an image with projection must be (H, W, 3) uint8");
  require(matrix.type == 'f' && matrix.shape == Shape{3, 4} && matrix.is_aligned(),
          "points: the projection must be (3, 4) float32");
  require(
      color.pixels == nullptr || (seen.type == 'i' && seen.shape.size() == 2 && seen.is_aligned()),
      "points: the table of pixels must be (H, W) int32");
  require(seen.shape[0] * seen.shape[1] <= kMostPixels, "points: at most 16777216 pixels");
  return {values_of<float>(matrix), seen.shape[0], seen.shape[1]};
}

void check_points(const Array& depth, const Array& columns, const Array& rows,
                  const Array& destination, std::size_t step) {
  const Shape& from = depth.shape;
  const Shape& to = destination.shape;
  require(depth.type == 'H' && from.size() == 2 && destination.type == 'f' && step > 0 &&
              to == Shape{from[0] / step, from[1] / step, 4},
          "points: must be (H, W) uint16 -> (H // decimation, W // decimation, 4) float32");
  require(columns.type == 'f' && columns.shape == Shape{to[1]} && rows.type == 'f' &&
              rows.shape == Shape{to[0]},
          "points: columns and rows must be float32, one for each column and row of points");
  require(
      depth.is_aligned() && columns.is_aligned() && rows.is_aligned() && destination.is_aligned(),
      "points: the elements of an array are not aligned in memory");
  for (const Array* source : {&depth, &columns, &rows}) {
    require(!overlap(*source, destination), "points: the arrays must not overlap");
  }
}

}  // namespace

void make_points(const Array& depth, const Array& columns, const Array& rows,
                 const Array& destination, PointSelection selection, const PointColor& color) {
  const std::size_t step = selection.step;
  check_points(depth, columns, rows, destination, step);
  const View view = view_of(color, depth);
  for (const Array* source : {color.image, color.projection, color.pixels}) {
    require(!source || !overlap(*source, destination), "points: the arrays must not overlap");
  }
  const std::size_t width = destination.shape[1];
  const bool past_cache = is_past_cache(destination);
  Stretch<float> z;
  Stretch<std::uint32_t> colors{};
  Stretch<std::int32_t> found;
  for (std::size_t row = 0; row < destination.shape[0]; ++row) {
    const std::size_t start = (row * step + step / 2) * depth.shape[1] + step / 2;
    const float y = values_of<float>(rows)[row];
    for (std::size_t x = 0; x < width; x += kStretch) {
      const std::size_t count = std::min(kStretch, width - x), here = start + x * step;
      const float* const rays = values_of<float>(columns) + x;
      take_depth(values_of<std::uint16_t>(depth) + here, step, count, selection.limit, z.data());
      if (view.projection != nullptr) {
        find_pixels(view, rays, y, z.data(), count, found.data());
        take_colors(color, found, count, colors.data());
      } else if (color.image != nullptr) {
        take_gray(color.image->data + here, step, count, colors.data());
      }
      put_points(rays, y, z.data(), colors.data(), count,
                 values_of<float>(destination) + 4 * (row * width + x), past_cache);
    }
  }
  if (past_cache) finish_writes();
}

}  // namespace depthai
