/// The wire format of XLink for Gen1 devices. Pure: bytes in, messages out; no I/O, no threads.
///
/// Source: docs/wire_format.md#xlink
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace depthai::xlink {

constexpr std::size_t kNameBytes = 64;  // the last one is always NUL
constexpr std::size_t kMaxNameLength = kNameBytes - 1;
constexpr std::uint32_t kInvalidStreamId = 0xDEADDEAD;
constexpr std::uint32_t kLargestStreamId = 0x0FFFFFFF;  // the host's link number is above
constexpr std::size_t kMaxStreams = 32;                 // at a time, per link
constexpr std::size_t kMaxUnreleasedPackets = 64;       // per stream and direction
constexpr std::uint32_t kWindowRounding = 64;
constexpr std::int32_t kFirstHostId = 10;
constexpr std::int32_t kFirstDeviceId = 100;

/// The type of a message. A response is its request + 8.
enum Type : std::uint32_t {
  kWriteRequest = 0,
  kReadRequest = 1,  // local to the official implementation, never on the wire
  kReleaseRequest = 2,
  kCreateRequest = 3,
  kCloseRequest = 4,
  kPingRequest = 5,
  kResetRequest = 6,
  kWriteResponse = 8,
  kReadResponse = 9,  // never on the wire
  kReleaseResponse = 10,
  kCreateResponse = 11,
  kCloseResponse = 12,
  kPingResponse = 13,
  kResetResponse = 14,
  kTypeCount,  // stays last
};
constexpr std::uint32_t kResponseOffset = 8;

enum Flag : std::uint32_t {
  kAck = 0x01,         // set in every request, too
  kNack = 0x02,        // a close was refused: unread packets
  kSizeTooBig = 0x40,  // a creation was refused
};

/// The header of a message. In a response only the fields of its type are significant: the official
/// implementation leaves old bytes in all others.
struct Header {
  std::int32_t id = 0;          // chosen by the requester, echoed in the response
  std::uint32_t type = 0;       // Type
  char name[kNameBytes] = {};   // NUL-terminated; creations only
  std::uint32_t stream_id = 0;  // kInvalidStreamId if there is none
  std::uint32_t size = 0;       // bytes: payload (write), released (release), window (create)
  std::uint32_t flags = 0;      // Flag
};
static_assert(sizeof(Header) == 84, "the header has 84 bytes on the wire");
static_assert(offsetof(Header, type) == 4 && offsetof(Header, name) == 8, "see wire_format.md");
static_assert(offsetof(Header, stream_id) == 72 && offsetof(Header, size) == 76 &&
                  offsetof(Header, flags) == 80,
              "see wire_format.md");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the wire is little-endian");
constexpr std::size_t kHeaderBytes = sizeof(Header);

/// One row of the event table.
struct EventType {
  const char* name;
  bool on_wire;  // false: a message of this type breaks the protocol
  bool request;
};
inline constexpr EventType kEventTypes[kTypeCount] = {
    // name              on wire  request
    {"WRITE_REQ", true, true},          {"READ_REQ", false, true},
    {"READ_REL_REQ", true, true},       {"CREATE_STREAM_REQ", true, true},
    {"CLOSE_STREAM_REQ", true, true},   {"PING_REQ", true, true},
    {"RESET_REQ", true, true},          {"type 7", false, true},
    {"WRITE_RESP", true, false},        {"READ_RESP", false, false},
    {"READ_REL_RESP", true, false},     {"CREATE_STREAM_RESP", true, false},
    {"CLOSE_STREAM_RESP", true, false}, {"PING_RESP", true, false},
    {"RESET_RESP", true, false},
};

/// "WRITE_REQ", "type 7", …
std::string type_name(std::uint32_t type);

/// A request. `name` must have at most kMaxNameLength characters.
Header make_request(Type type, std::int32_t id, std::uint32_t stream_id = 0, std::uint32_t size = 0,
                    std::string_view name = {});

/// The response to `request`: the same id, type + 8.
Header make_response(const Header& request, std::uint32_t flags = kAck);

/// True if a stream name is printable ASCII.
bool is_printable(std::string_view name);

/// The stream name in a creation. Never reads beyond the field.
std::string_view name_of(const Header& header);

/// The bytes of the header on the wire.
inline const std::uint8_t* wire_bytes(const Header& header) {
  return reinterpret_cast<const std::uint8_t*>(&header);
}

/// The size of a window on the wire: rounded up to a multiple of 64.
std::uint32_t rounded_window(std::uint32_t size);

/// Memory for the next received bytes.
struct ReceiveSpan {
  std::uint8_t* data;
  std::size_t size;
};

/// Turns a stream of bytes into messages without copying: it names the memory for the next bytes
/// and reports when a message is complete. Not thread-safe.
class Decoder {
 public:
  /// Returns memory for the payload of a WRITE_REQ (`size` bytes). Called once per such header,
  /// before any payload byte. May throw to refuse the payload.
  using PayloadMemory = std::function<std::uint8_t*(const Header&)>;

  /// `sender` is named in errors, `max_payload` is the largest payload that is accepted.
  Decoder(Role sender, std::uint32_t max_payload, PayloadMemory payload_memory);

  /// The memory for the next bytes; never empty. It does not change until `filled()`.
  ReceiveSpan next_span();

  /// Report that the first `size` bytes of the span were filled. Returns the message when it is
  /// complete, else null; it stays valid until the next call.
  /// Throws ProtocolError for bytes that violate XLink; the decoder cannot be used after that.
  const Header* filled(std::size_t size);

  /// True in the middle of a message: if the stream ends here, the message is truncated.
  bool is_inside_message() const { return done_ != 0 || payload_ != nullptr; }

 private:
  void check_header() const;
  [[noreturn]] void refuse(const std::string& what) const;

  const Role sender_;
  const std::uint32_t max_payload_;
  const PayloadMemory payload_memory_;
  Header header_;
  std::uint8_t* payload_ = nullptr;  // set while a payload is received
  std::size_t done_ = 0;             // bytes of the current header or payload
};

}  // namespace depthai::xlink
