// The encoders of images: any pixels, sizes and settings give a whole file or an EncodeError, and
// RVL gives back each pixel.

#include <algorithm>

#include "base/error.hpp"
#include "codecs/codecs.hpp"
#include "memory.hpp"

namespace depthai::fuzz {
namespace {

constexpr const char* kEncodings[] = {"mono8", "bgr8", "i420", "16UC1", "32FC1", "rgb8"};
constexpr const char* kCodecs[] = {"jpeg", "png", "rvl", "tiff"};
constexpr char kTypes[] = {'B', 'H', 'f', 'i'};
constexpr double kLimits[] = {10.0, 0.0, 0.001, 100.0, 1e6, 1e7, -1.0, 2.5};
constexpr std::size_t kHeader = 12;  // of a compressedDepth message

/// A number behind the settings that makes every value of them possible.
int setting(Input& input) { return static_cast<int>(input.byte()) - 20; }

Shape shape_of(const std::string& encoding, Input& input) {
  const std::size_t height = input.below(40), width = input.below(200);
  if (input.below(16) == 1) return {height, width, input.below(4)};
  if (encoding == "bgr8") return {height, width, 3};
  if (encoding == "i420") return {height / 2 * 3, width & ~std::size_t{1}};
  return {height, width};
}

char type_of(const std::string& encoding, Input& input) {
  if (input.below(16) == 1) return input.one_of(kTypes);
  return encoding == "16UC1" ? 'H' : encoding == "32FC1" ? 'f' : 'B';
}

/// Reads an RVL stream, as the paper does.
class Nibbles {
 public:
  Nibbles(const std::uint8_t* next, const std::uint8_t* end) : next_(next), end_(end) {}

  std::uint32_t number() {
    std::uint32_t value = 0;
    for (unsigned bits = 0;; bits += 3) {
      if (left_ == 0) take_word();
      const std::uint32_t nibble = word_ >> 28;
      word_ <<= 4;
      --left_;
      value |= (nibble & 7) << bits;
      if (nibble < 8) return value;
    }
  }
  bool is_at_end() const { return next_ == end_; }

 private:
  void take_word() {
    expect(end_ - next_ >= 4, "RVL: the stream ends too soon");
    std::memcpy(&word_, next_, sizeof(word_));
    next_ += sizeof(word_);
    left_ = 8;
  }

  const std::uint8_t* next_;
  const std::uint8_t* const end_;
  std::uint32_t word_ = 0;
  unsigned left_ = 0;
};

std::vector<std::uint16_t> decoded(const std::uint8_t* data, std::size_t size, std::size_t count) {
  Nibbles stream(data, data + size);
  std::vector<std::uint16_t> pixels;
  std::uint16_t value = 0;
  while (pixels.size() < count) {
    pixels.resize(pixels.size() + stream.number());
    for (std::uint32_t left = stream.number(); left > 0; --left) {
      const std::uint32_t positive = stream.number();
      const auto difference =
          static_cast<std::int32_t>(positive >> 1) ^ -static_cast<std::int32_t>(positive & 1);
      value = static_cast<std::uint16_t>(value + difference);
      pixels.push_back(value);
    }
  }
  expect(pixels.size() == count && stream.is_at_end(), "RVL: other numbers of pixels");
  return pixels;
}

void check_depth(Memory& memory, const std::string& encoding, const DepthFormat& format,
                 const Encoded& coded) {
  expect(coded.size > kHeader, "depth: no header");
  if (format.codec != "rvl") return;
  const std::uint8_t* const data = coded.buffer->data() + kHeader;
  std::uint32_t size[2];
  std::memcpy(size, data, sizeof(size));
  expect(size[0] == memory.shape()[1] && size[1] == memory.shape()[0], "RVL: another size");
  const auto pixels =
      decoded(data + sizeof(size), coded.size - kHeader - sizeof(size), memory.count());
  for (std::size_t i = 0; i < pixels.size() && encoding == "16UC1"; ++i) {
    const auto source = memory.at<std::uint16_t>(i);
    const bool is_kept = source <= std::min(65535.0, format.depth_max * 1000);
    expect(pixels[i] == (is_kept ? source : 0), "RVL: another pixel");
  }
  for (std::size_t i = 0; i < pixels.size() && encoding == "32FC1"; ++i) {
    const auto source = memory.at<float>(i);
    const bool is_measured = source > 0 && source < static_cast<float>(format.depth_max);
    expect(is_measured || pixels[i] == 0, "32FC1: a pixel that was not measured");
  }
}

void check_file(const std::string& codec, const Encoded& coded) {
  const std::uint8_t* const data = coded.buffer->data();
  const auto ends = [&](const Bytes& front, const Bytes& back) {
    expect(
        coded.size > front.size() + back.size() && std::equal(front.begin(), front.end(), data) &&
            std::equal(back.rbegin(), back.rend(), std::make_reverse_iterator(data + coded.size)),
        "the file is not whole");
  };
  if (codec == "jpeg") ends({0xFF, 0xD8, 0xFF}, {0xFF, 0xD9});
  if (codec == "png") ends({0x89, 'P', 'N', 'G'}, {'I', 'E', 'N', 'D', 0xAE, 0x42, 0x60, 0x82});
}

/// Encoding, codec, shape, type, settings, place in memory, then the pixels.
void run(Input& input) {
  const std::string encoding = input.one_of(kEncodings), codec = input.one_of(kCodecs);
  const Shape shape = shape_of(encoding, input);
  const char type = type_of(encoding, input);
  const int value = setting(input);
  const DepthFormat format{codec, value, input.one_of(kLimits), input.one_of(kLimits)};
  const std::size_t options = input.byte();
  Memory memory(type, shape, options & 1, (options & 2) != 0);
  memory.fill(input.bytes(SIZE_MAX));
  const auto names = codecs();
  const bool is_built = std::find(names.begin(), names.end(), codec) != names.end();
  try {
    const bool is_depth = encoding == "16UC1" || encoding == "32FC1";
    const Encoded coded = is_depth          ? encode_depth(memory.array(), encoding, format)
                          : codec == "jpeg" ? encode_jpeg(memory.array(), encoding, value)
                                            : encode_png(memory.array(), encoding, value);
    expect(is_built || !is_depth, "a codec that is not built gives bytes");
    expect(coded.size <= coded.buffer->size(), "more bytes than the buffer has");
    if (is_depth) {
      check_depth(memory, encoding, format, coded);
    } else {
      check_file(codec == "jpeg" ? codec : "png", coded);
    }
  } catch (const EncodeError& error) {
    expect(std::strlen(error.what()) > 10, "an error without a text");
  }
}

}  // namespace
}  // namespace depthai::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  depthai::fuzz::Input input(data, size);
  depthai::fuzz::run(input);
  return 0;
}
