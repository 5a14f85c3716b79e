// Virtual MyriadX boards on an emulated /sys and /dev/bus/usb, for programs that use the real
// libusb.
//
//   usb_rig --board port=1.3,serial=…,socket=/path[,speed=high][,state=booted] [--board …]
//
// Prints "ready FOLDER": programs started with UMOCKDEV_DIR=FOLDER and the preload library see the
// boards. Then reads commands, one a line ("1.3 unplug", "1.3 stall_in"), and prints events
// ("1.3 booted"). Ends when its input ends.

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "life.hpp"
#include "sysfs.hpp"

int main(int count, char** words) {
  if (!std::getenv("LD_PRELOAD")) {  // the sender of uevents must see the emulated /sys itself
    ::setenv("LD_PRELOAD", "libumockdev-preload.so.0", 1);
    ::execv("/proc/self/exe", words);
  }
  for (int i = 1; i + 1 < count; i += 2) {
    if (std::string(words[i]) == "--board") rig::add_place(words[i + 1]);
  }
  rig::Sysfs front;
  rig::live(front, std::getenv("UMOCKDEV_DIR"));
  return 0;
}
