/// A board's place: its port, the programs that have it open, its events. Independent of the bus
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

/// One request of a program. A bulk IN keeps its received bytes until the program reaps it.
struct Request {
  void* urb = nullptr;    // for the bus; opaque here
  std::uint64_t key = 0;  // with which the program cancels it
  Bytes bytes;
  std::size_t wanted = 0;
  int status = 0;
  std::size_t actual = 0;
  std::uint64_t ticket = 0;  // OUT: done when the pipe has sent this many transfers
};

/// One open file of one program.
struct Client {
  std::deque<Request> in, out, done;
  bool claimed = false;
  Clock::time_point last_call{};
};

struct Place;

/// One appearance of a board on the bus. A program that opened it never sees a later appearance.
struct Appearance {
  Place& place;
  std::uint64_t number;
  std::string node;
  Clock::time_point gone_since{};
};

/// One board and where it is plugged in. `g_mutex` guards all of it.
struct Place {
  Board board;
  std::string socket;       // of the device's side of the session; "" = none
  std::string image_file;   // where to keep the firmware
  std::string return_port;  // where it appears once booted; "" = the same port
  std::map<const void*, Client> clients;
  std::unique_ptr<SessionPipe> pipe;
  std::deque<Appearance> appearances;  // the last one is the present one
  std::string sys, node;               // paths; "" = not shown
  bool gone = false;                   // off the bus, still shown
  State next = State::rom;             // the state in which it comes back
  Clock::time_point due{};             // time of the next step
  std::uint64_t sent = 0;              // OUT transfers given to the pipe
};

extern std::mutex g_mutex;
extern std::condition_variable g_changed;

/// Print one line about an event.
void say(const std::string& text);

// All below: mutex held.

void finish(Client& client, Request request, int status);
/// Leave the bus, at once for programs; it comes back in the state `next`.
void leave_bus(Place& place, State next);
/// Answer IN requests with the bytes that the device has queued.
void serve_in(Place& place, Client& client);
/// Finish the OUT requests whose bytes have been passed on.
void serve_out(Place& place, Client& client);
/// Take one OUT transfer.
void take_out(Place& place, Client& client, Request request, const std::uint8_t* data);
/// Cancel a request: it ends with the bytes received so far. False if it is not waiting.
bool cancel(Client& client, std::uint64_t key);

}  // namespace rig
