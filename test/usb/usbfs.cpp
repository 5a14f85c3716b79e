// What programs ask of /dev/bus/usb: the usbdevfs calls that libusb makes.

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

struct Call {
  Place& place;
  Client& client;
  UMockdevIoctlClient* caller;
  UMockdevIoctlData* argument;

  int end(int result, int error = 0) const {
    umockdev_ioctl_client_complete(caller, result, error);
    return 1;
  }
  std::uint32_t number() const {
    UMockdevIoctlData* const data = umockdev_ioctl_data_resolve(argument, 0, 4, nullptr);
    std::uint32_t value = 0;
    std::memcpy(&value, data->data, 4);
    umockdev_ioctl_data_unref(data);
    return value;
  }
};

int on_capabilities(const Call& call) {
  std::uint32_t value = USBDEVFS_CAP_ZERO_PACKET | USBDEVFS_CAP_NO_PACKET_SIZE_LIM |
                        USBDEVFS_CAP_BULK_SCATTER_GATHER | USBDEVFS_CAP_REAP_AFTER_DISCONNECT;
  UMockdevIoctlData* const data = umockdev_ioctl_data_resolve(call.argument, 0, 4, nullptr);
  umockdev_ioctl_data_update(data, 0, reinterpret_cast<std::uint8_t*>(&value), 4);
  umockdev_ioctl_data_unref(data);
  return call.end(0);
}

int on_claim(const Call& call) {
  for (const auto& [key, other] : call.place.clients) {
    if (other.claimed && &other != &call.client) return call.end(-1, EBUSY);
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
  UMockdevIoctlData* const buffer = umockdev_ioctl_data_resolve(
      request.urb, offsetof(usbdevfs_urb, buffer), request.wanted, nullptr);
  Bytes answer;
  const int status = call.place.board.control(buffer->data, answer);
  if (!answer.empty()) umockdev_ioctl_data_update(buffer, 8, answer.data(), int(answer.size()));
  umockdev_ioctl_data_unref(buffer);
  request.actual = answer.size();
  finish(call.client, std::move(request), status);
}

int on_submit(const Call& call) {
  Request request;
  request.urb = umockdev_ioctl_data_resolve(call.argument, 0, sizeof(usbdevfs_urb), nullptr);
  const auto* const urb = reinterpret_cast<const usbdevfs_urb*>(request.urb->data);
  request.wanted = std::size_t(urb->buffer_length);
  if (urb->type == USBDEVFS_URB_TYPE_CONTROL) {
    submit_control(call, std::move(request));
  } else if ((urb->endpoint & 0x80) != 0) {
    call.client.in.push_back(std::move(request));
    serve_in(call.place, call.client);
  } else {
    UMockdevIoctlData* buffer = nullptr;
    if (request.wanted > 0) {
      buffer = umockdev_ioctl_data_resolve(request.urb, offsetof(usbdevfs_urb, buffer),
                                           request.wanted, nullptr);
    }
    take_out(call.place, call.client, std::move(request), buffer ? buffer->data : nullptr);
    if (buffer != nullptr) umockdev_ioctl_data_unref(buffer);
  }
  return call.end(0);
}

int on_discard(const Call& call) {
  const gulong wanted = *reinterpret_cast<const gulong*>(call.argument->data);
  for (auto* requests : {&call.client.in, &call.client.out}) {
    for (auto one = requests->begin(); one != requests->end(); ++one) {
      if (one->urb->client_addr != wanted) continue;
      Request request = std::move(*one);
      requests->erase(one);
      request.actual = request.bytes.size();  // what has come is not lost
      finish(call.client, std::move(request), -ENOENT);
      return call.end(0);
    }
  }
  return call.end(-1, EINVAL);
}

int on_reap(const Call& call) {
  serve_in(call.place, call.client);
  serve_out(call.place, call.client);
  if (call.client.done.empty()) return call.end(-1, call.place.gone ? ENODEV : EAGAIN);
  Request request = std::move(call.client.done.front());
  call.client.done.pop_front();
  if (!request.bytes.empty()) {
    UMockdevIoctlData* const buffer = umockdev_ioctl_data_resolve(
        request.urb, offsetof(usbdevfs_urb, buffer), request.bytes.size(), nullptr);
    umockdev_ioctl_data_update(buffer, 0, request.bytes.data(), int(request.bytes.size()));
    umockdev_ioctl_data_unref(buffer);
  }
  auto actual = std::uint32_t(request.actual);
  umockdev_ioctl_data_update(request.urb, offsetof(usbdevfs_urb, status),
                             reinterpret_cast<std::uint8_t*>(&request.status), 4);
  umockdev_ioctl_data_update(request.urb, offsetof(usbdevfs_urb, actual_length),
                             reinterpret_cast<std::uint8_t*>(&actual), 4);
  UMockdevIoctlData* const where =
      umockdev_ioctl_data_resolve(call.argument, 0, sizeof(void*), nullptr);
  umockdev_ioctl_data_set_ptr(where, 0, request.urb);
  umockdev_ioctl_data_unref(where);
  umockdev_ioctl_data_unref(request.urb);
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
  Place& place = *static_cast<Place*>(data);
  const gulong request = umockdev_ioctl_client_get_request(caller);
  const Call call{place, place.clients[caller], caller, umockdev_ioctl_client_get_arg(caller)};
  const bool ends = request == USBDEVFS_REAPURBNDELAY || request == USBDEVFS_REAPURB ||
                    request == USBDEVFS_DISCARDURB;
  if (place.gone && !ends) return call.end(-1, ENODEV);
  const auto found = kCalls.find(request);
  if (found != kCalls.end()) return found->second(call);
  std::fprintf(stderr, "usb_rig: ioctl %lx is not known\n", request);
  return call.end(-1, ENOTTY);
}

void on_vanished(UMockdevIoctlBase*, UMockdevIoctlClient* caller, gpointer data) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  static_cast<Place*>(data)->clients.erase(caller);
}

}  // namespace rig
