#include "link/stream_table.hpp"

#include <algorithm>

namespace depthai {
namespace {

// A record is kept for every name ever used. A session uses about twenty.
constexpr std::size_t kMaxNames = 1024;

std::string quoted(const Stream& stream) { return "stream '" + *stream.name + "'"; }

}  // namespace

Stream* StreamTable::find(std::string_view name) {
  const auto found = streams_.find(name);
  return found == streams_.end() ? nullptr : &found->second;
}

const Stream* StreamTable::find(std::string_view name) const {
  const auto found = streams_.find(name);
  return found == streams_.end() ? nullptr : &found->second;
}

Stream* StreamTable::find(std::uint32_t id) {
  const auto found = std::find_if(existing_.begin(), existing_.end(),
                                  [id](const Stream* stream) { return stream->id == id; });
  return found == existing_.end() ? nullptr : *found;
}

Stream* StreamTable::record(std::string_view name) {
  if (Stream* const known = find(name)) return known;
  if (streams_.size() >= kMaxNames) return nullptr;
  Stream& stream = streams_[std::string(name)];
  stream.name = std::make_shared<const std::string>(name);
  stream.queue =
      std::make_shared<PacketQueue>(xlink::kMaxUnreleasedPackets, xlink::kMaxUnreleasedPackets);
  return &stream;
}

Stream* StreamTable::accept_creation(std::string_view name, std::uint32_t window) {
  Stream* const stream = record(name);
  if (stream == nullptr) return nullptr;
  if (!stream->exists) {
    if (existing_.size() >= xlink::kMaxStreams) return nullptr;
    // A device keeps one id per name for the whole session. A host numbers streams as the firmware
    // does, so that both ends choose the same id.
    if (role_ == Role::host || stream->id == xlink::kInvalidStreamId) stream->id = choose_id();
    stream->exists = true;
    existing_.push_back(stream);
  } else if (stream->rx_window != 0 && window > stream->rx_window) {
    return nullptr;
  }
  if (stream->rx_window == 0) stream->rx_window = window;
  return stream;
}

Stream& StreamTable::creation_accepted(std::string_view name, std::uint32_t id,
                                       std::uint32_t window) {
  Stream* const stream = record(name);
  if (stream == nullptr) throw LinkError("too many stream names on one link");
  if (id > xlink::kLargestStreamId) {
    throw LinkError("open " + quoted(*stream) + ": the other end answered with the invalid id " +
                    std::to_string(id));
  }
  if (!stream->exists) {
    if (existing_.size() >= xlink::kMaxStreams) {
      throw LinkError("open " + quoted(*stream) + ": a link has at most " +
                      std::to_string(xlink::kMaxStreams) + " streams");
    }
    check_unshared(id, *stream);
    stream->id = id;
    stream->exists = true;
    existing_.push_back(stream);
  } else if (stream->id != id && role_ == Role::host) {
    // Both ends created the name at the same time. The device uses only its own id.
    check_unshared(id, *stream);
    stream->id = id;
    ++ids_adopted_;
  }
  if (stream->tx_window != 0 && window > stream->tx_window) {
    throw LinkError("open " + quoted(*stream) + " with " + std::to_string(window) +
                    " bytes: it is already open with " + std::to_string(stream->tx_window));
  }
  if (stream->tx_window == 0) stream->tx_window = window;
  return *stream;
}

bool StreamTable::accept_close(Stream& stream) {
  if (!stream.rx_packets.empty()) return false;
  stream.rx_window = 0;
  remove_if_closed(stream);
  return true;
}

void StreamTable::close_answered(Stream& stream) {
  stream.tx_window = 0;
  remove_if_closed(stream);
}

void StreamTable::note_sent(Stream& stream, std::uint32_t size) {
  stream.tx_bytes += size;
  stream.tx_sizes.push_back(size);
  ++stream.counters.packets_out;
  stream.counters.bytes_out += size;
}

void StreamTable::note_released(Stream& stream, std::uint32_t size) {
  const bool matches = !stream.tx_sizes.empty() && stream.tx_sizes.front() == size;
  // The official implementation sends a release of 0 bytes when its reader held no packet.
  if (!matches && size == 0) return;
  if (!matches) {
    const Role culprit = other_end(role_);
    throw ProtocolError(
        culprit, std::string("the ") + role_name(culprit) + " released " + std::to_string(size) +
                     " bytes of " + quoted(stream) +
                     (stream.tx_sizes.empty() ? ", which has no unreleased packet"
                                              : ", whose oldest packet has " +
                                                    std::to_string(stream.tx_sizes.front())));
  }
  stream.tx_bytes -= size;
  stream.tx_sizes.pop_front();
}

void StreamTable::check_incoming(const Stream* stream, const xlink::Header& header) const {
  const Role culprit = other_end(role_);
  const std::string start = std::string("the ") + role_name(culprit) + " sent " +
                            std::to_string(header.size) + " bytes on stream ";
  if (stream == nullptr) {
    throw ProtocolError(culprit, start + std::to_string(header.stream_id) + ", which is not open");
  }
  if (stream->rx_window == 0) {
    throw ProtocolError(culprit, start + "'" + *stream->name + "', which it has not opened");
  }
  if (stream->rx_bytes + header.size > stream->rx_window) {
    throw ProtocolError(culprit, start + "'" + *stream->name + "', its window has " +
                                     std::to_string(stream->rx_window) + " bytes, of which " +
                                     std::to_string(stream->rx_bytes) + " are not released");
  }
  if (stream->rx_packets.size() >= xlink::kMaxUnreleasedPackets) {
    throw ProtocolError(culprit, start + "'" + *stream->name + "' while " +
                                     std::to_string(xlink::kMaxUnreleasedPackets) +
                                     " packets of it are not released");
  }
}

std::uint32_t StreamTable::choose_id() {
  // The cursor stays on the id it found: the id of a closed stream is used again at once.
  while (id_is_taken(cursor_)) cursor_ = cursor_ + 1 < xlink::kLargestStreamId ? cursor_ + 1 : 0;
  return cursor_;
}

bool StreamTable::id_is_taken(std::uint32_t id) const {
  const auto has_id = [id](const Stream* stream) { return stream->id == id; };
  if (role_ == Role::host) return std::any_of(existing_.begin(), existing_.end(), has_id);
  return std::any_of(streams_.begin(), streams_.end(),
                     [&](const auto& item) { return has_id(&item.second); });
}

void StreamTable::check_unshared(std::uint32_t id, const Stream& stream) const {
  for (const Stream* other : existing_) {
    if (other == &stream || other->id != id) continue;
    throw ProtocolError(other_end(role_), quoted(*other) + " and " + quoted(stream) +
                                              " share the id " + std::to_string(id) +
                                              ": both ends created a stream at the same time");
  }
}

void StreamTable::remove_if_closed(Stream& stream) {
  if (stream.tx_window != 0 || stream.rx_window != 0) return;
  stream.exists = false;
  existing_.erase(std::remove(existing_.begin(), existing_.end(), &stream), existing_.end());
}

}  // namespace depthai
