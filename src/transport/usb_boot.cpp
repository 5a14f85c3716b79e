#include "transport/usb_boot.hpp"

#include <algorithm>
#include <cctype>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "transport/usb_errors.hpp"
#include "xlink/xlink.hpp"

namespace depthai {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kChunkBytes = 1 << 20;
constexpr std::size_t kOldChunkBytes = 64;  // for a device whose bcdUSB is below 2.0
constexpr std::size_t kRomPacketBytes = 512;
constexpr auto kChunkLimit = 2000ms;
constexpr auto kBootLimit = 10s;
constexpr auto kAccessLimit = 2s;  // udev may still be setting the permissions
constexpr auto kMovedLimit = 2s;   // for the expected port, before another one is taken
constexpr auto kResetLimit = 3s;   // the device's own watchdog acts after 1.5 s
constexpr auto kDrainLimit = 1s;
constexpr auto kClaimLimit = 500ms;
constexpr auto kStep = 20ms;
constexpr std::size_t kLongestSelector = 64;
constexpr int kScans = 5;
constexpr int kMaxResets = 8;  // a board that comes back booted after each reset is unusable

using Boards = std::vector<UsbBoard>;
using Pause = decltype(UsbCaller::pause);

/// The parsed text after "usb:"; an empty field matches every board.
struct Wanted {
  int bus = 0;
  std::string port;
  std::string mx_id;

  bool is_at(const UsbBoard& board) const {
    return (bus == 0 || bus == board.bus) && (port.empty() || port == board.port);
  }
};

bool all_of(std::string_view text, int (*is_one)(int)) {
  return std::all_of(text.begin(), text.end(),
                     [is_one](unsigned char letter) { return is_one(letter) != 0; });
}

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 3 && all_of(text, &::isdigit);
}

/// "1", "1.3", "1.3.2"
bool is_port_path(std::string_view text) {
  const auto dot = text.find('.');
  if (dot == text.npos) return is_number(text);
  return is_number(text.substr(0, dot)) && is_port_path(text.substr(dot + 1));
}

Wanted parse(const std::string& text) {
  if (text.size() > kLongestSelector) {
    throw std::invalid_argument("device selector has " + std::to_string(text.size()) +
                                " characters, must have at most " +
                                std::to_string(kLongestSelector));
  }
  if (text.empty()) return {};
  const auto end = text.find_first_of(":-");  // 1-1.3 is the kernel's name of the port
  const std::string bus = end == text.npos ? "0" : text.substr(0, end);
  const std::string port = end == text.npos ? text : text.substr(end + 1);
  if (is_number(bus) && is_port_path(port)) return {std::stoi(bus), port, ""};
  if (text.size() >= 8 && all_of(text, &::isalnum)) return {0, "", text};
  throw std::invalid_argument("device selector is 'usb:" + text +
                              "', must be usb, usb:PORT (1.3), usb:BUS:PORT (1:1.3 or 1-1.3) or "
                              "usb:MX_ID");
}

/// Retries: a scan fails if a device leaves the bus in the middle of it.
Boards scan(const Pause& pause) {
  for (int left = kScans; left > 1; --left) {
    try {
      return scan_usb();
    } catch (const UsbError&) {
      pause(kStep);
    }
  }
  return scan_usb();
}

bool contains(const Boards& boards, const UsbBoard& board) {
  return std::any_of(boards.begin(), boards.end(),
                     [&](const UsbBoard& one) { return one.is(board); });
}

class Opener {
 public:
  Opener(const std::string& selector, const Firmware& firmware, const UsbLimits& limits,
         const UsbCaller& caller)
      : selector_(selector.empty() ? "usb" : "usb:" + selector),
        wanted_(parse(selector)),
        firmware_(firmware),
        limits_(limits),
        caller_(caller),
        pause_(caller.pause) {}

  std::unique_ptr<UsbTransport> run() {
    find_end_ = Clock::now() + limits_.find;
    for (;;) {
      const UsbBoard rom = find_rom();
      const Boards before = scan(pause_);
      const auto transfer = boot(rom);
      if (!transfer) {  // another program was faster; there may be another board
        pause_(kStep);
        continue;
      }
      auto transport = open_booted(await_return(rom, before, *transfer));
      if (wanted_.mx_id.empty() || transport->mx_id() == wanted_.mx_id) return transport;
      const UsbBoard other = transport->board();
      others_.push_back({rom.location(), transport->mx_id()});
      transport.reset();
      reset(other, nullptr);
    }
  }

 private:
  struct Seen {
    UsbBoard board;
    Clock::time_point since;
  };
  struct Other {
    std::string location, mx_id;
  };
  struct Claimed {
    std::string location, by;
  };

  // ---- finding

  /// A board that waits for firmware. Resets boards with left-over firmware.
  UsbBoard find_rom() {
    for (;;) {
      Boards boards = scan(pause_);
      for (const UsbBoard& board : boards) {
        const bool is_free = !is_other(board) && !contains(busy_, board);
        if (board.is_rom() && wanted_.is_at(board) && is_free && may_take(board)) return board;
      }
      bool was_reset = false;
      for (const UsbBoard& board : boards) {
        const bool is_old = board.is_booted() && has_been_there(board);
        if (is_old && wanted_.is_at(board) && may_take(board)) was_reset |= reset_left_over(board);
      }
      if (was_reset && ++resets_ <= kMaxResets) {
        find_end_ = std::max(find_end_, Clock::now() + kResetLimit);
      } else if (Clock::now() > find_end_) {
        give_up(boards);
      }
      pause_(5 * kStep);
    }
  }

  /// False at first: a program that has just booted the board needs kClaimLimit to claim it.
  bool has_been_there(const UsbBoard& board) {
    for (const Seen& one : seen_) {
      if (one.board.is(board)) return Clock::now() > one.since + kClaimLimit;
    }
    seen_.push_back({board, Clock::now()});
    find_end_ = std::max(find_end_, Clock::now() + 2 * kClaimLimit);
    return false;
  }

  bool is_other(const UsbBoard& board) const {
    return std::any_of(others_.begin(), others_.end(),
                       [&](const Other& one) { return one.location == board.location(); });
  }

  /// False (and noted) if another program has claimed the board.
  bool may_take(const UsbBoard& board) {
    const std::string owner = caller_.who_has(board);
    if (!owner.empty()) claimed_ = {board.location(), owner};
    return owner.empty();
  }

  [[noreturn]] void give_up(const Boards& boards) {
    if (boards.empty()) throw absent_error(selector_);
    std::vector<std::string> notes;
    for (const UsbBoard& board : boards) {
      if (wanted_.is_at(board) && contains(busy_, board)) {
        throw busy_error(selector_, board);
      }
      std::string note = board.is_rom()      ? "not booted"
                         : board.is_booted() ? "running"
                                             : "not a board with this boot ROM";
      if (wanted_.is_at(board) && board.location() == claimed_.location) {
        throw claimed_error(selector_, board, claimed_.by);
      }
      for (const Other& one : others_) {
        if (one.location == board.location()) note += ", its MX id is " + one.mx_id;
      }
      notes.push_back(note);
    }
    throw mismatch_error(selector_, boards, notes);
  }

  /// True if the board was reset: an ended program left it running and no program uses it now.
  bool reset_left_over(const UsbBoard& board) {
    auto device = open(board);
    if (device == nullptr) return false;  // it has just left the bus
    const std::string serial = device->serial();
    if (!wanted_.mx_id.empty() && serial != wanted_.mx_id) return false;
    if (!claim(*device, false)) return false;
    reset(board, std::move(device));
    was_running_ = true;
    return true;
  }

  /// Reset a booted board and wait until it has left the bus. Throws BootError.
  void reset(const UsbBoard& board, std::unique_ptr<UsbDevice> device) {
    const auto end = Clock::now() + kResetLimit;
    try {
      if (device == nullptr) {
        device = std::make_unique<UsbDevice>(board);
        device->claim();
      }
      ask_for_reset(*device);
    } catch (const UsbError&) {  // it has left, or it does not answer and its watchdog resets it
    }
    device.reset();
    while (contains(scan(pause_), board)) {
      if (Clock::now() > end) {
        throw BootError(selector_ + ": " + name_of(board) +
                            " runs firmware of an ended program "
                            "and does not react to a reset; unplug it and plug it in again",
                        "left_over");
      }
      pause_(kStep);
    }
  }

  /// Send the reset and read the device's pending data: it may read only when these are sent.
  void ask_for_reset(UsbDevice& device) {
    const auto request = xlink::make_request(xlink::kResetRequest, xlink::kFirstHostId);
    std::vector<std::uint8_t> rest(kChunkBytes);
    const auto end = Clock::now() + kDrainLimit;
    bool sent = false;
    while (Clock::now() < end) {
      for (const bool sending : {true, false}) {
        if (sending && sent) continue;
        try {
          if (sending) {
            sent = device.send(0x01, xlink::wire_bytes(request), sizeof(request), 5 * kStep) > 0;
          } else {
            device.receive(0x81, rest.data(), rest.size(), 5 * kStep);
          }
        } catch (const UsbError& error) {
          if (error.kind() != UsbError::Kind::timeout) throw;
        }
      }
    }
  }

  // ---- booting

  /// Null if the device has left the bus. Waits up to kAccessLimit for permission. Throws
  /// DeviceNotFoundError.
  std::unique_ptr<UsbDevice> open(const UsbBoard& board) {
    const auto end = Clock::now() + kAccessLimit;
    for (;;) {
      try {
        return std::make_unique<UsbDevice>(board);
      } catch (const UsbError& error) {
        if (error.kind() == UsbError::Kind::gone) return nullptr;
        if (error.kind() == UsbError::Kind::busy) throw busy_error(selector_, board);
        if (error.kind() != UsbError::Kind::access) {
          throw DeviceNotFoundError(selector_ + ": " + error.what(), "");
        }
        if (Clock::now() > end) throw access_error(selector_, board);
      }
      pause_(5 * kStep);
    }
  }

  /// False (and noted) if another program has the device.
  bool claim(UsbDevice& device, bool configure) {
    try {
      if (configure) device.configure();
      device.claim();
      return true;
    } catch (const UsbError& error) {
      if (error.kind() == UsbError::Kind::gone) return false;
      if (error.kind() != UsbError::Kind::busy) {
        throw BootError(selector_ + ": " + error.what(), "");
      }
    }
    busy_.push_back(device.board());
    return false;
  }

  /// Send the image and describe the transfer, since the ROM reports nothing. Empty if the board is
  /// in use or has left the bus.
  std::optional<std::string> boot(const UsbBoard& rom) {
    const auto device = open(rom);
    if (device == nullptr || !claim(*device, true)) return std::nullopt;
    const std::uint8_t endpoint = device->bulk_endpoint(false);
    if (endpoint == 0) {
      throw BootError(
          selector_ + ": the descriptors of " + name_of(rom) + " lack a bulk OUT endpoint",
          "descriptors");
    }
    const std::size_t sent = send_image(*device, endpoint);
    const std::string all = std::to_string(firmware_.size) + " bytes of firmware";
    if (sent == firmware_.size) return "took " + all;
    return "left the bus after " + std::to_string(sent) + " of " + all;
  }

  std::size_t send_image(UsbDevice& device, std::uint8_t endpoint) {
    const std::size_t chunk = device.board().usb_version < 0x0200 ? kOldChunkBytes : kChunkBytes;
    const auto end = Clock::now() + kBootLimit;
    std::size_t sent = 0;
    const auto refuse = [&](const std::string& why) {
      throw BootError(selector_ + ": " + name_of(device.board()) + " took " + std::to_string(sent) +
                          " of " + std::to_string(firmware_.size) + " bytes of firmware, then " +
                          why,
                      "refused");
    };
    try {
      while (sent < firmware_.size) {
        const std::size_t size = std::min(chunk, firmware_.size - sent);
        const std::size_t count = device.send(endpoint, firmware_.data + sent, size, kChunkLimit);
        sent += count;
        if (count != size) refuse("the transfer timed out");
        if (Clock::now() > end) refuse("the time limit for the boot was over");
      }
      if (firmware_.size % kRomPacketBytes == 0) device.send(endpoint, nullptr, 0, kChunkLimit);
    } catch (const UsbError& error) {
      // The ROM may leave the bus before the image is complete. The boot succeeded if the board
      // comes back.
      const bool is_enough = sent == firmware_.size || error.kind() == UsbError::Kind::gone;
      if (!is_enough && !has_left_the_bus(device.board())) refuse(error.what());
    }
    return sent;
  }

  /// The booted device: on the same port or, if there is no other board, on any port.
  UsbBoard await_return(const UsbBoard& rom, const Boards& before, const std::string& transfer) {
    const auto start = Clock::now();
    for (;;) {
      const Boards boards = scan(pause_);
      for (const UsbBoard& board : boards) {
        if (contains(before, board)) continue;
        const bool moved = before.size() == 1 && Clock::now() > start + kMovedLimit;
        if (board.is_booted() && (board.port == rom.port || moved)) return board;
        if (board.is_rom() && board.port == rom.port) {
          throw BootError(selector_ + ": " + name_of(rom) + " " + transfer +
                              " and came back unbooted: is it an image for this board?",
                          "rejected");
        }
      }
      if (Clock::now() > start + limits_.come_back) {
        throw not_returned_error(selector_, rom, boards, transfer);
      }
      pause_(kStep);
    }
  }

  std::unique_ptr<UsbTransport> open_booted(const UsbBoard& board) {
    auto device = open(board);
    if (device == nullptr || !claim(*device, false)) {
      if (contains(busy_, board)) throw busy_error(selector_, board);
      throw BootError(
          selector_ + ": " + name_of(board) +
              " left the bus after the boot; try another port, a powered hub, a shorter cable",
          "not_returned");
    }
    try {
      return std::make_unique<UsbTransport>(std::move(device), was_running_);
    } catch (const UsbError& error) {
      throw BootError(error.what(), "descriptors");
    }
  }

  const std::string selector_;
  const Wanted wanted_;
  const Firmware firmware_;
  const UsbLimits limits_;
  const UsbCaller& caller_;
  const Pause& pause_;
  Clock::time_point find_end_;
  std::vector<Other> others_;  // booted to read the MX id, which was another one
  std::vector<Seen> seen_;     // booted by another program
  Boards busy_;
  Claimed claimed_;  // the last one
  bool was_running_ = false;
  int resets_ = 0;
};

}  // namespace

std::unique_ptr<UsbTransport> open_usb(const std::string& selector, const Firmware& firmware,
                                       const UsbLimits& limits, const UsbCaller& caller) {
  try {
    return Opener(selector, firmware, limits, caller).run();
  } catch (const UsbError& error) {
    throw DeviceNotFoundError("usb:" + selector + ": " + error.what(), "");
  }
}

}  // namespace depthai
