// JPEG of the driver against the calls of libjpeg alone that give the same bytes, in CPU time.
//
// Usage: jpeg_planes PLANES WIDTH HEIGHT QUALITY [--json FILE]; PLANES is a file of I420 with
// levels of 16..235. libjpeg gets planes whose levels already have the full range.

#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>

// clang-format off: it needs <cstdio>
#include <jpeglib.h>
// clang-format on

#include "codecs/codecs.hpp"
#include "comparison.hpp"

namespace {

using namespace depthai;
using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kRows = 16;

struct Frame {
  Bytes planes;
  std::size_t width, height;
  int quality;
};

bench::Run cpu_of(const std::function<void()>& action) {
  return [action] {
    timespec begin{}, end{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    action();
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    return bench::Seconds(static_cast<double>(end.tv_sec - begin.tv_sec) +
                          static_cast<double>(end.tv_nsec - begin.tv_nsec) / 1e9);
  };
}

/// As OpenCV does it, in floating point.
Bytes full_range(const Frame& frame) {
  Bytes planes(frame.planes.size());
  const std::size_t area = frame.width * frame.height;
  for (std::size_t i = 0; i < planes.size(); ++i) {
    const double level = frame.planes[i];
    const double full = i < area ? (level - 16) * 255 / 219 : (level - 128) * 255 / 224 + 128;
    planes[i] = static_cast<std::uint8_t>(std::min(255.0, std::max(0.0, full + 0.5)));
  }
  return planes;
}

/// The rows of a plane for one call; the last row again below the image.
void take_rows(const Bytes& planes, std::size_t start, std::size_t width, std::size_t height,
               std::size_t first, std::size_t count, JSAMPROW* rows) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t row = std::min(first + i, height - 1);
    rows[i] = const_cast<JSAMPROW>(planes.data()) + start + row * width;
  }
}

void write_planes(jpeg_compress_struct& info, const Bytes& planes, const Frame& frame) {
  JSAMPROW rows[3][kRows];
  JSAMPARRAY components[] = {rows[0], rows[1], rows[2]};
  const std::size_t width = frame.width, height = frame.height, area = width * height;
  for (std::size_t y = 0; y < height; y += kRows) {
    take_rows(planes, 0, width, height, y, kRows, rows[0]);
    take_rows(planes, area, width / 2, height / 2, y / 2, kRows / 2, rows[1]);
    take_rows(planes, area + area / 4, width / 2, height / 2, y / 2, kRows / 2, rows[2]);
    jpeg_write_raw_data(&info, components, kRows);
  }
}

void write_gray(jpeg_compress_struct& info, const Bytes& planes, const Frame& frame) {
  JSAMPROW rows[kRows];
  for (std::size_t y = 0; y < frame.height; y += kRows) {
    const std::size_t count = std::min(kRows, frame.height - y);
    take_rows(planes, 0, frame.width, frame.height, y, count, rows);
    jpeg_write_scanlines(&info, rows, static_cast<JDIMENSION>(count));
  }
}

/// The bytes of the JPEG in `to`, which is large enough.
std::size_t with_libjpeg(const Bytes& planes, const Frame& frame, bool is_gray, Bytes& to) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* memory = to.data();
  unsigned long size = to.size();
  jpeg_mem_dest(&info, &memory, &size);
  info.image_width = static_cast<JDIMENSION>(frame.width);
  info.image_height = static_cast<JDIMENSION>(frame.height);
  info.input_components = is_gray ? 1 : 3;
  info.in_color_space = is_gray ? JCS_GRAYSCALE : JCS_YCbCr;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, frame.quality, TRUE);
  info.raw_data_in = is_gray ? FALSE : TRUE;
  jpeg_start_compress(&info, TRUE);
  (is_gray ? &write_gray : &write_planes)(info, planes, frame);
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  return size;
}

Encoded with_driver(const Frame& frame, bool is_gray) {
  auto* const data = const_cast<std::uint8_t*>(frame.planes.data());
  const std::size_t rows = is_gray ? frame.height : frame.height / 2 * 3;
  const Array pixels{data, rows * frame.width, 'B', 1, {rows, frame.width}};
  return encode_jpeg(pixels, is_gray ? "mono8" : "i420", frame.quality);
}

bench::Case of(const Frame& frame, bool is_gray) {
  const auto planes = std::make_shared<Bytes>(is_gray ? frame.planes : full_range(frame));
  const auto memory = std::make_shared<Bytes>(frame.planes.size() * 4);
  const std::size_t size = with_libjpeg(*planes, frame, is_gray, *memory);
  const Encoded ours = with_driver(frame, is_gray);
  if (size != ours.size || !std::equal(memory->begin(), memory->begin() + static_cast<long>(size),
                                       ours.buffer->data())) {
    throw std::runtime_error("the driver's JPEG and that of libjpeg are not the same");
  }
  constexpr std::size_t kImages = 5;
  const auto times = [](const std::function<void()>& action) {
    return cpu_of([action] {
      for (std::size_t i = 0; i < kImages; ++i) action();
    });
  };
  const std::size_t bytes = is_gray ? frame.width * frame.height : frame.planes.size();
  return {is_gray ? "mono8" : "i420", bytes, kImages,
          times([=] { with_libjpeg(*planes, frame, is_gray, *memory); }),
          times([=] { with_driver(frame, is_gray); })};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: jpeg_planes PLANES WIDTH HEIGHT QUALITY [--json FILE]\n");
    return 2;
  }
  try {
    std::ifstream file(argv[1], std::ios::binary);
    const Frame frame{{std::istreambuf_iterator<char>(file), {}},
                      std::stoul(argv[2]),
                      std::stoul(argv[3]),
                      std::stoi(argv[4])};
    if (frame.planes.size() != frame.width * frame.height / 2 * 3 || frame.width % kRows != 0) {
      throw std::runtime_error("the file is no I420 of that size, or its width not n * 16");
    }
    return bench::compare(argc - 4, argv + 4, {"jpeg_planes", "libjpeg", "driver"},
                          {of(frame, false), of(frame, true)});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "jpeg_planes: %s\n", error.what());
    return 1;
  }
}
