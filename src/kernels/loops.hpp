/// What the kernels have in common: checks of their arrays, and code for several processors.
#pragma once

#include <stdexcept>

#include "kernels/kernels.hpp"

// Compiles the marked function twice, once for processors with AVX2; the dynamic loader chooses.
// Elsewhere the baseline instructions of the target are used (SSE2 alone cannot shuffle bytes; NEON
// can). Not with sanitizers, for which CMakeLists.txt chooses: the loader's choice runs before
// their initialisation.
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(DEPTHAI_SANITIZED)
#define DEPTHAI_FOR_EACH_CPU __attribute__((target_clones("avx2", "default")))
#else
#define DEPTHAI_FOR_EACH_CPU
#endif

#define DEPTHAI_INLINE inline __attribute__((always_inline))

namespace depthai {

inline void require(bool condition, const char* what) {
  if (!condition) throw std::invalid_argument(what);
}

inline bool overlap(const Array& a, const Array& b) {
  return a.data < b.data + b.bytes && b.data < a.data + a.bytes;
}

template <typename Value>
Value* values_of(const Array& array) {
  return reinterpret_cast<Value*>(array.data);
}

/// (H, W) of this type.
inline bool is_image(const Array& array, char type) {
  return array.type == type && array.shape.size() == 2 && array.is_aligned();
}

}  // namespace depthai
