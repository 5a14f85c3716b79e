/// The USB part of the Python bindings.
#pragma once

#include <pybind11/pybind11.h>

namespace depthai {

/// Add UsbBoard, UsbTransport, scan_usb() and open_usb() to the module, which translates errors.
void bind_usb(pybind11::module_& m);

}  // namespace depthai
