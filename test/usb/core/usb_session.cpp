// The core on an emulated bus, without Python, for the sanitizers.
//
//   usb_session device SOCKET          the device's side, session after session
//   usb_session cycles COUNT           COUNT times: boot, stream, lose the board in mid-frame
//   usb_session cancel                 a transfer that times out, a link that is cut
//
// Each prints its result as one line of JSON; exit status 1 if a check fails. To have a command
// carried out on the board it prints a line and waits for one.

#include <dirent.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../board.hpp"
#include "link/link.hpp"
#include "transport/socket_transport.hpp"
#include "transport/usb_boot.hpp"

extern "C" std::size_t __sanitizer_get_current_allocated_bytes() __attribute__((weak));

namespace {

using namespace depthai;
using namespace std::chrono_literals;

constexpr std::size_t kMiB = 1 << 20;
const std::map<std::string, std::size_t> kPacketBytes = {{"left", 921'656}, {"color", 3'110'456}};

void require(bool good, const std::string& what) {
  if (!good) throw std::runtime_error(what);
}

std::uint8_t packet_byte(std::uint64_t serial, std::size_t i) {
  return std::uint8_t(serial * 5 + i + (i >> 10));
}

// ---- the device ------------------------------------------------------------------------------

/// Sends packets of both streams alternately, as soon as the host has opened them.
void send_packets(Link& link, const std::atomic<int>& open) {
  std::map<std::string, std::uint64_t> serials;
  try {
    for (int turn = 0;; ++turn) {
      if (open < int(kPacketBytes.size())) {
        std::this_thread::sleep_for(1ms);
        if (!link.is_up()) return;
        continue;
      }
      const auto& [name, size] = *std::next(kPacketBytes.begin(), turn % 2);
      std::vector<std::uint8_t> bytes(size);
      const std::uint64_t serial = serials[name]++;
      for (std::size_t i = 0; i < size; ++i) bytes[i] = packet_byte(serial, i);
      const Part part{bytes.data(), size};
      WriteOptions options;
      options.wait_response = false;
      link.write(name, &part, 1, options);
    }
  } catch (const Error&) {  // the host has gone
  }
}

void serve(std::shared_ptr<Transport> transport) {
  Link link(std::move(transport), Role::device);
  std::atomic<int> open{0};
  std::thread sender([&] { send_packets(link, open); });
  try {
    while (const auto event = link.next_event(std::nullopt)) {
      if (event->kind == LinkEvent::Kind::opened) {
        link.open_stream(event->stream, 16u << 20, nullptr, std::nullopt);
        ++open;
      }
      if (event->kind == LinkEvent::Kind::reset || event->kind == LinkEvent::Kind::down) break;
    }
  } catch (const Error&) {
  }
  link.close();
  sender.join();
}

int play_device(const std::string& path) {
  SocketListener listener("unix:" + path);
  std::printf("waits\n");
  std::fflush(stdout);
  for (;;) {
    if (auto transport = listener.accept(std::nullopt)) serve(std::move(transport));
  }
}

// ---- unplugged and plugged in again ----------------------------------------------------------

int entries(const char* path) {
  DIR* const folder = ::opendir(path);
  int count = -1;  // the folder itself is open
  while (const dirent* const entry = ::readdir(folder)) count += entry->d_name[0] != '.';
  ::closedir(folder);
  return count;
}

struct Resources {
  int descriptors = entries("/proc/self/fd");
  int threads = entries("/proc/self/task") + 1;
  std::size_t allocated_bytes =
      (BufferPool::shared().release(), __sanitizer_get_current_allocated_bytes
                                           ? __sanitizer_get_current_allocated_bytes()
                                           : ::mallinfo2().uordblks + ::mallinfo2().hblkhd);
};

/// A list of the open descriptors, to find out which one leaks.
std::string open_files() {
  std::string all;
  for (int fd = 0; fd < 64; ++fd) {
    char target[256];
    const ssize_t size =
        ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof(target));
    if (size > 0) all += std::to_string(fd) + " " + std::string(target, std::size_t(size)) + "; ";
  }
  return all;
}

std::unique_ptr<UsbTransport> boot() {
  static const std::vector<std::uint8_t> image(700, 1);
  const auto sleep = [](std::chrono::milliseconds time) { std::this_thread::sleep_for(time); };
  const auto nobody = [](const UsbBoard&) { return std::string(); };
  return open_usb("", {image.data(), image.size()}, {20s, 20s}, {sleep, nobody});
}

/// One session until the board is unplugged; returns the number of correct packets.
std::size_t run_until_lost() {
  Link link(boot(), Role::host);
  link.ping(10s);
  const auto queue = std::make_shared<PacketQueue>(64, 64);
  for (const auto& [name, size] : kPacketBytes) link.open_stream(name, size, queue, 10s);
  std::size_t packets = 0;
  try {
    for (;;) {
      require(queue->wait(20s), "no packet for 20 s");
      for (const Packet& packet : queue->take()) {
        const std::uint8_t* const bytes = packet.buffer->data();
        require(packet.buffer->size() == kPacketBytes.at(*packet.stream), "size of a packet");
        for (std::size_t i = 0; i < packet.buffer->size(); i += 997) {
          require(bytes[i] == packet_byte(packet.serial, i), "a byte of " + *packet.stream);
        }
        ++packets;
      }
    }
  } catch (const DeviceLostError&) {
  }
  link.close();
  return packets;
}

int run_cycles(int count) {
  std::size_t packets = 0;
  for (int i = 0; i < 3; ++i) packets += run_until_lost();  // until buffers and tables have grown
  const Resources before;
  for (int i = 0; i < count; ++i) packets += run_until_lost();
  const Resources after;
  if (after.descriptors != before.descriptors) {
    std::fprintf(stderr, "open: %s\n", open_files().c_str());
  }
  std::printf(
      "{\"cycles\": %d, \"packets\": %zu, \"descriptors\": [%d, %d], \"threads\": [%d, %d], "
      "\"allocated_bytes\": [%zu, %zu]}\n",
      count, packets, before.descriptors, after.descriptors, before.threads, after.threads,
      before.allocated_bytes, after.allocated_bytes);
  return 0;
}

// ---- no received byte is lost ----------------------------------------------------------------

void ask(const char* what) {
  std::printf("%s\n", what);
  std::fflush(stdout);
  std::string line;
  std::getline(std::cin, line);
}

/// What a flooding board sends, until it repeats itself.
const std::vector<std::uint8_t>& flood() {
  static const std::vector<std::uint8_t> bytes = [] {
    std::vector<std::uint8_t> made(1 << 24);
    for (std::size_t i = 0; i < made.size(); ++i) made[i] = rig::Board::flood_byte(i);
    return made;
  }();
  return bytes;
}

class Checked {
 public:
  void take(const std::uint8_t* bytes, std::size_t size) {
    while (size > 0) {  // as a block: a sanitizer would look at each byte by itself
      const std::size_t place = position_ % flood().size();
      const std::size_t part = std::min(size, flood().size() - place);
      const std::uint8_t* const expected = flood().data() + place;
      if (std::memcmp(bytes, expected, part) != 0) {
        const auto differs = std::mismatch(bytes, bytes + part, expected).first;
        require(false, "byte " + std::to_string(position_ + std::uint64_t(differs - bytes)));
      }
      position_ += part;
      bytes += part;
      size -= part;
    }
  }
  std::uint64_t position() const { return position_; }

 private:
  std::uint64_t position_ = 0;
};

std::unique_ptr<UsbDevice> open_flooding_board() {
  const auto boards = scan_usb();
  require(boards.size() == 1 && boards[0].is_booted(), "expected one flooding board");
  auto device = std::make_unique<UsbDevice>(boards[0]);
  device->claim();
  return device;
}

/// Reads that time out in the middle of a transfer, several times.
void read_with_timeouts(Checked& checked) {
  std::vector<std::uint8_t> bytes(kMiB);
  const auto device = open_flooding_board();
  ask("hang_after=102400");
  for (int i = 0, timeouts = 0; i < 200 && timeouts < 3; ++i) {
    try {
      checked.take(bytes.data(), device->receive(0x81, bytes.data(), bytes.size(), 100ms));
    } catch (const UsbError& error) {
      require(error.kind() == UsbError::Kind::timeout, error.what());
      ++timeouts;
      ask("resume");
      if (timeouts < 3) ask("hang_after=204800");
    }
  }
  while (checked.position() % (84 + 2 * kMiB) != 0) {  // up to the next packet
    checked.take(bytes.data(), device->receive(0x81, bytes.data(), bytes.size(), 1000ms));
  }
}

/// Closes the pipe with transfers in flight: bytes that had arrived are counted, none is lost.
void cut_while_reading(Checked& checked) {
  UsbTransport transport(open_flooding_board(), false);
  ask("hang_after=1126400");
  std::vector<std::uint8_t> bytes(2 * kMiB);  // two transfers; it falls silent in the second
  std::string told;
  std::thread reader([&] {
    try {
      transport.read_exactly(bytes.data(), bytes.size());
    } catch (const LinkError& error) {
      told = error.what();
    }
  });
  ask("wait for silence");
  transport.close();
  reader.join();
  const auto bracket = told.find('(');
  require(bracket != std::string::npos, "no number of bytes in: " + told);
  checked.take(bytes.data(), std::stoul(told.substr(bracket + 1)));
  require(checked.position() > kMiB, "the first piece is missing: " + told);
}

int lose_nothing() {
  Checked checked;
  read_with_timeouts(checked);
  const std::uint64_t timed_out = checked.position();
  cut_while_reading(checked);
  ask("resume");
  const auto device = open_flooding_board();
  std::vector<std::uint8_t> bytes(kMiB);
  while (checked.position() < timed_out + 20 * kMiB) {
    checked.take(bytes.data(), device->receive(0x81, bytes.data(), bytes.size(), 1000ms));
  }
  std::printf("{\"bytes\": %llu}\n", static_cast<unsigned long long>(checked.position()));
  return 0;
}

}  // namespace

int main(int count, char** words) {
  const std::string action = count > 1 ? words[1] : "";
  try {
    if (action == "device" && count == 3) return play_device(words[2]);
    if (action == "cycles" && count == 3) return run_cycles(std::atoi(words[2]));
    if (action == "cancel") return lose_nothing();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "usb_session %s: %s\n", action.c_str(), error.what());
    return 1;
  }
  std::fprintf(stderr, "usage: usb_session device SOCKET | cycles COUNT | cancel\n");
  return 2;
}
