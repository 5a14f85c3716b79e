/// One XLink connection, as host or as device.
///
/// Source: docs/wire_format.md#xlink
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/deadline.hpp"
#include "base/error.hpp"
#include "link/packet_queue.hpp"
#include "link/send_queue.hpp"
#include "link/stream_table.hpp"
#include "transport/transport.hpp"
#include "xlink/xlink.hpp"

namespace depthai {

struct LinkOptions {
  bool auto_release = true;  ///< return the credit of a packet when it is queued
  std::uint32_t max_payload_bytes = 128u << 20;
  /// Memory of all packets that wait in the queues of this link, about one second of a full USB 3
  /// connection. Beyond it the oldest packets of the same stream are dropped and counted.
  std::size_t max_queued_bytes = std::size_t{256} << 20;
  /// The same for a host's streams that it has not opened (yet). Their credit returns when it opens
  /// them: a device cannot send more than its window before that.
  std::size_t max_unopened_bytes = std::size_t{32} << 20;
  /// The link ends if the other end takes no byte of a half-sent message for this long: such a
  /// message cannot be withdrawn.
  std::chrono::milliseconds transfer_limit = std::chrono::seconds(10);
};

/// An action of the other end, or the end of the link.
struct LinkEvent {
  enum class Kind { ping, opened, closed, reset, down };
  Kind kind;
  std::string stream;      ///< opened, closed
  std::uint32_t size = 0;  ///< opened: the requested window
  std::string detail;      ///< down: why
};

struct WriteOptions {
  Timeout credit;             ///< how long to wait for credit
  bool wait_response = true;  ///< wait until the other end has acknowledged
  Timeout response;           ///< how long to wait for the acknowledgement
  bool count_refusal = true;  ///< count a write without credit; false: the caller retries
};

/// A link has a reader and a writer thread. A caller sends its packet itself if no other thread is
/// sending. The reader answers the requests of the other end, so the stream table changes in the
/// order of arrival. All members are thread-safe. Calls that wait throw LinkTimeoutError; once the
/// link is down, its failure (LinkError, ProtocolError), or LinkError("… closed") after `close()`.
class Link {
 public:
  /// Throws LinkError if another link has the transport.
  Link(std::shared_ptr<Transport> transport, Role role, const LinkOptions& options = {});
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link();

  void ping(Timeout timeout);

  /// Open our direction of a stream and return its id. Its packets go to `queue`, or wait for
  /// `read()` if null. Throws LinkError if refused.
  std::uint32_t open_stream(const std::string& name, std::uint32_t window,
                            std::shared_ptr<PacketQueue> queue, Timeout timeout);

  /// Wait until all packets that we wrote are released, then close our direction. Throws LinkError
  /// if refused.
  void close_stream(const std::string& name, Timeout timeout);

  /// Send one packet without joining or copying its parts; they must live until it returns. False
  /// (and nothing is sent) without credit in time.
  /// Throws LinkError if the packet is larger than the window.
  bool write(const std::string& name, const Part* parts, std::size_t count,
             const WriteOptions& options);

  /// The oldest packet of a stream without a queue; nullopt after the timeout.
  std::optional<Packet> read(const std::string& name, Timeout timeout);

  /// Return the credit of a packet (only without auto_release). Releases are sent in the order of
  /// arrival of the packets, not of the calls. Throws LinkError for a packet of another link.
  void release(const Packet& packet);

  /// Reboot the device. Returns when it answered or hung up; the link is closed then.
  void reset(Timeout timeout);

  /// The next event; nullopt after the timeout, and after the last event, "down".
  std::optional<LinkEvent> next_event(Timeout timeout);

  /// True while our direction of the stream is open.
  bool has_stream(const std::string& name) const;

  /// Send queued messages (bounded), close the transport and stop both threads.
  /// From any thread, may be repeated.
  void close();

  bool is_up() const;
  bool is_down() const;  ///< ended; `close()` is in neither state while it sends queued messages
  /// Why the link went down; "" while it is up or after a plain `close()`.
  std::string failure() const;
  std::map<std::string, std::uint64_t> counters() const;
  std::map<std::string, std::map<std::string, std::uint64_t>> stream_counters() const;

 private:
  enum class State { up, closing, down };
  using Lock = std::unique_lock<std::mutex>;
  using Handler = void (Link::*)(const xlink::Header&);

  /// A request whose caller waits for the answer.
  struct Pending {
    std::uint32_t response_type;
    bool answered = false;
    std::string refusal;  // the reason, if the other end refused
  };
  /// Keeps a Pending in the table while its caller waits. Made and destroyed with the lock held.
  class Waiting;
  struct Totals {
    std::uint64_t bytes_in = 0;
    std::uint64_t packets_in = 0;
    std::uint64_t packets_out = 0;
    std::uint64_t requests_in = 0;
    std::uint64_t requests_out = 0;
    std::uint64_t responses_in = 0;
    std::uint64_t refusals_in = 0;
    std::uint64_t events_dropped = 0;
  };

  // Reader thread.
  void run_reader();
  std::uint8_t* payload_memory(const xlink::Header& header);
  void on_message(const xlink::Header& header);
  void on_invalid(const xlink::Header& header);
  void on_write(const xlink::Header& header);
  void on_release(const xlink::Header& header);
  void on_create(const xlink::Header& header);
  void on_close(const xlink::Header& header);
  void on_ping(const xlink::Header& header);
  void on_reset(const xlink::Header& header);
  void on_create_answer(const xlink::Header& header);
  void on_close_answer(const xlink::Header& header);
  void on_answer(const xlink::Header& header);
  void answer(const xlink::Header& header, const std::string& refusal);
  std::string creation_refusal(Stream& stream, const xlink::Header& header);

  // Any thread, lock held.
  void check_up() const;
  Stream& open_record(const std::string& name, const char* what);
  void attach(Stream& stream, std::shared_ptr<PacketQueue> queue);
  void ask(Lock& lock, const xlink::Header& request, const Deadline& deadline,
           const std::string& what);
  void await(Lock& lock, const Pending& pending, const Deadline& deadline, const std::string& what);
  bool is_uninvited(const Stream& stream) const;
  const std::shared_ptr<ByteBudget>& budget_of(const Stream& stream) const;
  void release_dropped(const std::vector<Packet>& drops);
  void release_packet(Stream& stream, std::uint64_t serial);
  void send_release(Stream& stream);
  void push_event(LinkEvent event);
  std::int32_t next_id();

  // Any thread, lock not held.
  void end(const Failure& failure);

  const std::shared_ptr<Transport> transport_;
  const Role role_;
  const LinkOptions options_;
  const std::shared_ptr<ByteBudget> queued_, unopened_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;         // answers, credit, state
  std::condition_variable events_changed_;  // events, state
  State state_ = State::up;
  Failure failure_;
  bool reset_sent_ = false;
  bool opening_ = false;  // streams are opened one at a time
  StreamTable table_;
  std::int32_t last_id_;
  std::unordered_map<std::int32_t, Pending*> pending_;
  std::unordered_map<std::int32_t, Stream*> creating_;  // by request; outlives the caller's wait
  std::unordered_map<std::int32_t, Stream*> closing_;   // likewise
  std::deque<LinkEvent> events_;
  Totals totals_;

  // Only touched by the reader.
  xlink::Decoder decoder_;
  Stream* incoming_stream_ = nullptr;
  std::shared_ptr<Buffer> incoming_;

  SendQueue send_queue_;
  std::thread reader_;
  std::mutex join_mutex_;
};

}  // namespace depthai
