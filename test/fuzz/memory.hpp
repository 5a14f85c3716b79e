/// Arrays of their exact size: a byte read or written outside ends the process.
///
/// Sanitizers keep compilers from making vector code of a loop. So without one, that is, for the
/// code that users run, each array lies beside a page that ends the process when it is touched.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <numeric>
#include <utility>

#include "input.hpp"
#include "kernels/kernels.hpp"

namespace depthai::fuzz {

using Shape = std::vector<std::size_t>;

#ifdef DEPTHAI_SANITIZED
/// The sanitizer sees each byte outside.
class Fenced {
 public:
  Fenced(std::size_t size, bool) : memory_(new std::uint8_t[size]()) {}
  std::uint8_t* data() { return memory_.get(); }

 private:
  std::unique_ptr<std::uint8_t[]> memory_;
};
#else
/// Ends, or begins, at a page without access.
class Fenced {
 public:
  Fenced(std::size_t size, bool at_front) {
    static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t inner = (size + page - 1) / page * page;
    mapped_ = inner + 2 * page;
    void* const start =
        ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(start != MAP_FAILED, "no memory for an array");
    start_ = static_cast<std::uint8_t*>(start);
    ::mprotect(start_, page, PROT_NONE);
    ::mprotect(start_ + page + inner, page, PROT_NONE);
    data_ = start_ + page + (at_front ? 0 : inner - size);
  }
  Fenced(Fenced&& other) noexcept
      : start_(std::exchange(other.start_, nullptr)), data_(other.data_), mapped_(other.mapped_) {}
  Fenced& operator=(Fenced&&) = delete;
  ~Fenced() {
    if (start_ != nullptr) ::munmap(start_, mapped_);
  }
  std::uint8_t* data() { return data_; }

 private:
  std::uint8_t* start_ = nullptr;
  std::uint8_t* data_ = nullptr;
  std::size_t mapped_ = 0;
};
#endif

/// An array of its exact size, behind `offset` bytes.
class Memory {
 public:
  Memory(char type, Shape shape, std::size_t offset = 0, bool at_front = false)
      : shape_(std::move(shape)),
        type_(type),
        offset_(offset),
        count_(std::accumulate(shape_.begin(), shape_.end(), std::size_t{1}, std::multiplies<>())),
        bytes_(count_ * item()),
        memory_(offset_ + bytes_ + padding(at_front), at_front) {}
  std::size_t item() const { return type_ == 'B' ? 1 : type_ == 'H' ? 2 : 4; }
  std::size_t count() const { return count_; }
  const Shape& shape() const { return shape_; }
  std::uint8_t* data() { return memory_.data() + offset_; }
  Array array() { return {data(), bytes_, type_, item(), shape_}; }

  /// The bytes of the input, again and again with other values.
  void fill(const Bytes& pattern) {
    std::uint32_t state = 2'463'534'242;
    for (std::size_t i = 0; i < bytes_; ++i) {
      state = state * 1'664'525 + 1'013'904'223;
      const bool is_first = i < pattern.size();
      data()[i] = static_cast<std::uint8_t>(
          is_first ? pattern[i]
                   : (state >> 24) ^ (pattern.empty() ? 0 : pattern[i % pattern.size()]));
    }
  }
  template <typename Value>
  void set(std::size_t index, Value value) {
    std::memcpy(data() + index * sizeof(Value), &value, sizeof(Value));
  }
  template <typename Value>
  Value at(std::size_t index) {
    Value value{};
    std::memcpy(&value, data() + index * sizeof(Value), sizeof(Value));
    return value;
  }

 private:
  /// Of an array that is not aligned and ends at a page.
  std::size_t padding(bool at_front) const { return at_front || offset_ == 0 ? 0 : item() - 1; }

  Shape shape_;
  char type_;
  std::size_t offset_, count_, bytes_;
  Fenced memory_;
};

}  // namespace depthai::fuzz
