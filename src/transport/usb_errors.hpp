/// What to tell somebody whose device cannot be had, and what he can do about it.
#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "transport/usb_transport.hpp"

namespace depthai {

/// Reason "absent": nothing of our vendor is plugged in.
DeviceNotFoundError absent_error(const std::string& selector);

/// Reason "mismatch": there are boards, none of them is wanted. `notes[i]` says why not.
DeviceNotFoundError mismatch_error(const std::string& selector, const std::vector<UsbBoard>& boards,
                                   const std::vector<std::string>& notes);

/// Reason "access": the node may not be opened.
DeviceNotFoundError access_error(const std::string& selector, const UsbBoard& board);

/// Reason "busy": another program has it; says which, if /proc tells.
DeviceNotFoundError busy_error(const std::string& selector, const UsbBoard& board);

/// Reason "busy": another program has claimed it; `owner` says which.
DeviceNotFoundError claimed_error(const std::string& selector, const UsbBoard& board,
                                  const std::string& owner);

/// Reason "not_returned": the firmware went in, and no booted device came.
BootError not_returned_error(const std::string& selector, const UsbBoard& rom,
                             const std::vector<UsbBoard>& boards, const std::string& transfer);

/// "03e7:2485 at 1:1.3"
std::string name_of(const UsbBoard& board);

}  // namespace depthai
