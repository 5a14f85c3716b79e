/// A MyriadX board as seen on the bus: descriptors, the boot ROM, two bulk endpoints. No transport,
/// no threads: its owner feeds it bytes and carries out its disconnects.
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

/// Faults of the board, present or future. Commands on the rig's input set them by name.
struct Faults {
  int stall_in = 0;                      // this many of the next IN transfers stall
  int stall_out = 0;                     // this many of the next OUT transfers stall
  int babble = 0;                        // this many IN packets are longer than requested
  int protocol_error = 0;                // this many IN transfers end with -EPROTO
  bool hang = false;                     // IN sends no more bytes
  bool deaf = false;                     // OUT accepts no more bytes
  bool refuse_open = false;              // access denied
  bool no_return = false;                // does not come back after the boot
  bool boot_unplug = false;              // leaves the bus in the middle of the firmware transfer
  bool rejects = false;                  // accepts the firmware and comes back unbooted
  bool short_life = false;               // leaves the bus as soon as it has booted
  bool late_news = false;                // when unplugged, transfers fail before the hub reports it
  bool unplug_at_reset = false;          // leaves the bus on a reset request
  std::int64_t unplug_after_bytes = -1;  // leaves the bus after this many IN bytes
  std::int64_t hang_after_bytes = -1;    // falls silent after this many IN bytes
  std::int64_t replug_after_bytes =
      -1;  // leaves after this many IN bytes of each boot; comes back as a ROM
};

/// The bytes of one transfer of the device: only its last packet may be short.
struct Outgoing {
  Bytes bytes;
  std::size_t done = 0;
};

class Board {
 public:
  std::string port = "1";    // path from the root hub: "1.3"
  std::string serial;        // MX id; "" = the booted device has no serial number
  std::string serial_shape;  // defect of its string descriptor, see texts in board.cpp
  std::string rom_shape;     // defect of the descriptors before the boot, and after it:
  std::string shape;         //   see kShapes in board.cpp
  bool super_speed = true;   // after the boot
  std::uint16_t rom_id = 0x2485;
  std::uint16_t rom_usb = 0x0200;  // bcdUSB
  Faults faults;
  State state = State::rom;
  std::size_t image_bytes = 0;
  std::size_t chunk_bytes = 256 << 10;  // of payloads; odd: short packets inside
  std::size_t header_part_bytes = 0;    // headers are cut here into two transfers; 0 = not cut
  std::size_t flood_bytes = 0;          // booted, it sends packets of this size without end
  bool keep_image = false;
  Bytes image;
  std::deque<Outgoing> outgoing;
  std::size_t queued_bytes = 0;
  std::uint64_t in_bytes = 0;  // sent in the present state
  std::uint64_t flooded = 0;   // of these, queued by the flood

  bool booted() const { return state == State::booted; }
  bool super() const { return booted() && super_speed; }
  bool full_speed() const { return !booted() && rom_usb < 0x0200; }
  std::size_t packet_bytes() const { return super() ? 1024 : full_speed() ? 64 : 512; }
  std::uint16_t product() const { return booted() ? 0xf63b : rom_id; }

  /// Device descriptor, then the configuration descriptor, as in sysfs.
  Bytes descriptors() const;

  /// A control request: fills `answer` and returns 0, or -EPIPE.
  int control(const std::uint8_t setup[8], Bytes& answer) const;

  /// The boot ROM takes firmware until a short transfer. True when the image is complete.
  bool take_firmware(const std::uint8_t* data, std::size_t size);

  /// Becomes another device: resets everything that belongs to the previous state.
  void appear(State as);

  /// The fault for the next IN transfer (-EPIPE, -EPROTO, -EOVERFLOW), 0 if none.
  int next_in_fault();

  /// True once, when it has sent the bytes after which it is unplugged; `comes_back`: replugged.
  bool is_pulled(bool& comes_back);

  /// True once, when it has sent the bytes after which it falls silent.
  bool has_fallen_silent();

  /// Fill an IN transfer packet by packet from the queued bytes. Returns 0 when the
  /// transfer is complete, -EAGAIN when it must wait for more, -EOVERFLOW for babble.
  int fill(Bytes& into, std::size_t wanted);

  /// Queue one transfer of the device; a header may be split.
  void queue(Bytes bytes);
  void queue_header(const Bytes& header);

  /// True if these bytes of the host are a reset request.
  static bool is_reset(const std::uint8_t* data, std::size_t size);

  /// The byte at that position of a flooding board's output.
  static std::uint8_t flood_byte(std::uint64_t position) {
    return std::uint8_t((position >> 16) + (position >> 8) * 7 + position * 3);
  }

 private:
  bool has_serial() const { return !booted() || !serial.empty(); }
  void drop(Outgoing& next, std::size_t size);
  void flood();
  Bytes flood_piece(std::size_t size);
  std::size_t quota() const;
  Bytes configuration() const;
  Bytes text_descriptor(int index) const;
};

/// Apply a setting to a board ("speed", "high"). False if no such setting exists.
bool set_board(Board& board, const std::string& word, const std::string& value);

}  // namespace rig
