#include "transport/usb_transport.hpp"

#include <libusb.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <deque>
#include <thread>
#include <utility>

namespace depthai {
namespace {

using namespace std::chrono_literals;

constexpr std::uint8_t kOut = 0x01;
constexpr std::uint8_t kIn = 0x81;
constexpr std::size_t kPieceBytes = 1 << 20;  // one transfer; a multiple of every packet size
constexpr std::size_t kInFlight = 4;          // per direction; the kernel allows 16 MiB in all
constexpr auto kGoneLimit = 300ms;  // the hub reports a pulled cable later than the endpoint

struct Text {
  int code;
  const char* text;
};

const char* speed_name(int speed) {
  static constexpr const char* kNames[] = {"UNKNOWN", "LOW", "FULL", "HIGH", "SUPER", "SUPER_PLUS"};
  return speed > 0 && speed < 6 ? kNames[speed] : kNames[0];
}

UsbError::Kind kind_of(int code) {
  switch (code) {
    case LIBUSB_ERROR_ACCESS:
      return UsbError::Kind::access;
    case LIBUSB_ERROR_BUSY:
      return UsbError::Kind::busy;
    case LIBUSB_ERROR_NO_DEVICE:
    case LIBUSB_ERROR_NOT_FOUND:
      return UsbError::Kind::gone;
    case LIBUSB_ERROR_TIMEOUT:
      return UsbError::Kind::timeout;
    default:
      return UsbError::Kind::failed;
  }
}

// LIBUSB_ERROR_NO_MEM: here only the kernel's memory for USB transfers can be used up.
std::string reason_of(int code) {
  if (code != LIBUSB_ERROR_NO_MEM) return libusb_strerror(static_cast<libusb_error>(code));
  return "the kernel has no USB memory left (usbfs_memory_mb, 16 by default); depthai-doctor shows "
         "how to raise it";
}

[[noreturn]] void raise(const std::string& what, int code) {
  throw UsbError(kind_of(code), what + ": " + reason_of(code));
}

void check(const std::string& what, int code) {
  if (code < 0) raise(what, code);
}

/// A libusb context.
class Context {
 public:
  Context() { check("libusb_init", libusb_init(&context_)); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { libusb_exit(context_); }
  libusb_context* get() const { return context_; }

 private:
  libusb_context* context_ = nullptr;
};

/// The devices on the bus at one moment.
class DeviceList {
 public:
  explicit DeviceList(const Context& context)
      : count_(libusb_get_device_list(context.get(), &devices_)) {
    check("list of USB devices", static_cast<int>(count_));
  }
  DeviceList(const DeviceList&) = delete;
  DeviceList& operator=(const DeviceList&) = delete;
  ~DeviceList() { libusb_free_device_list(devices_, 1); }
  libusb_device** begin() const { return devices_; }
  libusb_device** end() const { return devices_ + count_; }

 private:
  libusb_device** devices_ = nullptr;
  ssize_t count_;
};

std::string port_path(libusb_device* device) {
  std::array<std::uint8_t, 8> ports{};
  const int count = libusb_get_port_numbers(device, ports.data(), static_cast<int>(ports.size()));
  std::string path;
  for (int i = 0; i < count; ++i) {
    if (i > 0) path += '.';
    path += std::to_string(ports[static_cast<std::size_t>(i)]);
  }
  return path;
}

UsbBoard describe_board(libusb_device* device, const libusb_device_descriptor& descriptor) {
  UsbBoard board;
  board.product = descriptor.idProduct;
  board.usb_version = descriptor.bcdUSB;
  board.bus = libusb_get_bus_number(device);
  board.address = libusb_get_device_address(device);
  board.port = port_path(device);
  board.speed = speed_name(libusb_get_device_speed(device));
  return board;
}

}  // namespace

std::string UsbBoard::node() const {
  char text[40];
  std::snprintf(text, sizeof(text), "/dev/bus/usb/%03d/%03d", bus, address);
  return text;
}

std::vector<UsbBoard> scan_usb() {
  const Context context;
  std::vector<UsbBoard> boards;
  for (libusb_device* const device : DeviceList(context)) {
    libusb_device_descriptor descriptor{};
    if (libusb_get_device_descriptor(device, &descriptor) != 0) continue;
    if (descriptor.idVendor == kUsbVendor) boards.push_back(describe_board(device, descriptor));
  }
  return boards;
}

// After a cable was pulled a transfer fails first; the hub reports it a little later.
bool has_left_the_bus(const UsbBoard& board) {
  const auto end = std::chrono::steady_clock::now() + kGoneLimit;
  for (;;) {
    try {
      const auto boards = scan_usb();
      const auto is_it = [&](const UsbBoard& one) { return one.is(board); };
      if (std::none_of(boards.begin(), boards.end(), is_it)) return true;
    } catch (const UsbError&) {
      return false;
    }
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(20ms);
  }
}

// ---- an open device --------------------------------------------------------------------------

struct UsbDevice::Libusb {
  Context context;
  libusb_device_handle* handle = nullptr;
  bool claimed = false;

  ~Libusb() {
    if (claimed) libusb_release_interface(handle, 0);
    if (handle != nullptr) libusb_close(handle);
  }
};

UsbDevice::UsbDevice(const UsbBoard& board) : board_(board), libusb_(std::make_unique<Libusb>()) {
  for (libusb_device* const device : DeviceList(libusb_->context)) {
    if (libusb_get_bus_number(device) != board.bus) continue;
    if (libusb_get_device_address(device) != board.address) continue;
    check("open " + board.node(), libusb_open(device, &libusb_->handle));
    return;
  }
  raise("open " + board.node(), LIBUSB_ERROR_NO_DEVICE);
}

UsbDevice::~UsbDevice() = default;

std::string UsbDevice::serial() {
  libusb_device_descriptor descriptor{};
  libusb_get_device_descriptor(libusb_get_device(libusb_->handle), &descriptor);
  if (descriptor.iSerialNumber == 0) return "";
  std::array<unsigned char, 128> text{};
  const int size = libusb_get_string_descriptor_ascii(libusb_->handle, descriptor.iSerialNumber,
                                                      text.data(), static_cast<int>(text.size()));
  return size > 0 ? std::string(text.begin(), text.begin() + size) : "";
}

void UsbDevice::configure() {
  int current = 0;
  libusb_get_configuration(libusb_->handle, &current);
  if (current == 1) return;  // setting it again would reset the device
  check("configure " + board_.node(), libusb_set_configuration(libusb_->handle, 1));
}

void UsbDevice::claim() {
  libusb_detach_kernel_driver(libusb_->handle, 0);  // usually there is none
  check("claim " + board_.node(), libusb_claim_interface(libusb_->handle, 0));
  libusb_->claimed = true;
}

std::uint8_t UsbDevice::bulk_endpoint(bool in) const {
  libusb_config_descriptor* configuration = nullptr;
  libusb_device* const device = libusb_get_device(libusb_->handle);
  if (libusb_get_config_descriptor(device, 0, &configuration) != 0) return 0;
  std::uint8_t found = 0;
  if (configuration->bNumInterfaces > 0 && configuration->interface[0].num_altsetting > 0) {
    const libusb_interface_descriptor& first = configuration->interface[0].altsetting[0];
    // Truncated descriptors announce more endpoints than libusb has allocated.
    const int count = first.endpoint != nullptr ? first.bNumEndpoints : 0;
    for (int i = 0; i < count && found == 0; ++i) {
      const libusb_endpoint_descriptor& endpoint = first.endpoint[i];
      const bool is_in = (endpoint.bEndpointAddress & LIBUSB_ENDPOINT_IN) != 0;
      const bool is_bulk = (endpoint.bmAttributes & 3) == LIBUSB_ENDPOINT_TRANSFER_TYPE_BULK;
      const bool is_sane =
          endpoint.wMaxPacketSize > 0 && kPieceBytes % endpoint.wMaxPacketSize == 0;
      if (is_bulk && is_sane && is_in == in) found = endpoint.bEndpointAddress;
    }
  }
  libusb_free_config_descriptor(configuration);
  return found;
}

std::size_t UsbDevice::transfer(std::uint8_t endpoint, std::uint8_t* data, std::size_t size,
                                std::chrono::milliseconds limit) {
  int moved = 0;
  const int code = libusb_bulk_transfer(libusb_->handle, endpoint, data, static_cast<int>(size),
                                        &moved, static_cast<unsigned>(limit.count()));
  if (code == LIBUSB_ERROR_TIMEOUT && moved > 0) return static_cast<std::size_t>(moved);
  if (code < 0) raise("transfer with " + board_.node(), code);
  return static_cast<std::size_t>(moved);
}

// ---- the byte pipe ---------------------------------------------------------------------------

/// The transfers of one direction. One thread submits and awaits them; another thread may only
/// cancel those in flight, with the transport's mutex.
struct UsbTransport::EndpointQueue {
  struct Slot {
    libusb_transfer* transfer = libusb_alloc_transfer(0);
    int done = 1;
  };

  const std::uint8_t endpoint;
  const char* const verb;
  std::chrono::milliseconds limit{0};  // for one transfer; 0 = none
  std::array<Slot, kInFlight> slots;
  std::deque<Slot*> in_flight;  // oldest first

  EndpointQueue(std::uint8_t place, const char* word) : endpoint(place), verb(word) {}
  EndpointQueue(const EndpointQueue&) = delete;
  EndpointQueue& operator=(const EndpointQueue&) = delete;
  ~EndpointQueue() { free_transfers(); }
  /// Must run before the context ends: a transfer refers to the context through its device.
  void free_transfers() {
    for (Slot& slot : slots) libusb_free_transfer(std::exchange(slot.transfer, nullptr));
  }
  bool is_full() const { return in_flight.size() == slots.size(); }
  Slot& free_slot() {
    return *std::find_if(slots.begin(), slots.end(), [this](const Slot& slot) {
      return std::find(in_flight.begin(), in_flight.end(), &slot) == in_flight.end();
    });
  }
  static void LIBUSB_CALL on_done(libusb_transfer* transfer) {
    __atomic_store_n(&static_cast<Slot*>(transfer->user_data)->done, 1, __ATOMIC_RELEASE);
  }
};

/// Keeps the device open during one call of read_exactly() or write().
class UsbTransport::Use {
 public:
  explicit Use(UsbTransport& transport) : transport_(transport) {
    const std::lock_guard<std::mutex> lock(transport_.mutex_);
    if (transport_.closed_) throw LinkError(transport_.describe() + ": closed");
    ++transport_.users_;
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  ~Use() {
    std::unique_ptr<UsbDevice> device;  // closed without the mutex
    const std::lock_guard<std::mutex> lock(transport_.mutex_);
    --transport_.users_;
    if (transport_.closed_ && transport_.users_ == 0) device = transport_.let_go();
  }

 private:
  UsbTransport& transport_;
};

UsbTransport::UsbTransport(std::unique_ptr<UsbDevice> device, bool was_running)
    : board_(device->board()),
      was_running_(was_running),
      device_(std::move(device)),
      mx_id_(device_->serial()),
      in_(std::make_unique<EndpointQueue>(kIn, "reading")),
      out_(std::make_unique<EndpointQueue>(kOut, "sending")) {
  if (device_->bulk_endpoint(true) != kIn || device_->bulk_endpoint(false) != kOut) {
    throw UsbError(UsbError::Kind::failed,
                   describe() + ": its descriptors lack bulk endpoints 0x01 and 0x81");
  }
}

UsbTransport::~UsbTransport() { close(); }

// Several transfers are in flight only while each is a whole number of packets: if the device ends
// one early, the bytes of the next still fit. The rest, which may end in the middle of a packet, is
// requested when all bytes before it have arrived.
void UsbTransport::read_exactly(std::uint8_t* data, std::size_t size) {
  const Use use(*this);
  EndpointQueue& queue = *in_;
  std::size_t done = 0, asked = 0;  // bytes at the front that have arrived; bytes in flight
  try {
    while (done < size) {
      while (!queue.is_full() && size - done - asked >= kPieceBytes) {
        submit(queue, data + done + asked, kPieceBytes);
        asked += kPieceBytes;
      }
      if (queue.in_flight.empty()) {
        submit(queue, data + done, size - done);
        asked = size - done;
      }
      const libusb_transfer& oldest = *queue.in_flight.front()->transfer;
      const std::uint8_t* const place = oldest.buffer;
      const std::size_t count = await_oldest(queue);
      if (place != data + done) std::copy(place, place + count, data + done);
      asked -= static_cast<std::size_t>(oldest.length);
      done += count;
      if (oldest.status != LIBUSB_TRANSFER_COMPLETED) fail(queue, oldest.status, done, size);
    }
  } catch (...) {
    abandon(queue);
    throw;
  }
}

void UsbTransport::write(const Part* parts, std::size_t count) {
  const Use use(*this);
  EndpointQueue& queue = *out_;
  const auto await = [&] {
    const libusb_transfer& oldest = *queue.in_flight.front()->transfer;
    const std::size_t sent = await_oldest(queue);
    const auto wanted = static_cast<std::size_t>(oldest.length);
    const bool good = oldest.status == LIBUSB_TRANSFER_COMPLETED && sent == wanted;
    if (!good) fail(queue, oldest.status, sent, wanted);
  };
  try {
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t done = 0; done < parts[i].size;) {
        const std::size_t piece = std::min(parts[i].size - done, kPieceBytes);
        if (queue.is_full()) await();
        submit(queue, const_cast<std::uint8_t*>(parts[i].data) + done, piece);
        done += piece;
      }
    }
    while (!queue.in_flight.empty()) await();
  } catch (...) {
    abandon(queue);
    throw;
  }
}

void UsbTransport::limit_write(std::chrono::milliseconds limit) {
  const std::lock_guard<std::mutex> lock(mutex_);
  out_->limit = limit;
}

void UsbTransport::submit(EndpointQueue& queue, std::uint8_t* data, std::size_t size) {
  EndpointQueue::Slot& slot = queue.free_slot();
  libusb_fill_bulk_transfer(slot.transfer, device_->libusb_->handle, queue.endpoint, data,
                            static_cast<int>(size), &EndpointQueue::on_done, &slot, 0);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) throw LinkError(describe() + ": closed");
  // The timeout of a transfer runs from its submission, while those before it are in flight, too.
  const auto limit = queue.limit * static_cast<long>(queue.in_flight.size() + 1);
  slot.transfer->timeout = static_cast<unsigned>(limit.count());
  slot.done = 0;
  const int code = libusb_submit_transfer(slot.transfer);
  if (code == 0) {
    queue.in_flight.push_back(&slot);
    return;
  }
  slot.done = 1;
  const std::string what = describe() + ": " + queue.verb + " failed: ";
  if (code == LIBUSB_ERROR_NO_DEVICE) throw DeviceLostError(what + "the device left the bus");
  throw LinkError(what + reason_of(code));
}

std::size_t UsbTransport::await_oldest(EndpointQueue& queue) {
  EndpointQueue::Slot& slot = *queue.in_flight.front();
  while (__atomic_load_n(&slot.done, __ATOMIC_ACQUIRE) == 0) {
    libusb_handle_events_completed(device_->libusb_->context.get(), &slot.done);
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  queue.in_flight.pop_front();
  return static_cast<std::size_t>(slot.transfer->actual_length);
}

void UsbTransport::cancel(EndpointQueue& queue) noexcept {
  for (const auto* const slot : queue.in_flight) libusb_cancel_transfer(slot->transfer);
}

// The memory belongs to the caller: no transfer may be in flight when the call returns.
void UsbTransport::abandon(EndpointQueue& queue) noexcept {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    cancel(queue);
  }
  while (!queue.in_flight.empty()) await_oldest(queue);
}

void UsbTransport::fail(const EndpointQueue& queue, int code, std::size_t done, std::size_t size) {
  static constexpr Text kReasons[] = {
      {LIBUSB_TRANSFER_COMPLETED, "the device accepted fewer bytes"},
      {LIBUSB_TRANSFER_ERROR, "the transfer failed on the wire (cable, hub, power?)"},
      {LIBUSB_TRANSFER_TIMED_OUT, "the device no longer accepts bytes"},
      {LIBUSB_TRANSFER_STALL, "the device refuses (stall)"},
      {LIBUSB_TRANSFER_OVERFLOW, "the device sent more than was asked for"},
  };
  const std::string where = describe() + ": " + queue.verb + " failed: ";
  const std::string bytes = " (" + std::to_string(done) + " of " + std::to_string(size) + " bytes)";
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (closed_) throw LinkError(describe() + ": closed" + bytes);
  }
  const bool may_be_gone = code == LIBUSB_TRANSFER_ERROR || code == LIBUSB_TRANSFER_CANCELLED;
  if (code == LIBUSB_TRANSFER_NO_DEVICE || (may_be_gone && has_left_the_bus(board_))) {
    throw DeviceLostError(where + "the device left the bus" + bytes);
  }
  for (const Text& reason : kReasons) {
    if (reason.code == code) throw LinkError(where + reason.text + bytes);
  }
  throw LinkError(where + "transfer status " + std::to_string(code) + bytes);
}

// Cancels all transfers. Calls that read or write end with an error, and the last of them frees the
// device: as long as it is claimed no other link can open it.
void UsbTransport::close() noexcept {
  std::unique_ptr<UsbDevice> device;  // closed without the mutex
  const std::lock_guard<std::mutex> lock(mutex_);
  closed_ = true;
  cancel(*in_);
  cancel(*out_);
  if (users_ == 0) device = let_go();
}

std::unique_ptr<UsbDevice> UsbTransport::let_go() noexcept {
  in_->free_transfers();
  out_->free_transfers();
  return std::move(device_);
}

}  // namespace depthai
