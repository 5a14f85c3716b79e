/// The life of boards: they boot, leave the bus, come back, and execute text commands.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "place.hpp"

namespace rig {

/// Makes boards visible to programs: an emulated /sys, or the bus of a virtual machine.
class Front {
 public:
  Front() = default;
  Front(const Front&) = delete;
  Front& operator=(const Front&) = delete;
  virtual ~Front() = default;
  /// Show the board in its present state. Mutex not held, as for the others.
  virtual void plug(Place& place) = 0;
  /// Remove the board.
  virtual void unplug(Place& place) = 0;
  /// Called periodically, for other work.
  virtual void tick() {}
};

/// By port.
extern std::map<std::string, std::unique_ptr<Place>> g_places;

/// "port=1.3,serial=…,socket=/path[,speed=high][,state=booted]"
void add_place(const std::string& text);

/// Show the boards that are plugged in, read commands from standard input, one a line ("1.3
/// unplug"; "board port=…" adds one, "reset" takes all away), and let the boards live until it
/// ends. Prints "ready FOLDER", then what happens.
void live(Front& front, const std::string& folder);

}  // namespace rig
