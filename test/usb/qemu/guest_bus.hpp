/// The guest's USB ports with boards in them.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "../life.hpp"
#include "guest_port.hpp"

namespace rig {

class GuestBus final : public Front {
 public:
  /// One connected socket for each port, from port 1 on.
  explicit GuestBus(const std::vector<int>& sockets);
  ~GuestBus() override;

  void plug(Place& place) override;
  void unplug(Place& place) override;

 private:
  class Seat;

  void live();
  void serve(std::size_t number);
  void watch() const;

  std::vector<std::unique_ptr<GuestPort>> ports_;
  std::vector<std::unique_ptr<Seat>> seats_;  // for each port, nullptr = nothing plugged in
  const int event_;
  bool ending_ = false;
  std::thread loop_, watcher_;
};

}  // namespace rig
