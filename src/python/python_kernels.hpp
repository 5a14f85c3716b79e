/// Kernels and codecs in the Python bindings.
#pragma once

#include <pybind11/pybind11.h>

namespace depthai {

/// Add the kernels, which work on arrays without the GIL.
void bind_kernels(pybind11::module_& m);

/// Add the filters on depth, likewise.
void bind_depth_filters(pybind11::module_& m);

/// Add points, registration and rectification.
void bind_depth(pybind11::module_& m);

/// Add the encoders of images.
void bind_codecs(pybind11::module_& m);

}  // namespace depthai
