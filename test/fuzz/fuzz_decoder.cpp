// The XLink decoder: any bytes, in any pieces, give the same messages or the same error.

#include <memory>

#include "input.hpp"
#include "xlink/xlink.hpp"

namespace depthai::fuzz {
namespace {

constexpr std::uint32_t kMaxPayload = 300;

struct Transcript {
  Bytes bytes;  // headers and payloads of all complete messages
  std::string error;
  bool is_inside = false;

  bool operator==(const Transcript& other) const {
    return bytes == other.bytes && error == other.error && is_inside == other.is_inside;
  }
};

/// Decodes all of `bytes`, in pieces of at most `piece` bytes.
Transcript decode(const Bytes& bytes, std::size_t piece) {
  Transcript result;
  std::unique_ptr<std::uint8_t[]> payload;  // of the exact size: the sanitizer sees a byte too many
  xlink::Decoder decoder(Role::device, kMaxPayload, [&](const xlink::Header& header) {
    expect(header.size <= kMaxPayload, "memory is taken for a packet that is too large");
    payload.reset(new std::uint8_t[header.size]);
    return payload.get();
  });
  try {
    for (std::size_t done = 0; done < bytes.size();) {
      const xlink::ReceiveSpan span = decoder.next_span();
      expect(span.size > 0, "the decoder has no memory for the next byte");
      const std::size_t count = std::min({span.size, piece, bytes.size() - done});
      std::memcpy(span.data, bytes.data() + done, count);
      done += count;
      const xlink::Header* const header = decoder.filled(count);
      if (header == nullptr) continue;
      const std::uint8_t* const raw = xlink::wire_bytes(*header);
      result.bytes.insert(result.bytes.end(), raw, raw + xlink::kHeaderBytes);
      expect(xlink::kEventTypes[header->type].on_wire, "a type that is never on the wire");
      if (header->type != xlink::kWriteRequest) continue;
      result.bytes.insert(result.bytes.end(), payload.get(), payload.get() + header->size);
    }
    result.is_inside = decoder.is_inside_message();
  } catch (const ProtocolError& error) {
    result.error = error.what();
  }
  return result;
}

}  // namespace
}  // namespace depthai::fuzz

/// The first byte is the size of the pieces, the others are on the wire.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace depthai::fuzz;
  Input input(data, size);
  const std::size_t piece = input.byte() + std::size_t{1};
  const Bytes bytes = input.bytes(size);
  expect(decode(bytes, piece) == decode(bytes, size), "pieces change the messages");
  return 0;
}
