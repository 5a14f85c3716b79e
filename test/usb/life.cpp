#include "life.hpp"

#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <utility>

namespace rig {

using namespace std::chrono_literals;

std::map<std::string, std::unique_ptr<Place>> g_places;

namespace {

constexpr auto kOffTheBus = 60ms;   // between leaving it and coming back
constexpr auto kLastWords = 100ms;  // for bytes that the far end sent before it hung up

void come_back(Front& front, Place& place) {
  {
    const std::lock_guard<std::mutex> lock(g_mutex);
    place.board.appear(place.next);
    place.sent = 0;
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
  front.plug(place);
  say(place.board.port + (place.board.booted() ? " booted" : " rom"));
  const std::lock_guard<std::mutex> lock(g_mutex);
  if (!place.board.booted() || !place.board.faults.short_life || place.gone) return;
  place.next = State::unplugged;
  place.due = Clock::now();
}

/// Take the next step: leave the bus when the far end hung up, disappear, come back.
void step(Front& front, Place& place) {
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
  if (!vanish) return come_back(front, place);
  front.unplug(place);
  say(place.board.port + " gone");
}

// ---- commands --------------------------------------------------------------------------------

using Setting = void (*)(Place&, const std::string&);

const std::map<std::string, Setting> kSettings = {
    {"socket", [](Place& place, const std::string& text) { place.socket = text; }},
    {"image",
     [](Place& place, const std::string& text) {
       place.image_file = text;
       place.board.keep_image = true;
     }},
    {"state",
     [](Place& place, const std::string& text) {
       place.next = text == "booted"      ? State::booted
                    : text == "unplugged" ? State::unplugged
                                          : State::rom;
     }},
    {"return_port", [](Place& place, const std::string& text) { place.return_port = text; }},
    {"plug",
     [](Place& place, const std::string&) {
       if (place.board.state != State::unplugged) return;
       place.next = State::rom;
       place.due = Clock::now();
     }},
    {"unplug", [](Place& place, const std::string&) { leave_bus(place, State::unplugged); }},
    {"replug", [](Place& place, const std::string&) { leave_bus(place, State::rom); }},
};

void set(Place& place, const std::string& text) {
  const auto equals = text.find('=');
  const std::string word = text.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : text.substr(equals + 1);
  const auto found = kSettings.find(word);
  if (found != kSettings.end()) return found->second(place, value);
  if (set_board(place.board, word, value)) return;
  std::fprintf(stderr, "usb rig: '%s' is not known\n", word.c_str());
  std::exit(2);
}

/// Remove all boards.
void clear(Front& front) {
  for (auto& [port, place] : g_places) {
    {
      const std::lock_guard<std::mutex> lock(g_mutex);
      leave_bus(*place, State::unplugged);
    }
    if (!place->node.empty()) front.unplug(*place);
    place->pipe.reset();
  }
  g_places.clear();
  say("reset");
}

void obey(Front& front, const std::string& line) {
  std::istringstream words(line);
  std::string port, word;
  words >> port;
  if (port == "reset") return clear(front);
  if (port == "board" && words >> word) return add_place(word);
  const auto found = g_places.find(port);
  if (found == g_places.end()) return;
  const std::lock_guard<std::mutex> lock(g_mutex);
  while (words >> word) set(*found->second, word);
}

}  // namespace

void add_place(const std::string& text) {
  auto place = std::make_unique<Place>();
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) set(*place, word);
  place->board.state = State::unplugged;
  place->due = Clock::now();
  const std::string port = place->board.port;
  g_places[port] = std::move(place);
}

void live(Front& front, const std::string& folder) {
  for (auto& [port, place] : g_places) {
    if (place->next != State::unplugged) come_back(front, *place);
  }
  say("ready " + folder);
  std::string pending;
  char buffer[4096];
  for (;;) {
    pollfd input{0, POLLIN, 0};
    if (::poll(&input, 1, 2) > 0) {
      const ssize_t count = ::read(0, buffer, sizeof buffer);
      if (count <= 0) break;
      pending.append(buffer, std::size_t(count));
      for (std::size_t end = 0; (end = pending.find('\n')) != std::string::npos;) {
        obey(front, pending.substr(0, end));
        pending.erase(0, end + 1);
      }
    }
    for (auto& [port, place] : g_places) step(front, *place);
    front.tick();
  }
  for (auto& [port, place] : g_places) place->pipe.reset();
}

}  // namespace rig
