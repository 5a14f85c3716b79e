#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/depth_filters.hpp"
#include "kernels/loops.hpp"

namespace depthai {
namespace {

// ---- smooth_in_space -------------------------------------------------------------------------

struct Smoothing {
  float alpha, delta;
};

/// Rows or columns that are smoothed together, in registers.
constexpr std::size_t kLanes = 16;
// Four lanes are an instruction of every processor; of larger vectors compilers make scalar code.
typedef float Four __attribute__((vector_size(16)));
typedef std::int32_t Choice __attribute__((vector_size(16)));
/// Columns that are smoothed together: the longer their rows, the fewer pages are touched.
constexpr std::size_t kWide = 2 * kLanes;
/// Differs from every disparity by more than any step.
constexpr float kNothingYet = -1e30F;

/// One step: what is carried along goes over pixels without measurement.
DEPTHAI_INLINE void smooth_lanes(float* values, Four& carry, Smoothing smoothing) {
  Four value;
  std::memcpy(&value, values, sizeof(value));
  const Four mixed = (1 - smoothing.alpha) * carry + smoothing.alpha * value;
  const Four step = value - carry;
  const Choice near = (step <= smoothing.delta) & (step >= -smoothing.delta);
  const Four next = near ? mixed : value;
  const Choice measured = value > 0.0F;
  const Four out = measured ? next : value;
  carry = measured ? next : carry;
  std::memcpy(values, &out, sizeof(out));
}

/// There and back along `count` steps that are `stride` values apart, Groups times four lanes.
template <std::size_t Groups>
DEPTHAI_INLINE void smooth_groups(float* values, std::size_t count, std::size_t stride,
                                  Smoothing smoothing) {
  Four carry[Groups];
  const auto step = [&](float* row) {
#pragma GCC unroll 8
    for (std::size_t k = 0; k < Groups; ++k) smooth_lanes(row + 4 * k, carry[k], smoothing);
  };
  for (Four& lanes : carry) lanes = Four{} + kNothingYet;
  for (std::size_t i = 0; i < count; ++i) step(values + i * stride);
  for (Four& lanes : carry) lanes = Four{} + kNothingYet;
  for (std::size_t i = count; i-- > 0;) step(values + i * stride);
}

DEPTHAI_FOR_EACH_CPU void smooth_strip(float* values, std::size_t count, std::size_t stride,
                                       Smoothing smoothing) {
  smooth_groups<kLanes / 4>(values, count, stride, smoothing);
}

DEPTHAI_FOR_EACH_CPU void smooth_wide_strip(float* values, std::size_t count, std::size_t stride,
                                            Smoothing smoothing) {
  smooth_groups<kWide / 4>(values, count, stride, smoothing);
}

template <int A, int B, int C, int D>
DEPTHAI_INLINE Four shuffled(Four one, Four other) {
#ifdef __clang__
  return __builtin_shufflevector(one, other, A, B, C, D);
#else
  return __builtin_shuffle(one, other, Choice{A, B, C, D});
#endif
}

/// (rows, columns) -> (columns, rows) in squares of four; both are multiples of four.
DEPTHAI_FOR_EACH_CPU void transpose(const float* __restrict from, std::size_t from_stride,
                                    float* __restrict to, std::size_t to_stride, std::size_t rows,
                                    std::size_t columns) {
  for (std::size_t y = 0; y < rows; y += 4) {
    for (std::size_t x = 0; x < columns; x += 4) {
      Four in[4], out[4];
      for (std::size_t k = 0; k < 4; ++k) {
        std::memcpy(&in[k], from + (y + k) * from_stride + x, sizeof(Four));
      }
      const Four low01 = shuffled<0, 4, 1, 5>(in[0], in[1]);
      const Four low23 = shuffled<0, 4, 1, 5>(in[2], in[3]);
      const Four high01 = shuffled<2, 6, 3, 7>(in[0], in[1]);
      const Four high23 = shuffled<2, 6, 3, 7>(in[2], in[3]);
      out[0] = shuffled<0, 1, 4, 5>(low01, low23);
      out[1] = shuffled<2, 3, 6, 7>(low01, low23);
      out[2] = shuffled<0, 1, 4, 5>(high01, high23);
      out[3] = shuffled<2, 3, 6, 7>(high01, high23);
      for (std::size_t k = 0; k < 4; ++k) {
        std::memcpy(to + (x + k) * to_stride + y, &out[k], sizeof(Four));
      }
    }
  }
}

/// (lanes, width) -> (width, 16) and back; at most 16 lanes, the others are 0.
void to_lanes(const float* rows, std::size_t width, std::size_t lanes, float* strip) {
  const std::size_t whole = lanes == kLanes ? width / 4 * 4 : 0;
  transpose(rows, width, strip, kLanes, kLanes, whole);
  for (std::size_t x = whole; x < width; ++x) {
    for (std::size_t k = 0; k < kLanes; ++k) {
      strip[x * kLanes + k] = k < lanes ? rows[k * width + x] : 0.0F;
    }
  }
}

void from_lanes(const float* strip, std::size_t width, std::size_t lanes, float* rows) {
  const std::size_t whole = lanes == kLanes ? width / 4 * 4 : 0;
  transpose(strip, kLanes, rows, width, whole, kLanes);
  for (std::size_t x = whole; x < width; ++x) {
    for (std::size_t k = 0; k < lanes; ++k) rows[k * width + x] = strip[x * kLanes + k];
  }
}

void smooth_rows(float* values, std::size_t height, std::size_t width, float* strip,
                 Smoothing smoothing) {
  for (std::size_t y = 0; y < height; y += kLanes) {
    const std::size_t lanes = std::min(kLanes, height - y);
    to_lanes(values + y * width, width, lanes, strip);
    smooth_strip(strip, width, kLanes, smoothing);
    from_lanes(strip, width, lanes, values + y * width);
  }
}

/// The last columns, fewer than the lanes, go through the strip as well.
void smooth_columns(float* values, std::size_t height, std::size_t width, float* strip,
                    Smoothing smoothing) {
  std::size_t x = 0;
  for (; x + kWide <= width; x += kWide) smooth_wide_strip(values + x, height, width, smoothing);
  for (; x + kLanes <= width; x += kLanes) smooth_strip(values + x, height, width, smoothing);
  const std::size_t rest = width - x;
  if (rest == 0) return;
  std::fill_n(strip, height * kLanes, 0.0F);
  for (std::size_t y = 0; y < height; ++y) {
    std::copy_n(values + y * width + x, rest, strip + y * kLanes);
  }
  smooth_strip(strip, height, kLanes, smoothing);
  for (std::size_t y = 0; y < height; ++y) {
    std::copy_n(strip + y * kLanes, rest, values + y * width + x);
  }
}

// ---- smooth_in_time --------------------------------------------------------------------------

DEPTHAI_INLINE int bits_in(int byte) {
  byte -= (byte >> 1) & 0x55;
  byte = (byte & 0x33) + ((byte >> 2) & 0x33);
  return (byte + (byte >> 4)) & 0x0F;
}

DEPTHAI_FOR_EACH_CPU void smooth_frame(float* __restrict values, float* __restrict state,
                                       std::uint8_t* __restrict history, std::size_t count,
                                       Smoothing smoothing, int persistence) {
  for (std::size_t i = 0; i < count; ++i) {
    const float value = values[i], before = state[i];
    const int seen = history[i], frames = bits_in(seen);
    // The first frames are averaged with equal weights: a small alpha needs no time to settle.
    const float alpha = std::max(smoothing.alpha, 1.0F / static_cast<float>(frames + 1));
    const bool measured = value > 0;
    const bool same = (before > 0) & (std::fabs(value - before) <= smoothing.delta);
    const float mixed = same ? before + alpha * (value - before) : value;
    const bool kept = (persistence > 0) & (frames >= persistence);
    const float held = seen > 0 ? before : 0.0F;
    values[i] = measured ? mixed : (kept ? before : 0.0F);
    state[i] = measured ? mixed : held;
    // Another surface: what was seen before says nothing of it.
    const int past = (measured & !same) ? 0 : seen << 1;
    history[i] = static_cast<std::uint8_t>(past | static_cast<int>(measured));
  }
}

}  // namespace

void smooth_in_space(const Array& disparity, const Array& scratch, float alpha, float delta,
                     unsigned iterations) {
  require(is_image(disparity, 'f'), "smooth_in_space: disparity must be (H, W) float32");
  const std::size_t height = disparity.shape[0], width = disparity.shape[1];
  require(scratch.type == 'f' && scratch.is_aligned() &&
              scratch.count() >= kLanes * std::max(height, width),
          "smooth_in_space: scratch must be float32 with at least 16 max(H, W) elements");
  require(!overlap(disparity, scratch), "smooth_in_space: the arrays must not overlap");
  float* const values = values_of<float>(disparity);
  for (unsigned i = 0; i < iterations; ++i) {
    smooth_rows(values, height, width, values_of<float>(scratch), {alpha, delta});
    smooth_columns(values, height, width, values_of<float>(scratch), {alpha, delta});
  }
}

void smooth_in_time(const Array& disparity, const Array& state, const Array& history, float alpha,
                    float delta, unsigned persistence) {
  require(persistence <= 8, "smooth_in_time: persistence must be 0 to 8");
  require(is_image(disparity, 'f') && is_image(state, 'f') && is_image(history, 'B') &&
              state.shape == disparity.shape && history.shape == disparity.shape,
          "smooth_in_time: disparity and state must be (H, W) float32, history (H, W) uint8");
  require(!overlap(disparity, state) && !overlap(disparity, history) && !overlap(state, history),
          "smooth_in_time: the arrays must not overlap");
  smooth_frame(values_of<float>(disparity), values_of<float>(state), history.data,
               disparity.count(), {alpha, delta}, static_cast<int>(persistence));
}

}  // namespace depthai
