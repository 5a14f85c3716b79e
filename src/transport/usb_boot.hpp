/// From a device selector to a running device: find it, boot it, wait for it, open it.
///
/// Source: docs/usb.md#on-the-wire
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "transport/usb_transport.hpp"

namespace depthai {

/// The image that the boot ROM gets.
struct Firmware {
  const std::uint8_t* data;
  std::size_t size;
};

/// How long to look for a board, and to wait for its return after the boot.
struct UsbLimits {
  std::chrono::nanoseconds find;
  std::chrono::nanoseconds come_back;
};

/// What the opener asks of whoever opens.
struct UsbCaller {
  /// Called while it waits, to sleep that long; may throw to give up.
  std::function<void(std::chrono::milliseconds)> pause;
  /// Called before a board is booted or reset: who has it? "" = the caller may take it.
  std::function<std::string(const UsbBoard&)> who_has;
};

/// Open a device by the text behind "usb:": "" (any), a port path ("1.3"), bus and port path
/// ("1:1.3"), or an MX id. Firmware that a killed program left running is reset first.
///
/// Throws DeviceNotFoundError and BootError, each with its reason; std::invalid_argument if the
/// selector cannot be read.
std::unique_ptr<UsbTransport> open_usb(const std::string& selector, const Firmware& firmware,
                                       const UsbLimits& limits, const UsbCaller& caller);

}  // namespace depthai
