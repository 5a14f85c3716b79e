// The encoders of images with sanitizers; what decoders make of their bytes is in test/python.

#include <gtest/gtest.h>

#include <cstring>
#include <future>
#include <random>

#include "base/error.hpp"
#include "codecs/codecs.hpp"

namespace depthai {
namespace {

using Shape = std::vector<std::size_t>;
using Bytes = std::vector<std::uint8_t>;

Bytes noise(std::size_t count) {
  std::mt19937 random(7);
  Bytes bytes(count);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

Array array_of(Bytes& bytes, char type, std::size_t item_bytes, Shape shape) {
  return {bytes.data(), bytes.size(), type, item_bytes, std::move(shape)};
}

Bytes bytes_of(const Encoded& coded) {
  return {coded.buffer->data(), coded.buffer->data() + coded.size};
}

bool has(const std::string& codec) {
  for (const std::string& name : codecs()) {
    if (name == codec) return true;
  }
  return false;
}

TEST(Codecs, NoiseThatIsLargerThanExpectedGrowsTheBuffer) {
  Bytes pixels = noise(std::size_t{200} * 300 * 3);
  const Array image = array_of(pixels, 'B', 1, {200, 300, 3});
  if (has("jpeg")) {
    EXPECT_GT(encode_jpeg(image, "bgr8", 100).size, pixels.size() / 2);
  }
  if (has("png")) {
    EXPECT_GT(encode_png(image, "bgr8", 3).size, pixels.size());
  }
}

TEST(Codecs, ThreadsDoNotDisturbEachOther) {
  Bytes gray = noise(64 * 48), planes = noise(64 * 48 * 3 / 2), deep = noise(64 * 48 * 2);
  const auto all = [&] {
    std::vector<Bytes> found;
    if (has("jpeg")) {
      found.push_back(bytes_of(encode_jpeg(array_of(gray, 'B', 1, {48, 64}), "mono8", 90)));
      found.push_back(bytes_of(encode_jpeg(array_of(planes, 'B', 1, {72, 64}), "i420", 90)));
    }
    if (has("png")) {
      found.push_back(bytes_of(encode_png(array_of(planes, 'B', 1, {72, 64}), "i420", 3)));
    }
    const Array depth = array_of(deep, 'H', 2, {48, 64});
    found.push_back(bytes_of(encode_depth(depth, "16UC1", {"rvl", 3, 65.0, 100.0})));
    return found;
  };
  const auto alone = all();
  auto other = std::async(std::launch::async, [&] {
    for (int i = 0; i < 20; ++i) EXPECT_EQ(all(), alone);
  });
  for (int i = 0; i < 20; ++i) EXPECT_EQ(all(), alone);
  other.get();
}

TEST(Codecs, RvlOfAFewPixelsIsThatOfThePaper) {
  // 2 zeros, 3 measured: 10, 9, 9. Nibbles: 2; 3; 20 = 4 2 with more; -1 -> 1; 0; then 1 zero,
  // none.
  std::uint16_t values[] = {0, 0, 10, 9, 9, 0};
  Bytes pixels(sizeof(values));
  std::memcpy(pixels.data(), values, sizeof(values));
  const Array depth = array_of(pixels, 'H', 2, {2, 3});
  const Bytes coded = bytes_of(encode_depth(depth, "16UC1", {"rvl", 3, 10.0, 100.0}));
  const Bytes expected = {0,    0,    0,    0,   0, 0, 0, 0, 0, 0, 0, 0,  // header
                          3,    0,    0,    0,   2, 0, 0, 0,              // columns, rows
                          0x10, 0x10, 0xC2, 0x23};                        // the word 0x23C21010
  EXPECT_EQ(coded, expected);
}

TEST(Codecs, WhatIsNotBuiltSaysSo) {
  Bytes pixels(16);
  const Array image = array_of(pixels, 'B', 1, {4, 4});
  if (!has("jpeg")) {
    EXPECT_THROW(encode_jpeg(image, "mono8", 95), EncodeError);
  }
  if (!has("png")) {
    EXPECT_THROW(encode_png(image, "mono8", 3), EncodeError);
  }
  EXPECT_TRUE(has("rvl"));
}

}  // namespace
}  // namespace depthai
