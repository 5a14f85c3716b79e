#include "board.hpp"

#include <functional>
#include <limits>
#include <map>
#include <utility>

namespace rig {
namespace {

std::uint8_t low(std::uint16_t value) { return std::uint8_t(value); }
std::uint8_t high(std::uint16_t value) { return std::uint8_t(value >> 8); }

constexpr std::size_t kHeaderBytes = 84;    // of XLink
constexpr std::uint8_t kResetRequest = 6;   // type in that header
constexpr std::size_t kConfiguration = 18;  // offset of the configuration descriptor
constexpr std::size_t kEndpoints = kConfiguration + 18;

/// Ways in which the descriptors can be wrong. Each changes all descriptors; the configuration
/// begins at 18.
using Spoiler = void (*)(Bytes&);
const std::map<std::string, Spoiler> kShapes = {
    {"no_interface",
     [](Bytes& all) {
       all.resize(27);
       all[20] = 9;
       all[22] = 0;
     }},
    {"no_endpoints",
     [](Bytes& all) {
       all.resize(kEndpoints);
       all[20] = 18;
       all[31] = 0;
     }},
    {"no_bulk",
     [](Bytes& all) {
       for (std::size_t i = kEndpoints; i < all.size(); i += all[i]) {
         if (all[i + 1] == 5) all[i + 3] = 3;  // interrupt
       }
     }},
    {"other_endpoints",
     [](Bytes& all) {
       for (std::size_t i = kEndpoints; i < all.size(); i += all[i]) {
         if (all[i + 1] == 5) ++all[i + 2];
       }
     }},
    {"odd_packets",
     [](Bytes& all) {
       for (std::size_t i = kEndpoints; i < all.size(); i += all[i]) {
         if (all[i + 1] == 5) all[i + 4] = 0xe7;  // 743 or 999 bytes
       }
     }},
    {"empty_packets",
     [](Bytes& all) {
       for (std::size_t i = kEndpoints; i < all.size(); i += all[i]) {
         if (all[i + 1] == 5) all[i + 4] = all[i + 5] = 0;
       }
     }},
    {"truncated", [](Bytes& all) { all.resize(kEndpoints + 3); }},
    {"promises_more", [](Bytes& all) { all[20] = all[21] = 0xff; }},
    {"promises_less", [](Bytes& all) { all[20] = 4; }},
    {"endless_endpoint", [](Bytes& all) { all[kEndpoints] = 0; }},
    {"long_endpoint", [](Bytes& all) { all[kEndpoints] = 0xff; }},
    {"many_interfaces", [](Bytes& all) { all[22] = 0xff; }},
    {"many_endpoints", [](Bytes& all) { all[31] = 0xff; }},
    {"many_configurations", [](Bytes& all) { all[17] = 0xff; }},
    {"no_configuration",
     [](Bytes& all) {
       all.resize(18);
       all[17] = 0;
     }},
    {"half_a_device", [](Bytes& all) { all.resize(10); }},
};

/// Ways in which the serial number's string descriptor can be wrong.
using TextSpoiler = void (*)(Bytes&);
const std::map<std::string, TextSpoiler> kTextShapes = {
    {"promises_more", [](Bytes& text) { text[0] = 0xff; }},
    {"promises_less", [](Bytes& text) { text[0] = 1; }},
    {"odd", [](Bytes& text) { text.resize(7); }},
    {"empty", [](Bytes& text) { text = {2, 3}; }},
    {"wrong_type", [](Bytes& text) { text[1] = 5; }},
    {"unreadable", [](Bytes& text) { text.clear(); }},
    {"not_ascii",
     [](Bytes& text) {
       for (std::size_t i = 2; i < text.size(); ++i) text[i] = std::uint8_t(0x80 + i);
     }},
};

}  // namespace

Bytes Board::descriptors() const {
  const std::uint16_t usb = super() ? 0x0300 : rom_usb;
  const auto number = std::uint8_t(has_serial() ? 3 : 0);
  Bytes all = {
      18,     1,    low(usb),       high(usb),       0, 0, 0, std::uint8_t(super() ? 9 : 64),
      0xe7,   0x03, low(product()), high(product()), 1, 0, 1, 2,
      number, 1};
  const Bytes configuration = this->configuration();
  all.insert(all.end(), configuration.begin(), configuration.end());
  const auto spoiler = kShapes.find(booted() ? shape : rom_shape);
  if (spoiler != kShapes.end()) spoiler->second(all);
  return all;
}

int Board::control(const std::uint8_t setup[8], Bytes& answer) const {
  if (setup[0] != 0x80 || setup[1] != 6) return setup[0] == 0 || setup[0] == 2 ? 0 : -EPIPE;
  const Bytes all = descriptors();
  const auto split = all.begin() + std::min<long>(18, long(all.size()));
  switch (setup[3]) {
    case 1:
      answer.assign(all.begin(), split);
      break;
    case 2:
      answer.assign(split, all.end());
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

bool Board::take_firmware(const std::uint8_t* data, std::size_t size) {
  image_bytes += size;
  if (keep_image) image.insert(image.end(), data, data + size);
  return size % packet_bytes() != 0 || size == 0;
}

void Board::appear(State as) {
  state = as;
  outgoing.clear();
  image.clear();
  queued_bytes = image_bytes = 0;
  in_bytes = flooded = 0;
}

int Board::next_in_fault() {
  for (const auto& [left, status] : {std::pair{&faults.stall_in, -EPIPE},
                                     {&faults.protocol_error, -EPROTO},
                                     {&faults.babble, -EOVERFLOW}}) {
    if (*left > 0) return --*left, status;
  }
  return 0;
}

bool Board::is_pulled(bool& comes_back) {
  comes_back =
      faults.replug_after_bytes >= 0 && in_bytes >= std::uint64_t(faults.replug_after_bytes);
  if (comes_back) return true;
  if (faults.unplug_after_bytes < 0 || in_bytes < std::uint64_t(faults.unplug_after_bytes)) {
    return false;
  }
  faults.unplug_after_bytes = -1;
  return true;
}

bool Board::has_fallen_silent() {
  if (faults.hang_after_bytes < 0 || in_bytes < std::uint64_t(faults.hang_after_bytes))
    return false;
  faults.hang_after_bytes = -1;
  return faults.hang = true;
}

/// Number of bytes that it may still send before it is unplugged or falls silent.
std::size_t Board::quota() const {
  auto left = std::numeric_limits<std::size_t>::max();
  for (const std::int64_t limit :
       {faults.unplug_after_bytes, faults.hang_after_bytes, faults.replug_after_bytes}) {
    if (limit < 0) continue;
    left = std::min(left, std::size_t(std::max<std::int64_t>(0, limit - std::int64_t(in_bytes))));
  }
  return left;
}

int Board::fill(Bytes& into, std::size_t wanted) {
  flood();
  while (!outgoing.empty()) {
    Outgoing& next = outgoing.front();
    const std::size_t left = next.bytes.size() - next.done;
    const std::size_t room = wanted - into.size();
    const std::size_t may = quota();
    if (may == 0) return -EAGAIN;
    const bool one_packet = left <= packet_bytes() || room < packet_bytes();
    // Whole packets; the last packet of a transfer may be short and then ends the request.
    std::size_t take = one_packet ? std::min(left, packet_bytes())
                                  : std::min(left, room) / packet_bytes() * packet_bytes();
    const bool is_short = take % packet_bytes() != 0;
    if (take > room) {
      drop(next, take);
      return -EOVERFLOW;
    }
    const bool is_cut = take > may;  // unplugging may cut a packet anywhere
    take = std::min(take, may);
    into.insert(into.end(), next.bytes.begin() + long(next.done),
                next.bytes.begin() + long(next.done + take));
    drop(next, take);
    if (is_cut) return -EAGAIN;
    if (is_short || into.size() == wanted) return 0;
  }
  return -EAGAIN;
}

void Board::queue(Bytes bytes) {
  queued_bytes += bytes.size();
  outgoing.push_back({std::move(bytes), 0});
}

void Board::queue_header(const Bytes& header) {
  const auto cut = header.begin() + long(header_part_bytes % header.size());
  if (cut != header.begin()) queue({header.begin(), cut});
  queue({cut, header.end()});
}

bool Board::is_reset(const std::uint8_t* data, std::size_t size) {
  static constexpr std::uint8_t kCommand[] = {0xad, 0xde, 0xad, 0xde};
  if (size == sizeof(kCommand)) return std::memcmp(data, kCommand, size) == 0;
  return size == kHeaderBytes && data[4] == kResetRequest;
}

void Board::drop(Outgoing& next, std::size_t size) {
  next.done += size;
  queued_bytes -= size;
  in_bytes += size;
  if (next.done == next.bytes.size()) outgoing.pop_front();
}

/// Packets as XLink sends them: bytes in place of a header, then the payload.
void Board::flood() {
  if (flood_bytes == 0 || !booted() || !outgoing.empty()) return;
  queue_header(flood_piece(kHeaderBytes));
  for (std::size_t left = flood_bytes; left > 0;) {
    const std::size_t size = std::min(left, chunk_bytes);
    queue(flood_piece(size));
    left -= size;
  }
}

Bytes Board::flood_piece(std::size_t size) {
  constexpr std::size_t kPeriod = 1 << 24;  // of flood_byte()
  static const Bytes pattern = [] {
    Bytes all(2 * kPeriod);
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = flood_byte(i);
    return all;
  }();
  const auto begin = pattern.begin() + long(flooded % kPeriod);
  flooded += size;
  return {begin, begin + long(size)};
}

Bytes Board::configuration() const {
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

Bytes Board::text_descriptor(int index) const {
  if (index == 0) return {4, 3, 9, 4};
  const std::string texts[] = {"Movidius Ltd.", "Movidius MyriadX", booted() ? serial : "03e72485"};
  if (index > 3) return {};
  const std::string& text = texts[index - 1];
  Bytes all = {std::uint8_t(2 + 2 * text.size()), 3};
  for (const char letter : text) {
    all.push_back(std::uint8_t(letter));
    all.push_back(0);
  }
  const auto spoiler = kTextShapes.find(serial_shape);
  if (booted() && index == 3 && spoiler != kTextShapes.end()) spoiler->second(all);
  return all;
}

// ---- commands --------------------------------------------------------------------------------

namespace {

using Text = const std::string&;
using Setting = std::function<void(Board&, Text)>;

int times(Text text) { return text.empty() ? 1 : std::stoi(text); }

Setting count(int Faults::* field) {
  return [field](Board& board, Text text) { board.faults.*field = times(text); };
}
Setting flag(bool Faults::* field) {
  return [field](Board& board, Text text) { board.faults.*field = times(text) != 0; };
}
/// A number of bytes from now on; bytes that were sent before are not included.
Setting bytes(std::int64_t Faults::* field) {
  return [field](Board& board, Text text) {
    board.faults.*field = std::stoll(text) + std::int64_t(board.in_bytes);
  };
}
Setting text_of(std::string Board::* field) {
  return [field](Board& board, Text text) { board.*field = text; };
}
Setting size_of(std::size_t Board::* field) {
  return [field](Board& board, Text text) { board.*field = std::stoul(text); };
}
Setting hex_of(std::uint16_t Board::* field) {
  return [field](Board& board, Text text) {
    board.*field = std::uint16_t(std::stoul(text, nullptr, 16));
  };
}

const std::map<std::string, Setting> kSettings = {
    {"port", text_of(&Board::port)},
    {"serial", text_of(&Board::serial)},
    {"serial_shape", text_of(&Board::serial_shape)},
    {"rom_shape", text_of(&Board::rom_shape)},
    {"shape", text_of(&Board::shape)},
    {"speed", [](Board& board, Text text) { board.super_speed = text != "high"; }},
    {"product", hex_of(&Board::rom_id)},
    {"usb", hex_of(&Board::rom_usb)},
    {"chunk", size_of(&Board::chunk_bytes)},
    {"header_part", size_of(&Board::header_part_bytes)},
    {"flood", size_of(&Board::flood_bytes)},
    {"stall_in", count(&Faults::stall_in)},
    {"stall_out", count(&Faults::stall_out)},
    {"babble", count(&Faults::babble)},
    {"protocol_error", count(&Faults::protocol_error)},
    {"hang", flag(&Faults::hang)},
    {"deaf", flag(&Faults::deaf)},
    {"refuse_open", flag(&Faults::refuse_open)},
    {"no_return", flag(&Faults::no_return)},
    {"boot_unplug", flag(&Faults::boot_unplug)},
    {"rejects", flag(&Faults::rejects)},
    {"short_life", flag(&Faults::short_life)},
    {"late_news", flag(&Faults::late_news)},
    {"unplug_at_reset", flag(&Faults::unplug_at_reset)},
    {"unplug_after", bytes(&Faults::unplug_after_bytes)},
    {"hang_after", bytes(&Faults::hang_after_bytes)},
    {"replug_after", bytes(&Faults::replug_after_bytes)},
    {"resume",
     [](Board& board, Text) {
       board.faults.hang = board.faults.deaf = false;
       board.faults.hang_after_bytes = -1;
     }},
};

}  // namespace

bool set_board(Board& board, const std::string& word, const std::string& value) {
  const auto found = kSettings.find(word);
  if (found == kSettings.end()) return false;
  found->second(board, value);
  return true;
}

}  // namespace rig
