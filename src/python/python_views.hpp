/// What all parts of the Python bindings need: to work without the GIL, and on Python's memory.
#pragma once

#include <cxxabi.h>
#include <pybind11/pybind11.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "transport/transport.hpp"

namespace depthai {

/// Releases the GIL for its lifetime.
///
/// If a daemon thread requests the GIL while the interpreter shuts down, Python ends the thread by
/// unwinding its stack, and pybind11's own guard turns that into an abort() of the process. Here
/// such a thread sleeps until the process ends (Python itself does so from 3.14 on).
class NoGil {
 public:
  NoGil() : state_(PyEval_SaveThread()) {}
  NoGil(const NoGil&) = delete;
  NoGil& operator=(const NoGil&) = delete;
  ~NoGil() {
    try {
      PyEval_RestoreThread(state_);
    } catch (const abi::__forced_unwind&) {
      for (;;) ::pause();
    }
  }

 private:
  PyThreadState* const state_;
};

/// A contiguous view of a Python object's bytes. Make and destroy it with the GIL.
class View {
 public:
  View(const pybind11::handle& source, int flags) {
    if (PyObject_GetBuffer(source.ptr(), &view_, flags) != 0) throw pybind11::error_already_set();
  }
  View(View&& other) noexcept : view_(std::exchange(other.view_, {})) {}
  View& operator=(View&&) = delete;
  ~View() { PyBuffer_Release(&view_); }

  std::uint8_t* data() const { return static_cast<std::uint8_t*>(view_.buf); }
  std::size_t size() const { return static_cast<std::size_t>(view_.len); }
  Part part() const { return {data(), size()}; }
  /// Type and shape, if it was made with PyBUF_FORMAT.
  const Py_buffer& buffer() const { return view_; }

 private:
  Py_buffer view_{};
};

}  // namespace depthai
