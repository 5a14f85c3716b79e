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

/// The firmware image for the boot ROM.
struct Firmware {
  const std::uint8_t* data;
  std::size_t size;
};

/// How long to search for a board, and to wait for its return after the boot.
struct UsbLimits {
  std::chrono::nanoseconds find;
  std::chrono::nanoseconds come_back;
};

/// Callbacks into the caller of `open_usb`.
struct UsbCaller {
  /// Sleeps for the given time; called in every wait. May throw to give up.
  std::function<void(std::chrono::milliseconds)> pause;
  /// Called before a board is booted or reset. Returns its owner; "" = it may be taken.
  std::function<std::string(const UsbBoard&)> who_has;
};

/// Open a device by the text behind "usb:": "" (any), a port path ("1.3"), bus and port path
/// ("1:1.3"), or an MX id. Firmware that a killed program left running is reset first.
///
/// Throws DeviceNotFoundError and BootError, each with its reason; std::invalid_argument for a
/// malformed selector.
std::unique_ptr<UsbTransport> open_usb(const std::string& selector, const Firmware& firmware,
                                       const UsbLimits& limits, const UsbCaller& caller);

}  // namespace depthai
