/// What a MyriadX board is on the bus: descriptors, the boot ROM, two bulk endpoints. No transport,
/// no threads: whoever has it feeds it bytes and carries out its disconnects.
///
/// Source: docs/usb.md#on-the-wire
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

namespace rig {

using Bytes = std::vector<std::uint8_t>;

enum class State { unplugged, rom, booting, booted };

/// What is wrong with the board, or will be. Each is asked for by name on the rig's input.
struct Faults {
  bool stall_in = false;                 // the next IN transfer stalls, once
  bool stall_out = false;                // the next OUT transfer stalls, once
  bool babble = false;                   // the next IN packet is longer than was asked for
  bool protocol_error = false;           // the next IN transfer ends with -EPROTO, once
  bool hang = false;                     // IN answers nothing any more
  bool refuse_open = false;              // access denied
  bool no_return = false;                // does not come back after the boot
  bool boot_unplug = false;              // leaves the bus in the middle of the firmware
  std::int64_t unplug_after_bytes = -1;  // leaves the bus after so many IN bytes
};

/// The bytes of one transfer of the device: only its last packet may be short.
struct Outgoing {
  Bytes bytes;
  std::size_t done = 0;
};

class Board {
 public:
  std::string port = "1";   // path from the root hub: "1.3"
  std::string serial;       // MX id; "" = the booted device has no serial number
  bool super_speed = true;  // after the boot
  std::uint16_t rom_id = 0x2485;
  std::uint16_t rom_usb = 0x0200;  // bcdUSB
  Faults faults;
  State state = State::rom;
  std::size_t image_bytes = 0;
  std::size_t chunk_bytes = 256 << 10;  // in which payloads are sent; odd: short packets inside
  bool keep_image = false;
  Bytes image;

  bool booted() const { return state == State::booted; }
  bool super() const { return booted() && super_speed; }
  std::size_t packet_bytes() const { return super() ? 1024 : 512; }
  std::uint16_t product() const { return booted() ? 0xf63b : rom_id; }

  /// Device descriptor and the one configuration behind it, as sysfs has them.
  Bytes descriptors() const {
    const std::uint16_t usb = super() ? 0x0300 : rom_usb;
    Bytes all = {18,
                 1,
                 low(usb),
                 high(usb),
                 0,
                 0,
                 0,
                 std::uint8_t(super() ? 9 : 64),
                 0xe7,
                 0x03,
                 low(product()),
                 high(product()),
                 1,
                 0,
                 1,
                 2,
                 std::uint8_t(has_serial() ? 3 : 0),
                 1};
    const Bytes configuration = this->configuration();
    all.insert(all.end(), configuration.begin(), configuration.end());
    return all;
  }

  /// A control request: fills `answer` and returns 0, or -EPIPE.
  int control(const std::uint8_t setup[8], Bytes& answer) const {
    if (setup[0] != 0x80 || setup[1] != 6) return setup[0] == 0 || setup[0] == 2 ? 0 : -EPIPE;
    const Bytes all = descriptors();
    switch (setup[3]) {
      case 1:
        answer.assign(all.begin(), all.begin() + 18);
        break;
      case 2:
        answer.assign(all.begin() + 18, all.end());
        break;
      case 3:
        answer = text_descriptor(setup[2]);
        break;
      default:
        return -EPIPE;
    }
    const std::size_t room = std::size_t(setup[6]) | std::size_t(setup[7]) << 8;
    answer.resize(std::min(answer.size(), room));
    return answer.empty() ? -EPIPE : 0;
  }

  /// The boot ROM takes firmware until a transfer ends short. True when it has all of it.
  bool take_firmware(const std::uint8_t* data, std::size_t size) {
    image_bytes += size;
    if (keep_image) image.insert(image.end(), data, data + size);
    return size % packet_bytes() != 0 || size == 0;
  }

  /// Fill an IN transfer packet by packet from what the device has queued. Returns 0 when the
  /// transfer is complete, -EAGAIN when it must wait for more, -EOVERFLOW for babble.
  int fill(Bytes& into, std::size_t wanted) {
    while (!outgoing.empty()) {
      Outgoing& next = outgoing.front();
      const std::size_t left = next.bytes.size() - next.done;
      const std::size_t room = wanted - into.size();
      const bool one_packet = left <= packet_bytes() || room < packet_bytes();
      // Whole packets at once; the last one of a transfer may be short and then ends the request.
      std::size_t take = one_packet ? std::min(left, packet_bytes())
                                    : std::min(left, room) / packet_bytes() * packet_bytes();
      if (take > room) {
        drop(next, take);
        return -EOVERFLOW;
      }
      into.insert(into.end(), next.bytes.begin() + long(next.done),
                  next.bytes.begin() + long(next.done + take));
      const bool is_short = take % packet_bytes() != 0;
      drop(next, take);
      if (is_short || into.size() == wanted) return 0;
    }
    return -EAGAIN;
  }

  std::deque<Outgoing> outgoing;
  std::size_t queued_bytes = 0;

 private:
  static std::uint8_t low(std::uint16_t value) { return std::uint8_t(value); }
  static std::uint8_t high(std::uint16_t value) { return std::uint8_t(value >> 8); }
  bool has_serial() const { return !booted() || !serial.empty(); }

  void drop(Outgoing& next, std::size_t size) {
    next.done += size;
    queued_bytes -= size;
    if (next.done == next.bytes.size()) outgoing.pop_front();
  }

  Bytes configuration() const {
    Bytes all = {9, 2, 0, 0, 1, 1,    0,    0x80, std::uint8_t(super() ? 112 : 250),
                 9, 4, 0, 0, 2, 0xff, 0xff, 0xff, 0};
    const auto size = std::uint16_t(packet_bytes());
    for (const std::uint8_t endpoint : {std::uint8_t(0x01), std::uint8_t(0x81)}) {
      const Bytes one = {7, 5, endpoint, 2, low(size), high(size), 0};
      all.insert(all.end(), one.begin(), one.end());
      const Bytes companion = {6, 0x30, 15, 0, 0, 0};
      if (super()) all.insert(all.end(), companion.begin(), companion.end());
    }
    all[2] = low(std::uint16_t(all.size()));
    all[3] = high(std::uint16_t(all.size()));
    return all;
  }

  Bytes text_descriptor(int index) const {
    if (index == 0) return {4, 3, 9, 4};
    const std::string texts[] = {"Movidius Ltd.", "Movidius MyriadX",
                                 booted() ? serial : "03e72485"};
    if (index > 3) return {};
    const std::string& text = texts[index - 1];
    Bytes all = {std::uint8_t(2 + 2 * text.size()), 3};
    for (const char letter : text) {
      all.push_back(std::uint8_t(letter));
      all.push_back(0);
    }
    return all;
  }
};

}  // namespace rig
