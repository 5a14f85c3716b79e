#include "python/python_kernels.hpp"

#include <array>
#include <tuple>

#include "kernels/kernels.hpp"
#include "python/python_views.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace depthai {
namespace {

constexpr int kRead = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT;
constexpr int kWrite = kRead | PyBUF_WRITABLE;

Array array_of(const View& view) {
  const Py_buffer& buffer = view.buffer();
  // Only a single letter in native order can be a known type.
  const char* format = buffer.format ? buffer.format : "B";
  if (*format == '@' || *format == '=' || *format == '<') ++format;
  const char type = *format != '\0' && format[1] == '\0' ? *format : '?';
  return {view.data(),
          view.size(),
          type,
          static_cast<std::size_t>(buffer.itemsize),
          {buffer.shape, buffer.shape + buffer.ndim}};
}

/// Run a kernel on Python arrays, without the GIL.
template <typename Kernel, typename... Sources>
void run_kernel(Kernel kernel, const py::buffer& destination, const Sources&... sources) {
  const View to(destination, kWrite);
  const std::array<View, sizeof...(sources)> from{View(sources, kRead)...};
  const NoGil no_gil;
  std::apply([&](const auto&... views) { kernel(array_of(views)..., array_of(to)); }, from);
}

}  // namespace

void bind_kernels(py::module_& m) {
  using Bytes = const py::buffer&;
  const auto through_table = [](auto kernel) {
    return [kernel](Bytes source, Bytes table, Bytes destination, bool mirrored) {
      run_kernel([=](const auto&... arrays) { kernel(arrays..., mirrored); }, destination, source,
                 table);
    };
  };
  const auto planes = [](Bytes source, Bytes destination, bool mirrored) {
    run_kernel([=](const auto&... arrays) { interleave(arrays..., mirrored); }, destination,
               source);
  };
  const auto limited = [](auto kernel) {
    return [kernel](Bytes source, std::uint16_t limit, Bytes destination, bool mirrored) {
      run_kernel([=](const auto&... arrays) { kernel(arrays..., limit, mirrored); }, destination,
                 source);
    };
  };
  const auto whole = [](auto kernel) {
    return [kernel](Bytes source, Bytes destination) { run_kernel(kernel, destination, source); };
  };
  m.def("map_table", through_table(&map_table), py::kw_only(), "source"_a, "table"_a,
        "destination"_a, "mirrored"_a = false);
  m.def("interleave", planes, py::kw_only(), "source"_a, "destination"_a, "mirrored"_a = false);
  m.def("zero_above", limited(&zero_above), py::kw_only(), "source"_a, "limit"_a, "destination"_a,
        "mirrored"_a = false);
  m.def("metres", limited(&metres), py::kw_only(), "source"_a, "limit"_a, "destination"_a,
        "mirrored"_a = false);
  m.def("bgr_from_i420", whole(&bgr_from_i420), py::kw_only(), "source"_a, "destination"_a);
  m.def("mirror", whole(&mirror), py::kw_only(), "source"_a, "destination"_a);
  m.def("colorize", through_table(&colorize), py::kw_only(), "source"_a, "table"_a, "destination"_a,
        "mirrored"_a = false);
}

}  // namespace depthai
