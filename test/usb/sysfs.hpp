/// The emulated /sys and /dev, with hubs and boards.
#pragma once

#include <umockdev.h>

#include <string>

#include "life.hpp"

namespace rig {

class Sysfs final : public Front {
 public:
  /// With the hubs on the way to each of the places.
  Sysfs();
  ~Sysfs() override;
  void plug(Place& place) override;
  void unplug(Place& place) override;
  void tick() override;

 private:
  UMockdevTestbed* const testbed_;
};

}  // namespace rig
