// The USB part of the Python bindings.

#include "python/python_usb.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <unistd.h>

#include <cmath>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "transport/usb_boot.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace depthai {
namespace {

/// Sleep without the GIL, then handle Ctrl-C (main thread only) and ask `should_stop`.
void pause_for(std::chrono::milliseconds time, const py::object& should_stop) {
  std::this_thread::sleep_for(time);
  const py::gil_scoped_acquire gil;
  if (::getpid() == ::gettid() && PyErr_CheckSignals() != 0) throw py::error_already_set();
  if (!should_stop.is_none() && should_stop().cast<bool>()) {
    throw LinkError("usb: the search was stopped by the caller");
  }
}

std::string ask_who_has(const UsbBoard& board, const py::object& who_has) {
  const py::gil_scoped_acquire gil;
  return who_has.is_none() ? "" : who_has(board.location()).cast<std::string>();
}

std::shared_ptr<UsbTransport> open_from_python(const std::string& selector,
                                               const py::bytes& firmware, double timeout_s,
                                               std::optional<double> find_s,
                                               const py::object& who_has,
                                               const py::object& should_stop) {
  char* data = nullptr;
  py::ssize_t size = 0;
  if (PyBytes_AsStringAndSize(firmware.ptr(), &data, &size) != 0) throw py::error_already_set();
  const Firmware image{reinterpret_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)};
  const auto limit = [](double seconds) {
    return std::chrono::milliseconds(
        static_cast<long long>(std::fmin(std::fmax(seconds, 0.0), 1e8) * 1e3));
  };
  const UsbLimits limits{limit(find_s.value_or(timeout_s)), limit(timeout_s)};
  const UsbCaller caller{
      [&](std::chrono::milliseconds time) { pause_for(time, should_stop); },
      [&](const UsbBoard& board) { return ask_who_has(board, who_has); },
  };
  const py::gil_scoped_release no_gil;
  return open_usb(selector, image, limits, caller);
}

std::vector<UsbBoard> scan_from_python() {
  const py::gil_scoped_release no_gil;
  try {
    return scan_usb();
  } catch (const UsbError& error) {
    throw DeviceNotFoundError(std::string("usb: ") + error.what(), "");
  }
}

}  // namespace

void bind_usb(py::module_& m) {
  py::class_<UsbBoard>(m, "UsbBoard")
      .def_readonly("product", &UsbBoard::product)
      .def_readonly("bus", &UsbBoard::bus)
      .def_readonly("address", &UsbBoard::address)
      .def_readonly("port", &UsbBoard::port)
      .def_readonly("speed", &UsbBoard::speed)
      .def_property_readonly("location", &UsbBoard::location)
      .def_property_readonly("node", &UsbBoard::node)
      .def_property_readonly("is_booted", &UsbBoard::is_booted);
  m.def("scan_usb", &scan_from_python);
  py::class_<UsbTransport, Transport, std::shared_ptr<UsbTransport>>(m, "UsbTransport")
      .def_property_readonly("mx_id", &UsbTransport::mx_id)
      .def_property_readonly("speed", [](const UsbTransport& self) { return self.board().speed; })
      .def_property_readonly("location",
                             [](const UsbTransport& self) { return self.board().location(); })
      .def_property_readonly("was_running", &UsbTransport::was_running);
  m.def("open_usb", &open_from_python, py::kw_only(), "selector"_a, "firmware"_a,
        "timeout_s"_a = 10.0, "find_s"_a = py::none(), "who_has"_a = py::none(),
        "should_stop"_a = py::none());
}

}  // namespace depthai
