#include "kernels/kernels.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <string>

#include "kernels/loops.hpp"

namespace depthai {
namespace {

using Shape = std::vector<std::size_t>;

constexpr float kNotMeasured = std::numeric_limits<float>::quiet_NaN();

/// Rows and columns of the loop over the source; without mirroring all pixels are one row.
struct Rows {
  std::size_t count, columns;
  bool mirrored;
};

Rows rows_of(std::size_t pixels, const Shape& shape, bool mirrored) {
  const std::size_t columns = mirrored ? shape.back() : pixels;
  return {columns > 0 ? pixels / columns : 0, columns, mirrored};
}

/// Calls `pixel(there, here)` with the index of each pixel in destination and source.
template <typename Action>
inline __attribute__((always_inline)) void for_each(const Rows& rows, Action pixel) {
  for (std::size_t row = 0, start = 0; row < rows.count; ++row, start += rows.columns) {
    const std::size_t last = start + rows.columns - 1;
    if (rows.mirrored) {
      for (std::size_t i = 0; i < rows.columns; ++i) pixel(start + i, last - i);
    } else {
      for (std::size_t i = 0; i < rows.columns; ++i) pixel(start + i, start + i);
    }
  }
}

/// Calls `eight(there, values)` with the values of eight pixels, the first in the lowest byte, and
/// `pixel(there, here)` for the remaining pixels. One load instead of eight.
template <typename Eight, typename Action>
inline __attribute__((always_inline)) void for_each_eight(const std::uint8_t* from,
                                                          const Rows& rows, Eight eight,
                                                          Action pixel) {
  for (std::size_t row = 0, start = 0; row < rows.count; ++row, start += rows.columns) {
    const std::size_t end = start + rows.columns;
    std::size_t i = 0;
    for (std::uint64_t values; i + 8 <= rows.columns; i += 8) {
      std::memcpy(&values, from + (rows.mirrored ? end - i - 8 : start + i), 8);
      eight(start + i, rows.mirrored ? __builtin_bswap64(values) : values);
    }
    for (; i < rows.columns; ++i) pixel(start + i, rows.mirrored ? end - 1 - i : start + i);
  }
}

std::uint8_t byte_of(std::uint64_t values, int place) {
  return static_cast<std::uint8_t>(values >> (8 * place));
}

// ---- map_table -------------------------------------------------------------------------------

template <typename Source, typename Destination>
void map_values(const Array& source, const Array& table, const Array& destination,
                const Rows& rows) {
  const auto* const from = reinterpret_cast<const Source*>(source.data);
  const auto* const through = reinterpret_cast<const Destination*>(table.data);
  auto* const to = reinterpret_cast<Destination*>(destination.data);
  const auto pixel = [=](std::size_t there, std::size_t here) { to[there] = through[from[here]]; };
  if constexpr (sizeof(Source) == 1) {
    const auto eight = [=](std::size_t there, std::uint64_t values) {
      for (int k = 0; k < 8; ++k) to[there + k] = through[byte_of(values, k)];
    };
    for_each_eight(from, rows, eight, pixel);
  } else {
    for_each(rows, pixel);
  }
}

struct MapRow {
  char source, destination;
  void (*run)(const Array&, const Array&, const Array&, const Rows&);
};
constexpr MapRow kMaps[] = {
    {'B', 'H', &map_values<std::uint8_t, std::uint16_t>},
    {'B', 'f', &map_values<std::uint8_t, float>},
    {'H', 'B', &map_values<std::uint16_t, std::uint8_t>},
    {'H', 'f', &map_values<std::uint16_t, float>},
};

// ---- mirror ----------------------------------------------------------------------------------

DEPTHAI_FOR_EACH_CPU void mirror_rows(const std::uint8_t* __restrict from,
                                      std::uint8_t* __restrict to, std::size_t rows,
                                      std::size_t columns) {
  for_each({rows, columns, true},
           [=](std::size_t there, std::size_t here) { to[there] = from[here]; });
}

// ---- interleave, zero_above ------------------------------------------------------------------

// For three planes compilers generate far more shuffles than necessary; two are enough for each
// sixteen bytes of output.
#if defined(__GNUC__) && !defined(__clang__)
#define DEPTHAI_SHUFFLES 1
typedef std::uint8_t Sixteen __attribute__((vector_size(16)));
typedef std::uint16_t Words __attribute__((vector_size(16)));
typedef std::int16_t SignedWords __attribute__((vector_size(16)));
constexpr Sixteen kReversed = {15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
/// For each sixteen bytes of output: the bytes of the first (0 to 15) and second (16 to 31) plane
/// in them, then the bytes of the third plane (16 to 31) between these.
constexpr Sixteen kFirstTwo[] = {
    {0, 16, 0, 1, 17, 0, 2, 18, 0, 3, 19, 0, 4, 20, 0, 5},
    {21, 0, 6, 22, 0, 7, 23, 0, 8, 24, 0, 9, 25, 0, 10, 26},
    {0, 11, 27, 0, 12, 28, 0, 13, 29, 0, 14, 30, 0, 15, 31, 0},
};
constexpr Sixteen kThird[] = {
    {0, 1, 16, 3, 4, 17, 6, 7, 18, 9, 10, 19, 12, 13, 20, 15},
    {0, 21, 2, 3, 22, 5, 6, 23, 8, 9, 24, 11, 12, 25, 14, 15},
    {26, 1, 2, 27, 4, 5, 28, 7, 8, 29, 10, 11, 30, 13, 14, 31},
};

inline __attribute__((always_inline)) void put_interleaved(const Sixteen (&planes)[3],
                                                           std::uint8_t* to) {
#pragma GCC unroll 3
  for (std::size_t k = 0; k < 3; ++k) {
    const Sixteen two = __builtin_shuffle(planes[0], planes[1], kFirstTwo[k]);
    const Sixteen all = __builtin_shuffle(two, planes[2], kThird[k]);
    std::memcpy(to + k * sizeof(Sixteen), &all, sizeof(Sixteen));
  }
}

constexpr Sixteen kLowWords = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};
constexpr Sixteen kHighWords = {8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};

inline __attribute__((always_inline)) Sixteen saturated(SignedWords low, SignedWords high) {
#ifdef __SSE2__
  return reinterpret_cast<Sixteen>(__builtin_ia32_packuswb128(low, high));
#else
  constexpr Sixteen kEven = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
  for (SignedWords* half : {&low, &high}) {
    *half = *half < 0 ? SignedWords{} : *half;
    *half = *half > 255 ? SignedWords{} + 255 : *half;
  }
  return __builtin_shuffle(reinterpret_cast<Sixteen>(low), reinterpret_cast<Sixteen>(high), kEven);
#endif
}
#else
#define DEPTHAI_SHUFFLES 0
#endif

DEPTHAI_FOR_EACH_CPU void interleave_planes(const std::uint8_t* __restrict first,
                                            const std::uint8_t* __restrict second,
                                            const std::uint8_t* __restrict third,
                                            std::uint8_t* __restrict to, const Rows& rows) {
  for (std::size_t row = 0, start = 0; row < rows.count; ++row, start += rows.columns) {
    const std::size_t end = start + rows.columns;
    std::size_t i = 0;
#if DEPTHAI_SHUFFLES
    for (; i + sizeof(Sixteen) <= rows.columns; i += sizeof(Sixteen)) {
      const std::size_t here = rows.mirrored ? end - i - sizeof(Sixteen) : start + i;
      Sixteen planes[3];
      std::memcpy(&planes[0], first + here, sizeof(Sixteen));
      std::memcpy(&planes[1], second + here, sizeof(Sixteen));
      std::memcpy(&planes[2], third + here, sizeof(Sixteen));
      if (rows.mirrored) {
        for (Sixteen& plane : planes) plane = __builtin_shuffle(plane, kReversed);
      }
      put_interleaved(planes, to + 3 * (start + i));
    }
#endif
    for (; i < rows.columns; ++i) {
      const std::size_t here = rows.mirrored ? end - 1 - i : start + i;
      to[3 * (start + i)] = first[here];
      to[3 * (start + i) + 1] = second[here];
      to[3 * (start + i) + 2] = third[here];
    }
  }
}

DEPTHAI_FOR_EACH_CPU void zero_above_row(std::uint16_t limit, const std::uint16_t* from,
                                         std::uint16_t* to, const Rows& rows) {
  for_each(rows, [=](std::size_t there, std::size_t here) {
    to[there] = from[here] <= limit ? from[here] : std::uint16_t{0};
  });
}

DEPTHAI_FOR_EACH_CPU void divide_by_thousand(float limit, const std::uint16_t* __restrict from,
                                             float* __restrict to, const Rows& rows) {
  for_each(rows, [=](std::size_t there, std::size_t here) {
    const int mm = from[here];
    const float m = static_cast<float>(mm) / 1000.0F;  // also for NaN pixels: avoids a branch
    const float measured = mm > 0 ? m : kNotMeasured;
    to[there] = m <= limit ? measured : kNotMeasured;
  });
}

// ---- bgr_from_i420 ---------------------------------------------------------------------------

// BT.601 with 16..235, in 1/32 of a level, so that sums fit 16 bits. Source: OpenCV's cvtColor; the
// results differ only by rounding.
constexpr int kFractionBits = 5;
constexpr int per_256(double factor) {
  return static_cast<int>(256 * 32 * factor + (factor < 0 ? -0.5 : 0.5));
}
constexpr int kUToB = per_256(2.018), kUToG = per_256(-0.391), kVToG = per_256(-0.813),
              kVToR = per_256(1.596), kBright = per_256(1.164);
/// Half a level, plus the average rounding loss of the products.
constexpr int kRounding = (1 << (kFractionBits - 1)) + 1;
/// Pixels of a row that are processed together: intermediate values stay in the nearest cache.
constexpr std::size_t kStretch = 256;

struct Stretch {
  std::array<std::int16_t, kStretch> blue, green, red;  // the chroma part of each channel
};

inline __attribute__((always_inline)) std::int16_t times(std::int16_t level, int factor) {
  return static_cast<std::int16_t>((static_cast<std::int16_t>(level * 256) * factor) >> 16);
}

DEPTHAI_FOR_EACH_CPU void chroma_row(const std::uint8_t* __restrict u,
                                     const std::uint8_t* __restrict v, std::size_t count,
                                     Stretch& stretch) {
  for (std::size_t i = 0; i < count / 2; ++i) {
    const auto from_u = static_cast<std::int16_t>(u[i] - 128);
    const auto from_v = static_cast<std::int16_t>(v[i] - 128);
    const auto blue = static_cast<std::int16_t>(times(from_u, kUToB) + kRounding);
    const auto green =
        static_cast<std::int16_t>(times(from_u, kUToG) + times(from_v, kVToG) + kRounding);
    const auto red = static_cast<std::int16_t>(times(from_v, kVToR) + kRounding);
    stretch.blue[2 * i] = stretch.blue[2 * i + 1] = blue;
    stretch.green[2 * i] = stretch.green[2 * i + 1] = green;
    stretch.red[2 * i] = stretch.red[2 * i + 1] = red;
  }
}

/// One row of output for a stretch.
DEPTHAI_FOR_EACH_CPU void bgr_row(const std::uint8_t* __restrict y, const Stretch& stretch,
                                  std::size_t count, std::uint8_t* __restrict to) {
  constexpr int kWhole = kBright >> 8, kPart = kBright & 255;
  const std::int16_t* const colors[] = {stretch.blue.data(), stretch.green.data(),
                                        stretch.red.data()};
  std::size_t i = 0;
#if DEPTHAI_SHUFFLES
  for (; i + sizeof(Sixteen) <= count; i += sizeof(Sixteen)) {
    Sixteen levels;
    std::memcpy(&levels, y + i, sizeof(levels));
    levels = (levels - 16) & (levels > 16);
    Words bright[] = {reinterpret_cast<Words>(__builtin_shuffle(levels, Sixteen{}, kLowWords)),
                      reinterpret_cast<Words>(__builtin_shuffle(levels, Sixteen{}, kHighWords))};
    for (Words& half : bright) half = half * kWhole + (half * kPart >> 8);
    Sixteen planes[3];
#pragma GCC unroll 3
    for (std::size_t k = 0; k < 3; ++k) {
      Words added[2];
      std::memcpy(added, colors[k] + i, sizeof(added));
      planes[k] = saturated(reinterpret_cast<SignedWords>(bright[0] + added[0]) >> kFractionBits,
                            reinterpret_cast<SignedWords>(bright[1] + added[1]) >> kFractionBits);
    }
    put_interleaved(planes, to + 3 * i);
  }
#endif
  for (; i < count; ++i) {
    const int level = y[i] > 16 ? y[i] - 16 : 0;
    const int bright = level * kWhole + (level * kPart >> 8);
    for (std::size_t k = 0; k < 3; ++k) {
      const int sum = (bright + colors[k][i]) >> kFractionBits;
      to[3 * i + k] = static_cast<std::uint8_t>(sum < 0 ? 0 : sum > 255 ? 255 : sum);
    }
  }
}

}  // namespace

void map_table(const Array& source, const Array& table, const Array& destination, bool mirrored) {
  const MapRow* found = nullptr;
  for (const MapRow& row : kMaps) {
    if (row.source == source.type && row.destination == destination.type) found = &row;
  }
  require(found != nullptr,
          "map_table: must be uint8 -> uint16 or float32, or uint16 -> uint8 or float32");
  require(table.type == destination.type && table.count() == (source.type == 'B' ? 256U : 65536U),
          "map_table: the table must have 256 (uint8) or 65536 (uint16) entries of the "
          "destination's type");
  require(source.count() == destination.count(),
          "map_table: source and destination must have the same number of elements");
  require(source.is_aligned() && table.is_aligned() && destination.is_aligned(),
          "map_table: the elements of an array are not aligned in memory");
  require(!overlap(source, destination) && !overlap(table, destination),
          "map_table: source, table and destination must not overlap");
  require(!mirrored || source.shape.size() >= 2, "map_table: a mirrored source must be (…, H, W)");
  found->run(source, table, destination, rows_of(source.count(), source.shape, mirrored));
}

void interleave(const Array& source, const Array& destination, bool mirrored) {
  const Shape& planes = source.shape;
  require(source.type == 'B' && destination.type == 'B' && planes.size() == 3 && planes[0] == 3 &&
              destination.shape == Shape{planes[1], planes[2], 3},
          "interleave: must be (3, H, W) -> (H, W, 3) uint8");
  require(!overlap(source, destination), "interleave: source and destination must not overlap");
  const std::size_t count = planes[1] * planes[2];
  interleave_planes(source.data, source.data + count, source.data + 2 * count, destination.data,
                    rows_of(count, planes, mirrored));
}

void zero_above(const Array& source, const Array& destination, std::uint16_t limit, bool mirrored) {
  require(source.type == 'H' && destination.type == 'H' && source.count() == destination.count(),
          "zero_above: must be uint16, both with the same number of elements");
  require(source.is_aligned() && destination.is_aligned(),
          "zero_above: the elements of an array are not aligned in memory");
  const bool in_place = !mirrored && source.data == destination.data;
  require(in_place || !overlap(source, destination),
          "zero_above: source and destination must be the same or not overlap");
  require(!mirrored || source.shape.size() >= 2, "zero_above: a mirrored source must be (…, H, W)");
  zero_above_row(limit, reinterpret_cast<const std::uint16_t*>(source.data),
                 reinterpret_cast<std::uint16_t*>(destination.data),
                 rows_of(source.count(), source.shape, mirrored));
}

void metres(const Array& source, const Array& destination, std::uint16_t limit, bool mirrored) {
  require(source.type == 'H' && destination.type == 'f' && source.count() == destination.count(),
          "metres: must be uint16 -> float32, both with the same number of elements");
  require(source.is_aligned() && destination.is_aligned(),
          "metres: the elements of an array are not aligned in memory");
  require(!overlap(source, destination), "metres: source and destination must not overlap");
  require(!mirrored || source.shape.size() >= 2, "metres: a mirrored source must be (…, H, W)");
  divide_by_thousand(
      static_cast<float>(limit) / 1000.0F, reinterpret_cast<const std::uint16_t*>(source.data),
      reinterpret_cast<float*>(destination.data), rows_of(source.count(), source.shape, mirrored));
}

void bgr_from_i420(const Array& source, const Array& destination) {
  const Shape& shape = destination.shape;
  require(source.type == 'B' && destination.type == 'B' && shape.size() == 3 && shape[2] == 3 &&
              shape[0] % 2 == 0 && shape[1] % 2 == 0 &&
              source.shape == Shape{shape[0] / 2 * 3, shape[1]},
          "bgr_from_i420: must be (H * 3 / 2, W) -> (H, W, 3) uint8, H and W even");
  require(!overlap(source, destination), "bgr_from_i420: source and destination must not overlap");
  const std::size_t height = shape[0], width = shape[1], quarter = height * width / 4;
  const std::uint8_t* const u = source.data + height * width;
  Stretch stretch;
  for (std::size_t pair = 0; pair < height / 2; ++pair) {
    for (std::size_t x = 0; x < width; x += kStretch) {
      const std::size_t count = std::min(kStretch, width - x);
      const std::size_t half = (pair * width + x) / 2;
      chroma_row(u + half, u + quarter + half, count, stretch);
      for (const std::size_t row : {2 * pair, 2 * pair + 1}) {
        const std::size_t here = row * width + x;
        bgr_row(source.data + here, stretch, count, destination.data + 3 * here);
      }
    }
  }
}

void mirror(const Array& source, const Array& destination) {
  const Shape& shape = source.shape;
  require(source.type == 'B' && destination.type == 'B' && shape.size() == 2 &&
              destination.shape == shape,
          "mirror: must be (H, W) uint8, both alike");
  require(!overlap(source, destination), "mirror: source and destination must not overlap");
  mirror_rows(source.data, destination.data, shape[0], shape[1]);
}

// Eight pixels are written with three stores of eight bytes.
void colorize(const Array& source, const Array& table, const Array& destination, bool mirrored) {
  const Shape& shape = source.shape;
  require(source.type == 'B' && table.type == 'B' && destination.type == 'B' && shape.size() == 2 &&
              table.shape == Shape{256, 3} && destination.shape == Shape{shape[0], shape[1], 3},
          "colorize: must be (H, W) through (256, 3) -> (H, W, 3) uint8");
  require(!overlap(source, destination) && !overlap(table, destination),
          "colorize: the arrays must not overlap");
  std::array<std::uint64_t, 256> colors{};
  for (std::size_t i = 0; i < colors.size(); ++i) std::memcpy(&colors[i], table.data + 3 * i, 3);
  const std::uint8_t* const from = source.data;
  std::uint8_t* const to = destination.data;
  const auto put = [to](std::size_t there, std::size_t third, std::uint64_t bytes) {
    std::memcpy(to + 3 * there + 8 * third, &bytes, 8);
  };
  const auto eight = [&colors, put](std::size_t there, std::uint64_t values) {
    const auto color = [&](int place) { return colors[byte_of(values, place)]; };
    const std::uint64_t third = color(2), sixth = color(5);
    put(there, 0, color(0) | color(1) << 24 | third << 48);
    put(there, 1, third >> 16 | color(3) << 8 | color(4) << 32 | sixth << 56);
    put(there, 2, sixth >> 8 | color(6) << 16 | color(7) << 40);
  };
  const auto pixel = [&colors, from, to](std::size_t there, std::size_t here) {
    std::memcpy(to + 3 * there, &colors[from[here]], 3);
  };
  for_each_eight(from, rows_of(source.bytes, shape, mirrored), eight, pixel);
}

}  // namespace depthai
