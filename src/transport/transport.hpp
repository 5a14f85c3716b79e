/// A reliable pipe of bytes in both directions.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace depthai {

/// Bytes to send. They must live until the write has returned.
struct Part {
  const std::uint8_t* data;
  std::size_t size;
};

/// One end of the pipe. At most one thread reads and one thread writes; any thread may call
/// `close()`.
class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  /// Fill `size` bytes at `data`; waits without limit.
  /// Throws LinkError if the pipe breaks, ends or is closed first.
  virtual void read_exactly(std::uint8_t* data, std::size_t size) = 0;

  /// Send all parts in order. On USB each part is a transfer of its own.
  /// Throws LinkError if the pipe breaks or is closed, or if the other end takes no byte within the
  /// write limit; a half-sent message cannot be withdrawn.
  virtual void write(const Part* parts, std::size_t count) = 0;

  /// Send as many bytes of the parts as possible without waiting, from the front; returns the
  /// number. 0 also if the pipe is broken: then `write()` throws the reason.
  virtual std::size_t write_now(const Part* /*parts*/, std::size_t /*count*/) noexcept { return 0; }

  /// Set how long a write waits for the other end to take the next byte. Default: no limit.
  virtual void limit_write(std::chrono::milliseconds limit) = 0;

  /// End the pipe: both directions, for both ends. Wakes reader and writer. May be repeated.
  virtual void close() noexcept = 0;

  /// A name for messages, e.g. "unix:/run/camera".
  virtual std::string describe() const = 0;

  /// Reserve the transport for one link. False if another link has it.
  bool claim() { return !claimed_.exchange(true); }

 private:
  std::atomic<bool> claimed_{false};
};

}  // namespace depthai
