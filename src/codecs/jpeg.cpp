// JPEG with libjpeg-turbo. Colours that come as I420 go to the encoder as planes.

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <exception>

#ifdef DEPTHAI_HAS_JPEG
// clang-format off: the order that they need, behind <cstdio>
#include <jpeglib.h>
#include <jerror.h>
// clang-format on
#endif

#include "codecs/image.hpp"
#include "kernels/loops.hpp"

namespace depthai {

#ifdef JCS_EXTENSIONS  // of libjpeg-turbo; another libjpeg counts as none
namespace {

// ---- 16..235 to 0..255

// A JPEG has the full range. Added to a level: 36 / 219 and 31 / 224 of it, in 1/65536; the sums
// are those of exact numbers, rounded.
constexpr int kLuma = 65536 * 36 / 219, kChroma = 65536 * 31 / 224;

template <typename Level>
DEPTHAI_INLINE int stretched(Level level, int factor) {
  const auto part = static_cast<Level>((static_cast<Level>(level * 256) * factor) >> 16);
  return level + (static_cast<Level>(part + 128) >> 8);
}

DEPTHAI_FOR_EACH_CPU void full_range_luma(const std::uint8_t* __restrict from,
                                          std::uint8_t* __restrict to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto level = static_cast<std::uint16_t>(from[i] > 16 ? from[i] - 16 : 0);
    const auto sum = static_cast<std::uint16_t>(stretched(level, kLuma));
    to[i] = static_cast<std::uint8_t>(sum > 255 ? 255 : sum);
  }
}

DEPTHAI_FOR_EACH_CPU void full_range_chroma(const std::uint8_t* __restrict from,
                                            std::uint8_t* __restrict to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto level = static_cast<std::int16_t>(from[i] - 128);
    const auto sum = static_cast<std::int16_t>(stretched(level, kChroma) + 128);
    to[i] = static_cast<std::uint8_t>(sum < 0 ? 0 : sum > 255 ? 255 : sum);
  }
}

// ---- rows for one call of libjpeg

constexpr std::size_t kStripRows = 16, kBlock = 16;  // of luma; half of both for chroma

/// 16 rows of I420 in the full range. Whole blocks: the ends of rows repeat their last pixel, and
/// the rows below the image its last row.
class Strip {
 public:
  explicit Strip(const Image& image)
      : image_(image),
        stride_((image.width + kBlock - 1) / kBlock * kBlock),
        memory_(stride_ * kStripRows / 2 * 3) {}

  /// Rows `first` to `first` + 15 of luma and the chroma of them.
  JSAMPIMAGE rows_from(std::size_t first) {
    const std::size_t area = image_.pixels(), half = image_.width / 2;
    std::uint8_t* to = memory_.data();
    to = fill(0, image_.data, {image_.width, image_.height, first, stride_}, to, &full_range_luma);
    const Plane chroma{half, image_.height / 2, first / 2, stride_ / 2};
    to = fill(1, image_.data + area, chroma, to, &full_range_chroma);
    fill(2, image_.data + area + area / 4, chroma, to, &full_range_chroma);
    return planes_;
  }

 private:
  struct Plane {
    std::size_t width, height, first, stride;
  };
  using Kernel = void (*)(const std::uint8_t*, std::uint8_t*, std::size_t);

  std::uint8_t* fill(int component, const std::uint8_t* from, const Plane& plane, std::uint8_t* to,
                     Kernel kernel) {
    const std::size_t count = component == 0 ? kStripRows : kStripRows / 2;
    for (std::size_t i = 0; i < count; ++i) {
      if (plane.first + i < plane.height) {
        kernel(from + (plane.first + i) * plane.width, to, plane.width);
        std::fill(to + plane.width, to + plane.stride, to[plane.width - 1]);
        rows_[component][i] = to;
        to += plane.stride;
      } else {
        rows_[component][i] = rows_[component][i - 1];
      }
    }
    return to;
  }

  const Image& image_;
  const std::size_t stride_;
  Buffer memory_;
  JSAMPROW rows_[3][kStripRows];
  JSAMPARRAY planes_[3] = {rows_[0], rows_[1], rows_[2]};
};

// ---- the encoder

/// libjpeg ends a call that failed with longjmp: functions that it calls, or that call it, have no
/// objects with destructors then.
class JpegEncoder {
 public:
  JpegEncoder(const Image& image, int quality)
      : image_(image), quality_(quality), strip_(image), output_(4096 + image.pixels()) {
    info_.err = jpeg_std_error(&errors_);
    errors_.error_exit = &on_error;
    errors_.output_message = [](j_common_ptr) {};
    errors_.emit_message = [](j_common_ptr, int) {};
    destination_.init_destination = &on_start;
    destination_.empty_output_buffer = &on_full;
    destination_.term_destination = &on_end;
    destination_.output = &output_;
  }
  JpegEncoder(const JpegEncoder&) = delete;
  JpegEncoder& operator=(const JpegEncoder&) = delete;
  ~JpegEncoder() { jpeg_destroy_compress(&info_); }

  Encoded encode() {
    if (setjmp(errors_.jump) != 0) {
      throw EncodeError("JPEG of " + size_text(image_.width, image_.height) + ": " + errors_.text);
    }
    compress();
    return output_.take();
  }

 private:
  struct Errors : jpeg_error_mgr {
    std::jmp_buf jump;
    char text[JMSG_LENGTH_MAX];
  };
  struct Destination : jpeg_destination_mgr {
    Output* output;
  };

  [[noreturn]] static void on_error(j_common_ptr info) {
    auto& errors = *static_cast<Errors*>(info->err);
    errors.format_message(info, errors.text);
    std::longjmp(errors.jump, 1);
  }
  static void on_start(j_compress_ptr info) { use_from(info, 0); }
  static boolean on_full(j_compress_ptr info) {
    Output& output = *static_cast<Destination*>(info->dest)->output;
    const std::size_t used = output.capacity();
    bool has_room = true;
    try {
      output.set_size(used);
      output.reserve(2 * used);
    } catch (const std::exception&) {
      has_room = false;
    }
    if (!has_room) ERREXIT1(info, JERR_OUT_OF_MEMORY, 0);
    use_from(info, used);
    return TRUE;
  }
  static void on_end(j_compress_ptr info) {
    Output& output = *static_cast<Destination*>(info->dest)->output;
    output.set_size(output.capacity() - info->dest->free_in_buffer);
  }
  static void use_from(j_compress_ptr info, std::size_t used) {
    Output& output = *static_cast<Destination*>(info->dest)->output;
    info->dest->next_output_byte = output.data() + used;
    info->dest->free_in_buffer = output.capacity() - used;
  }

  void compress() {
    jpeg_create_compress(&info_);
    info_.dest = &destination_;
    info_.image_width = static_cast<JDIMENSION>(image_.width);
    info_.image_height = static_cast<JDIMENSION>(image_.height);
    info_.input_components = image_.layout == Layout::gray ? 1 : 3;
    info_.in_color_space = image_.layout == Layout::gray  ? JCS_GRAYSCALE
                           : image_.layout == Layout::bgr ? JCS_EXT_BGR
                                                          : JCS_YCbCr;
    jpeg_set_defaults(&info_);  // 4:2:0
    jpeg_set_quality(&info_, quality_, TRUE);
    info_.raw_data_in = image_.layout == Layout::i420 ? TRUE : FALSE;
#if JPEG_LIB_VERSION >= 70
    info_.do_fancy_downsampling = FALSE;  // as raw data needs it
#endif
    jpeg_start_compress(&info_, TRUE);
    while (info_.next_scanline < info_.image_height) write_strip(info_.next_scanline);
    jpeg_finish_compress(&info_);
  }

  void write_strip(std::size_t first) {
    if (info_.raw_data_in) {
      jpeg_write_raw_data(&info_, strip_.rows_from(first), kStripRows);
      return;
    }
    JSAMPROW rows[kStripRows];
    const std::size_t row_bytes = image_.width * static_cast<std::size_t>(info_.input_components);
    const std::size_t count = std::min(kStripRows, image_.height - first);
    for (std::size_t i = 0; i < count; ++i) {
      rows[i] = const_cast<JSAMPROW>(image_.data) + (first + i) * row_bytes;
    }
    jpeg_write_scanlines(&info_, rows, static_cast<JDIMENSION>(count));
  }

  const Image& image_;
  const int quality_;
  Strip strip_;
  Output output_;
  Errors errors_{};
  Destination destination_{};
  jpeg_compress_struct info_{};
};

}  // namespace

bool has_jpeg() { return true; }

Encoded encode_jpeg(const Array& pixels, const std::string& encoding, int quality) {
  const Image image = image_of(pixels, encoding, kColors);
  require_between("jpeg quality", quality, 1, 100);
  if (image.width > JPEG_MAX_DIMENSION || image.height > JPEG_MAX_DIMENSION) {
    throw EncodeError("JPEG holds at most " + std::to_string(JPEG_MAX_DIMENSION) +
                      " columns and rows; the image has " + size_text(image.width, image.height));
  }
  return JpegEncoder(image, quality).encode();
}

#else

bool has_jpeg() { return false; }

Encoded encode_jpeg(const Array&, const std::string&, int) {
  throw EncodeError("this build has no JPEG: it was made without libjpeg-turbo");
}

#endif

}  // namespace depthai
