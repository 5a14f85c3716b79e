#include <pybind11/stl.h>
#include <unistd.h>

#include <future>
#include <string>
#include <thread>
#include <utility>

#include "codecs/codecs.hpp"
#include "python/python_arrays.hpp"
#include "python/python_kernels.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace depthai {
namespace {

using Result = std::pair<std::shared_ptr<Buffer>, std::size_t>;

/// Added to the nice value of threads that encode: the link and the packet loop come first.
constexpr int kNice = 10;

/// Encode on a thread of low priority. The caller waits for it and keeps its own priority: it takes
/// the GIL again, for which the packet loop waits.
template <typename Encode>
Encoded at_low_priority(Encode encode) {
  std::packaged_task<Encoded()> task([&] {
    [[maybe_unused]] const int value = ::nice(kNice);  // a thread's own, on Linux
    return encode();
  });
  std::future<Encoded> result = task.get_future();
  std::thread(std::move(task)).join();
  return result.get();
}

/// Encode a Python array, without the GIL.
template <typename Encode>
Result encoded(const py::buffer& source, Encode encode) {
  const View view(source, kRead);
  const NoGil no_gil;
  Encoded result = at_low_priority([&] { return encode(array_of(view)); });
  return {std::move(result.buffer), result.size};
}

}  // namespace

void bind_codecs(py::module_& m) {
  const auto image = [](auto encode) {
    return [encode](const py::buffer& source, const std::string& encoding, int value) {
      return encoded(source, [&](const Array& pixels) { return encode(pixels, encoding, value); });
    };
  };
  const auto depth = [](const py::buffer& source, const std::string& encoding,
                        const std::string& codec, int png_level, double depth_max,
                        double depth_quantization) {
    const DepthFormat format{codec, png_level, depth_max, depth_quantization};
    return encoded(source,
                   [&](const Array& pixels) { return encode_depth(pixels, encoding, format); });
  };
  m.def("codecs", &codecs);
  m.def("encode_jpeg", image(&encode_jpeg), py::kw_only(), "source"_a, "encoding"_a, "quality"_a);
  m.def("encode_png", image(&encode_png), py::kw_only(), "source"_a, "encoding"_a, "level"_a);
  m.def("encode_depth", depth, py::kw_only(), "source"_a, "encoding"_a, "codec"_a, "png_level"_a,
        "depth_max"_a, "depth_quantization"_a);
}

}  // namespace depthai
