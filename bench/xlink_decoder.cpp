// Bytes through the XLink decoder, against memcpy of the same bytes.
//
// The stream lies in memory and is copied into the spans that the decoder returns, as a transport
// does. The ratio to copying the same pieces is the cost of finding the spans.

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "comparison.hpp"
#include "xlink/xlink.hpp"

namespace {

using namespace depthai;
using Bytes = std::vector<std::uint8_t>;

Bytes stream_of(std::size_t payload, std::size_t packets) {
  Bytes bytes;
  for (std::size_t i = 0; i < packets; ++i) {
    const auto header = xlink::make_request(xlink::kWriteRequest, static_cast<std::int32_t>(i), 0,
                                            static_cast<std::uint32_t>(payload));
    bytes.insert(bytes.end(), xlink::wire_bytes(header),
                 xlink::wire_bytes(header) + xlink::kHeaderBytes);
    bytes.resize(bytes.size() + payload, 0x5A);
  }
  return bytes;
}

void decode(const Bytes& bytes, Bytes& memory, std::size_t packets) {
  xlink::Decoder decoder(Role::host, 1u << 30, [&](const xlink::Header&) { return memory.data(); });
  std::size_t messages = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const xlink::ReceiveSpan span = decoder.next_span();
    std::memcpy(span.data, bytes.data() + at, span.size);
    at += span.size;
    if (decoder.filled(span.size) != nullptr) ++messages;
  }
  if (messages != packets) std::abort();
}

void copy(const Bytes& bytes, Bytes& memory, std::size_t packets) {
  const std::size_t piece = bytes.size() / packets;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    std::memcpy(memory.data(), bytes.data() + at, piece);
  }
}

bench::Case packets_of(const char* name, std::size_t payload, std::size_t packets) {
  const auto bytes = std::make_shared<Bytes>(stream_of(payload, packets));
  const auto memory = std::make_shared<Bytes>(payload + xlink::kHeaderBytes);
  return {name, payload + xlink::kHeaderBytes, packets,
          bench::all_of([=] { copy(*bytes, *memory, packets); }),
          bench::all_of([=] { decode(*bytes, *memory, packets); })};
}

}  // namespace

int main(int argc, char** argv) {
  return bench::compare(
      argc, argv, {"xlink_decoder", "memcpy", "decoder"},
      {packets_of("headers only", 0, 500'000), packets_of("metadata", 3'660, 20'000),
       packets_of("left 1280x720", 921'656, 100)});
}
