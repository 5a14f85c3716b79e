#include "fake_libusb.hpp"

#include <libusb.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>
#include <deque>

using depthai::fuzz::expect;
using depthai::fuzz::Input;

struct libusb_context {
  std::vector<libusb_device_handle*> handles;  // open
};

/// One entry of a device list, as libusb makes a new one for each context.
struct libusb_device {
  int references = 1;
  libusb_context* context;
  libusb_device_descriptor descriptor{};
  std::uint8_t bus = 0, address = 0;
  depthai::fuzz::Bytes ports;
};

struct libusb_device_handle {
  libusb_device* device;
  std::deque<libusb_transfer*> in_flight;  // oldest first
  std::vector<libusb_transfer*> cancelled;
  bool is_claimed = false;
};

namespace {

struct OnBus {
  std::uint16_t product = 0x2485, version = 0x0200;
  std::uint8_t address = 1, port = 1, depth = 2;
};

struct Bus {
  Input* input = nullptr;
  std::vector<OnBus> devices;
  std::uint8_t last_address = 0;
  int contexts = 0, lists = 0, handles = 0, transfers = 0, configurations = 0;
  long calls = 0;
  std::chrono::nanoseconds now{0};
} g_bus;

constexpr int kErrors[] = {
    LIBUSB_ERROR_IO,        LIBUSB_ERROR_ACCESS, LIBUSB_ERROR_NO_DEVICE,
    LIBUSB_ERROR_NOT_FOUND, LIBUSB_ERROR_BUSY,   LIBUSB_ERROR_TIMEOUT,
    LIBUSB_ERROR_OVERFLOW,  LIBUSB_ERROR_PIPE,   LIBUSB_ERROR_INTERRUPTED,
    LIBUSB_ERROR_NO_MEM,    LIBUSB_ERROR_OTHER,  LIBUSB_ERROR_NOT_SUPPORTED,
};
constexpr libusb_transfer_status kStatuses[] = {
    LIBUSB_TRANSFER_ERROR, LIBUSB_TRANSFER_TIMED_OUT, LIBUSB_TRANSFER_CANCELLED,
    LIBUSB_TRANSFER_STALL, LIBUSB_TRANSFER_NO_DEVICE, LIBUSB_TRANSFER_OVERFLOW,
};
constexpr std::uint16_t kProducts[] = {0x2485, 0xf63b, 0x1234};

/// 0 in most cases.
int result() {
  depthai::fuzz::pass(std::chrono::microseconds(100));
  expect(++g_bus.calls < 100'000, "the program calls libusb without end");
  const std::uint8_t byte = g_bus.input->byte();
  return byte < 200 ? 0 : kErrors[byte % (sizeof(kErrors) / sizeof(*kErrors))];
}

/// Devices come, go and change between two scans.
void change_devices() {
  Input& input = *g_bus.input;
  for (std::size_t left = input.below(4); left > 0; --left) {
    const std::size_t place = input.below(g_bus.devices.size() + 1);
    if (place == g_bus.devices.size() && place < 4) {
      g_bus.devices.emplace_back();
    } else if (place == g_bus.devices.size() || input.below(4) == 0) {
      g_bus.devices.pop_back();
      continue;
    }
    OnBus& device = g_bus.devices[place];
    device.product = input.one_of(kProducts);
    device.version = input.flag() ? 0x0200 : 0x0110;
    device.port = static_cast<std::uint8_t>(input.below(3));
    device.depth = static_cast<std::uint8_t>(input.below(8));
    if (input.flag()) device.address = ++g_bus.last_address;
  }
}

/// Bytes that arrived; touches both ends of the memory.
void receive(std::uint8_t* data, int size) {
  if (size <= 0) return;
  data[size - 1] = 0xA5;
  data[0] = g_bus.input->byte();
}

int most_of(int length) {
  const int choices[] = {length, length, length, length / 2, 1, 0, 512};
  return std::min(length, choices[g_bus.input->below(7)]);
}

void finish(libusb_transfer* transfer, bool is_cancelled) {
  const bool is_good = g_bus.input->byte() < 200;
  transfer->actual_length = most_of(transfer->length);
  transfer->status = LIBUSB_TRANSFER_COMPLETED;
  if (!is_good) transfer->status = g_bus.input->one_of(kStatuses);
  if (is_cancelled && is_good) transfer->status = LIBUSB_TRANSFER_CANCELLED;
  if (g_bus.input->is_empty()) transfer->status = LIBUSB_TRANSFER_NO_DEVICE;
  if ((transfer->endpoint & LIBUSB_ENDPOINT_IN) != 0) {
    receive(transfer->buffer, transfer->actual_length);
  }
  transfer->callback(transfer);
}

}  // namespace

namespace depthai::fuzz {

void begin_bus(Input& input) {
  g_bus = Bus{};
  g_bus.input = &input;
  g_bus.now = std::chrono::hours(1);
}

void end_bus() {
  expect(g_bus.contexts == 0, "a context is not ended");
  expect(g_bus.lists == 0, "a device list is not freed");
  expect(g_bus.handles == 0, "a device is not closed");
  expect(g_bus.transfers == 0, "a transfer is not freed");
  expect(g_bus.configurations == 0, "a configuration is not freed");
  g_bus.input = nullptr;
}

void pass(std::chrono::nanoseconds time) { g_bus.now += time; }

}  // namespace depthai::fuzz

// The calls of the C library and of libusb: their names and arguments are given.
// Visible, so that also the C++ library calls this clock.
#pragma GCC visibility push(default)
extern "C" {

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  if (g_bus.input == nullptr || clock != CLOCK_MONOTONIC) {
    return static_cast<int>(::syscall(SYS_clock_gettime, clock, time));
  }
  time->tv_sec = g_bus.now.count() / 1'000'000'000;
  time->tv_nsec = g_bus.now.count() % 1'000'000'000;
  return 0;
}

int nanosleep(const timespec* time, timespec* rest) {
  if (g_bus.input == nullptr) return static_cast<int>(::syscall(SYS_nanosleep, time, rest));
  g_bus.now += std::chrono::seconds(time->tv_sec) + std::chrono::nanoseconds(time->tv_nsec);
  return 0;
}

int clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec* rest) {
  if (g_bus.input != nullptr && flags == 0) return nanosleep(time, rest);
  return static_cast<int>(::syscall(SYS_clock_nanosleep, clock, flags, time, rest));
}

int LIBUSB_CALL libusb_init(libusb_context** context) {
  if (const int code = result()) return code;
  *context = new libusb_context;
  ++g_bus.contexts;
  return 0;
}

void LIBUSB_CALL libusb_exit(libusb_context* context) {
  expect(context->handles.empty(), "a context ends before its devices are closed");
  delete context;
  --g_bus.contexts;
}

const char* LIBUSB_CALL libusb_strerror(int) { return "made-up error"; }

ssize_t LIBUSB_CALL libusb_get_device_list(libusb_context* context, libusb_device*** list) {
  if (const int code = result()) return code;
  change_devices();
  *list = new libusb_device*[g_bus.devices.size() + 1]();
  ++g_bus.lists;
  for (std::size_t i = 0; i < g_bus.devices.size(); ++i) {
    const OnBus& on_bus = g_bus.devices[i];
    auto* const device = new libusb_device;
    device->context = context;
    device->descriptor.idVendor = on_bus.product == 0x1234 ? 0x1234 : 0x03e7;
    device->descriptor.idProduct = on_bus.product;
    device->descriptor.bcdUSB = on_bus.version;
    device->descriptor.iSerialNumber = on_bus.port;
    device->bus = 200;
    device->address = on_bus.address;
    device->ports.assign(on_bus.depth, on_bus.port);
    (*list)[i] = device;
  }
  return static_cast<ssize_t>(g_bus.devices.size());
}

static void unreference(libusb_device* device) {
  if (--device->references == 0) delete device;
}

void LIBUSB_CALL libusb_free_device_list(libusb_device** list, int unreference_devices) {
  for (std::size_t i = 0; unreference_devices != 0 && list[i] != nullptr; ++i) unreference(list[i]);
  delete[] list;
  --g_bus.lists;
}

int LIBUSB_CALL libusb_get_device_descriptor(libusb_device* device,
                                             libusb_device_descriptor* descriptor) {
  if (const int code = result()) return code;
  *descriptor = device->descriptor;
  return 0;
}

std::uint8_t LIBUSB_CALL libusb_get_bus_number(libusb_device* device) { return device->bus; }
std::uint8_t LIBUSB_CALL libusb_get_device_address(libusb_device* device) {
  return device->address;
}
int LIBUSB_CALL libusb_get_device_speed(libusb_device*) { return g_bus.input->byte() - 2; }

int LIBUSB_CALL libusb_get_port_numbers(libusb_device* device, std::uint8_t* ports, int size) {
  if (static_cast<std::size_t>(size) < device->ports.size()) return LIBUSB_ERROR_OVERFLOW;
  std::copy(device->ports.begin(), device->ports.end(), ports);
  return static_cast<int>(device->ports.size());
}

int LIBUSB_CALL libusb_open(libusb_device* device, libusb_device_handle** handle) {
  if (const int code = result()) return code;
  ++device->references;
  ++g_bus.handles;
  *handle = new libusb_device_handle{device, {}, {}};
  device->context->handles.push_back(*handle);
  return 0;
}

void LIBUSB_CALL libusb_close(libusb_device_handle* handle) {
  expect(handle->in_flight.empty(), "a device is closed while transfers are in flight");
  expect(!handle->is_claimed, "a device is closed while its interface is claimed");
  auto& open = handle->device->context->handles;
  open.erase(std::find(open.begin(), open.end(), handle));
  --g_bus.handles;
  unreference(handle->device);
  delete handle;
}

libusb_device* LIBUSB_CALL libusb_get_device(libusb_device_handle* handle) {
  return handle->device;
}

int LIBUSB_CALL libusb_get_string_descriptor_ascii(libusb_device_handle*, std::uint8_t,
                                                   unsigned char* text, int size) {
  if (const int code = result()) return code;
  const int count = most_of(size);
  for (int i = 0; i < count; ++i) text[i] = g_bus.input->byte();
  return count;
}

int LIBUSB_CALL libusb_get_configuration(libusb_device_handle*, int* configuration) {
  *configuration = g_bus.input->byte() % 2;
  return result();
}

int LIBUSB_CALL libusb_set_configuration(libusb_device_handle*, int) { return result(); }
int LIBUSB_CALL libusb_detach_kernel_driver(libusb_device_handle*, int) { return result(); }

int LIBUSB_CALL libusb_claim_interface(libusb_device_handle* handle, int) {
  const int code = result();
  handle->is_claimed = code == 0;
  return code;
}

int LIBUSB_CALL libusb_release_interface(libusb_device_handle* handle, int) {
  handle->is_claimed = false;
  return result();
}

int LIBUSB_CALL libusb_get_config_descriptor(libusb_device*, std::uint8_t,
                                             libusb_config_descriptor** descriptor) {
  if (const int code = result()) return code;
  constexpr std::uint16_t kPacketSizes[] = {512, 1024, 64, 0, 13, 65535};
  Input& input = *g_bus.input;
  auto* const configuration = *descriptor = new libusb_config_descriptor{};
  ++g_bus.configurations;
  configuration->bNumInterfaces = static_cast<std::uint8_t>(1 - input.below(8) / 7);
  auto* const interface = new libusb_interface{};
  configuration->interface = interface;
  interface->num_altsetting = input.below(8) == 0 ? 0 : 1;
  auto* const first = new libusb_interface_descriptor{};
  interface->altsetting = first;
  const std::size_t count = input.below(8) == 0 ? input.below(4) : 2;
  first->bNumEndpoints = static_cast<std::uint8_t>(count);
  if (count == 0 || input.below(8) == 0) return 0;  // truncated: announced and not there
  auto* const endpoints = new libusb_endpoint_descriptor[count]();
  for (std::size_t i = 0; i < count; ++i) {
    endpoints[i].bEndpointAddress = i % 2 == 0 ? 0x01 : 0x81;
    endpoints[i].bmAttributes = LIBUSB_ENDPOINT_TRANSFER_TYPE_BULK;
    endpoints[i].wMaxPacketSize = 512;
    if (input.below(8) != 0) continue;
    endpoints[i].bEndpointAddress = input.byte();
    endpoints[i].bmAttributes = input.byte();
    endpoints[i].wMaxPacketSize = input.one_of(kPacketSizes);
  }
  first->endpoint = endpoints;
  return 0;
}

void LIBUSB_CALL libusb_free_config_descriptor(libusb_config_descriptor* configuration) {
  delete[] configuration->interface->altsetting->endpoint;
  delete configuration->interface->altsetting;
  delete configuration->interface;
  delete configuration;
  --g_bus.configurations;
}

int LIBUSB_CALL libusb_bulk_transfer(libusb_device_handle*, unsigned char endpoint,
                                     unsigned char* data, int length, int* transferred,
                                     unsigned timeout) {
  const int code = result();
  *transferred = code == 0 || code == LIBUSB_ERROR_TIMEOUT ? most_of(length) : 0;
  if ((endpoint & LIBUSB_ENDPOINT_IN) != 0) receive(data, *transferred);
  depthai::fuzz::pass(std::chrono::milliseconds(code == LIBUSB_ERROR_TIMEOUT ? timeout : 5));
  return code;
}

libusb_transfer* LIBUSB_CALL libusb_alloc_transfer(int) {
  ++g_bus.transfers;
  return new libusb_transfer{};
}

void LIBUSB_CALL libusb_free_transfer(libusb_transfer* transfer) {
  if (transfer == nullptr) return;
  --g_bus.transfers;
  delete transfer;
}

int LIBUSB_CALL libusb_submit_transfer(libusb_transfer* transfer) {
  if (const int code = result()) return code;
  transfer->dev_handle->in_flight.push_back(transfer);
  return 0;
}

int LIBUSB_CALL libusb_cancel_transfer(libusb_transfer* transfer) {
  transfer->dev_handle->cancelled.push_back(transfer);
  return result();
}

/// Finishes the oldest transfer of the first device that has one.
int LIBUSB_CALL libusb_handle_events_completed(libusb_context* context, int*) {
  depthai::fuzz::pass(std::chrono::milliseconds(1));
  expect(++g_bus.calls < 100'000, "the program waits for libusb without end");
  for (libusb_device_handle* const handle : context->handles) {
    if (handle->in_flight.empty()) continue;
    libusb_transfer* const oldest = handle->in_flight.front();
    handle->in_flight.pop_front();
    auto& cancelled = handle->cancelled;
    const auto found = std::find(cancelled.begin(), cancelled.end(), oldest);
    const bool is_cancelled = found != cancelled.end();
    cancelled.erase(std::remove(cancelled.begin(), cancelled.end(), oldest), cancelled.end());
    finish(oldest, is_cancelled);
    return 0;
  }
  expect(false, "the program waits and no transfer is in flight");
  return 0;
}

}  // extern "C"
#pragma GCC visibility pop
