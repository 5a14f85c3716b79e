#include "kernels.hpp"

#include <array>
#include <cstring>
#include <stdexcept>
#include <string>

// A loop that this marks is compiled twice, the second time for processors with AVX2, and the one
// that fits is chosen when the library is loaded. Elsewhere what the compiler may take for granted
// (SSE2 alone cannot shuffle bytes; NEON can) has to do. The choice runs before a sanitizer does.
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define DEPTHAI_FOR_EACH_CPU __attribute__((target_clones("avx2", "default")))
#else
#define DEPTHAI_FOR_EACH_CPU
#endif

namespace depthai {
namespace {

using Shape = std::vector<std::size_t>;

void require(bool condition, const char* what) {
  if (!condition) throw std::invalid_argument(what);
}

bool overlap(const Array& a, const Array& b) {
  return a.data < b.data + b.bytes && b.data < a.data + a.bytes;
}

/// How a loop walks over its source: unmirrored pixels may as well be one row.
struct Rows {
  std::size_t count, columns;
  bool mirrored;
};

Rows rows_of(std::size_t pixels, const Shape& shape, bool mirrored) {
  const std::size_t columns = mirrored ? shape.back() : pixels;
  return {columns > 0 ? pixels / columns : 0, columns, mirrored};
}

/// `pixel(there, here)` with the index of each pixel but `left_out` ones at the end.
template <typename Action>
inline __attribute__((always_inline)) void for_each(const Rows& rows, Action pixel,
                                                    std::size_t left_out = 0) {
  for (std::size_t row = 0, start = 0; row < rows.count; ++row, start += rows.columns) {
    const std::size_t last = start + rows.columns - 1;
    const std::size_t count = rows.columns - (row + 1 == rows.count ? left_out : 0);
    if (rows.mirrored) {
      for (std::size_t i = 0; i < count; ++i) pixel(start + i, last - i);
    } else {
      for (std::size_t i = 0; i < count; ++i) pixel(start + i, start + i);
    }
  }
}

// ---- map_table -------------------------------------------------------------------------------

template <typename Source, typename Destination>
void map_values(const Array& source, const Array& table, const Array& destination,
                const Rows& rows) {
  const auto* const from = reinterpret_cast<const Source*>(source.data);
  const auto* const through = reinterpret_cast<const Destination*>(table.data);
  auto* const to = reinterpret_cast<Destination*>(destination.data);
  for_each(rows, [=](std::size_t there, std::size_t here) { to[there] = through[from[here]]; });
}

struct MapRow {
  char source, destination;
  void (*run)(const Array&, const Array&, const Array&, const Rows&);
};
constexpr MapRow kMaps[] = {
    {'B', 'B', &map_values<std::uint8_t, std::uint8_t>},
    {'B', 'H', &map_values<std::uint8_t, std::uint16_t>},
    {'B', 'f', &map_values<std::uint8_t, float>},
    {'H', 'B', &map_values<std::uint16_t, std::uint8_t>},
    {'H', 'H', &map_values<std::uint16_t, std::uint16_t>},
    {'H', 'f', &map_values<std::uint16_t, float>},
};

// ---- mirror ----------------------------------------------------------------------------------

/// One pixel of a size that is no integer's.
template <std::size_t kBytes>
struct Pixel {
  std::uint8_t bytes[kBytes];
};

template <typename T>
inline __attribute__((always_inline)) void mirror_rows(const std::uint8_t* source,
                                                       std::uint8_t* destination, std::size_t rows,
                                                       std::size_t columns) {
  const T* __restrict from = reinterpret_cast<const T*>(source);
  T* __restrict to = reinterpret_cast<T*>(destination);
  for_each({rows, columns, true},
           [=](std::size_t there, std::size_t here) { to[there] = from[here]; });
}

template <typename T>
void mirror_pixels(const std::uint8_t* source, std::uint8_t* destination, std::size_t rows,
                   std::size_t columns) {
  mirror_rows<T>(source, destination, rows, columns);
}

// What cameras send mirrored; the others are there for completeness.
DEPTHAI_FOR_EACH_CPU void mirror_bytes(const std::uint8_t* source, std::uint8_t* destination,
                                       std::size_t rows, std::size_t columns) {
  mirror_rows<std::uint8_t>(source, destination, rows, columns);
}
DEPTHAI_FOR_EACH_CPU void mirror_words(const std::uint8_t* source, std::uint8_t* destination,
                                       std::size_t rows, std::size_t columns) {
  mirror_rows<std::uint16_t>(source, destination, rows, columns);
}

using MirrorPixels = void (*)(const std::uint8_t*, std::uint8_t*, std::size_t, std::size_t);

/// By channels - 1 and bytes per item: 1, 2, (none), 4.
constexpr MirrorPixels kMirrors[3][4] = {
    {&mirror_bytes, &mirror_words, nullptr, &mirror_pixels<Pixel<4>>},
    {&mirror_words, &mirror_pixels<Pixel<4>>, nullptr, &mirror_pixels<Pixel<8>>},
    {&mirror_pixels<Pixel<3>>, &mirror_pixels<Pixel<6>>, nullptr, &mirror_pixels<Pixel<12>>},
};

// ---- interleave, zero_above ------------------------------------------------------------------

DEPTHAI_FOR_EACH_CPU void interleave_planes(const std::uint8_t* __restrict first,
                                            const std::uint8_t* __restrict second,
                                            const std::uint8_t* __restrict third,
                                            std::uint8_t* __restrict to, const Rows& rows) {
  for_each(rows, [=](std::size_t there, std::size_t here) {
    to[3 * there] = first[here];
    to[3 * there + 1] = second[here];
    to[3 * there + 2] = third[here];
  });
}

DEPTHAI_FOR_EACH_CPU void keep_up_to(std::uint16_t limit, const std::uint16_t* from,
                                     std::uint16_t* to, const Rows& rows) {
  for_each(rows, [=](std::size_t there, std::size_t here) {
    to[there] = from[here] <= limit ? from[here] : std::uint16_t{0};
  });
}

}  // namespace

void map_table(const Array& source, const Array& table, const Array& destination, bool mirrored) {
  const MapRow* found = nullptr;
  for (const MapRow& row : kMaps) {
    if (row.source == source.type && row.destination == destination.type) found = &row;
  }
  require(found != nullptr, "map_table: must be uint8 or uint16 -> uint8, uint16 or float32");
  require(table.type == destination.type && table.count() == (source.type == 'B' ? 256U : 65536U),
          "map_table: the table must have 256 (uint8) or 65536 (uint16) entries of the "
          "destination's type");
  require(source.count() == destination.count(),
          "map_table: source and destination must have the same number of elements");
  const bool in_place =
      !mirrored && source.data == destination.data && source.type == destination.type;
  require((in_place || !overlap(source, destination)) && !overlap(table, destination),
          "map_table: source, table and destination must not overlap");
  require(!mirrored || source.shape.size() >= 2, "map_table: what is mirrored must be (…, H, W)");
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
  const bool in_place = !mirrored && source.data == destination.data;
  require(in_place || !overlap(source, destination),
          "zero_above: source and destination must be the same or not overlap");
  require(!mirrored || source.shape.size() >= 2, "zero_above: what is mirrored must be (…, H, W)");
  keep_up_to(limit, reinterpret_cast<const std::uint16_t*>(source.data),
             reinterpret_cast<std::uint16_t*>(destination.data),
             rows_of(source.count(), source.shape, mirrored));
}

void mirror(const Array& source, const Array& destination) {
  const Shape& shape = source.shape;
  const std::size_t channels = shape.size() == 3 ? shape[2] : 1;
  const bool known_type = source.type == 'B' || source.type == 'H' || source.type == 'f';
  require((shape.size() == 2 || shape.size() == 3) && channels >= 1 && channels <= 3 &&
              known_type && destination.type == source.type && destination.shape == shape,
          "mirror: must be (H, W) or (H, W, 1..3) uint8, uint16 or float32, both alike");
  require(!overlap(source, destination), "mirror: source and destination must not overlap");
  kMirrors[channels - 1][source.item_bytes - 1](source.data, destination.data, shape[0], shape[1]);
}

// Each pixel is one load and one store of four bytes; the fourth is overwritten by its neighbour.
void colorize(const Array& source, const Array& table, const Array& destination, bool mirrored) {
  const Shape& shape = source.shape;
  require(source.type == 'B' && table.type == 'B' && destination.type == 'B' && shape.size() == 2 &&
              table.shape == Shape{256, 3} && destination.shape == Shape{shape[0], shape[1], 3},
          "colorize: must be (H, W) through (256, 3) -> (H, W, 3) uint8");
  require(!overlap(source, destination) && !overlap(table, destination),
          "colorize: the arrays must not overlap");
  std::array<std::uint32_t, 256> colors{};
  for (std::size_t i = 0; i < colors.size(); ++i) std::memcpy(&colors[i], table.data + 3 * i, 3);
  if (source.bytes == 0) return;
  const std::uint8_t* const from = source.data;
  std::uint8_t* const to = destination.data;
  const Rows rows = rows_of(source.bytes, shape, mirrored);
  const auto pixel = [&colors, from, to](std::size_t there, std::size_t here) {
    std::memcpy(to + 3 * there, &colors[from[here]], 4);
  };
  for_each(rows, pixel, 1);
  const std::size_t last = source.bytes - 1;
  std::memcpy(to + 3 * last, &colors[from[mirrored ? source.bytes - rows.columns : last]], 3);
}

}  // namespace depthai
