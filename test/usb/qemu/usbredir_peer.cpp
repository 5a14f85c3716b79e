// Virtual MyriadX boards for a guest's xHCI: the far end of QEMU's usb-redir devices.
//
//   usbredir_peer FD…        one connected socket for each port of the guest, from port 1 on
//
// Reads commands, one a line ("board port=1,serial=…", "1 unplug", "reset"), and prints events
// ("1 booted"). Ends when its input ends.

#include <cstdlib>
#include <vector>

#include "guest_bus.hpp"

int main(int count, char** words) {
  std::vector<int> sockets;
  for (int i = 1; i < count; ++i) sockets.push_back(std::atoi(words[i]));
  rig::GuestBus bus(sockets);
  rig::live(bus, "");
  return 0;
}
