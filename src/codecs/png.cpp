// PNG with libpng.

#ifdef DEPTHAI_HAS_PNG
#include <png.h>
#include <zlib.h>
#endif

#include <csetjmp>
#include <exception>

#include "codecs/image.hpp"

namespace depthai {

#ifdef DEPTHAI_HAS_PNG
namespace {

constexpr int kLastFast = 3;                     // level without a search, of gray images
constexpr std::size_t kMostColumns = 1'000'000;  // libpng refuses more, and as many rows

/// libpng ends a call that failed with longjmp: functions that it calls, or that call it, have no
/// objects with destructors then.
class PngEncoder {
 public:
  PngEncoder(const Image& image, Rows& rows, int level, Output& output)
      : image_(image), rows_(rows), level_(level), output_(output) {}
  PngEncoder(const PngEncoder&) = delete;
  PngEncoder& operator=(const PngEncoder&) = delete;
  ~PngEncoder() { png_destroy_write_struct(&png_, &info_); }

  void encode() {
    png_ = png_create_write_struct(PNG_LIBPNG_VER_STRING, this, &on_error, &on_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) throw std::bad_alloc();
    if (setjmp(jump_) != 0) {
      throw EncodeError("PNG of " + size_text(image_.width, image_.height) + ": " + text_);
    }
    compress();
  }

 private:
  static PngEncoder& self(png_structp png) {
    return *static_cast<PngEncoder*>(png_get_error_ptr(png));
  }
  [[noreturn]] static void on_error(png_structp png, png_const_charp text) {
    PngEncoder& encoder = self(png);
    std::strncpy(encoder.text_, text, sizeof(encoder.text_) - 1);
    std::longjmp(encoder.jump_, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}
  static void on_bytes(png_structp png, png_bytep bytes, std::size_t count) {
    bool has_room = true;
    try {
      self(png).output_.append(bytes, count);
    } catch (const std::exception&) {
      has_room = false;
    }
    if (!has_room) png_error(png, "out of memory");
  }

  /// Gray images of a camera are noise: to search them for repeated bytes costs time and, at low
  /// levels, also bytes.
  int strategy() const {
    return level_ <= kLastFast && image_.layout == Layout::gray ? Z_RLE : Z_DEFAULT_STRATEGY;
  }

  void compress() {
    const bool is_deep = image_.layout == Layout::gray16;
    png_set_write_fn(png_, this, &on_bytes, nullptr);
    png_set_compression_level(png_, level_);
    // Depth from disparity has few values, which repeat; differences have more.
    png_set_filter(png_, PNG_FILTER_TYPE_BASE, is_deep ? PNG_FILTER_NONE : PNG_FILTER_SUB);
    png_set_compression_strategy(png_, strategy());
    png_set_compression_buffer_size(png_, std::size_t{64} << 10);
    png_set_IHDR(png_, info_, static_cast<png_uint_32>(image_.width),
                 static_cast<png_uint_32>(image_.height), is_deep ? 16 : 8,
                 image_.layout == Layout::bgr ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png_, info_);
    if (image_.layout == Layout::bgr) png_set_bgr(png_);
    if (is_deep) png_set_swap(png_);  // this machine's first byte is the lowest
    for (std::size_t y = 0; y < image_.height; ++y) png_write_row(png_, rows_.row(y));
    png_write_end(png_, info_);
  }

  const Image& image_;
  Rows& rows_;
  const int level_;
  Output& output_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::jmp_buf jump_;
  char text_[128] = {};
};

/// The rows of an image as they are.
class PlainRows : public Rows {
 public:
  explicit PlainRows(const Image& image)
      : data_(image.data), row_bytes_(image.width * (image.layout == Layout::bgr ? 3 : 1)) {}
  const std::uint8_t* row(std::size_t number) noexcept override {
    return data_ + number * row_bytes_;
  }

 private:
  const std::uint8_t* const data_;
  const std::size_t row_bytes_;
};

/// I420 as BGR, two rows at a time.
class BgrRows : public Rows {
 public:
  explicit BgrRows(const Image& image)
      : image_(image),
        planes_(3 * image.width),
        bgr_(6 * image.width),
        from_{planes_.data(), planes_.size(), 'B', 1, {3, image.width}},
        to_{bgr_.data(), bgr_.size(), 'B', 1, {2, image.width, 3}} {}
  const std::uint8_t* row(std::size_t number) noexcept override {
    const std::size_t width = image_.width, half = width / 2, area = image_.pixels();
    if (number % 2 == 0) {
      const std::uint8_t* const u = image_.data + area + number / 2 * half;
      std::memcpy(planes_.data(), image_.data + number * width, 2 * width);
      std::memcpy(planes_.data() + 2 * width, u, half);
      std::memcpy(planes_.data() + 2 * width + half, u + area / 4, half);
      bgr_from_i420(from_, to_);
    }
    return bgr_.data() + number % 2 * 3 * width;
  }

 private:
  const Image& image_;
  Buffer planes_, bgr_;
  const Array from_, to_;
};

}  // namespace

bool has_png() { return true; }

void write_png(Output& output, const Image& image, Rows& rows, int level) {
  require_between("png level", level, 0, 9);
  if (image.width > kMostColumns || image.height > kMostColumns) {
    throw EncodeError("PNG holds at most " + std::to_string(kMostColumns) +
                      " columns and rows; the image has " + size_text(image.width, image.height));
  }
  PngEncoder(image, rows, level, output).encode();
}

Encoded encode_png(const Array& pixels, const std::string& encoding, int level) {
  Image image = image_of(pixels, encoding, kColors);
  const std::unique_ptr<Rows> rows = image.layout == Layout::i420
                                         ? std::unique_ptr<Rows>(new BgrRows(image))
                                         : std::unique_ptr<Rows>(new PlainRows(image));
  Image written = image;
  if (image.layout == Layout::i420) written.layout = Layout::bgr;
  Output output(4096 + image.pixels() * (written.layout == Layout::bgr ? 2 : 1));
  write_png(output, written, *rows, level);
  return output.take();
}

#else

bool has_png() { return false; }

void write_png(Output&, const Image&, Rows&, int) {
  throw EncodeError("this build has no PNG: it was made without libpng");
}

Encoded encode_png(const Array&, const std::string&, int) {
  throw EncodeError("this build has no PNG: it was made without libpng");
}

#endif

}  // namespace depthai
