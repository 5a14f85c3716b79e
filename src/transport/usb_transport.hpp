/// USB: finding boards, opening them, moving bytes. Everything that needs libusb.
///
/// Source: docs/usb.md#on-the-wire
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "transport/transport.hpp"

namespace depthai {

constexpr std::uint16_t kUsbVendor = 0x03e7;
constexpr std::uint16_t kRomProduct = 0x2485;     // waits for firmware
constexpr std::uint16_t kBootedProduct = 0xf63b;  // firmware runs

/// A device of our vendor, as one scan saw it.
struct UsbBoard {
  std::uint16_t product = 0;
  std::uint16_t usb_version = 0;  // bcdUSB
  int bus = 0;
  int address = 0;    // another one each time it appears
  std::string port;   // path from the root hub: "1.3"
  std::string speed;  // LOW, FULL, HIGH, SUPER, SUPER_PLUS, UNKNOWN

  bool is_rom() const { return product == kRomProduct; }
  bool is_booted() const { return product == kBootedProduct; }
  bool is(const UsbBoard& other) const { return bus == other.bus && address == other.address; }
  std::string location() const { return std::to_string(bus) + ":" + port; }
  /// "/dev/bus/usb/001/004"
  std::string node() const;
};

/// What libusb says no with.
class UsbError : public Error {
 public:
  enum class Kind { access, busy, gone, timeout, failed };
  UsbError(Kind kind, const std::string& message) : Error(message), kind_(kind) {}
  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

/// All devices of our vendor. With a libusb context of its own each time: without udevd (in a
/// container) a context does not learn of devices that come later. Throws UsbError.
std::vector<UsbBoard> scan_usb();

/// True if the board is not on the bus any more. Takes up to 0.3 s to say no: a hub is slower to
/// notice than a transfer that fails.
bool has_left_the_bus(const UsbBoard& board);

/// An open device. Blocking calls, one at a time.
class UsbDevice {
 public:
  /// Throws UsbError.
  explicit UsbDevice(const UsbBoard& board);
  UsbDevice(const UsbDevice&) = delete;
  UsbDevice& operator=(const UsbDevice&) = delete;
  ~UsbDevice();

  const UsbBoard& board() const { return board_; }

  /// The serial number's text, "" if there is none or it cannot be read.
  std::string serial();
  /// Choose configuration 1, as the boot ROM wants it. Throws UsbError.
  void configure();
  /// Take interface 0 for this process alone. Throws UsbError.
  void claim();
  /// The first bulk endpoint of interface 0 in that direction, 0 if there is none with packets of
  /// a size that USB knows.
  std::uint8_t bulk_endpoint(bool in) const;

  /// One bulk transfer. Returns the bytes that moved. Throws UsbError.
  std::size_t send(std::uint8_t endpoint, const std::uint8_t* data, std::size_t size,
                   std::chrono::milliseconds limit) {
    return transfer(endpoint, const_cast<std::uint8_t*>(data), size, limit);
  }
  std::size_t receive(std::uint8_t endpoint, std::uint8_t* data, std::size_t size,
                      std::chrono::milliseconds limit) {
    return transfer(endpoint, data, size, limit);
  }

 private:
  friend class UsbTransport;
  struct Libusb;

  std::size_t transfer(std::uint8_t endpoint, std::uint8_t* data, std::size_t size,
                       std::chrono::milliseconds limit);

  const UsbBoard board_;
  const std::unique_ptr<Libusb> libusb_;
};

/// The byte pipe of a booted device: bulk OUT 0x01 and bulk IN 0x81. A read asks for no byte
/// beyond what the caller wants: the device ends a transfer with each message.
class UsbTransport final : public Transport {
 public:
  /// Take over an open, claimed device. Throws UsbError if it lacks the endpoints.
  UsbTransport(std::unique_ptr<UsbDevice> device, bool was_running);
  ~UsbTransport() override;

  void read_exactly(std::uint8_t* data, std::size_t size) override;
  void write(const Part* parts, std::size_t count) override;
  void limit_write(std::chrono::milliseconds limit) override;
  void close() noexcept override;
  std::string describe() const override { return "usb:" + board_.location(); }

  /// The device's serial number, "" if it has none.
  const std::string& mx_id() const { return mx_id_; }
  const UsbBoard& board() const { return board_; }
  /// True if firmware of an ended program had to be reset first.
  bool was_running() const { return was_running_; }

 private:
  struct EndpointQueue;
  class Use;

  void submit(EndpointQueue& queue, std::uint8_t* data, std::size_t size);
  std::size_t await_oldest(EndpointQueue& queue);
  void cancel(EndpointQueue& queue) noexcept;
  void abandon(EndpointQueue& queue) noexcept;
  [[noreturn]] void fail(const EndpointQueue& queue, int status, std::size_t done,
                         std::size_t size);
  std::unique_ptr<UsbDevice> let_go() noexcept;

  const UsbBoard board_;
  const bool was_running_;
  std::unique_ptr<UsbDevice> device_;  // let go as soon as it is closed and nobody uses it
  const std::string mx_id_;
  std::mutex mutex_;  // for the queues' transfers in flight and what follows
  bool closed_ = false;
  int users_ = 0;  // calls that read or write
  const std::unique_ptr<EndpointQueue> in_, out_;
};

}  // namespace depthai
