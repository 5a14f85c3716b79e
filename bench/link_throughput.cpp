// Packets from one link to another over a socketpair, against the same with bare sockets.
//
// The bare loop sends and receives blocks of the same size through the same kind of socket, into as
// many rotating buffers as the link uses. The ratio is the cost of XLink, credit and the link's
// threads.

#include <thread>
#include <vector>

#include "comparison.hpp"
#include "link/link.hpp"
#include "transport/socket_transport.hpp"

namespace {

using namespace depthai;

constexpr std::size_t kRotatingBuffers = 4;

void bare_sockets(std::size_t size, std::size_t packets) {
  const auto ends = make_socket_pair();
  const std::vector<std::uint8_t> bytes(size, 1);
  std::vector<std::vector<std::uint8_t>> buffers(kRotatingBuffers, std::vector<std::uint8_t>(size));
  std::thread writer([&] {
    const Part part{bytes.data(), bytes.size()};
    for (std::size_t i = 0; i < packets; ++i) ends.first->write(&part, 1);
  });
  for (std::size_t i = 0; i < packets; ++i) {
    ends.second->read_exactly(buffers[i % kRotatingBuffers].data(), size);
  }
  writer.join();
}

void links(std::size_t size, std::size_t packets) {
  const auto ends = make_socket_pair();
  Link host(ends.first, Role::host), device(ends.second, Role::device);
  const auto queue = std::make_shared<PacketQueue>(1u << 20, 1u << 20);
  host.open_stream("left", 64, queue, std::nullopt);
  device.open_stream("left", 10u << 20, nullptr, std::nullopt);
  const std::vector<std::uint8_t> bytes(size, 1);
  std::thread writer([&] {
    const Part part{bytes.data(), bytes.size()};
    WriteOptions options;
    options.wait_response = false;
    for (std::size_t i = 0; i < packets; ++i) device.write("left", &part, 1, options);
  });
  for (std::size_t left = packets; left > 0;) {
    queue->wait(std::nullopt);
    left -= queue->take().size();
  }
  writer.join();
}

bench::Case packets_of(const char* name, std::size_t size, std::size_t packets, double goal = 0) {
  return {name,
          size,
          packets,
          bench::all_of([=] { bare_sockets(size, packets); }),
          bench::all_of([=] { links(size, packets); }),
          goal};
}

}  // namespace

int main(int argc, char** argv) {
  return bench::compare(
      argc, argv, {"link_throughput", "bare sockets", "link"},
      {packets_of("metadata", 3'660, 20'000), packets_of("left 1280x720", 921'656, 1'000, 0.85),
       packets_of("color 1920x1080 I420", 3'110'456, 300)});
}
