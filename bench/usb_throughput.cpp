// Packets from a flooding board through the USB transport, against the same with bare libusb.
//
// Expects one booted board of the test rig on the bus (bench/usb_throughput.py starts it), which
// sends headers and payloads of PACKET_BYTES without end. The bare loops submit the same transfers
// as the transport: each header, whole pieces of 1 MiB, the rest. One loop waits for each transfer
// before it submits the next. The other keeps four in flight: it knows all sizes in advance, which
// no driver can. Finding and opening the board is not included.

#include <libusb.h>

#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <vector>

#include "comparison.hpp"
#include "transport/usb_transport.hpp"

namespace {

using namespace depthai;

constexpr std::size_t kHeaderBytes = 84;
constexpr std::size_t kPieceBytes = 1 << 20;
constexpr std::size_t kInFlight = 4;
constexpr std::size_t kRotatingBuffers = 4;
constexpr unsigned char kIn = 0x81;

void check(int code) {
  if (code < 0) throw std::runtime_error(libusb_strerror(static_cast<libusb_error>(code)));
}

/// The board, opened with libusb alone.
class Bare {
 public:
  Bare() {
    check(libusb_init(&context_));
    handle_ = libusb_open_device_with_vid_pid(context_, kUsbVendor, kBootedProduct);
    if (handle_ == nullptr) throw std::runtime_error("no booted board");
    check(libusb_claim_interface(handle_, 0));
  }
  Bare(const Bare&) = delete;
  Bare& operator=(const Bare&) = delete;
  ~Bare() {
    libusb_release_interface(handle_, 0);
    libusb_close(handle_);
    libusb_exit(context_);
  }
  libusb_context* context() const { return context_; }
  libusb_device_handle* handle() const { return handle_; }

 private:
  libusb_context* context_ = nullptr;
  libusb_device_handle* handle_ = nullptr;
};

struct Piece {
  std::uint8_t* data;
  std::size_t size;
};

/// All transfers of a number of packets.
class Plan {
 public:
  Plan(std::size_t size, std::size_t packets)
      : buffers_(kRotatingBuffers, std::vector<std::uint8_t>(kHeaderBytes + size)) {
    for (std::size_t i = 0; i < packets; ++i) {
      std::uint8_t* const data = buffers_[i % kRotatingBuffers].data();
      pieces.push_back({data, kHeaderBytes});
      for (std::size_t done = 0; done < size; done += kPieceBytes) {
        pieces.push_back({data + kHeaderBytes + done, std::min(kPieceBytes, size - done)});
      }
    }
  }
  std::vector<Piece> pieces;

 private:
  std::vector<std::vector<std::uint8_t>> buffers_;
};

bench::Seconds one_after_the_other(std::size_t size, std::size_t packets) {
  const Bare bare;
  const Plan plan(size, packets);
  return bench::timed([&] {
    for (const Piece& piece : plan.pieces) {
      for (std::size_t done = 0; done < piece.size;) {
        int moved = 0;
        check(libusb_bulk_transfer(bare.handle(), kIn, piece.data + done,
                                   static_cast<int>(piece.size - done), &moved, 0));
        done += static_cast<std::size_t>(moved);
      }
    }
  });
}

/// Keeps four transfers in flight.
struct Pipelined {
  explicit Pipelined(const std::vector<Piece>& all) : pieces(all) {}
  const std::vector<Piece>& pieces;
  std::size_t next = 0;
  int in_flight = 0;
  bool failed = false;

  void submit(libusb_transfer* transfer) {
    if (failed || next == pieces.size()) return;
    transfer->buffer = pieces[next].data;
    transfer->length = static_cast<int>(pieces[next].size);
    ++next;
    failed |= libusb_submit_transfer(transfer) != 0;
    in_flight += !failed;
  }
  static void LIBUSB_CALL on_done(libusb_transfer* transfer) {
    auto& self = *static_cast<Pipelined*>(transfer->user_data);
    --self.in_flight;
    self.failed |= transfer->status != LIBUSB_TRANSFER_COMPLETED ||
                   transfer->actual_length != transfer->length;
    self.submit(transfer);
  }
};

bench::Seconds four_in_flight(std::size_t size, std::size_t packets) {
  const Bare bare;
  const Plan plan(size, packets);
  Pipelined state(plan.pieces);
  std::vector<libusb_transfer*> transfers;
  for (std::size_t i = 0; i < kInFlight; ++i) {
    transfers.push_back(libusb_alloc_transfer(0));
    libusb_fill_bulk_transfer(transfers.back(), bare.handle(), kIn, nullptr, 0, &Pipelined::on_done,
                              &state, 0);
  }
  const bench::Seconds time = bench::timed([&] {
    for (libusb_transfer* const transfer : transfers) state.submit(transfer);
    while (state.in_flight > 0) check(libusb_handle_events(bare.context()));
  });
  for (libusb_transfer* const transfer : transfers) libusb_free_transfer(transfer);
  if (state.failed) throw std::runtime_error("a transfer failed");
  return time;
}

bench::Seconds transport(std::size_t size, std::size_t packets) {
  auto device = std::make_unique<UsbDevice>(scan_usb().at(0));
  device->claim();
  UsbTransport transport(std::move(device), false);
  std::vector<std::vector<std::uint8_t>> buffers(kRotatingBuffers,
                                                 std::vector<std::uint8_t>(kHeaderBytes + size));
  return bench::timed([&] {
    for (std::size_t i = 0; i < packets; ++i) {
      std::uint8_t* const data = buffers[i % kRotatingBuffers].data();
      transport.read_exactly(data, kHeaderBytes);
      transport.read_exactly(data + kHeaderBytes, size);
    }
  });
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t size = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 0;
  const std::size_t packets = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 0;
  if (size == 0 || packets == 0) {
    std::fprintf(stderr, "usage: usb_throughput PACKET_BYTES PACKETS [--json FILE]\n");
    return 2;
  }
  const std::string bytes = std::to_string(size) + " bytes";
  const auto ours = [=] { return transport(size, packets); };
  const auto plain = [=] { return one_after_the_other(size, packets); };
  const auto pipelined = [=] { return four_in_flight(size, packets); };
  try {
    return bench::compare(argc - 2, argv + 2, {"usb_throughput", "bare libusb", "transport"},
                          {{bytes + ", each in turn", size, packets, plain, ours, 0.9},
                           {bytes + ", 4 in flight", size, packets, pipelined, ours}});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "usb_throughput: %s\n", error.what());
    return 1;
  }
}
