#include "kernels/remap.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "kernels/loops.hpp"

namespace depthai {
namespace {

using Shape = std::vector<std::size_t>;

constexpr int kParts = 32, kPartBits = 5;
/// In place of a weight: the pixel is outside, or in the list of the border.
constexpr std::uint8_t kOutside = 0xFF;
/// Pixels that are fetched, then interpolated: they stay in the nearest cache.
constexpr std::size_t kStretch = 256;

/// The pixels around one place and the place between them, in 1/32 px.
DEPTHAI_INLINE std::uint8_t interpolated(int a, int b, int c, int d, int part_x, int part_y) {
  const auto upper = static_cast<std::int16_t>(a * kParts + (b - a) * part_x);
  const auto lower = static_cast<std::int16_t>(c * kParts + (d - c) * part_x);
  // As 15 bits of fraction: processors have an instruction for this rounded product.
  const auto weight = static_cast<std::int16_t>(part_y << (15 - kPartBits));
  const auto step = static_cast<std::int16_t>(lower - upper);
  const auto between = static_cast<std::int16_t>((step * weight + 0x4000) >> 15);
  const auto level = static_cast<std::int16_t>(upper + between + kParts / 2);
  return static_cast<std::uint8_t>(level >> kPartBits);
}

/// Two neighbours in the source, the left one in the lower byte.
using Pairs = std::array<std::uint16_t, kStretch>;

void fetch_pairs(const std::uint8_t* from, std::size_t pitch, const std::uint32_t* places,
                 std::size_t count, Pairs& upper, Pairs& lower) {
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(&upper[i], from + places[i], 2);
    std::memcpy(&lower[i], from + places[i] + pitch, 2);
  }
}

DEPTHAI_FOR_EACH_CPU void interpolate_pairs(const std::uint16_t* __restrict upper,
                                            const std::uint16_t* __restrict lower,
                                            const std::uint8_t* __restrict parts_x,
                                            const std::uint8_t* __restrict parts_y,
                                            std::size_t count, std::uint8_t* __restrict to) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t value = interpolated(upper[i] & 255, upper[i] >> 8, lower[i] & 255,
                                            lower[i] >> 8, parts_x[i], parts_y[i]);
    to[i] = parts_x[i] == kOutside ? std::uint8_t{0} : value;
  }
}

/// Three values of each pixel; four bytes are copied at once.
using Colors = std::array<std::uint8_t, 3 * kStretch + 4>;

struct Neighbours {
  Colors a, b, c, d, parts_x, parts_y;
};

void fetch_colors(const std::uint8_t* from, std::size_t pitch, const std::uint32_t* places,
                  const std::uint8_t* parts_x, const std::uint8_t* parts_y, std::size_t count,
                  Neighbours& to) {
  for (std::size_t i = 0, k = 0; i < count; ++i, k += 3) {
    const std::uint8_t* const here = from + 3 * std::size_t{places[i]};
    std::memcpy(&to.a[k], here, 4);
    std::memcpy(&to.b[k], here + 3, 4);
    std::memcpy(&to.c[k], here + pitch, 4);
    std::memcpy(&to.d[k], here + pitch + 3, 4);
    const std::uint32_t x = parts_x[i] * 0x01'01'01'01U, y = parts_y[i] * 0x01'01'01'01U;
    std::memcpy(&to.parts_x[k], &x, 4);
    std::memcpy(&to.parts_y[k], &y, 4);
  }
}

DEPTHAI_FOR_EACH_CPU void interpolate_colors(const Neighbours& from, std::size_t count,
                                             std::uint8_t* __restrict to) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t value =
        interpolated(from.a[i], from.b[i], from.c[i], from.d[i], from.parts_x[i], from.parts_y[i]);
    to[i] = from.parts_x[i] == kOutside ? std::uint8_t{0} : value;
  }
}

}  // namespace

Remap::Remap(const Array& x, const Array& y, std::size_t width, std::size_t height)
    : width_(width),
      height_(height),
      rows_(x.shape.empty() ? 0 : x.shape[0]),
      columns_(x.shape.size() < 2 ? 0 : x.shape[1]) {
  constexpr std::size_t kMostPixels = std::size_t{1} << 28;
  require(is_image(x, 'f') && is_image(y, 'f') && x.shape == y.shape,
          "Remap: x and y must be (H, W) float32, both alike");
  require(width >= 4 && height >= 4 && width < (1U << 16) && height < (1U << 16) &&
              width * height <= kMostPixels,
          "Remap: the source must have 4 x 4 pixels to 268435456");
  places_.assign(x.count(), 0);
  parts_x_.assign(x.count(), kOutside);
  parts_y_.assign(x.count(), 0);
  for (std::size_t i = 0; i < x.count(); ++i)
    add(i, values_of<float>(x)[i], values_of<float>(y)[i]);
}

void Remap::add(std::size_t index, float x, float y) {
  const auto width = static_cast<std::int32_t>(width_), height = static_cast<std::int32_t>(height_);
  const bool is_near = x > -1.0F && x < static_cast<float>(width) && y > -1.0F &&
                       y < static_cast<float>(height);  // not NaN
  if (!is_near) return;
  const auto in_parts = [](float value) {
    return static_cast<std::int32_t>(std::nearbyint(value * static_cast<float>(kParts)));
  };
  const std::int32_t left = in_parts(x) >> kPartBits, top = in_parts(y) >> kPartBits;
  const int part_x = in_parts(x) & (kParts - 1), part_y = in_parts(y) & (kParts - 1);
  // Of the last pixel a byte more would be read.
  const bool is_last = left == width - 2 && top == height - 2;
  if (left < 0 || top < 0 || left > width - 2 || top > height - 2 || is_last) {
    border_.push_back({index, left, top, part_x, part_y});
    return;
  }
  places_[index] = static_cast<std::uint32_t>(top * width + left);
  parts_x_[index] = static_cast<std::uint8_t>(part_x);
  parts_y_[index] = static_cast<std::uint8_t>(part_y);
}

void Remap::apply(const Array& source, const Array& destination) const {
  const std::size_t channels = source.shape.size() == 3 ? 3 : 1;
  Shape from{height_, width_}, to{rows_, columns_};
  if (channels == 3) {
    from.push_back(3);
    to.push_back(3);
  }
  require(source.type == 'B' && destination.type == 'B' && source.shape == from &&
              destination.shape == to,
          "Remap: must be uint8, (H, W) or (H, W, 3), of the sizes that the table was made for");
  require(!overlap(source, destination), "Remap: source and destination must not overlap");
  const std::size_t pitch = width_ * channels;
  Pairs upper, lower;
  Neighbours around;
  for (std::size_t i = 0; i < places_.size(); i += kStretch) {
    const std::size_t count = std::min(kStretch, places_.size() - i);
    const std::uint32_t* const places = &places_[i];
    const std::uint8_t *const x = &parts_x_[i], *const y = &parts_y_[i];
    if (channels == 1) {
      fetch_pairs(source.data, pitch, places, count, upper, lower);
      interpolate_pairs(upper.data(), lower.data(), x, y, count, destination.data + i);
    } else {
      fetch_colors(source.data, pitch, places, x, y, count, around);
      interpolate_colors(around, 3 * count, destination.data + 3 * i);
    }
  }
  put_border(source, destination, channels);
}

void Remap::put_border(const Array& source, const Array& destination, std::size_t channels) const {
  for (const Border& border : border_) {
    for (std::size_t k = 0; k < channels; ++k) {
      const auto value = [&](std::int32_t x, std::int32_t y) -> int {
        const auto column = static_cast<std::size_t>(x), row = static_cast<std::size_t>(y);
        const bool is_inside = column < width_ && row < height_;  // below 0 is very large
        return is_inside ? source.data[(row * width_ + column) * channels + k] : 0;
      };
      const std::int32_t x = border.x, y = border.y;
      destination.data[border.index * channels + k] =
          interpolated(value(x, y), value(x + 1, y), value(x, y + 1), value(x + 1, y + 1),
                       border.part_x, border.part_y);
    }
  }
}

}  // namespace depthai
