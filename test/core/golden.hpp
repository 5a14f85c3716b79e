// The messages in test/data/xlink_messages.hex, by name.
#pragma once

#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace depthai::test {

using Bytes = std::vector<std::uint8_t>;

struct GoldenMessage {
  std::string sender;
  std::string name;
  Bytes bytes;
};

inline std::vector<GoldenMessage> golden_messages() {
  std::ifstream file(TEST_DATA "/xlink_messages.hex");
  std::vector<GoldenMessage> result;
  std::string sender, name, hex;
  while (file >> sender >> name >> hex) {
    Bytes bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
      bytes.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    }
    result.push_back({sender, name, bytes});
  }
  if (result.empty()) throw std::runtime_error("test/data/xlink_messages.hex is missing");
  return result;
}

inline Bytes golden(const std::string& name) {
  for (const GoldenMessage& message : golden_messages()) {
    if (message.name == name) return message.bytes;
  }
  throw std::runtime_error("no golden message " + name);
}

/// All bytes that one end sends in the captured session.
inline Bytes golden_stream(const std::string& sender) {
  Bytes result;
  for (const GoldenMessage& message : golden_messages()) {
    if (message.name == "create_refused") break;
    if (message.sender == sender) {
      result.insert(result.end(), message.bytes.begin(), message.bytes.end());
    }
  }
  return result;
}

}  // namespace depthai::test
