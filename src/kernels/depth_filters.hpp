/// Filters on depth (uint16, mm) and on disparity (float32, px); 0 = not measured, in both.
///
/// Disparity is scale / depth, where scale is focal length (px) times baseline (mm): a step of one
/// pixel means the same at every distance, which no step in millimetres does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/kernels.hpp"

namespace depthai {

// All throw std::invalid_argument for other shapes and types than those given here, and for arrays
// that overlap or whose elements are not aligned. No memory is allocated.

/// Depth outside of low..high, mm, becomes 0. May work in place.
void keep_between(const Array& source, const Array& destination, std::uint16_t low,
                  std::uint16_t high);

/// (H, W) -> (H / size, W / size) depth, size 2 to 8: the median of what is measured in each
/// square; of two middle values the nearer one, so that each result was measured. Rows and columns
/// that fill no square are left out.
void decimate(const Array& source, const Array& destination, unsigned size);

/// Depth -> disparity of the same shape.
void disparity_of_depth(const Array& source, const Array& destination, float scale);

/// Disparity -> depth of the same shape; depth above 65535 mm becomes 0.
void depth_of_disparity(const Array& source, const Array& destination, float scale);

/// Set regions of less than `smallest` pixels to 0, in place. Neighbours (4) belong to one region
/// if their disparities differ by at most `difference`. scratch: uint32 (3, H, W).
void remove_speckles(const Array& disparity, const Array& scratch, std::size_t smallest,
                     float difference);

// alpha: weight of the new value, 0 to 1; delta: values that differ by more, px, are of another
// surface.

/// Recursive averages along rows and columns in both directions, which end at steps; in place.
/// Pixels without measurement stay so. scratch: float32, at least 16 max(H, W) elements.
void smooth_in_space(const Array& disparity, const Array& scratch, float alpha, float delta,
                     unsigned iterations);

/// Recursive average over frames, in place. state: float32, history: uint8 (last 8 frames, the
/// newest in the lowest bit), both of the same shape, zero at the start. A pixel without
/// measurement keeps its value if at least `persistence` of the last 8 frames measured it; 0 =
/// never.
void smooth_in_time(const Array& disparity, const Array& state, const Array& history, float alpha,
                    float delta, unsigned persistence);

/// Depth -> depth with small holes filled. A hole is a part of a row (mode left), or of a row or
/// column (farthest, nearest), of at most `longest` pixels, between two measured pixels whose
/// disparities, scale / depth, differ by at most `delta`. It gets the value before it, or the
/// largest or smallest one of its ends. scratch: uint32, W elements.
void fill_holes(const Array& source, const Array& destination, const Array& scratch,
                const std::string& mode, std::size_t longest, float scale, float delta);

}  // namespace depthai
