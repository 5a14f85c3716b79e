/// The USB part of the core's Python face.
#pragma once

#include <pybind11/pybind11.h>

namespace depthai {

/// Add UsbTransport and open_usb() to the module. Its errors are translated by the module.
void bind_usb(pybind11::module_& m);

}  // namespace depthai
