// Virtual MyriadX boards on an emulated /sys and /dev/bus/usb, for programs that use the real
// libusb.
//
//   usb_rig --board port=1.3,serial=…,socket=/path[,speed=high][,state=booted] [--board …]
//
// Prints "ready FOLDER": programs started with UMOCKDEV_DIR=FOLDER and the preload library see the
// boards. Then reads commands, one a line ("1.3 unplug", "1.3 stall_in"), and prints what happens
// ("1.3 booted"). Ends when its input ends.

#include <poll.h>
#include <umockdev.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <utility>

#include "place.hpp"
#include "sysfs.hpp"

using namespace rig;
using namespace std::chrono_literals;

namespace {

constexpr auto kOffTheBus = 60ms;   // between leaving it and coming back
constexpr auto kLastWords = 100ms;  // for what the far end sent before it hung up

std::map<std::string, std::unique_ptr<Place>> g_places;  // by port

// ---- the life of a board ---------------------------------------------------------------------

void come_back(UMockdevTestbed* testbed, Place& place) {
  {
    const std::lock_guard<std::mutex> lock(g_mutex);
    place.board.state = place.next;
    place.board.outgoing.clear();
    place.board.queued_bytes = place.board.image_bytes = 0;
    place.board.image.clear();
    place.in_bytes = place.sent = 0;
    place.gone = false;
    place.due = {};
  }
  if (place.board.state == State::unplugged) return;
  if (place.board.booted() && !place.socket.empty()) {
    auto pipe = std::make_unique<SessionPipe>(place.board, g_mutex, g_changed, place.socket, [&] {
      const std::lock_guard<std::mutex> lock(g_mutex);
      if (place.gone || !place.board.booted()) return;
      place.next = State::rom;
      place.due = Clock::now() + kLastWords;
    });
    const std::lock_guard<std::mutex> lock(g_mutex);
    place.pipe = std::move(pipe);
  }
  plug(testbed, place);
  say(place.board.port + (place.board.booted() ? " booted" : " rom"));
}

/// Take the step that is due: leave the bus when the far end hung up, vanish, come back.
void step(UMockdevTestbed* testbed, Place& place) {
  std::unique_ptr<SessionPipe> pipe;
  bool vanish = false;
  {
    const std::lock_guard<std::mutex> lock(g_mutex);
    if (place.due == Clock::time_point{} || Clock::now() < place.due) return;
    if (!place.gone && !place.node.empty()) {
      leave_bus(place, place.next);
      return;
    }
    vanish = !place.node.empty();
    if (vanish) {
      pipe = std::move(place.pipe);
      place.due = Clock::now() + kOffTheBus;
    }
  }
  pipe.reset();
  if (!vanish) return come_back(testbed, place);
  unplug(testbed, place);
  say(place.board.port + " gone");
}

// ---- commands --------------------------------------------------------------------------------

using Setting = void (*)(Place&, const std::string&);

const std::map<std::string, Setting> kSettings = {
    {"port", [](Place& place, const std::string& text) { place.board.port = text; }},
    {"serial", [](Place& place, const std::string& text) { place.board.serial = text; }},
    {"socket", [](Place& place, const std::string& text) { place.socket = text; }},
    {"image",
     [](Place& place, const std::string& text) {
       place.image_file = text;
       place.board.keep_image = true;
     }},
    {"speed",
     [](Place& place, const std::string& text) { place.board.super_speed = text != "high"; }},
    {"product",
     [](Place& place, const std::string& text) {
       place.board.rom_id = std::uint16_t(std::stoul(text, nullptr, 16));
     }},
    {"usb",
     [](Place& place, const std::string& text) {
       place.board.rom_usb = std::uint16_t(std::stoul(text, nullptr, 16));
     }},
    {"state",
     [](Place& place, const std::string& text) {
       place.next = text == "booted"      ? State::booted
                    : text == "unplugged" ? State::unplugged
                                          : State::rom;
     }},
    {"plug",
     [](Place& place, const std::string&) {
       if (place.board.state != State::unplugged) return;
       place.next = State::rom;
       place.due = Clock::now();
     }},
    {"unplug", [](Place& place, const std::string&) { leave_bus(place, State::unplugged); }},
    {"replug", [](Place& place, const std::string&) { leave_bus(place, State::rom); }},
    {"stall_in", [](Place& place, const std::string&) { place.board.faults.stall_in = true; }},
    {"stall_out", [](Place& place, const std::string&) { place.board.faults.stall_out = true; }},
    {"babble", [](Place& place, const std::string&) { place.board.faults.babble = true; }},
    {"protocol_error",
     [](Place& place, const std::string&) { place.board.faults.protocol_error = true; }},
    {"hang", [](Place& place, const std::string&) { place.board.faults.hang = true; }},
    {"refuse_open",
     [](Place& place, const std::string&) { place.board.faults.refuse_open = true; }},
    {"no_return", [](Place& place, const std::string&) { place.board.faults.no_return = true; }},
    {"boot_unplug",
     [](Place& place, const std::string&) { place.board.faults.boot_unplug = true; }},
    {"chunk",
     [](Place& place, const std::string& text) { place.board.chunk_bytes = std::stoul(text); }},
    {"return_port", [](Place& place, const std::string& text) { place.return_port = text; }},
    {"unplug_after",
     [](Place& place, const std::string& text) {
       place.board.faults.unplug_after_bytes = std::stol(text);
     }},
};

void set(Place& place, const std::string& word) {
  const auto equals = word.find('=');
  const auto found = kSettings.find(word.substr(0, equals));
  if (found == kSettings.end()) {
    std::fprintf(stderr, "usb_rig: '%s' is not known\n", word.c_str());
    std::exit(2);
  }
  found->second(place, equals == std::string::npos ? "" : word.substr(equals + 1));
}

void obey(const std::string& line) {
  std::istringstream words(line);
  std::string port, word;
  words >> port;
  const auto found = g_places.find(port);
  if (found == g_places.end()) return;
  const std::lock_guard<std::mutex> lock(g_mutex);
  while (words >> word) set(*found->second, word);
}

void add_place(const std::string& text) {
  auto place = std::make_unique<Place>();
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) set(*place, word);
  place->board.state = State::unplugged;
  const std::string port = place->board.port;
  g_places[port] = std::move(place);
}

/// Read commands and let the boards live until the input ends.
void live(UMockdevTestbed* testbed) {
  std::string pending;
  char buffer[4096];
  for (;;) {
    pollfd input{0, POLLIN, 0};
    if (::poll(&input, 1, 2) > 0) {
      const ssize_t count = ::read(0, buffer, sizeof buffer);
      if (count <= 0) return;
      pending.append(buffer, std::size_t(count));
      for (std::size_t end = 0; (end = pending.find('\n')) != std::string::npos;) {
        obey(pending.substr(0, end));
        pending.erase(0, end + 1);
      }
    }
    for (auto& [port, place] : g_places) step(testbed, *place);
  }
}

}  // namespace

int main(int count, char** words) {
  if (!std::getenv("LD_PRELOAD")) {  // whoever sends uevents looks into the emulated /sys itself
    ::setenv("LD_PRELOAD", "libumockdev-preload.so.0", 1);
    ::execv("/proc/self/exe", words);
  }
  for (int i = 1; i + 1 < count; i += 2) {
    if (std::string(words[i]) == "--board") add_place(words[i + 1]);
  }
  UMockdevTestbed* const testbed = umockdev_testbed_new();
  for (auto& [port, place] : g_places) {
    add_hubs(testbed, port);
    if (place->next != State::unplugged) come_back(testbed, *place);
  }
  say(std::string("ready ") + std::getenv("UMOCKDEV_DIR"));
  live(testbed);
  for (auto& [port, place] : g_places) place->pipe.reset();
  g_object_unref(testbed);
  return 0;
}
