// The other end of a link, written byte by byte: the test decides whether it follows the rules.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "golden.hpp"
#include "transport/socket_transport.hpp"
#include "xlink/xlink.hpp"

namespace depthai::test {

using namespace std::chrono_literals;

/// Longer than any step takes; a test that waits this long has failed.
constexpr auto kSoon = 20s;

class RawPeer {
 public:
  explicit RawPeer(std::shared_ptr<Transport> transport) : transport_(std::move(transport)) {}

  void send(const Bytes& bytes) {
    const Part part{bytes.data(), bytes.size()};
    transport_->write(&part, 1);
  }
  void send(const xlink::Header& header, const Bytes& payload = {}) {
    const Part parts[] = {{xlink::wire_bytes(header), xlink::kHeaderBytes},
                          {payload.data(), payload.size()}};
    transport_->write(parts, 2);
  }
  /// Send one request; returns it, for the id of the answer.
  xlink::Header request(xlink::Type type, std::uint32_t stream_id = 0, std::uint32_t size = 0,
                        const std::string& name = "", const Bytes& payload = {}) {
    const auto header = xlink::make_request(type, next_id_++, stream_id, size, name);
    send(header, payload);
    return header;
  }
  xlink::Header create(const std::string& name, std::uint32_t window) {
    return request(xlink::kCreateRequest, xlink::kInvalidStreamId, window, name);
  }
  xlink::Header write(std::uint32_t stream_id, const Bytes& payload) {
    return request(xlink::kWriteRequest, stream_id, static_cast<std::uint32_t>(payload.size()), "",
                   payload);
  }

  Bytes receive_bytes(std::size_t size) {
    Bytes bytes(size);
    transport_->read_exactly(bytes.data(), size);
    return bytes;
  }
  xlink::Header receive() {
    xlink::Header header;
    transport_->read_exactly(reinterpret_cast<std::uint8_t*>(&header), xlink::kHeaderBytes);
    return header;
  }
  xlink::Header expect(xlink::Type type) {
    const xlink::Header header = receive();
    EXPECT_EQ(xlink::type_name(header.type), xlink::type_name(type));
    return header;
  }
  void answer(const xlink::Header& request, std::uint32_t flags = xlink::kAck,
              std::uint32_t stream_id = 0) {
    auto response = xlink::make_response(request, flags);
    xlink::name_of(request).copy(response.name, xlink::kMaxNameLength);
    response.stream_id = stream_id;
    response.size = request.size;
    send(response);
  }
  /// Receive one request of this type and answer it.
  xlink::Header serve(xlink::Type type, std::uint32_t flags = xlink::kAck,
                      std::uint32_t stream_id = 0) {
    const xlink::Header header = expect(type);
    if (type == xlink::kWriteRequest) receive_bytes(header.size);
    answer(header, flags, stream_id);
    return header;
  }
  void hang_up() { transport_->close(); }

 private:
  const std::shared_ptr<Transport> transport_;
  std::int32_t next_id_ = 1000;
};

/// True once `condition` is true; false after the timeout.
template <typename Condition>
bool eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + kSoon;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace depthai::test
