/// Where a board is plugged in, who has it open, and what happens to it. Knows nothing of the bus
/// that shows it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "board.hpp"
#include "session_pipe.hpp"

namespace rig {

using Clock = std::chrono::steady_clock;

/// One request of a program. A bulk IN keeps what has come for it until the program reaps it.
struct Request {
  void* urb = nullptr;    // the bus knows what that is
  std::uint64_t key = 0;  // by which the program takes it back
  Bytes bytes;
  std::size_t wanted = 0;
  int status = 0;
  std::size_t actual = 0;
  std::uint64_t ticket = 0;  // OUT: how many transfers the pipe must have sent
};

/// One open file of one program.
struct Client {
  std::deque<Request> in, out, done;
  bool claimed = false;
  Clock::time_point last_call{};
};

struct Place;

/// One appearance of a board on the bus. Programs that opened it then never meet a later one.
struct Appearance {
  Place& place;
  std::uint64_t number;
  std::string node;
  Clock::time_point gone_since{};
};

/// One board and where it is plugged in. `g_mutex` guards all of it.
struct Place {
  Board board;
  std::string socket;       // where the device's part of the session is played; "" = nowhere
  std::string image_file;   // where to keep the firmware
  std::string return_port;  // where it appears once booted; "" = the same port
  std::map<const void*, Client> clients;
  std::unique_ptr<SessionPipe> pipe;
  std::deque<Appearance> appearances;  // the last one is the present one
  std::string sys, node;               // "" = not shown
  bool gone = false;                   // off the bus, still shown
  State next = State::rom;             // what it is when it comes back
  Clock::time_point due{};             // when the next step of that is taken
  std::uint64_t sent = 0;              // OUT transfers given to the pipe
};

extern std::mutex g_mutex;
extern std::condition_variable g_changed;

/// Print one line of what happens.
void say(const std::string& text);

// All below: mutex held.

void finish(Client& client, Request request, int status);
/// Off the bus, at once for programs; `next` is what it comes back as.
void leave_bus(Place& place, State next);
/// Answer IN requests with what the device has queued.
void serve_in(Place& place, Client& client);
/// Finish the OUT requests whose bytes have been passed on.
void serve_out(Place& place, Client& client);
/// Take one OUT transfer.
void take_out(Place& place, Client& client, Request request, const std::uint8_t* data);
/// Take a request back: it is done, with what has come for it. False if it is not waiting.
bool cancel(Client& client, std::uint64_t key);

}  // namespace rig
