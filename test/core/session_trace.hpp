// A whole session, as captured between the official host and a correct device.
// Source: docs/wire_format.md#xlink
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.hpp"
#include "xlink/xlink.hpp"

namespace depthai::test {

/// One request; the answer follows at once.
struct Step {
  Role from;
  xlink::Type type;
  const char* stream = "";
  std::uint32_t id = 0;
  std::uint32_t size = 0;
};

constexpr std::uint32_t kJsonBytes = 1234;
constexpr std::uint32_t kBlobBytes = 5000;
constexpr std::uint32_t kBlobWindow = 5056;
constexpr std::uint32_t kConfigBytes = 1'048'576;
constexpr std::uint32_t kDeviceWindow = 10 << 20;
constexpr std::uint32_t kFrameBytes = 921'656;
constexpr std::uint32_t kFrameWindow = 1'024'064;
constexpr int kFrames = 3;

inline std::vector<Step> session_trace() {
  using namespace xlink;
  constexpr Role kHost = Role::host, kDevice = Role::device;
  std::vector<Step> steps = {
      {kHost, kPingRequest},
      {kHost, kCreateRequest, "config_d2h", 0, 102'400},
      {kDevice, kCreateRequest, "config_d2h", 0, kDeviceWindow},
      {kDevice, kWriteRequest, "config_d2h", 0, kJsonBytes},
      {kHost, kReleaseRequest, "config_d2h", 0, kJsonBytes},
      {kHost, kCloseRequest, "config_d2h", 0},
      {kDevice, kCloseRequest, "config_d2h", 0},
      {kHost, kCreateRequest, "config_h2d", 1, 1'048'576},
      {kHost, kWriteRequest, "config_h2d", 1, kConfigBytes},
      {kDevice, kReleaseRequest, "config_h2d", 1, kConfigBytes},
      {kHost, kCloseRequest, "config_h2d", 1},
      {kHost, kCreateRequest, "host_capture", 2, 64},
      {kHost, kCreateRequest, "inBlob", 3, kBlobWindow},
      {kHost, kWriteRequest, "inBlob", 3, kBlobBytes},
      {kDevice, kReleaseRequest, "inBlob", 3, kBlobBytes},
      {kHost, kCloseRequest, "inBlob", 3},
      {kHost, kCreateRequest, "outBlob", 4, 102'400},
      {kDevice, kCreateRequest, "outBlob", 4, kDeviceWindow},
      {kDevice, kWriteRequest, "outBlob", 4, kJsonBytes},
      {kHost, kReleaseRequest, "outBlob", 4, kJsonBytes},
      {kHost, kCloseRequest, "outBlob", 4},
      {kDevice, kCloseRequest, "outBlob", 4},
      {kHost, kCreateRequest, "left", 5, kFrameWindow},
      {kDevice, kCreateRequest, "left", 5, kDeviceWindow},
  };
  for (int i = 0; i < kFrames; ++i) {
    steps.push_back({kDevice, kWriteRequest, "left", 5, kFrameBytes});
    steps.push_back({kHost, kReleaseRequest, "left", 5, kFrameBytes});
  }
  steps.push_back({kHost, kWriteRequest, "host_capture", 2, 4});
  return steps;
}

}  // namespace depthai::test
