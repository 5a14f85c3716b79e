/// What the encoders have in common: the image that they read, and the bytes that they write.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>

#include "base/error.hpp"
#include "codecs/codecs.hpp"

namespace depthai {

enum class Layout { gray, bgr, i420, gray16, metres };

/// Pixels of a known layout, not owned.
struct Image {
  const std::uint8_t* data;
  std::size_t width, height;
  Layout layout;

  std::size_t pixels() const { return width * height; }
};

/// "W x H pixels", for the text of an error.
std::string size_text(std::size_t width, std::size_t height);

/// Throws EncodeError if the array is empty or not of this encoding, or if that is not possible.
Image image_of(const Array& pixels, const std::string& encoding,
               std::initializer_list<Layout> possible);

constexpr std::initializer_list<Layout> kColors = {Layout::gray, Layout::bgr, Layout::i420};
constexpr std::initializer_list<Layout> kDepths = {Layout::gray16, Layout::metres};

/// Throws EncodeError with "NAME is VALUE, must be LOW to HIGH".
void require_between(const char* name, double value, double low, double high);

/// A pooled buffer that grows while an encoder appends to it.
class Output {
 public:
  explicit Output(std::size_t expected) : buffer_(std::make_shared<Buffer>(expected)) {}

  std::uint8_t* data() { return buffer_->data(); }
  std::size_t capacity() const { return buffer_->size(); }
  std::size_t size() const { return size_; }
  void set_size(std::size_t size) { size_ = size; }
  /// Make room for `least` bytes in all; the first size() stay. Throws std::bad_alloc.
  void reserve(std::size_t least) {
    if (capacity() >= least) return;
    auto larger = std::make_shared<Buffer>(least);
    std::memcpy(larger->data(), data(), size_);
    buffer_ = std::move(larger);
  }
  void append(const void* bytes, std::size_t count) {
    if (size_ + count > capacity()) reserve(2 * (size_ + count));
    if (count > 0) std::memcpy(data() + size_, bytes, count);
    size_ += count;
  }
  Encoded take() { return {std::move(buffer_), size_}; }

 private:
  std::shared_ptr<Buffer> buffer_;
  std::size_t size_ = 0;
};

/// One image row after the other; called in order of the rows, must not throw.
class Rows {
 public:
  Rows() = default;
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;
  virtual ~Rows() = default;
  /// Valid until the next call.
  virtual const std::uint8_t* row(std::size_t number) noexcept = 0;
};

/// Append a PNG: gray of 8 bits, BGR of 8 bits (`layout` bgr), or gray of 16 bits in the machine's
/// byte order. Throws EncodeError, std::bad_alloc.
void write_png(Output& output, const Image& image, Rows& rows, int level);

/// Append the numbers of columns and rows and the pixels in RVL; pixels above `most` count as 0.
/// Throws std::bad_alloc.
void write_rvl(Output& output, const std::uint16_t* pixels, std::size_t width, std::size_t height,
               std::uint16_t most);

bool has_jpeg();
bool has_png();

}  // namespace depthai
