#include "link/link.hpp"

#include <algorithm>
#include <ctime>
#include <exception>
#include <limits>
#include <stdexcept>
#include <utility>

namespace depthai {
namespace {

using namespace std::chrono_literals;

constexpr auto kDrainLimit = 200ms;       // close(): for sending queued messages
constexpr std::size_t kMaxEvents = 1024;  // reading events is optional
constexpr std::uint32_t kLargestPacket = std::numeric_limits<std::int32_t>::max();

std::string quoted(const std::string& name) { return "stream '" + name + "'"; }

std::uint32_t total_size(const Part* parts, std::size_t count, const std::string& name) {
  std::size_t total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (parts[i].size > kLargestPacket - total) {
      throw LinkError("write to " + quoted(name) + ": a packet has at most " +
                      std::to_string(kLargestPacket) + " bytes");
    }
    total += parts[i].size;
  }
  return static_cast<std::uint32_t>(total);
}

}  // namespace

class Link::Waiting {
 public:
  Waiting(Link& link, const xlink::Header& request)
      : link_(link), id_(request.id), pending_{request.type + xlink::kResponseOffset, false, {}} {
    link_.pending_[id_] = &pending_;
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting() { link_.pending_.erase(id_); }
  const Pending& pending() const { return pending_; }

 private:
  Link& link_;
  const std::int32_t id_;
  Pending pending_;
};

Link::Link(std::shared_ptr<Transport> transport, Role role, const LinkOptions& options)
    : transport_(std::move(transport)),
      role_(role),
      options_(options),
      queued_(std::make_shared<ByteBudget>(options.max_queued_bytes)),
      unopened_(std::make_shared<ByteBudget>(options.max_unopened_bytes)),
      table_(role),
      last_id_((role == Role::host ? xlink::kFirstHostId : xlink::kFirstDeviceId) - 1),
      decoder_(other_end(role), options.max_payload_bytes,
               [this](const xlink::Header& header) { return payload_memory(header); }),
      send_queue_(transport_, [this](const Failure& failure) { end(failure); }) {
  if (!transport_->claim()) {
    throw LinkError(transport_->describe() + ": another link uses this transport");
  }
  transport_->limit_write(options.transfer_limit);
  send_queue_.start();
  reader_ = std::thread(&Link::run_reader, this);
}

Link::~Link() { close(); }

// ---- what the session calls ------------------------------------------------------------------

void Link::ping(Timeout timeout) {
  const Deadline deadline(timeout);
  Lock lock(mutex_);
  check_up();
  ask(lock, xlink::make_request(xlink::kPingRequest, next_id()), deadline, "ping");
}

std::uint32_t Link::open_stream(const std::string& name, std::uint32_t window,
                                std::shared_ptr<PacketQueue> queue, Timeout timeout) {
  if (name.empty() || name.size() > xlink::kMaxNameLength || !xlink::is_printable(name)) {
    throw std::invalid_argument("a stream name must have 1 to 63 printable ASCII characters: '" +
                                name + "'");
  }
  if (window == 0 || window > kLargestPacket) {
    throw std::invalid_argument("the window of " + quoted(name) + " must have 1 to " +
                                std::to_string(kLargestPacket) + " bytes");
  }
  const std::string what = "open " + quoted(name);
  const Deadline deadline(timeout);
  Lock lock(mutex_);
  if (!deadline.wait(changed_, lock, [this] { return !opening_ || state_ != State::up; })) {
    throw LinkTimeoutError(what + ": another stream is still being opened");
  }
  check_up();
  Stream* const stream = table_.record(name);
  if (stream == nullptr) throw LinkError(what + ": too many stream names on one link");
  // Before the request is sent: packets may arrive before this thread runs again.
  attach(*stream, std::move(queue));
  const auto request =
      xlink::make_request(xlink::kCreateRequest, next_id(), xlink::kInvalidStreamId,
                          xlink::rounded_window(window), name);
  creating_[request.id] = stream;
  opening_ = true;
  try {
    ask(lock, request, deadline, what);
  } catch (...) {
    opening_ = false;
    changed_.notify_all();
    throw;
  }
  opening_ = false;
  changed_.notify_all();
  return stream->id;
}

void Link::close_stream(const std::string& name, Timeout timeout) {
  const std::string what = "close " + quoted(name);
  const Deadline deadline(timeout);
  Lock lock(mutex_);
  Stream& stream = open_record(name, "close");
  // Until the answer: a packet written after the request would be for a stream that is closed.
  struct Closing {
    Stream& stream;
    ~Closing() { stream.is_closing = false; }
  };
  stream.is_closing = true;
  const Closing closing{stream};
  const bool all_released =
      deadline.wait(changed_, lock, [&] { return stream.tx_sizes.empty() || state_ != State::up; });
  check_up();
  if (!all_released) {
    throw LinkTimeoutError(what + ": the other end has not released " +
                           std::to_string(stream.tx_sizes.size()) + " packets");
  }
  const auto request = xlink::make_request(xlink::kCloseRequest, next_id(), stream.id);
  closing_[request.id] = &stream;
  ask(lock, request, deadline, what);
}

bool Link::write(const std::string& name, const Part* parts, std::size_t count,
                 const WriteOptions& options) {
  const std::uint32_t size = total_size(parts, count, name);
  const Deadline credit_deadline(options.credit);
  Lock lock(mutex_);
  Stream* stream = &open_record(name, "write to");
  if (size > stream->tx_window) {
    throw LinkError("write to " + quoted(name) + ": the packet has " + std::to_string(size) +
                    " bytes, the window " + std::to_string(stream->tx_window));
  }
  const auto is_ready = [&] {
    return state_ != State::up || stream->tx_window < size || stream->is_closing ||
           stream->has_credit(size);
  };
  if (!credit_deadline.wait(changed_, lock, is_ready)) {
    if (options.count_refusal) ++stream->counters.refused_writes;
    return false;
  }
  stream = &open_record(name, "write to");  // it may have been closed while we waited
  const auto request = xlink::make_request(xlink::kWriteRequest, next_id(), stream->id, size);
  std::optional<Waiting> waiting;
  if (options.wait_response) waiting.emplace(*this, request);
  table_.note_sent(*stream, size);
  ++totals_.packets_out;
  ++totals_.requests_out;
  SendQueue::Transfer transfer;
  // Under the lock, so that packets are sent in the order in which they took their credit.
  send_queue_.enqueue(request, parts, count, transfer);
  lock.unlock();
  const bool sent = send_queue_.complete(transfer);
  lock.lock();
  if (waiting) {
    await(lock, waiting->pending(), Deadline(options.response), "write to " + quoted(name));
  } else if (!sent) {
    check_up();
  }
  return true;
}

std::optional<Packet> Link::read(const std::string& name, Timeout timeout) {
  std::shared_ptr<PacketQueue> queue;
  {
    const Lock lock(mutex_);
    const Stream* const stream = table_.record(name);
    if (stream == nullptr) throw LinkError("read " + quoted(name) + ": too many stream names");
    if (!stream->has_own_queue) {
      throw LinkError("read " + quoted(name) + ": its packets go to the queue it was opened with");
    }
    queue = stream->queue;
    if (state_ == State::down) timeout = 0ns;
  }
  auto packet = queue->pop(timeout);
  if (!packet) {
    const Lock lock(mutex_);
    check_up();
  }
  return packet;
}

void Link::release(const Packet& packet) {
  const Lock lock(mutex_);
  check_up();
  if (options_.auto_release) throw LinkError("release: this link was made with auto_release");
  Stream* const stream = packet.stream ? table_.find(*packet.stream) : nullptr;
  if (stream == nullptr || stream->name != packet.stream)
    throw LinkError("release: the packet does not belong to this link");
  release_packet(*stream, packet.serial);
}

void Link::reset(Timeout timeout) {
  const Deadline deadline(timeout);
  Lock lock(mutex_);
  check_up();
  const auto request = xlink::make_request(xlink::kResetRequest, next_id());
  {
    const Waiting waiting(*this, request);
    ++totals_.requests_out;
    send_queue_.enqueue({request});
    send_queue_.close_input();  // a reset must be the last message
    reset_sent_ = true;
    deadline.wait(changed_, lock,
                  [&] { return waiting.pending().answered || state_ != State::up; });
    if (!waiting.pending().answered && state_ == State::up) {
      throw LinkTimeoutError("reset: the device neither answered nor hung up");
    }
  }
  lock.unlock();
  end({});
}

std::optional<LinkEvent> Link::next_event(Timeout timeout) {
  const Deadline deadline(timeout);
  Lock lock(mutex_);
  deadline.wait(events_changed_, lock,
                [this] { return !events_.empty() || state_ == State::down; });
  if (events_.empty()) return std::nullopt;
  LinkEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

bool Link::has_stream(const std::string& name) const {
  const Lock lock(mutex_);
  const Stream* const stream = table_.find(std::string_view(name));
  return state_ == State::up && stream != nullptr && stream->tx_window != 0;
}

void Link::close() {
  {
    const Lock lock(mutex_);
    if (state_ == State::up) state_ = State::closing;
  }
  changed_.notify_all();
  send_queue_.drain(kDrainLimit);  // deliver queued answers, for example to a reset
  end({});
  const std::lock_guard<std::mutex> lock(join_mutex_);
  send_queue_.join();
  if (reader_.joinable()) reader_.join();
}

bool Link::is_up() const {
  const Lock lock(mutex_);
  return state_ == State::up;
}

bool Link::is_down() const {
  const Lock lock(mutex_);
  return state_ == State::down;
}

std::string Link::failure() const {
  const Lock lock(mutex_);
  return failure_.message;
}

std::map<std::string, std::uint64_t> Link::counters() const {
  const Lock lock(mutex_);
  return {{"bytes_in", totals_.bytes_in},
          {"bytes_out", send_queue_.bytes_sent()},
          {"packets_in", totals_.packets_in},
          {"packets_out", totals_.packets_out},
          {"requests_in", totals_.requests_in},
          {"requests_out", totals_.requests_out},
          {"responses_in", totals_.responses_in},
          {"refusals_in", totals_.refusals_in},
          {"ids_adopted", table_.ids_adopted()},
          {"events_dropped", totals_.events_dropped},
          {"queued_bytes", queued_->used() + unopened_->used()}};
}

std::map<std::string, std::map<std::string, std::uint64_t>> Link::stream_counters() const {
  const Lock lock(mutex_);
  std::map<std::string, std::map<std::string, std::uint64_t>> result;
  for (const auto& [name, stream] : table_.all()) {
    const StreamCounters& counters = stream.counters;
    result[name] = {
        {"packets_in", counters.packets_in},         {"bytes_in", counters.bytes_in},
        {"packets_out", counters.packets_out},       {"bytes_out", counters.bytes_out},
        {"refused_writes", counters.refused_writes}, {"tx_bytes", stream.tx_bytes},
        {"tx_packets", stream.tx_sizes.size()},      {"dropped", stream.queue->dropped(name)}};
  }
  return result;
}

// ---- shared, lock held -----------------------------------------------------------------------

void Link::check_up() const {
  if (state_ != State::up) failure_.raise();
}

Stream& Link::open_record(const std::string& name, const char* what) {
  check_up();
  Stream* const stream = table_.find(std::string_view(name));
  if (stream == nullptr || stream->tx_window == 0 || stream->is_closing) {
    throw LinkError(std::string(what) + " " + quoted(name) + ": it is not open");
  }
  return *stream;
}

void Link::attach(Stream& stream, std::shared_ptr<PacketQueue> queue) {
  stream.asked_for = true;
  while (options_.auto_release && !stream.rx_packets.empty()) send_release(stream);
  if (queue == nullptr && stream.has_own_queue) return;
  const auto old = stream.queue;
  const bool was_own = stream.has_own_queue;
  stream.has_own_queue = queue == nullptr;
  stream.queue = queue ? std::move(queue)
                       : std::make_shared<PacketQueue>(xlink::kMaxUnreleasedPackets,
                                                       xlink::kMaxUnreleasedPackets);
  if (!was_own) return;
  for (Packet& packet : old->take()) {
    release_dropped(stream.queue->push(std::move(packet), budget_of(stream)));
  }
  old->close();  // wakes a reader
}

void Link::ask(Lock& lock, const xlink::Header& request, const Deadline& deadline,
               const std::string& what) {
  const Waiting waiting(*this, request);
  ++totals_.requests_out;
  send_queue_.enqueue({request});
  await(lock, waiting.pending(), deadline, what);
}

void Link::await(Lock& lock, const Pending& pending, const Deadline& deadline,
                 const std::string& what) {
  const bool in_time =
      deadline.wait(changed_, lock, [&] { return pending.answered || state_ != State::up; });
  if (pending.answered && !pending.refusal.empty()) throw LinkError(what + ": " + pending.refusal);
  if (pending.answered) return;
  check_up();
  if (!in_time) throw LinkTimeoutError(what + ": no answer in time");
}

/// A device may open any stream, also before the host does or without the host ever doing so.
bool Link::is_uninvited(const Stream& stream) const {
  return role_ == Role::host && !stream.asked_for;
}

const std::shared_ptr<ByteBudget>& Link::budget_of(const Stream& stream) const {
  return is_uninvited(stream) ? unopened_ : queued_;
}

void Link::release_dropped(const std::vector<Packet>& drops) {
  if (options_.auto_release) return;
  for (const Packet& drop : drops) {
    // A queue may serve several streams and several links.
    Stream* const owner = table_.find(*drop.stream);
    if (owner != nullptr && owner->name == drop.stream) release_packet(*owner, drop.serial);
  }
}

void Link::release_packet(Stream& stream, std::uint64_t serial) {
  auto& packets = stream.rx_packets;
  const auto found = std::find_if(packets.begin(), packets.end(), [serial](const auto& packet) {
    return packet.serial == serial && !packet.released;
  });
  if (found == packets.end()) {
    throw LinkError("release: this packet of " + quoted(*stream.name) + " was already released");
  }
  found->released = true;
  while (!packets.empty() && packets.front().released) send_release(stream);
}

/// Returns the credit of the oldest packet.
void Link::send_release(Stream& stream) {
  const std::uint32_t size = stream.rx_packets.front().size;
  stream.rx_packets.pop_front();
  stream.rx_bytes -= size;
  ++totals_.requests_out;
  send_queue_.enqueue({xlink::make_request(xlink::kReleaseRequest, next_id(), stream.id, size)});
}

void Link::push_event(LinkEvent event) {
  if (events_.size() >= kMaxEvents) {
    events_.pop_front();
    ++totals_.events_dropped;
  }
  events_.push_back(std::move(event));
  events_changed_.notify_all();
}

std::int32_t Link::next_id() {
  if (last_id_ == std::numeric_limits<std::int32_t>::max()) last_id_ = xlink::kFirstHostId - 1;
  return ++last_id_;
}

// ---- any thread, lock not held ---------------------------------------------------------------

void Link::end(const Failure& failure) {
  {
    const Lock lock(mutex_);
    if (state_ == State::down) return;
    if (state_ == State::up && !reset_sent_) failure_ = failure;
    state_ = State::down;
    push_event({LinkEvent::Kind::down, "", 0, failure_.message});
    for (const auto& [name, stream] : table_.all()) {
      failure_.kind == Failure::Kind::closed ? stream.queue->close() : stream.queue->fail(failure_);
    }
  }
  changed_.notify_all();
  events_changed_.notify_all();
  send_queue_.abort();
  transport_->close();
}

}  // namespace depthai
