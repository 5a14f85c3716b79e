#include "sysfs.hpp"

#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>
#include <utility>

#include "usbfs.hpp"

namespace rig {

using namespace std::chrono_literals;

namespace {

constexpr auto kStillAnswering = 5s;  // after it has left the bus

int g_next_number = 2;

void check(bool good, GError* error) {
  if (good) return;
  std::fprintf(stderr, "usb_rig: %s\n", error ? error->message : "?");
  std::exit(2);
}

std::string hex(const Bytes& bytes) {
  std::string text;
  char two[3];
  for (const std::uint8_t byte : bytes) {
    std::snprintf(two, sizeof two, "%02X", byte);
    text += two;
  }
  return text;
}

std::string three(int number) {
  char text[16];
  std::snprintf(text, sizeof text, "%03d", number);
  return text;
}

struct Entry {
  std::string path;  // below /sys
  std::string node;
  int bus, number, speed;
  std::uint16_t vendor, product;
  Bytes descriptors;
  std::string serial;
};

void add_entry(UMockdevTestbed* testbed, const Entry& entry) {
  std::ostringstream text;
  char vendor[8], product[8];
  const std::string serial = entry.serial.empty() ? "" : "\\n\nA: serial=" + entry.serial;
  std::snprintf(vendor, sizeof vendor, "%04x", entry.vendor);
  std::snprintf(product, sizeof product, "%04x", entry.product);
  text << "P: " << entry.path << "\nN: " << entry.node.substr(5)
       << "\nE: DEVTYPE=usb_device\nE: SUBSYSTEM=usb\nE: BUSNUM=" << three(entry.bus)
       << "\nE: DEVNUM=" << three(entry.number) << "\nE: DEVNAME=" << entry.node
       << "\nE: MAJOR=189\nE: MINOR=" << (entry.bus - 1) * 128 + entry.number - 1
       << "\nA: busnum=" << entry.bus << "\\n\nA: devnum=" << entry.number
       << "\\n\nA: speed=" << entry.speed
       << "\\n\nA: bConfigurationValue=1\\n\nA: idVendor=" << vendor
       << "\\n\nA: idProduct=" << product << serial
       << "\\n\nH: descriptors=" << hex(entry.descriptors) << "\n\n";
  const std::string all = text.str();
  GError* error = nullptr;
  umockdev_testbed_add_from_string(testbed, all.c_str(), &error);
  check(error == nullptr, error);
}

std::string node_of(int bus, int number) {
  return "/dev/bus/usb/" + three(bus) + "/" + three(number);
}

/// "/devices/…/usb1/1-1/1-1.3" for port 1.3 of bus 1.
std::string sys_path(int bus, const std::string& port) {
  std::string path = "/devices/pci0000:00/0000:00:14.0/usb" + std::to_string(bus);
  for (std::size_t dot = 0; dot != std::string::npos;) {
    dot = port.find('.', dot + 1);
    path += "/" + std::to_string(bus) + "-" + port.substr(0, dot);
  }
  return path;
}

void add_hub(UMockdevTestbed* testbed, int bus, const std::string& path) {
  const int number = g_next_number++;
  const bool super = bus % 2 == 0;
  const Bytes descriptors = {18,   1,    0,    std::uint8_t(super ? 3 : 2),
                             9,    0,    1,    std::uint8_t(super ? 9 : 64),
                             0x6b, 0x1d, 2,    0,
                             1,    0,    0,    0,
                             0,    1,    9,    2,
                             25,   0,    1,    1,
                             0,    0xe0, 0,    9,
                             4,    0,    0,    1,
                             9,    0,    0,    0,
                             7,    5,    0x81, 3,
                             4,    0,    12};
  add_entry(testbed, {path, node_of(bus, number), bus, number, super ? 5000 : 480, 0x1d6b, 2,
                      descriptors, ""});
}

/// Root hubs and the hubs on the way to `port`, on the USB 2 and the USB 3 bus, once.
void add_hubs(UMockdevTestbed* testbed, const std::string& port) {
  static std::map<std::string, bool> known;
  for (const int bus : {1, 2}) {
    const std::string leaf = sys_path(bus, port);
    for (std::size_t slash = leaf.find("/usb");;) {
      slash = leaf.find('/', slash + 1);
      if (slash == std::string::npos) break;
      const std::string path = leaf.substr(0, slash);
      if (!std::exchange(known[path], true)) add_hub(testbed, bus, path);
    }
  }
}

}  // namespace

Sysfs::Sysfs() : testbed_(umockdev_testbed_new()) {
  for (auto& [port, place] : g_places) add_hubs(testbed_, port);
}

Sysfs::~Sysfs() { g_object_unref(testbed_); }

void Sysfs::plug(Place& place) {
  Entry entry;
  UMockdevIoctlBase* const io = umockdev_ioctl_base_new();
  {
    const std::lock_guard<std::mutex> lock(g_mutex);
    const Board& board = place.board;
    const int bus = board.super() ? 2 : 1;
    const bool moves = board.booted() && !place.return_port.empty();
    entry = {sys_path(bus, moves ? place.return_port : board.port),
             "",
             bus,
             g_next_number++,
             board.super() ? 5000 : 480,
             0x03e7,
             board.product(),
             board.descriptors(),
             board.booted() ? board.serial : ""};
    entry.node = node_of(bus, entry.number);
    place.sys = "/sys" + entry.path;
    place.node = entry.node;
    place.appearances.push_back({place, place.appearances.size(), entry.node});
  }
  Appearance& appearance = place.appearances.back();
  g_signal_connect(io, "handle-ioctl", G_CALLBACK(on_ioctl), &appearance);
  g_signal_connect(io, "client-vanished", G_CALLBACK(on_vanished), &appearance);
  GError* error = nullptr;
  // Before the rest: adding it sends "add", and libusb opens the node at once.
  check(umockdev_testbed_attach_ioctl(testbed_, entry.node.c_str(), io, &error), error);
  add_entry(testbed_, entry);
  g_object_unref(io);
  if (place.board.faults.refuse_open) {
    ::chmod((std::string(std::getenv("UMOCKDEV_DIR")) + entry.node).c_str(), 0);
  }
}

void Sysfs::unplug(Place& place) {
  umockdev_testbed_uevent(testbed_, place.sys.c_str(), "remove");
  std::this_thread::sleep_for(10ms);
  umockdev_testbed_remove_device(testbed_, place.sys.c_str());
  const std::lock_guard<std::mutex> lock(g_mutex);
  place.node.clear();
  place.appearances.back().gone_since = Clock::now();
}

// A program that is opening the node, or has it open, gets ENODEV: without a listener umockdev's
// preload library would end that program.
void Sysfs::tick() {
  for (auto& [port, place] : g_places) {
    for (Appearance& one : place->appearances) {
      const bool is_over =
          one.gone_since != Clock::time_point{} && Clock::now() - one.gone_since > kStillAnswering;
      if (!is_over || one.node.empty()) continue;
      umockdev_testbed_detach_ioctl(testbed_, one.node.c_str(), nullptr);
      one.node.clear();
    }
  }
}

}  // namespace rig
