#include "python/python_kernels.hpp"

#include <pybind11/stl.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <tuple>

#include "kernels/depth.hpp"
#include "kernels/depth_filters.hpp"
#include "kernels/kernels.hpp"
#include "kernels/remap.hpp"
#include "python/python_arrays.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace depthai {
namespace {

/// Run a kernel on Python arrays, without the GIL.
template <typename Kernel, typename... Sources>
void run_kernel(Kernel kernel, const py::buffer& destination, const Sources&... sources) {
  const View to(destination, kWrite);
  const std::array<View, sizeof...(sources)> from{View(sources, kRead)...};
  const NoGil no_gil;
  std::apply([&](const auto&... views) { kernel(array_of(views)..., array_of(to)); }, from);
}

/// As run_kernel, with all arrays in the kernel's order; it may write to each of them.
template <typename Kernel, typename... Buffers>
void run_in_place(Kernel kernel, const Buffers&... buffers) {
  const std::array<View, sizeof...(buffers)> views{View(buffers, kWrite)...};
  const NoGil no_gil;
  std::apply([&](const auto&... view) { kernel(array_of(view)...); }, views);
}

/// An array that may be missing.
class Optional {
 public:
  explicit Optional(const std::optional<py::buffer>& source) {
    if (source) view_.emplace(*source, kRead);
    if (source) array_ = array_of(*view_);
  }
  const Array* get() const { return view_ ? &array_ : nullptr; }

 private:
  std::optional<View> view_;
  Array array_{};
};

using OptionalBytes = const std::optional<py::buffer>&;

void points(const py::buffer& depth, const py::buffer& columns, const py::buffer& rows,
            const py::buffer& destination, std::uint16_t limit, std::uint16_t decimation,
            OptionalBytes image, OptionalBytes projection, OptionalBytes pixels) {
  const Optional seen(image), matrix(projection), table(pixels);
  const PointColor color{seen.get(), matrix.get(), table.get()};
  const auto make = [&](const auto&... arrays) {
    make_points(arrays..., {decimation, limit}, color);
  };
  run_kernel(make, destination, depth, columns, rows);
}

void registered(const py::buffer& depth, const py::buffer& columns, const py::buffer& rows,
                const py::buffer& projection, const py::buffer& scratch,
                const py::buffer& destination) {
  const View memory(scratch, kWrite);
  const Array array = array_of(memory);
  const auto make = [&](const Array& from, const Array& x, const Array& y, const Array& matrix,
                        const Array& to) { register_depth(from, x, y, matrix, array, to); };
  run_kernel(make, destination, depth, columns, rows, projection);
}

std::unique_ptr<Remap> remap_of(const py::buffer& x, const py::buffer& y, std::size_t width,
                                std::size_t height) {
  const View columns(x, kRead), rows(y, kRead);
  const NoGil no_gil;
  return std::make_unique<Remap>(array_of(columns), array_of(rows), width, height);
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

void bind_depth_filters(py::module_& m) {
  using Bytes = const py::buffer&;
  const auto converted = [](auto kernel, auto... kinds) {
    return [kernel](Bytes source, Bytes destination, decltype(kinds)... values) {
      run_kernel([=](const auto&... arrays) { kernel(arrays..., values...); }, destination, source);
    };
  };
  const auto with_scratch = [](auto kernel, auto... kinds) {
    return [kernel](Bytes pixels, Bytes scratch, decltype(kinds)... values) {
      run_in_place([=](const auto&... arrays) { kernel(arrays..., values...); }, pixels, scratch);
    };
  };
  const auto in_time = [](Bytes disparity, Bytes state, Bytes history, float alpha, float delta,
                          unsigned persistence) {
    run_in_place(
        [=](const auto&... arrays) { smooth_in_time(arrays..., alpha, delta, persistence); },
        disparity, state, history);
  };
  const auto filled = [](Bytes source, Bytes destination, Bytes scratch, const std::string& mode,
                         std::size_t longest, float scale, float delta) {
    run_in_place([&](const auto&... arrays) { fill_holes(arrays..., mode, longest, scale, delta); },
                 source, destination, scratch);
  };
  m.def("keep_between", converted(&keep_between, std::uint16_t{}, std::uint16_t{}), py::kw_only(),
        "source"_a, "destination"_a, "low"_a, "high"_a);
  m.def("decimate", converted(&decimate, unsigned{}), py::kw_only(), "source"_a, "destination"_a,
        "size"_a);
  m.def("disparity_of_depth", converted(&disparity_of_depth, float{}), py::kw_only(), "source"_a,
        "destination"_a, "scale"_a);
  m.def("depth_of_disparity", converted(&depth_of_disparity, float{}), py::kw_only(), "source"_a,
        "destination"_a, "scale"_a);
  m.def("remove_speckles", with_scratch(&remove_speckles, std::size_t{}, float{}), py::kw_only(),
        "disparity"_a, "scratch"_a, "smallest"_a, "difference"_a);
  m.def("smooth_in_space", with_scratch(&smooth_in_space, float{}, float{}, unsigned{}),
        py::kw_only(), "disparity"_a, "scratch"_a, "alpha"_a, "delta"_a, "iterations"_a);
  m.def("smooth_in_time", in_time, py::kw_only(), "disparity"_a, "state"_a, "history"_a, "alpha"_a,
        "delta"_a, "persistence"_a);
  m.def("fill_holes", filled, py::kw_only(), "source"_a, "destination"_a, "scratch"_a, "mode"_a,
        "longest"_a, "scale"_a, "delta"_a);
}

void bind_depth(py::module_& m) {
  m.def("points", &points, py::kw_only(), "depth"_a, "columns"_a, "rows"_a, "destination"_a,
        "limit"_a, "decimation"_a = 1, "image"_a = py::none(), "projection"_a = py::none(),
        "pixels"_a = py::none());
  m.def("register_depth", &registered, py::kw_only(), "depth"_a, "columns"_a, "rows"_a,
        "projection"_a, "scratch"_a, "destination"_a);
  using Bytes = const py::buffer&;
  m.def(
      "undistort_depth",
      [](Bytes depth, Bytes places, Bytes left, Bytes right, Bytes destination, float measured,
         float undistorted) {
        run_kernel(
            [=](const auto&... arrays) { undistort_depth(arrays..., measured, undistorted); },
            destination, depth, places, left, right);
      },
      py::kw_only(), "depth"_a, "places"_a, "left"_a, "right"_a, "destination"_a, "measured"_a,
      "undistorted"_a);
  py::class_<Remap>(m, "Remap")
      .def(py::init(&remap_of), py::kw_only(), "x"_a, "y"_a, "width"_a, "height"_a)
      .def(
          "apply",
          [](const Remap& table, const py::buffer& source, const py::buffer& destination) {
            run_kernel([&](const auto&... arrays) { table.apply(arrays...); }, destination, source);
          },
          py::kw_only(), "source"_a, "destination"_a);
}

}  // namespace depthai
