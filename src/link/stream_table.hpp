/// The streams of one link: names, ids, windows and credit. Pure bookkeeping: no threads, no I/O.
///
/// Source: docs/wire_format.md#xlink
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "link/packet_queue.hpp"
#include "xlink/xlink.hpp"

namespace depthai {

struct StreamCounters {
  std::uint64_t packets_in = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t packets_out = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t refused_writes = 0;  // no credit in time
};

/// One stream name of this link. The record outlives the stream: counters and unread packets stay
/// when both ends have closed it.
struct Stream {
  struct Received {
    std::uint64_t serial;
    std::uint32_t size;
    bool released;
  };

  std::shared_ptr<const std::string> name;
  std::uint32_t id = xlink::kInvalidStreamId;
  bool exists = false;  // at least one direction is open; only then found by id

  // Our direction. Window 0: we have not opened it.
  std::uint32_t tx_window = 0;
  std::uint64_t tx_bytes = 0;
  std::deque<std::uint32_t> tx_sizes;  // sent and not yet released, oldest first
  bool is_closing = false;             // close_stream() waits for releases, then for the answer

  // The other end's direction. Window 0: it has not opened it.
  std::uint32_t rx_window = 0;
  std::uint64_t rx_bytes = 0;
  std::deque<Received> rx_packets;  // not yet released, oldest first

  bool asked_for = false;  // this end has opened it at least once
  std::shared_ptr<PacketQueue> queue;
  bool has_own_queue = true;  // false: the queue came with open_stream()
  StreamCounters counters;

  bool has_credit(std::uint32_t size) const {
    return tx_sizes.size() < xlink::kMaxUnreleasedPackets && tx_bytes + size <= tx_window;
  }
};

/// Not thread-safe. References to streams stay valid as long as the table lives.
class StreamTable {
 public:
  explicit StreamTable(Role role) : role_(role) {}

  /// The record of a name, or null; the stream need not exist.
  Stream* find(std::string_view name);
  const Stream* find(std::string_view name) const;
  /// The existing stream with this id, or null.
  Stream* find(std::uint32_t id);
  /// The record of a name, created if needed. Null if there are too many names.
  Stream* record(std::string_view name);

  /// The other end opens its direction: grants the window and assigns an id. Null = refused.
  Stream* accept_creation(std::string_view name, std::uint32_t window);

  /// The other end has accepted our creation: our direction is open now.
  /// Throws ProtocolError if two names share the id, LinkError if the window cannot be granted.
  Stream& creation_accepted(std::string_view name, std::uint32_t id, std::uint32_t window);

  /// The other end closes its direction. False = refused: it has unreleased packets.
  bool accept_close(Stream& stream);
  /// The other end has answered our close.
  void close_answered(Stream& stream);

  /// Take the credit for a packet that is about to be sent; there must be enough.
  void note_sent(Stream& stream, std::uint32_t size);
  /// Return the credit of the oldest packet. Throws ProtocolError if its size differs.
  void note_released(Stream& stream, std::uint32_t size);

  /// Check that the other end may send this packet. Throws ProtocolError.
  void check_incoming(const Stream* stream, const xlink::Header& header) const;

  const std::map<std::string, Stream, std::less<>>& all() const { return streams_; }
  /// How often a stream took over the other end's id in place of its own.
  std::uint64_t ids_adopted() const { return ids_adopted_; }

 private:
  std::uint32_t choose_id();
  bool id_is_taken(std::uint32_t id) const;
  void check_unshared(std::uint32_t id, const Stream& stream) const;
  void remove_if_closed(Stream& stream);

  const Role role_;
  std::map<std::string, Stream, std::less<>> streams_;
  std::vector<Stream*> existing_;
  std::uint32_t cursor_ = 0;
  std::uint64_t ids_adopted_ = 0;
};

}  // namespace depthai
