/// Arrays of Python for the core.
#pragma once

#include "kernels/kernels.hpp"
#include "python/python_views.hpp"

namespace depthai {

constexpr int kRead = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT;
constexpr int kWrite = kRead | PyBUF_WRITABLE;

inline Array array_of(const View& view) {
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

}  // namespace depthai
