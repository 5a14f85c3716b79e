/// The emulated /sys and /dev: hubs, and boards that come and go.
#pragma once

#include <umockdev.h>

#include <string>

#include "place.hpp"

namespace rig {

/// Root hubs and the hubs on the way to `port`, on the USB 2 and the USB 3 bus, once.
void add_hubs(UMockdevTestbed* testbed, const std::string& port);

/// Show the board as what it is now.
void plug(UMockdevTestbed* testbed, Place& place);

/// Take it away again.
void unplug(UMockdevTestbed* testbed, Place& place);

}  // namespace rig
