/// Encoders of images: JPEG, PNG and RVL. Nothing here keeps a state: all may be called at once.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/buffer.hpp"
#include "kernels/kernels.hpp"

namespace depthai {

/// The first `size` bytes of the buffer.
struct Encoded {
  std::shared_ptr<Buffer> buffer;
  std::size_t size;
};

/// The formats that this build can write, of "jpeg", "png" and "rvl".
std::vector<std::string> codecs();

// All throw EncodeError for an image or a setting that the format cannot hold, std::bad_alloc.
// Encodings: "mono8", (H, W) uint8; "bgr8", (H, W, 3) uint8; "i420", (H * 3 / 2, W) uint8 with even
// H and W, levels of 16..235 as in bgr_from_i420().

/// JPEG, colours in 4:2:0; quality 1 to 100.
Encoded encode_jpeg(const Array& pixels, const std::string& encoding, int quality);

/// PNG of 8 bits, gray or RGB; level 1 to 9, of zlib.
Encoded encode_png(const Array& pixels, const std::string& encoding, int level);

/// The names and meanings are those of compressed_depth_image_transport.
struct DepthFormat {
  std::string codec;  // "png" or "rvl"
  int png_level = 3;
  double depth_max = 10.0;            // m
  double depth_quantization = 100.0;  // of 32FC1 only
};

/// The data of a compressedDepth message. "16UC1", (H, W) uint16, mm: exact up to the maximum, 0
/// above. "32FC1", (H, W) float32, m: quantised; 0 for NaN and what is not between 0 and the
/// maximum.
Encoded encode_depth(const Array& depth, const std::string& encoding, const DepthFormat& format);

}  // namespace depthai
