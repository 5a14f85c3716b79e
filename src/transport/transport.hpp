/// A reliable pipe of bytes in both directions.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace depthai {

/// Bytes to send. Their owner keeps them until the write has returned.
struct Part {
  const std::uint8_t* data;
  std::size_t size;
};

/// One end of the pipe. One thread reads and one thread writes at the same time; `close()` may
/// come from any third.
class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  /// Fill `size` bytes at `data`; waits as long as it takes.
  /// Throws LinkError if the pipe breaks, ends or is closed first.
  virtual void read_exactly(std::uint8_t* data, std::size_t size) = 0;

  /// Send all parts in order. Each part travels as a transfer (on USB: packets) of its own.
  /// Throws LinkError if the pipe breaks or is closed, or if the other end takes no byte for as
  /// long as the write limit: what was half sent cannot be taken back.
  virtual void write(const Part* parts, std::size_t count) = 0;

  /// Send as many bytes of the parts as leave without waiting, from the front; returns how many.
  /// 0 also if the pipe is broken: `write()` tells how.
  virtual std::size_t write_now(const Part* /*parts*/, std::size_t /*count*/) noexcept { return 0; }

  /// How long a write waits for the other end to take the next byte; without limit at first.
  virtual void limit_write(std::chrono::milliseconds limit) = 0;

  /// End the pipe: both directions, for both ends; wakes whoever reads or writes. May be repeated.
  virtual void close() noexcept = 0;

  /// What this is, for messages: "unix:/run/camera".
  virtual std::string describe() const = 0;

  /// Take it for a link. False if a link has it already.
  bool claim() { return !claimed_.exchange(true); }

 private:
  std::atomic<bool> claimed_{false};
};

}  // namespace depthai
