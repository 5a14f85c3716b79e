#include "codecs/image.hpp"

#include <algorithm>
#include <cstdio>

namespace depthai {
namespace {

std::string shape_text(const Array& array) {
  std::string text;
  for (const std::size_t length : array.shape) {
    text += (text.empty() ? "(" : ", ") + std::to_string(length);
  }
  return (text.empty() ? "(" : text) + ") of type '" + array.type + "'";
}

/// How an encoding lies in memory.
struct EncodingRow {
  const char* name;
  Layout layout;
  char type;
  const char* expected;
};

constexpr EncodingRow kEncodings[] = {
    {"mono8", Layout::gray, 'B', "(H, W) uint8"},
    {"bgr8", Layout::bgr, 'B', "(H, W, 3) uint8"},
    {"i420", Layout::i420, 'B', "(H * 3 / 2, W) uint8 with even H and W"},
    {"16UC1", Layout::gray16, 'H', "(H, W) uint16"},
    {"32FC1", Layout::metres, 'f', "(H, W) float32"},
};

bool fits(const Array& pixels, const EncodingRow& row) {
  const auto& shape = pixels.shape;
  if (pixels.type != row.type || !pixels.is_aligned()) return false;
  if (row.layout == Layout::bgr) return shape.size() == 3 && shape[2] == 3;
  if (shape.size() != 2) return false;
  return row.layout != Layout::i420 || (shape[0] % 3 == 0 && shape[1] % 2 == 0);
}

}  // namespace

std::string size_text(std::size_t width, std::size_t height) {
  return std::to_string(width) + " x " + std::to_string(height) + " pixels";
}

Image image_of(const Array& pixels, const std::string& encoding,
               std::initializer_list<Layout> possible) {
  std::string known;
  for (const EncodingRow& row : kEncodings) {
    if (std::find(possible.begin(), possible.end(), row.layout) == possible.end()) continue;
    known += (known.empty() ? "" : ", ") + std::string(row.name);
    if (encoding != row.name) continue;
    if (!fits(pixels, row) || pixels.bytes == 0) {
      throw EncodeError("the image is " + shape_text(pixels) + "; " + encoding + " is " +
                        row.expected + ", with at least one pixel");
    }
    const std::size_t rows = pixels.shape[0];
    return {pixels.data, pixels.shape[1], row.layout == Layout::i420 ? rows / 3 * 2 : rows,
            row.layout};
  }
  throw EncodeError("the encoding " + encoding + " is none of " + known);
}

void require_between(const char* name, double value, double low, double high) {
  if (value >= low && value <= high) return;
  char text[160];
  std::snprintf(text, sizeof(text), "%s is %g, must be %g to %g", name, value, low, high);
  throw EncodeError(text);
}

std::vector<std::string> codecs() {
  std::vector<std::string> names;
  if (has_jpeg()) names.emplace_back("jpeg");
  if (has_png()) names.emplace_back("png");
  names.emplace_back("rvl");
  return names;
}

}  // namespace depthai
