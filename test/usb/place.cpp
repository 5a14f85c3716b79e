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
  if (place.board.booted()) set_board(place.board, "resume", "");  // a reboot helps
  place.due = Clock::now() + 20ms;
  for (auto& [key, client] : place.clients) {
    client.claimed = false;
    for (auto* requests : {&client.in, &client.out}) {
      for (Request& request : *requests) {
        request.actual = request.bytes.size();
        finish(client, std::move(request), place.board.faults.late_news ? -EPROTO : -ESHUTDOWN);
      }
      requests->clear();
    }
  }
  g_changed.notify_all();
}

void serve_in(Place& place, Client& client) {
  Board& board = place.board;
  while (!client.in.empty() && !board.faults.hang && !place.gone) {
    Request& request = client.in.front();
    int status = board.outgoing.empty() ? 0 : board.next_in_fault();
    if (status == 0) {
      status = board.fill(request.bytes, request.wanted);
      bool comes_back = false;
      if (board.is_pulled(comes_back)) {
        return leave_bus(place, comes_back ? State::rom : State::unplugged);
      }
      if (board.has_fallen_silent()) say(board.port + " silent");
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

/// Firmware: after the last bytes the ROM leaves the bus.
void take_image(Place& place, Client& client, Request request, const std::uint8_t* data) {
  Board& board = place.board;
  if (board.faults.boot_unplug) {
    client.out.push_back(std::move(request));
    return leave_bus(place, State::unplugged);
  }
  request.actual = request.wanted;
  const bool complete = board.take_firmware(data, request.wanted);
  finish(client, std::move(request), 0);
  if (!complete) return;
  say(board.port + " firmware " + std::to_string(board.image_bytes) + " bytes");
  if (!place.image_file.empty()) {
    std::ofstream(place.image_file, std::ios::binary)
        .write(reinterpret_cast<const char*>(board.image.data()), long(board.image.size()));
  }
  leave_bus(place, board.faults.no_return ? State::unplugged
                   : board.faults.rejects ? State::rom
                                          : State::booted);
}

}  // namespace

void take_out(Place& place, Client& client, Request request, const std::uint8_t* data) {
  Board& board = place.board;
  if (board.faults.stall_out > 0) {
    --board.faults.stall_out;
    return finish(client, std::move(request), -EPIPE);
  }
  if (board.faults.deaf) {
    request.ticket = ~std::uint64_t{0};
    return client.out.push_back(std::move(request));
  }
  if (!board.booted()) return take_image(place, client, std::move(request), data);
  if (board.faults.unplug_at_reset && Board::is_reset(data, request.wanted)) {
    client.out.push_back(std::move(request));
    return leave_bus(place, State::unplugged);
  }
  if (board.flood_bytes > 0) {  // it accepts all bytes and ignores them
    request.actual = request.wanted;
    return finish(client, std::move(request), 0);
  }
  if (place.pipe && place.pipe->connected()) {
    request.ticket = ++place.sent;
    place.pipe->send(Bytes(data, data + request.wanted));
    g_changed.notify_all();
  } else {
    request.ticket = ~std::uint64_t{0};  // firmware that does not read
  }
  client.out.push_back(std::move(request));
}

bool cancel(Client& client, std::uint64_t key) {
  for (auto* requests : {&client.in, &client.out}) {
    for (auto one = requests->begin(); one != requests->end(); ++one) {
      if (one->key != key) continue;
      Request request = std::move(*one);
      requests->erase(one);
      request.actual = request.bytes.size();  // received bytes are not lost
      finish(client, std::move(request), -ENOENT);
      return true;
    }
  }
  return false;
}

}  // namespace rig
