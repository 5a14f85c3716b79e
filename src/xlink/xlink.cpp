#include "xlink/xlink.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

namespace depthai::xlink {

std::string type_name(std::uint32_t type) {
  return type < kTypeCount ? kEventTypes[type].name : "type " + std::to_string(type);
}

Header make_request(Type type, std::int32_t id, std::uint32_t stream_id, std::uint32_t size,
                    std::string_view name) {
  assert(name.size() <= kMaxNameLength);
  Header header;
  header.id = id;
  header.type = type;
  name.copy(header.name, kMaxNameLength);
  header.stream_id = stream_id;
  header.size = size;
  header.flags = kAck;
  return header;
}

Header make_response(const Header& request, std::uint32_t flags) {
  Header header;
  header.id = request.id;
  header.type = request.type + kResponseOffset;
  header.flags = flags;
  return header;
}

bool is_printable(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

std::string_view name_of(const Header& header) {
  const void* end = std::memchr(header.name, '\0', kNameBytes);
  if (end == nullptr) return {header.name, kNameBytes};
  return {header.name, static_cast<std::size_t>(static_cast<const char*>(end) - header.name)};
}

std::uint32_t rounded_window(std::uint32_t size) {
  constexpr std::uint32_t kLargest = ~(kWindowRounding - 1);
  return size > kLargest ? kLargest : (size + kWindowRounding - 1) & kLargest;
}

Decoder::Decoder(Role sender, std::uint32_t max_payload, PayloadMemory payload_memory)
    : sender_(sender), max_payload_(max_payload), payload_memory_(std::move(payload_memory)) {}

ReceiveSpan Decoder::next_span() {
  if (payload_ != nullptr) return {payload_ + done_, header_.size - done_};
  return {reinterpret_cast<std::uint8_t*>(&header_) + done_, kHeaderBytes - done_};
}

const Header* Decoder::filled(std::size_t size) {
  assert(size <= next_span().size);
  done_ += size;
  if (payload_ != nullptr) {
    if (done_ < header_.size) return nullptr;
    payload_ = nullptr;
  } else {
    if (done_ < kHeaderBytes) return nullptr;
    check_header();
    if (header_.type == kWriteRequest) {
      std::uint8_t* const memory = payload_memory_(header_);
      if (header_.size > 0) {
        payload_ = memory;
        done_ = 0;
        return nullptr;
      }
    }
  }
  done_ = 0;
  return &header_;
}

void Decoder::check_header() const {
  if (header_.type >= kTypeCount || !kEventTypes[header_.type].on_wire) {
    refuse("a message of an invalid type");
  }
  if (header_.type == kWriteRequest && header_.size > max_payload_) {
    refuse("a packet of " + std::to_string(header_.size) + " bytes, allowed are at most " +
           std::to_string(max_payload_));
  }
  const bool has_name = header_.type == kCreateRequest || header_.type == kCreateResponse;
  if (has_name && !is_printable(name_of(header_))) {
    refuse("a stream name that is not printable ASCII");  // it is part of error texts
  }
  if (header_.type == kCreateRequest) {
    const auto length = name_of(header_).size();
    if (length == 0 || length > kMaxNameLength) {
      refuse("a stream name of " + std::to_string(length) + " characters, expected 1 to " +
             std::to_string(kMaxNameLength));
    }
    if (header_.size == 0) refuse("a stream with a window of 0 bytes");
  }
}

void Decoder::refuse(const std::string& what) const {
  throw ProtocolError(sender_, std::string("the ") + role_name(sender_) + " sent " + what +
                                   " (message " + std::to_string(header_.id) + ", " +
                                   type_name(header_.type) + ")");
}

}  // namespace depthai::xlink
