// The data of a compressedDepth message. Source: compressed_depth_image_transport.

#include <algorithm>
#include <cmath>
#include <limits>

#include "codecs/image.hpp"
#include "kernels/loops.hpp"

namespace depthai {
namespace {

/// The start of the data: how a pixel of 32FC1 was quantised; zeros for 16UC1.
struct ConfigHeader {
  std::int32_t format = 0;  // "inverse depth"
  float a = 0, b = 0;       // pixel = a / depth + b
};
static_assert(sizeof(ConfigHeader) == 12, "as on the wire");

constexpr float kLargest = 65535.0F;

/// Depth in m -> quantised inverse depth; 0 if there is none.
DEPTHAI_FOR_EACH_CPU void quantise(const float* __restrict from, std::uint16_t* __restrict to,
                                   std::size_t count, float most, ConfigHeader header) {
  for (std::size_t i = 0; i < count; ++i) {
    const bool is_measured = from[i] > 0 && from[i] < most;
    const float depth = is_measured ? from[i] : most;
    const float value = header.a / depth + header.b;
    const int whole = static_cast<int>(value < kLargest ? value : kLargest);
    to[i] = static_cast<std::uint16_t>(is_measured ? whole : 0);
  }
}

DEPTHAI_FOR_EACH_CPU void keep_up_to(std::uint16_t most, const std::uint16_t* __restrict from,
                                     std::uint16_t* __restrict to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) to[i] = from[i] <= most ? from[i] : std::uint16_t{0};
}

/// The pixels that are written.
class Depth {
 public:
  Depth(const Image& image, const DepthFormat& format) : image_(image) {
    if (!is_float()) {
      most_ = static_cast<std::uint16_t>(std::min(format.depth_max * 1000.0, double{kLargest}));
      return;
    }
    const auto z0 = static_cast<float>(format.depth_quantization);
    most_m_ = static_cast<float>(format.depth_max);
    header_.a = z0 * (z0 + 1.0F);
    header_.b = 1.0F - header_.a / most_m_;
  }
  bool is_float() const { return image_.layout == Layout::metres; }
  std::size_t width() const { return image_.width; }
  std::size_t height() const { return image_.height; }
  std::uint16_t most() const { return is_float() ? std::uint16_t{0xFFFF} : most_; }
  const ConfigHeader& header() const { return header_; }
  const std::uint16_t* millimetres() const {
    return reinterpret_cast<const std::uint16_t*>(image_.data);
  }

  void write(std::size_t first, std::size_t count, std::uint16_t* to) const {
    if (is_float()) {
      quantise(reinterpret_cast<const float*>(image_.data) + first, to, count, most_m_, header_);
    } else {
      keep_up_to(most_, millimetres() + first, to, count);
    }
  }

 private:
  const Image& image_;
  std::uint16_t most_ = 0;
  float most_m_ = 0;
  ConfigHeader header_;
};

class DepthRows : public Rows {
 public:
  explicit DepthRows(const Depth& depth)
      : depth_(depth), memory_(depth.width() * sizeof(std::uint16_t)) {}
  const std::uint8_t* row(std::size_t number) noexcept override {
    auto* const to = reinterpret_cast<std::uint16_t*>(memory_.data());
    depth_.write(number * depth_.width(), depth_.width(), to);
    return memory_.data();
  }

 private:
  const Depth& depth_;
  Buffer memory_;
};

void write_depth_png(Output& output, const Depth& depth, int level) {
  DepthRows rows(depth);
  output.reserve(4096 + depth.width() * depth.height());
  write_png(output, {nullptr, depth.width(), depth.height(), Layout::gray16}, rows, level);
}

void write_depth_rvl(Output& output, const Depth& depth, int) {
  const auto write = [&](const std::uint16_t* pixels) {
    write_rvl(output, pixels, depth.width(), depth.height(), depth.most());
  };
  if (!depth.is_float()) return write(depth.millimetres());
  const std::size_t count = depth.width() * depth.height();
  Buffer memory(count * sizeof(std::uint16_t));
  auto* const quantised = reinterpret_cast<std::uint16_t*>(memory.data());
  depth.write(0, count, quantised);
  write(quantised);
  // compressed_depth_image_transport takes a shorter 32FC1 image for damaged; it does not read what
  // follows the last pixel.
  const std::size_t least = sizeof(ConfigHeader) + (count + 4) / 5;
  if (output.size() >= least) return;
  output.reserve(least);
  std::fill(output.data() + output.size(), output.data() + least, std::uint8_t{0});
  output.set_size(least);
}

struct Codec {
  const char* name;
  void (*write)(Output&, const Depth&, int level);
};

constexpr Codec kCodecs[] = {{"png", &write_depth_png}, {"rvl", &write_depth_rvl}};

}  // namespace

Encoded encode_depth(const Array& depth, const std::string& encoding, const DepthFormat& format) {
  const Image image = image_of(depth, encoding, kDepths);
  require_between("depth max", format.depth_max, 0.001, 1e6);
  require_between("depth quantization", format.depth_quantization, 0.001, 1e6);
  for (const Codec& codec : kCodecs) {
    if (format.codec != codec.name) continue;
    const Depth source(image, format);
    Output output(sizeof(ConfigHeader));
    output.append(&source.header(), sizeof(ConfigHeader));
    codec.write(output, source, format.png_level);
    return output.take();
  }
  throw EncodeError("the depth format '" + format.codec + "' is unknown; known: png, rvl");
}

}  // namespace depthai
