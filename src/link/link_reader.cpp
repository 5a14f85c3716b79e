// The reading half of a link: the code of its reader thread.

#include <ctime>
#include <exception>
#include <iterator>
#include <new>
#include <string>
#include <utility>

#include "link/link.hpp"

namespace depthai {
namespace {

std::int64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

void Link::run_reader() {
  try {
    for (;;) {
      const xlink::ReceiveSpan span = decoder_.next_span();
      transport_->read_exactly(span.data, span.size);
      if (const xlink::Header* const header = decoder_.filled(span.size)) on_message(*header);
    }
  } catch (const ProtocolError& error) {
    end({Failure::Kind::protocol, error.what(), error.culprit()});
  } catch (const std::exception& error) {
    end(Failure::of(error, other_end(role_)));
  }
  incoming_.reset();
  BufferPool::shared().release();
}

std::uint8_t* Link::payload_memory(const xlink::Header& header) {
  const Lock lock(mutex_);
  incoming_stream_ = table_.find(header.stream_id);
  table_.check_incoming(incoming_stream_, header);
  try {
    incoming_ = std::make_shared<Buffer>(header.size);
  } catch (const std::bad_alloc&) {
    throw LinkError("no memory for a packet of " + std::to_string(header.size) +
                    " bytes of stream '" + *incoming_stream_->name + "'");
  }
  return incoming_->data();
}

void Link::on_message(const xlink::Header& header) {
  static constexpr Handler kHandlers[] = {
      &Link::on_write,          // WRITE_REQ
      &Link::on_invalid,        // READ_REQ
      &Link::on_release,        // READ_REL_REQ
      &Link::on_create,         // CREATE_STREAM_REQ
      &Link::on_close,          // CLOSE_STREAM_REQ
      &Link::on_ping,           // PING_REQ
      &Link::on_reset,          // RESET_REQ
      &Link::on_invalid,        // type 7
      &Link::on_answer,         // WRITE_RESP
      &Link::on_invalid,        // READ_RESP
      &Link::on_answer,         // READ_REL_RESP
      &Link::on_create_answer,  // CREATE_STREAM_RESP
      &Link::on_close_answer,   // CLOSE_STREAM_RESP
      &Link::on_answer,         // PING_RESP
      &Link::on_answer,         // RESET_RESP
  };
  static_assert(std::size(kHandlers) == xlink::kTypeCount, "each type has a handler");
  const Lock lock(mutex_);
  totals_.bytes_in += xlink::kHeaderBytes;
  ++(xlink::kEventTypes[header.type].request ? totals_.requests_in : totals_.responses_in);
  (this->*kHandlers[header.type])(header);
}

/// The decoder refuses these types before they come here.
void Link::on_invalid(const xlink::Header& header) {
  throw ProtocolError(other_end(role_), std::string("the ") + role_name(other_end(role_)) +
                                            " sent a message without meaning (" +
                                            xlink::type_name(header.type) + ")");
}

void Link::on_write(const xlink::Header& header) {
  const std::int64_t received_ns = monotonic_ns();
  Stream& stream = *incoming_stream_;
  const std::uint64_t serial = stream.counters.packets_in++;
  stream.counters.bytes_in += header.size;
  totals_.bytes_in += header.size;
  ++totals_.packets_in;
  const bool keeps_credit = !options_.auto_release || is_uninvited(stream);
  if (keeps_credit) {
    stream.rx_bytes += header.size;
    stream.rx_packets.push_back({serial, header.size, false});
  }
  // Queued before the answer, which confirms that.
  const auto drops = stream.queue->push({stream.name, received_ns, std::move(incoming_), serial},
                                        budget_of(stream));
  auto response = xlink::make_response(header);
  response.stream_id = stream.id;
  response.size = header.size;
  if (keeps_credit) {
    send_queue_.enqueue({response});
  } else {
    ++totals_.requests_out;
    send_queue_.enqueue(
        {response, xlink::make_request(xlink::kReleaseRequest, next_id(), stream.id, header.size)});
  }
  release_dropped(drops);
}

void Link::on_release(const xlink::Header& header) {
  if (Stream* const stream = table_.find(header.stream_id)) {
    table_.note_released(*stream, header.size);
    changed_.notify_all();
  }
  send_queue_.enqueue({xlink::make_response(header)});
}

void Link::on_create(const xlink::Header& header) {
  // A device refuses a window larger than the largest payload, as firmware does when it lacks the
  // memory. A host accepts it: there the limit applies to each packet.
  const bool too_big = role_ == Role::device && header.size > options_.max_payload_bytes;
  const Stream* const stream =
      too_big ? nullptr : table_.accept_creation(xlink::name_of(header), header.size);
  auto response = xlink::make_response(header, stream ? xlink::kAck : xlink::kSizeTooBig);
  response.stream_id = stream ? stream->id : xlink::kInvalidStreamId;
  if (stream != nullptr) {
    stream->name->copy(response.name, xlink::kMaxNameLength);
    response.size = header.size;
  }
  send_queue_.enqueue({response});
  if (stream != nullptr) push_event({LinkEvent::Kind::opened, *stream->name, header.size, ""});
}

void Link::on_close(const xlink::Header& header) {
  Stream* const stream = table_.find(header.stream_id);
  const bool closed = stream == nullptr || table_.accept_close(*stream);
  auto response = xlink::make_response(header, closed ? xlink::kAck : xlink::kNack);
  response.stream_id = header.stream_id;
  send_queue_.enqueue({response});
  if (closed && stream != nullptr) push_event({LinkEvent::Kind::closed, *stream->name, 0, ""});
}

void Link::on_ping(const xlink::Header& header) {
  send_queue_.enqueue({xlink::make_response(header)});
  push_event({LinkEvent::Kind::ping, "", 0, ""});
}

// After a reset the host answers no request of the device any more, and on USB it does not hang up:
// calls that wait must end here.
void Link::on_reset(const xlink::Header& header) {
  send_queue_.enqueue({xlink::make_response(header)});
  if (role_ == Role::device && state_ == State::up) {
    state_ = State::closing;
    changed_.notify_all();
  }
  push_event({LinkEvent::Kind::reset, "", 0, ""});
}

void Link::on_create_answer(const xlink::Header& header) {
  const auto found = creating_.find(header.id);
  if (found == creating_.end()) return;
  Stream& stream = *found->second;
  creating_.erase(found);
  answer(header, creation_refusal(stream, header));
}

std::string Link::creation_refusal(Stream& stream, const xlink::Header& header) {
  if ((header.flags & xlink::kAck) == 0) {
    if ((header.flags & xlink::kNack) != 0) return "refused, communication fail";
    if ((header.flags & xlink::kSizeTooBig) != 0) return "refused, out of memory";
    return "refused, error";
  }
  if (xlink::name_of(header) != *stream.name) {
    return "the answer names stream '" + std::string(xlink::name_of(header)) + "'";
  }
  if (header.size == 0) return "the other end granted a window of 0 bytes";
  try {
    table_.creation_accepted(*stream.name, header.stream_id, header.size);
  } catch (const LinkError& error) {
    return error.what();
  }
  return "";
}

void Link::on_close_answer(const xlink::Header& header) {
  const auto found = closing_.find(header.id);
  if (found == closing_.end()) return;
  Stream& stream = *found->second;
  closing_.erase(found);
  table_.close_answered(stream);  // also if it was refused
  on_answer(header);
}

void Link::on_answer(const xlink::Header& header) {
  const bool is_close = header.type == xlink::kCloseResponse;
  answer(header, (header.flags & xlink::kAck) != 0 ? ""
                 : is_close                        ? "refused, the other end holds packets of it"
                                                   : "refused, communication fail");
}

void Link::answer(const xlink::Header& header, const std::string& refusal) {
  if (!refusal.empty()) ++totals_.refusals_in;
  const auto found = pending_.find(header.id);
  if (found == pending_.end() || found->second->response_type != header.type) return;
  found->second->answered = true;
  found->second->refusal = refusal;
  changed_.notify_all();
}

}  // namespace depthai
