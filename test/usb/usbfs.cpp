// The calls of /dev/bus/usb (usbdevfs) that libusb makes.

#include "usbfs.hpp"

#include <linux/usbdevice_fs.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

namespace rig {
namespace {

/// The program was killed in the middle of a call.
struct CallerDied {};

/// Memory of the calling program. Throws CallerDied.
UMockdevIoctlData* resolve(UMockdevIoctlData* from, std::size_t offset, std::size_t size) {
  UMockdevIoctlData* const data = umockdev_ioctl_data_resolve(from, offset, size, nullptr);
  if (data == nullptr) throw CallerDied();
  return data;
}

UMockdevIoctlData* urb_of(const Request& request) {
  return static_cast<UMockdevIoctlData*>(request.urb);
}

struct Call {
  Place& place;
  Client& client;
  UMockdevIoctlClient* caller;
  UMockdevIoctlData* argument;
  bool gone;

  int end(int result, int error = 0) const {
    umockdev_ioctl_client_complete(caller, result, error);
    return 1;
  }
  std::uint32_t number() const {
    UMockdevIoctlData* const data = resolve(argument, 0, 4);
    std::uint32_t value = 0;
    std::memcpy(&value, data->data, 4);
    umockdev_ioctl_data_unref(data);
    return value;
  }
};

int on_capabilities(const Call& call) {
  std::uint32_t value = USBDEVFS_CAP_ZERO_PACKET | USBDEVFS_CAP_NO_PACKET_SIZE_LIM |
                        USBDEVFS_CAP_BULK_SCATTER_GATHER | USBDEVFS_CAP_REAP_AFTER_DISCONNECT;
  UMockdevIoctlData* const data = resolve(call.argument, 0, 4);
  umockdev_ioctl_data_update(data, 0, reinterpret_cast<std::uint8_t*>(&value), 4);
  umockdev_ioctl_data_unref(data);
  return call.end(0);
}

int on_claim(const Call& call) {
  for (const auto& [key, other] : call.place.clients) {
    // umockdev does not report a program that was killed in the middle of a call; a live program
    // keeps reaping its requests.
    const bool is_alive = Clock::now() - other.last_call < std::chrono::seconds(1);
    if (other.claimed && is_alive && &other != &call.client) return call.end(-1, EBUSY);
  }
  call.client.claimed = true;
  return call.end(0);
}

int on_release(const Call& call) {
  call.client.claimed = false;
  return call.end(0);
}

int on_plain(const Call& call) { return call.end(0); }
int on_driver(const Call& call) { return call.end(-1, ENODATA); }

void submit_control(const Call& call, Request request) {
  UMockdevIoctlData* const buffer =
      resolve(urb_of(request), offsetof(usbdevfs_urb, buffer), request.wanted);
  Bytes answer;
  const int status = call.place.board.control(buffer->data, answer);
  if (!answer.empty()) umockdev_ioctl_data_update(buffer, 8, answer.data(), int(answer.size()));
  umockdev_ioctl_data_unref(buffer);
  request.actual = answer.size();
  finish(call.client, std::move(request), status);
}

int on_submit(const Call& call) {
  Request request;
  UMockdevIoctlData* const memory = resolve(call.argument, 0, sizeof(usbdevfs_urb));
  request.urb = memory;
  request.key = memory->client_addr;
  const auto* const urb = reinterpret_cast<const usbdevfs_urb*>(memory->data);
  request.wanted = std::size_t(urb->buffer_length);
  if (urb->type == USBDEVFS_URB_TYPE_CONTROL) {
    submit_control(call, std::move(request));
  } else if ((urb->endpoint & 0x80) != 0) {
    call.client.in.push_back(std::move(request));
    serve_in(call.place, call.client);
  } else {
    UMockdevIoctlData* buffer = nullptr;
    if (request.wanted > 0) {
      buffer = resolve(memory, offsetof(usbdevfs_urb, buffer), request.wanted);
    }
    take_out(call.place, call.client, std::move(request), buffer ? buffer->data : nullptr);
    if (buffer != nullptr) umockdev_ioctl_data_unref(buffer);
  }
  return call.end(0);
}

int on_discard(const Call& call) {
  const gulong wanted = *reinterpret_cast<const gulong*>(call.argument->data);
  return cancel(call.client, wanted) ? call.end(0) : call.end(-1, EINVAL);
}

int on_reap(const Call& call) {
  serve_in(call.place, call.client);
  serve_out(call.place, call.client);
  if (call.client.done.empty()) return call.end(-1, call.gone ? ENODEV : EAGAIN);
  Request request = std::move(call.client.done.front());
  call.client.done.pop_front();
  UMockdevIoctlData* const urb = urb_of(request);
  if (!request.bytes.empty()) {
    UMockdevIoctlData* const buffer =
        resolve(urb, offsetof(usbdevfs_urb, buffer), request.bytes.size());
    umockdev_ioctl_data_update(buffer, 0, request.bytes.data(), int(request.bytes.size()));
    umockdev_ioctl_data_unref(buffer);
  }
  auto actual = std::uint32_t(request.actual);
  umockdev_ioctl_data_update(urb, offsetof(usbdevfs_urb, status),
                             reinterpret_cast<std::uint8_t*>(&request.status), 4);
  umockdev_ioctl_data_update(urb, offsetof(usbdevfs_urb, actual_length),
                             reinterpret_cast<std::uint8_t*>(&actual), 4);
  UMockdevIoctlData* const where = resolve(call.argument, 0, sizeof(void*));
  umockdev_ioctl_data_set_ptr(where, 0, urb);
  umockdev_ioctl_data_unref(where);
  umockdev_ioctl_data_unref(urb);
  return call.end(0);
}

const std::map<gulong, int (*)(const Call&)> kCalls = {
    {USBDEVFS_GET_CAPABILITIES, &on_capabilities},
    {USBDEVFS_CLAIMINTERFACE, &on_claim},
    {USBDEVFS_DISCONNECT_CLAIM, &on_claim},
    {USBDEVFS_RELEASEINTERFACE, &on_release},
    {USBDEVFS_SETCONFIGURATION, &on_plain},
    {USBDEVFS_RESET, &on_plain},
    {USBDEVFS_CLEAR_HALT, &on_plain},
    {USBDEVFS_GETDRIVER, &on_driver},
    {USBDEVFS_IOCTL, &on_driver},  // "detach the kernel's driver": there is none
    {USBDEVFS_SUBMITURB, &on_submit},
    {USBDEVFS_DISCARDURB, &on_discard},
    {USBDEVFS_REAPURB, &on_reap},
    {USBDEVFS_REAPURBNDELAY, &on_reap},
};

}  // namespace

gboolean on_ioctl(UMockdevIoctlBase*, UMockdevIoctlClient* caller, gpointer data) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  const Appearance& appearance = *static_cast<Appearance*>(data);
  Place& place = appearance.place;
  const bool gone = place.gone || appearance.number + 1 != place.appearances.size();
  const gulong request = umockdev_ioctl_client_get_request(caller);
  // Kept as long as it is in use here: another program's must not get the same address.
  if (place.clients.count(caller) == 0) g_object_ref(caller);
  Client& client = place.clients[caller];
  client.last_call = Clock::now();
  const Call call{place, client, caller, umockdev_ioctl_client_get_arg(caller), gone};
  const bool ends = request == USBDEVFS_REAPURBNDELAY || request == USBDEVFS_REAPURB ||
                    request == USBDEVFS_DISCARDURB;
  if (gone && !ends) return call.end(-1, ENODEV);
  const auto found = kCalls.find(request);
  try {
    if (found != kCalls.end()) return found->second(call);
    std::fprintf(stderr, "usb_rig: ioctl %lx is not known\n", request);
  } catch (const CallerDied&) {
    client = {};
  }
  return call.end(-1, ENOTTY);
}

void on_vanished(UMockdevIoctlBase*, UMockdevIoctlClient* caller, gpointer data) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  if (static_cast<Appearance*>(data)->place.clients.erase(caller) > 0) g_object_unref(caller);
}

}  // namespace rig
