/// Errors for a device that cannot be opened, with the reason and a remedy.
#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "transport/usb_transport.hpp"

namespace depthai {

/// Reason "absent": no device of vendor 03e7 is on the bus.
DeviceNotFoundError absent_error(const std::string& selector);

/// Reason "mismatch": there are boards, but none matches the selector; `notes[i]` says why not.
DeviceNotFoundError mismatch_error(const std::string& selector, const std::vector<UsbBoard>& boards,
                                   const std::vector<std::string>& notes);

/// Reason "access": no permission to open the device file.
DeviceNotFoundError access_error(const std::string& selector, const UsbBoard& board);

/// Reason "busy": another program has the device open; names it if /proc shows it.
DeviceNotFoundError busy_error(const std::string& selector, const UsbBoard& board);

/// Reason "busy": another program has locked the device; `owner` names it.
DeviceNotFoundError claimed_error(const std::string& selector, const UsbBoard& board,
                                  const std::string& owner);

/// Reason "not_returned": the firmware was sent, but no booted device appeared.
BootError not_returned_error(const std::string& selector, const UsbBoard& rom,
                             const std::vector<UsbBoard>& boards, const std::string& transfer);

/// "03e7:2485 at 1:1.3"
std::string name_of(const UsbBoard& board);

}  // namespace depthai
