// A link, and a raw peer as its other end.
#pragma once

#include <future>
#include <memory>
#include <string>
#include <utility>

#include "link/link.hpp"
#include "raw_peer.hpp"

namespace depthai::test {

inline WriteOptions patient() {
  WriteOptions options;
  options.response = kSoon;
  return options;
}

inline bool write(Link& link, const std::string& name, const Bytes& bytes) {
  const Part part{bytes.data(), bytes.size()};
  return link.write(name, &part, 1, patient());
}

struct Rig {
  explicit Rig(Role role, const LinkOptions& options = {})
      : Rig(make_socket_pair(), role, options) {}
  Rig(const std::pair<std::shared_ptr<Transport>, std::shared_ptr<Transport>>& ends, Role role,
      const LinkOptions& options)
      : peer(ends.second), link(ends.first, role, options) {}

  /// The other end opens a stream; returns the id that the link assigned.
  std::uint32_t open_from_peer(const std::string& name, std::uint32_t window) {
    peer.create(name, window);
    return peer.expect(xlink::kCreateResponse).stream_id;
  }
  /// The link opens a stream, and the other end assigns this id.
  std::uint32_t open_from_link(const std::string& name, std::uint32_t window, std::uint32_t id) {
    auto opened = std::async(std::launch::async,
                             [=] { return link.open_stream(name, window, nullptr, kSoon); });
    peer.serve(xlink::kCreateRequest, xlink::kAck, id);
    return opened.get();
  }
  /// The detail of the link's "down" event.
  std::string down() {
    for (;;) {
      const auto event = link.next_event(kSoon);
      if (!event) return "(not down)";
      if (event->kind == LinkEvent::Kind::down) return event->detail;
    }
  }

  RawPeer peer;
  Link link;
};

}  // namespace depthai::test
