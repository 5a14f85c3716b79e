#include "kernels/depth_filters.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "kernels/loops.hpp"

namespace depthai {
namespace {

using Shape = std::vector<std::size_t>;
using Depth = std::uint16_t;

// ---- single pixels ---------------------------------------------------------------------------

DEPTHAI_FOR_EACH_CPU void keep_between_row(const Depth* from, Depth* to, std::size_t count,
                                           Depth low, Depth high) {
  for (std::size_t i = 0; i < count; ++i) {
    const bool within = (from[i] >= low) & (from[i] <= high);
    to[i] = within ? from[i] : Depth{0};
  }
}

DEPTHAI_FOR_EACH_CPU void divide_depth(const Depth* __restrict from, float* __restrict to,
                                       std::size_t count, float scale) {
  for (std::size_t i = 0; i < count; ++i) {
    const int mm = from[i];
    const float disparity = scale / static_cast<float>(mm > 0 ? mm : 1);  // avoids a branch
    to[i] = mm > 0 ? disparity : 0.0F;
  }
}

DEPTHAI_FOR_EACH_CPU void divide_disparity(const float* __restrict from, Depth* __restrict to,
                                           std::size_t count, float scale) {
  for (std::size_t i = 0; i < count; ++i) {
    const float mm = scale / from[i] + 0.5F;  // 0 and NaN end as not measured, as what is too far
    to[i] = static_cast<Depth>(static_cast<int>(mm < 65536.0F && mm >= 0.0F ? mm : 0.0F));
  }
}

// ---- decimate --------------------------------------------------------------------------------

/// Squares of 2 x 2. Less one, a pixel without measurement is the largest value: of four sorted
/// values the second is the lower middle of three or four, the first that of one or two.
DEPTHAI_FOR_EACH_CPU void halve_row(const Depth* __restrict upper, const Depth* __restrict lower,
                                    Depth* __restrict to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const Depth a = upper[2 * i] - 1, b = upper[2 * i + 1] - 1;
    const Depth c = lower[2 * i] - 1, d = lower[2 * i + 1] - 1;
    const Depth low_ab = std::min(a, b), high_ab = std::max(a, b);
    const Depth low_cd = std::min(c, d), high_cd = std::max(c, d);
    const Depth first = std::min(low_ab, low_cd);
    const Depth one = std::max(low_ab, low_cd), other = std::min(high_ab, high_cd);
    const Depth second = std::min(one, other), third = std::max(one, other);
    to[i] = (third == 0xFFFF ? first : second) + 1;
  }
}

/// Squares of any size up to 8 x 8.
void decimate_row(const Depth* from, std::size_t width, Depth* to, std::size_t count,
                  std::size_t size) {
  std::array<Depth, 64> measured;
  for (std::size_t i = 0; i < count; ++i, from += size) {
    std::size_t found = 0;
    for (std::size_t row = 0; row < size; ++row) {
      for (std::size_t column = 0; column < size; ++column) {
        const Depth value = from[row * width + column];
        measured[found] = value;
        found += value > 0;
      }
    }
    to[i] = 0;
    if (found == 0) continue;
    const auto middle = measured.begin() + static_cast<std::ptrdiff_t>((found - 1) / 2);
    std::nth_element(measured.begin(), middle,
                     measured.begin() + static_cast<std::ptrdiff_t>(found));
    to[i] = *middle;
  }
}

// ---- remove_speckles -------------------------------------------------------------------------

DEPTHAI_INLINE bool are_joined(float a, float b, float difference) {
  return (a > 0) & (b > 0) & (std::fabs(a - b) <= difference);
}

/// Parts of rows whose neighbours are joined, as sets: a run points to another one of its region,
/// the first run of the region to itself, where the pixels are counted.
class Runs {
 public:
  Runs(const float* pixels, std::size_t width, std::uint32_t* scratch, std::size_t count,
       float difference)
      : pixels_(pixels),
        width_(width),
        ends_(scratch),
        parents_(scratch + count),
        sizes_(scratch + 2 * count),
        difference_(difference) {}

  std::uint32_t count() const { return count_; }
  std::uint32_t end(std::uint32_t run) const { return ends_[run]; }
  std::uint32_t size(std::uint32_t run) { return sizes_[first_of(run)]; }

  /// Cut a row into runs; neighbours without measurement are a run as well, of a region of its own.
  void add_row(std::size_t row) {
    const float* const here = pixels_ + row * width_;
    std::size_t start = 0;
    for (std::size_t x = 1; x <= width_; ++x) {
      if (x < width_ && is_same_run(here[x - 1], here[x])) continue;
      ends_[count_] = static_cast<std::uint32_t>(x);
      parents_[count_] = count_;
      sizes_[count_] = static_cast<std::uint32_t>(x - start);
      start = x;
      ++count_;
    }
  }

  /// Join the runs of a row, which begin at `lower`, with those of the row above.
  void join_rows(std::size_t row, std::uint32_t upper, std::uint32_t lower) {
    const float* const here = pixels_ + row * width_;
    const float* const above = here - width_;
    for (std::size_t x = 0; x < width_;) {
      const std::size_t end = std::min(ends_[upper], ends_[lower]);
      while (x < end && !are_joined(above[x], here[x], difference_)) ++x;
      if (x < end) join(upper, lower);
      x = end;
      const bool upper_ends = ends_[upper] == end, lower_ends = ends_[lower] == end;
      upper += upper_ends;
      lower += lower_ends;
    }
  }

 private:
  bool is_same_run(float a, float b) const {
    return are_joined(a, b, difference_) || (a == 0 && b == 0);
  }

  std::uint32_t first_of(std::uint32_t run) {
    while (parents_[run] != run) run = parents_[run] = parents_[parents_[run]];
    return run;
  }

  void join(std::uint32_t one, std::uint32_t other) {
    one = first_of(one);
    other = first_of(other);
    if (one == other) return;
    if (sizes_[one] < sizes_[other]) std::swap(one, other);
    parents_[other] = one;
    sizes_[one] += sizes_[other];
  }

  const float* const pixels_;
  const std::size_t width_;
  std::uint32_t* const ends_;
  std::uint32_t* const parents_;
  std::uint32_t* const sizes_;
  const float difference_;
  std::uint32_t count_ = 0;
};

// ---- fill_holes ------------------------------------------------------------------------------

enum class Fill { left, farthest, nearest };

Fill fill_of(const std::string& mode) {
  require(mode == "left" || mode == "farthest" || mode == "nearest",
          "fill_holes: mode must be left, farthest or nearest");
  return mode == "left" ? Fill::left : mode == "nearest" ? Fill::nearest : Fill::farthest;
}

/// What is a hole, and what it gets.
struct Filling {
  Fill mode;
  std::size_t longest;
  float scale, delta;

  Depth chosen(Depth one, Depth other) const {
    if (mode == Fill::left) return one;
    return mode == Fill::farthest ? std::max(one, other) : std::min(one, other);
  }

  bool closes(std::size_t length, Depth one, Depth other) const {
    if (length == 0 || length > longest) return false;
    const float product = static_cast<float>(one) * static_cast<float>(other);
    return std::fabs(static_cast<float>(one) - static_cast<float>(other)) * scale <=
           delta * product;
  }
};

void fill_row(const Depth* from, Depth* to, std::size_t width, const Filling& filling) {
  std::size_t next = 0;  // behind the last measured pixel
  for (std::size_t x = 0; x < width; ++x) {
    if (from[x] == 0) continue;
    if (next > 0 && filling.closes(x - next, from[next - 1], from[x])) {
      std::fill(to + next, to + x, filling.chosen(from[next - 1], from[x]));
    }
    next = x + 1;
  }
}

/// Close the holes of columns that end above this row. next: row behind the last measured pixel.
/// Of two values for a pixel, that of its row and that of its column, the mode chooses again.
void fill_columns(const Depth* source, Depth* destination, std::uint32_t* next, std::size_t y,
                  std::size_t width, const Filling& filling) {
  const Depth* const row = source + y * width;
  for (std::size_t x = 0; x < width; ++x) {
    if (row[x] == 0) continue;
    const std::size_t first = next[x];
    next[x] = static_cast<std::uint32_t>(y + 1);
    if (first == 0 || first == y) continue;
    const Depth above = source[(first - 1) * width + x];
    if (!filling.closes(y - first, above, row[x])) continue;
    const Depth value = filling.chosen(above, row[x]);
    for (std::size_t k = first; k < y; ++k) {
      Depth& pixel = destination[k * width + x];
      pixel = pixel == 0 ? value : filling.chosen(pixel, value);
    }
  }
}

}  // namespace

void keep_between(const Array& source, const Array& destination, std::uint16_t low,
                  std::uint16_t high) {
  require(is_image(source, 'H') && is_image(destination, 'H') && source.shape == destination.shape,
          "keep_between: must be (H, W) uint16, both alike");
  require(source.data == destination.data || !overlap(source, destination),
          "keep_between: source and destination must be the same or not overlap");
  keep_between_row(values_of<Depth>(source), values_of<Depth>(destination), source.count(), low,
                   high);
}

void decimate(const Array& source, const Array& destination, unsigned size) {
  require(size >= 2 && size <= 8, "decimate: size must be 2 to 8");
  require(is_image(source, 'H') && is_image(destination, 'H') &&
              destination.shape == Shape{source.shape[0] / size, source.shape[1] / size},
          "decimate: must be (H, W) -> (H / size, W / size) uint16");
  require(!overlap(source, destination), "decimate: source and destination must not overlap");
  const std::size_t width = source.shape[1], columns = destination.shape[1];
  const Depth* const from = values_of<Depth>(source);
  Depth* const to = values_of<Depth>(destination);
  for (std::size_t y = 0; y < destination.shape[0]; ++y) {
    const Depth* const rows = from + y * size * width;
    if (size == 2) {
      halve_row(rows, rows + width, to + y * columns, columns);
    } else {
      decimate_row(rows, width, to + y * columns, columns, size);
    }
  }
}

void disparity_of_depth(const Array& source, const Array& destination, float scale) {
  require(is_image(source, 'H') && is_image(destination, 'f') && source.shape == destination.shape,
          "disparity_of_depth: must be (H, W) uint16 -> float32");
  require(!overlap(source, destination), "disparity_of_depth: the arrays must not overlap");
  divide_depth(values_of<Depth>(source), values_of<float>(destination), source.count(), scale);
}

void depth_of_disparity(const Array& source, const Array& destination, float scale) {
  require(is_image(source, 'f') && is_image(destination, 'H') && source.shape == destination.shape,
          "depth_of_disparity: must be (H, W) float32 -> uint16");
  require(!overlap(source, destination), "depth_of_disparity: the arrays must not overlap");
  divide_disparity(values_of<float>(source), values_of<Depth>(destination), source.count(), scale);
}

void remove_speckles(const Array& disparity, const Array& scratch, std::size_t smallest,
                     float difference) {
  require(is_image(disparity, 'f'), "remove_speckles: disparity must be (H, W) float32");
  const std::size_t height = disparity.shape[0], width = disparity.shape[1];
  require(scratch.type == 'I' && scratch.is_aligned() && scratch.shape == Shape{3, height, width},
          "remove_speckles: scratch must be (3, H, W) uint32");
  require(!overlap(disparity, scratch), "remove_speckles: the arrays must not overlap");
  float* const pixels = values_of<float>(disparity);
  Runs runs(pixels, width, values_of<std::uint32_t>(scratch), disparity.count(), difference);
  std::uint32_t above = 0;
  for (std::size_t y = 0; y < height; ++y) {
    const std::uint32_t first = runs.count();
    runs.add_row(y);
    if (y > 0) runs.join_rows(y, above, first);
    above = first;
  }
  std::uint32_t run = 0;
  for (std::size_t y = 0; y < height; ++y) {
    float* const row = pixels + y * width;
    for (std::size_t x = 0; x < width; x = runs.end(run++)) {
      if (runs.size(run) < smallest) std::fill(row + x, row + runs.end(run), 0.0F);
    }
  }
}

void fill_holes(const Array& source, const Array& destination, const Array& scratch,
                const std::string& mode, std::size_t longest, float scale, float delta) {
  require(is_image(source, 'H') && is_image(destination, 'H') && source.shape == destination.shape,
          "fill_holes: must be (H, W) uint16, both alike");
  const std::size_t height = source.shape[0], width = source.shape[1];
  require(scratch.type == 'I' && scratch.is_aligned() && scratch.count() >= width,
          "fill_holes: scratch must be uint32 with at least W elements");
  require(
      !overlap(source, destination) && !overlap(source, scratch) && !overlap(destination, scratch),
      "fill_holes: the arrays must not overlap");
  const Filling filling{fill_of(mode), longest, scale, delta};
  const Depth* const from = values_of<Depth>(source);
  Depth* const to = values_of<Depth>(destination);
  auto* const next = values_of<std::uint32_t>(scratch);
  std::copy_n(from, source.count(), to);
  std::fill_n(next, width, 0U);
  for (std::size_t y = 0; y < height; ++y) {
    fill_row(from + y * width, to + y * width, width, filling);
    if (filling.mode != Fill::left) fill_columns(from, to, next, y, width, filling);
  }
}

}  // namespace depthai
