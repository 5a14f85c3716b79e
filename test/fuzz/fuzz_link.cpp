// A link, as host or as device, with a hostile other end, while this end uses all calls of the
// link.
//
// Nothing may crash, wait for ever or occupy more memory than the options allow.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <stdexcept>

#include "input.hpp"
#include "link/link.hpp"

namespace depthai::fuzz {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kMaxPayload = 20'000;
constexpr std::size_t kMaxQueued = 100'000, kMaxUnopened = 50'000;
constexpr const char* kNames[] = {"left", "right", "rgb", "meta_d2h", "config_d2h"};
constexpr std::uint32_t kWindows[] = {1, 64, 1000, 20'032, 1 << 20, 0xFFFFFFFF, 0};
constexpr std::uint32_t kSizes[] = {0, 1, 64, 1000, 5000, 20'000, 20'001, 0xFFFFFFFF};

/// The other end: the link reads what it is fed and its requests are noted.
class Wire final : public Transport {
 public:
  void read_exactly(std::uint8_t* data, std::size_t size) override {
    std::unique_lock<std::mutex> lock(mutex_);
    while (size > 0) {
      const std::size_t count = std::min(size, fed_.size());
      std::copy(fed_.begin(), fed_.begin() + static_cast<long>(count), data);
      fed_.erase(fed_.begin(), fed_.begin() + static_cast<long>(count));
      data += count;
      size -= count;
      if (size == 0) return;
      is_waiting_ = true;
      changed_.notify_all();
      changed_.wait(lock, [this] { return closed_ || !fed_.empty(); });
      is_waiting_ = false;
      if (closed_) throw LinkError("wire: the other end hung up");
    }
  }
  void write(const Part* parts, std::size_t count) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (closed_ || is_broken_) throw LinkError("wire: sending failed");
    note(parts, count);
  }
  std::size_t write_now(const Part* parts, std::size_t count) noexcept override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (closed_ || is_broken_ || most_now_ == 0) return 0;
    std::size_t size = 0;
    for (std::size_t i = 0; i < count; ++i) size += parts[i].size;
    if (size > most_now_) return most_now_;
    note(parts, count);
    return size;
  }
  void limit_write(std::chrono::milliseconds) override {}
  void close() noexcept override {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  std::string describe() const override { return "wire"; }

  /// Returns when the link has handled these bytes.
  void feed(const std::uint8_t* data, std::size_t size) {
    std::unique_lock<std::mutex> lock(mutex_);
    fed_.insert(fed_.end(), data, data + size);
    changed_.notify_all();
    changed_.wait(lock, [this] { return closed_ || (fed_.empty() && is_waiting_); });
  }
  /// From now on at most `size` bytes are taken at once; the writer thread sends the rest.
  void take_at_once(std::size_t size) {
    const std::lock_guard<std::mutex> lock(mutex_);
    most_now_ = size;
  }
  void break_writing() {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_broken_ = true;
  }
  /// The request that the link sent `back` requests ago.
  xlink::Header request(std::size_t back) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return back < requests_.size() ? requests_[requests_.size() - 1 - back] : xlink::Header{};
  }

 private:
  void note(const Part* parts, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      if (parts[i].size != xlink::kHeaderBytes) continue;
      xlink::Header header;
      std::memcpy(static_cast<void*>(&header), parts[i].data, sizeof(header));
      if (header.type < xlink::kResponseOffset) requests_.push_back(header);
    }
    if (requests_.size() > 200) requests_.erase(requests_.begin(), requests_.begin() + 100);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  Bytes fed_;
  std::vector<xlink::Header> requests_;
  std::size_t most_now_ = SIZE_MAX;
  bool is_waiting_ = false, closed_ = false, is_broken_ = false;
};

/// Both ends of one session.
struct Session {
  Session(Input& made_up, Role role, const LinkOptions& options)
      : input(made_up), wire(std::make_shared<Wire>()), link(wire, role, options) {}

  Input& input;
  const std::shared_ptr<Wire> wire;
  Link link;
  std::shared_ptr<PacketQueue> queue = std::make_shared<PacketQueue>(6, 4);
  std::vector<Packet> packets;  // read or taken
  std::int32_t next_id = 1000;

  std::string name() { return input.one_of(kNames); }

  // ---- what the other end does

  void send(const xlink::Header& header, std::size_t payload = 0) {
    Bytes bytes(xlink::kHeaderBytes + payload);
    std::memcpy(bytes.data(), xlink::wire_bytes(header), xlink::kHeaderBytes);
    wire->feed(bytes.data(), bytes.size());
  }
  void send_request(xlink::Type type, std::uint32_t size = 0, std::string_view stream = {}) {
    const auto id = static_cast<std::uint32_t>(input.below(5));
    const auto header = xlink::make_request(type, next_id++, id, size, stream);
    send(header, type == xlink::kWriteRequest && size <= kMaxPayload ? size : 0);
  }
  void create() {
    const std::uint32_t window = input.one_of(kWindows);
    send_request(xlink::kCreateRequest, window, name());
  }
  void create_many() {
    for (int i = 0; i < 40; ++i) {
      const std::string many = std::to_string(input.byte()) + "." + std::to_string(next_id);
      send(xlink::make_request(xlink::kCreateRequest, next_id++, 0, 64, many));
    }
  }
  void write() { send_request(xlink::kWriteRequest, input.one_of(kSizes)); }
  void write_many() {
    const std::uint32_t size = input.one_of(kSizes) % kMaxPayload, id = input.byte() % 5U;
    for (std::size_t left = input.below(70); left > 0; --left) {
      send(xlink::make_request(xlink::kWriteRequest, next_id++, id, size), size);
    }
  }
  void release() { send_request(xlink::kReleaseRequest, input.one_of(kSizes)); }
  void close_theirs() { send_request(xlink::kCloseRequest); }
  void ping_us() { send_request(xlink::kPingRequest); }
  void reset_us() { send_request(xlink::kResetRequest); }
  /// As a correct peer would, but for the id and the flags.
  void answer() {
    const auto request = wire->request(input.below(8));
    auto response =
        xlink::make_response(request, input.flag() ? std::uint32_t{xlink::kAck} : input.byte());
    std::memcpy(response.name, request.name, sizeof(response.name));
    response.stream_id = request.stream_id;
    if (request.type == xlink::kCreateRequest) {
      response.stream_id = static_cast<std::uint32_t>(input.below(5));
    }
    response.size = request.size;
    send(response);
  }
  void release_ours() {
    const auto sent = wire->request(input.below(8));
    send(xlink::make_request(xlink::kReleaseRequest, next_id++, sent.stream_id, sent.size));
  }
  void send_header() {
    xlink::Header header;
    input.read(reinterpret_cast<std::uint8_t*>(&header), sizeof(header));
    send(header);
  }
  void send_bytes() {
    const Bytes bytes = input.bytes(input.byte());
    wire->feed(bytes.data(), bytes.size());
  }
  void take_less() { wire->take_at_once(input.flag() ? input.byte() : SIZE_MAX); }
  void break_writing() { wire->break_writing(); }
  void hang_up() { wire->close(); }

  // ---- what this end does

  void ping() { link.ping(0ns); }
  void open() {
    const std::uint32_t window = input.one_of(kWindows);
    const bool has_queue = input.flag();
    link.open_stream(name(), window, has_queue ? queue : nullptr, 0ns);
  }
  void close_ours() { link.close_stream(name(), 0ns); }
  void write_ours() {
    const Bytes bytes(input.one_of(kSizes) % kMaxPayload);
    const Part part{bytes.data(), bytes.size()};
    WriteOptions options;
    options.credit = options.response = 0ns;
    options.wait_response = input.flag();
    link.write(name(), &part, 1, options);
  }
  void read() {
    if (auto packet = link.read(name(), 0ns)) packets.push_back(std::move(*packet));
  }
  void take() {
    for (Packet& packet : queue->take()) packets.push_back(std::move(packet));
  }
  void give_back() {
    link.release(packets.empty() ? Packet{} : packets[input.below(packets.size())]);
  }
  void forget() { packets.clear(); }
  void reset() { link.reset(0ns); }
  void next_event() { link.next_event(0ns); }
  void end_queue() { queue->close(); }
  void close_link() { link.close(); }
};

constexpr void (Session::* kActions[])() = {
    &Session::create,     &Session::create_many,   &Session::write,      &Session::write_many,
    &Session::release,    &Session::close_theirs,  &Session::ping_us,    &Session::reset_us,
    &Session::answer,     &Session::release_ours,  &Session::send_bytes, &Session::send_header,
    &Session::take_less,  &Session::break_writing, &Session::hang_up,    &Session::ping,
    &Session::open,       &Session::close_ours,    &Session::write_ours, &Session::read,
    &Session::take,       &Session::give_back,     &Session::forget,     &Session::reset,
    &Session::next_event, &Session::end_queue,     &Session::close_link, &Session::open,
    &Session::answer,     &Session::write,         &Session::create,     &Session::write_ours,
};

void check_memory(Link& link) {
  expect(link.counters()["queued_bytes"] <= kMaxQueued + kMaxUnopened,
         "waiting packets occupy more memory than the options allow");
  expect(link.stream_counters().size() <= 1100, "the table of names grows without limit");
}

void run(Input& input) {
  constexpr int kMostActions = 60;
  const bool is_host = input.flag();
  LinkOptions options;
  options.auto_release = input.flag();
  options.max_payload_bytes = kMaxPayload;
  options.max_queued_bytes = kMaxQueued;
  options.max_unopened_bytes = kMaxUnopened;
  Session session(input, is_host ? Role::host : Role::device, options);
  for (int left = kMostActions; left > 0 && !input.is_empty(); --left) {
    try {
      (session.*input.one_of(kActions))();
    } catch (const Error&) {
    } catch (const std::invalid_argument&) {
    }
    check_memory(session.link);
  }
}

}  // namespace
}  // namespace depthai::fuzz

/// Bytes: role, whether packets are released at once, then actions with their arguments.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace depthai;
  fuzz::Input input(data, size);
  fuzz::run(input);
  fuzz::expect(BufferPool::shared().statistics().used_bytes == 0, "a packet is never freed");
  return 0;
}
