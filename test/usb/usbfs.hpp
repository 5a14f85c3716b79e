/// The calls of /dev/bus/usb (usbdevfs) that libusb makes.
#pragma once

#include <umockdev.h>

#include "place.hpp"

namespace rig {

/// Signal "handle-ioctl"; `data` is the Place.
gboolean on_ioctl(UMockdevIoctlBase*, UMockdevIoctlClient* caller, gpointer data);

/// Signal "client-vanished": a program closed the node or ended.
void on_vanished(UMockdevIoctlBase*, UMockdevIoctlClient* caller, gpointer data);

}  // namespace rig
