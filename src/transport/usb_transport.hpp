/// USB: scan for boards, open them, transfer bytes. All code that needs libusb.
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

/// A device of our vendor at the time of one scan.
struct UsbBoard {
  std::uint16_t product = 0;
  std::uint16_t usb_version = 0;  // bcdUSB
  int bus = 0;
  int address = 0;    // changes each time the device appears
  std::string port;   // path from the root hub: "1.3"
  std::string speed;  // LOW, FULL, HIGH, SUPER, SUPER_PLUS, UNKNOWN

  bool is_rom() const { return product == kRomProduct; }
  bool is_booted() const { return product == kBootedProduct; }
  bool is(const UsbBoard& other) const { return bus == other.bus && address == other.address; }
  std::string location() const { return std::to_string(bus) + ":" + port; }
  /// "/dev/bus/usb/001/004"
  std::string node() const;
};

/// An error of libusb.
class UsbError : public Error {
 public:
  enum class Kind { access, busy, gone, timeout, failed };
  UsbError(Kind kind, const std::string& message) : Error(message), kind_(kind) {}
  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

/// All devices of our vendor. Each scan makes a new libusb context: without udevd (in a container)
/// a context does not see devices that appear later. Throws UsbError.
std::vector<UsbBoard> scan_usb();

/// True if the board has left the bus. Waits up to 0.3 s before it returns false: after a cable was
/// pulled a transfer fails before the hub reports the change.
bool has_left_the_bus(const UsbBoard& board);

/// An open device. Its calls block and must not overlap.
class UsbDevice {
 public:
  /// Throws UsbError.
  explicit UsbDevice(const UsbBoard& board);
  UsbDevice(const UsbDevice&) = delete;
  UsbDevice& operator=(const UsbDevice&) = delete;
  ~UsbDevice();

  const UsbBoard& board() const { return board_; }

  /// The serial number; "" if there is none or it cannot be read.
  std::string serial();
  /// Select configuration 1, which the boot ROM needs. Throws UsbError.
  void configure();
  /// Claim interface 0 for this process. Throws UsbError.
  void claim();
  /// The first bulk endpoint of interface 0 in that direction with a packet size that USB allows;
  /// 0 if there is none.
  std::uint8_t bulk_endpoint(bool in) const;

  /// One bulk transfer. Returns the number of bytes transferred. Throws UsbError.
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

/// The byte pipe of a booted device: bulk OUT 0x01 and bulk IN 0x81. A read requests no more bytes
/// than its caller: the device ends a transfer with each message.
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

  /// The device's serial number; "" if it has none.
  const std::string& mx_id() const { return mx_id_; }
  const UsbBoard& board() const { return board_; }
  /// True if the board still ran the firmware of an ended program and was reset first.
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
  std::unique_ptr<UsbDevice> device_;  // freed once closed and without users
  const std::string mx_id_;
  std::mutex mutex_;  // guards the transfers in flight and the members below
  bool closed_ = false;
  int users_ = 0;  // running calls of read_exactly() and write()
  const std::unique_ptr<EndpointQueue> in_, out_;
};

}  // namespace depthai
