// The bytes that a fuzzer made up, read as numbers and choices; zeros when they are used up.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace depthai::fuzz {

using Bytes = std::vector<std::uint8_t>;

/// Ends the process, as a sanitizer does, if `condition` is false.
inline void expect(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : next_(data), left_(size) {}

  bool is_empty() const { return left_ == 0; }
  std::uint8_t byte() {
    if (left_ == 0) return 0;
    --left_;
    return *next_++;
  }
  /// 0 to count - 1.
  std::size_t below(std::size_t count) { return byte() % count; }
  bool flag() { return (byte() & 1) != 0; }
  std::uint32_t word() {
    std::uint8_t bytes[4] = {};
    read(bytes, sizeof(bytes));
    std::uint32_t value = 0;
    std::memcpy(&value, bytes, sizeof(value));
    return value;
  }
  /// One entry of a table.
  template <typename Value, std::size_t count>
  const Value& one_of(const Value (&table)[count]) {
    return table[below(count)];
  }
  /// At most `size` bytes; returns the number.
  std::size_t read(std::uint8_t* to, std::size_t size) {
    const std::size_t count = std::min(size, left_);
    if (count > 0) std::memcpy(to, next_, count);
    next_ += count;
    left_ -= count;
    return count;
  }
  Bytes bytes(std::size_t size) {
    Bytes result(std::min(size, left_));
    read(result.data(), result.size());
    return result;
  }
  std::string text(std::size_t size) {
    const Bytes raw = bytes(size);
    return {raw.begin(), raw.end()};
  }

 private:
  const std::uint8_t* next_;
  std::size_t left_;
};

}  // namespace depthai::fuzz
