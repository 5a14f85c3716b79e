#include "guest_bus.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <iterator>
#include <map>
#include <utility>

namespace rig {

/// A board in a port. The guest's kernel is its only client. `g_mutex` is held in each call.
class GuestBus::Seat final : public Plugged {
 public:
  Seat(Place& place, GuestPort& port) : place_(place), port_(port), client_(place.clients[this]) {
    port_.plug(place.board, *this);
  }
  ~Seat() override {
    port_.unplug();
    place_.clients.erase(this);
  }

  const Place& place() const { return place_; }

  int control(const std::uint8_t setup[8], Bytes& answer) override {
    return place_.gone ? -EPROTO : place_.board.control(setup, answer);
  }

  void bulk(Transfer transfer) override {
    Request request;
    request.key = transfer.id;
    request.wanted = transfer.wanted;
    if (place_.gone) return finish(client_, std::move(request), -EPROTO);
    if (transfer.is_in) return client_.in.push_back(std::move(request));
    take_out(place_, client_, std::move(request), transfer.bytes.data());
  }

  // QEMU drops the bytes of a cancelled transfer, also those on their way; a real bus does not. To
  // lose none, the next transfers get these bytes.
  void cancel(std::uint64_t id) override {
    if (rig::cancel(client_, id)) return;
    for (auto one = sent_.rbegin(); one != sent_.rend(); ++one) {
      if (one->id != id) continue;
      returned_[one->serial] = std::move(one->bytes);
      sent_.erase(std::next(one).base());
      return;
    }
  }

  /// Complete all transfers that are done, and notify the guest.
  void serve() {
    finish_done();  // what a cancelled transfer had received comes before all that is sent now
    take_back();
    if (!port_.is_crowded()) serve_in(place_, client_);
    serve_out(place_, client_);
    finish_done();
  }

 private:
  struct Sent {
    std::uint64_t serial, id;
    Bytes bytes;
  };
  static constexpr std::size_t kRemembered = 16;

  void finish_done() {
    for (; !client_.done.empty(); client_.done.pop_front()) {
      Request& done = client_.done.front();
      port_.finish(done.key, done.status, done.bytes, done.actual);
      if (done.bytes.empty()) continue;
      if (done.status == -ENOENT) returned_[++serial_] = std::move(done.bytes);
      if (done.status == 0) sent_.push_back({++serial_, done.key, std::move(done.bytes)});
    }
    while (sent_.size() > kRemembered) sent_.pop_front();
  }

  void take_back() {
    Board& board = place_.board;
    for (auto one = returned_.rbegin(); one != returned_.rend(); ++one) {
      board.queued_bytes += one->second.size();
      board.in_bytes -= one->second.size();
      board.outgoing.push_front({std::move(one->second), 0});
    }
    returned_.clear();
  }

  Place& place_;
  GuestPort& port_;
  Client& client_;
  std::uint64_t serial_ = 0;
  std::deque<Sent> sent_;                    // the last IN transfers
  std::map<std::uint64_t, Bytes> returned_;  // by serial
};

GuestBus::GuestBus(const std::vector<int>& sockets)
    : seats_(sockets.size()), event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  for (const int fd : sockets) {
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    ports_.push_back(std::make_unique<GuestPort>(fd));
  }
  loop_ = std::thread(&GuestBus::live, this);
  watcher_ = std::thread(&GuestBus::watch, this);
}

GuestBus::~GuestBus() {
  {
    const std::lock_guard<std::mutex> lock(g_mutex);
    ending_ = true;
  }
  g_changed.notify_all();
  watcher_.join();
  loop_.join();
  ::close(event_);
}

void GuestBus::plug(Place& place) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  const bool moves = place.board.booted() && !place.return_port.empty();
  const std::string& port = moves ? place.return_port : place.board.port;
  const std::size_t number = std::stoul(port) - 1;
  place.node = "port " + port;
  seats_.at(number) = std::make_unique<Seat>(place, *ports_.at(number));
  g_changed.notify_all();
}

void GuestBus::unplug(Place& place) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  place.node.clear();
  for (auto& seat : seats_) {
    if (seat && &seat->place() == &place) seat.reset();
  }
  g_changed.notify_all();
}

/// Wakes poll() after a change.
void GuestBus::watch() const {
  std::unique_lock<std::mutex> lock(g_mutex);
  while (!ending_) {
    g_changed.wait(lock);
    ::eventfd_write(event_, 1);
  }
}

void GuestBus::serve(std::size_t number) {
  GuestPort& port = *ports_[number];
  if (seats_[number]) seats_[number]->serve();
  port.write();
}

void GuestBus::live() {
  std::vector<pollfd> polled(ports_.size() + 1);
  std::unique_lock<std::mutex> lock(g_mutex);
  while (!ending_) {
    for (std::size_t i = 0; i < ports_.size(); ++i) {
      const bool writes = ports_[i]->wants_to_write();
      polled[i] = {ports_[i]->is_open() ? ports_[i]->fd() : -1,
                   short(POLLIN | (writes ? POLLOUT : 0)), 0};
    }
    polled.back() = {event_, POLLIN, 0};
    lock.unlock();
    // A change outside of the wait is noticed after two milliseconds.
    ::poll(polled.data(), polled.size(), 2);
    eventfd_t count = 0;
    ::eventfd_read(event_, &count);
    lock.lock();
    for (std::size_t i = 0; i < ports_.size(); ++i) {
      if ((polled[i].revents & (POLLIN | POLLHUP)) != 0) ports_[i]->read();
      serve(i);
    }
  }
}

}  // namespace rig
