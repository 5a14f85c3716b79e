#include "place.hpp"

#include <cstdio>
#include <fstream>
#include <utility>

namespace rig {

using namespace std::chrono_literals;

std::mutex g_mutex;
std::condition_variable g_changed;

void say(const std::string& text) {
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

void finish(Client& client, Request request, int status) {
  request.status = status;
  client.done.push_back(std::move(request));
}

void leave_bus(Place& place, State next) {
  if (place.gone || place.board.state == State::unplugged) return;
  place.gone = true;
  place.next = next;
  if (place.board.booted()) place.board.faults.hang = false;  // a reboot helps
  place.due = Clock::now() + 20ms;
  for (auto& [key, client] : place.clients) {
    client.claimed = false;
    for (auto* requests : {&client.in, &client.out}) {
      for (Request& request : *requests) finish(client, std::move(request), -ESHUTDOWN);
      requests->clear();
    }
  }
  g_changed.notify_all();
}

namespace {

/// One fault that is due for an IN transfer; 0 if there is none.
int in_fault(Place& place) {
  Faults& faults = place.board.faults;
  if (std::exchange(faults.stall_in, false)) return -EPIPE;
  if (std::exchange(faults.protocol_error, false)) return -EPROTO;
  if (std::exchange(faults.babble, false)) return -EOVERFLOW;
  return 0;
}

/// True if the board is pulled in the middle of what it sends.
bool is_pulled(Place& place) {
  std::int64_t& limit = place.board.faults.unplug_after_bytes;
  if (limit < 0 || place.in_bytes < std::uint64_t(limit)) return false;
  limit = -1;
  return true;
}

}  // namespace

void serve_in(Place& place, Client& client) {
  Board& board = place.board;
  while (!client.in.empty() && !board.faults.hang && !place.gone) {
    Request& request = client.in.front();
    int status = board.outgoing.empty() ? 0 : in_fault(place);
    if (status == 0) {
      const std::size_t before = request.bytes.size();
      status = board.fill(request.bytes, request.wanted);
      place.in_bytes += request.bytes.size() - before;
      if (is_pulled(place)) return leave_bus(place, State::unplugged);
      if (status == -EAGAIN) break;
    }
    request.actual = request.bytes.size();
    Request ended = std::move(request);
    client.in.pop_front();
    finish(client, std::move(ended), status);
    g_changed.notify_all();
  }
}

void serve_out(Place& place, Client& client) {
  while (!client.out.empty() && place.pipe && place.pipe->sent() >= client.out.front().ticket) {
    Request ended = std::move(client.out.front());
    client.out.pop_front();
    ended.actual = ended.wanted;
    finish(client, std::move(ended), 0);
  }
}

namespace {

/// Firmware: the last of it makes the ROM leave the bus.
void take_image(Place& place, Client& client, Request request, const std::uint8_t* data) {
  Board& board = place.board;
  request.actual = request.wanted;
  const bool complete = board.take_firmware(data, request.wanted);
  finish(client, std::move(request), 0);
  if (board.faults.boot_unplug) return leave_bus(place, State::unplugged);
  if (!complete) return;
  say(board.port + " firmware " + std::to_string(board.image_bytes) + " bytes");
  if (!place.image_file.empty()) {
    std::ofstream(place.image_file, std::ios::binary)
        .write(reinterpret_cast<const char*>(board.image.data()), long(board.image.size()));
  }
  leave_bus(place, board.faults.no_return ? State::unplugged : State::booted);
}

}  // namespace

void take_out(Place& place, Client& client, Request request, const std::uint8_t* data) {
  if (std::exchange(place.board.faults.stall_out, false)) {
    return finish(client, std::move(request), -EPIPE);
  }
  if (!place.board.booted()) return take_image(place, client, std::move(request), data);
  if (place.pipe && place.pipe->connected()) {
    request.ticket = ++place.sent;
    place.pipe->send(Bytes(data, data + request.wanted));
    g_changed.notify_all();
  } else {
    request.ticket = ~std::uint64_t{0};  // firmware that listens to nobody
  }
  client.out.push_back(std::move(request));
}

}  // namespace rig
