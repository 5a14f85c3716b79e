// The USB part of the core's Python face.

#include "python_usb.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <unistd.h>

#include <cmath>
#include <thread>

#include "usb_boot.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace depthai {
namespace {

/// Sleeps without the GIL; Ctrl-C is seen (signals are the main thread's affair).
void pause_for(std::chrono::milliseconds time) {
  std::this_thread::sleep_for(time);
  if (::getpid() != ::gettid()) return;
  const py::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

std::shared_ptr<UsbTransport> open_from_python(const std::string& selector,
                                               const py::bytes& firmware, double timeout_s) {
  char* data = nullptr;
  py::ssize_t size = 0;
  if (PyBytes_AsStringAndSize(firmware.ptr(), &data, &size) != 0) throw py::error_already_set();
  const Firmware image{reinterpret_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)};
  const auto limit = std::chrono::milliseconds(
      static_cast<long long>(std::fmin(std::fmax(timeout_s, 0.0), 1e8) * 1e3));
  const py::gil_scoped_release no_gil;
  return open_usb(selector, image, limit, &pause_for);
}

}  // namespace

void bind_usb(py::module_& m) {
  py::class_<UsbTransport, Transport, std::shared_ptr<UsbTransport>>(m, "UsbTransport")
      .def_property_readonly("mx_id", &UsbTransport::mx_id)
      .def_property_readonly("speed", [](const UsbTransport& self) { return self.board().speed; })
      .def_property_readonly("location",
                             [](const UsbTransport& self) { return self.board().location(); })
      .def_property_readonly("was_running", &UsbTransport::was_running);
  m.def("open_usb", &open_from_python, py::kw_only(), "selector"_a, "firmware"_a,
        "timeout_s"_a = 10.0);
}

}  // namespace depthai
