#include "guest_port.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <utility>

namespace rig {
namespace {

constexpr std::uint64_t kCrowdedBytes = 8 << 20;

std::uint8_t status_of(int error) {
  static const std::map<int, std::uint8_t> known = {{0, usb_redir_success},
                                                    {-EPIPE, usb_redir_stall},
                                                    {-EOVERFLOW, usb_redir_babble},
                                                    {-ENOENT, usb_redir_cancelled}};
  const auto found = known.find(error);
  return found == known.end() ? std::uint8_t(usb_redir_ioerror) : found->second;
}

}  // namespace

/// Callbacks of the parser; the first argument is the port.
struct GuestPort::Calls {
  static GuestPort& port(void* self) { return *static_cast<GuestPort*>(self); }

  static void log(void*, int level, const char* text) {
    if (level <= usbredirparser_warning) std::fprintf(stderr, "usbredir: %s\n", text);
  }
  static int read(void* self, std::uint8_t* data, int size) {
    const ssize_t count = ::read(port(self).fd_, data, std::size_t(size));
    if (count > 0) return int(count);
    return count < 0 && errno == EAGAIN ? 0 : -1;
  }
  static int write(void* self, std::uint8_t* data, int size) {
    const ssize_t count = ::write(port(self).fd_, data, std::size_t(size));
    if (count >= 0) return int(count);
    return errno == EAGAIN ? 0 : -1;
  }
  static void hello(void* self, usb_redir_hello_header*) {
    port(self).greeted_ = true;
    if (port(self).plugged_ != nullptr) port(self).connect();
  }
  static void reset(void*) {}

  static void set_configuration(void* self, std::uint64_t id,
                                usb_redir_set_configuration_header* wanted) {
    usb_redir_configuration_status_header answer{usb_redir_success, wanted->configuration};
    usbredirparser_send_configuration_status(port(self).parser_, id, &answer);
  }
  static void get_configuration(void* self, std::uint64_t id) {
    usb_redir_configuration_status_header answer{usb_redir_success, 1};
    usbredirparser_send_configuration_status(port(self).parser_, id, &answer);
  }
  static void set_alternative(void* self, std::uint64_t id,
                              usb_redir_set_alt_setting_header* wanted) {
    usb_redir_alt_setting_status_header answer{usb_redir_success, wanted->interface, wanted->alt};
    usbredirparser_send_alt_setting_status(port(self).parser_, id, &answer);
  }
  static void get_alternative(void* self, std::uint64_t id,
                              usb_redir_get_alt_setting_header* wanted) {
    usb_redir_alt_setting_status_header answer{usb_redir_success, wanted->interface, 0};
    usbredirparser_send_alt_setting_status(port(self).parser_, id, &answer);
  }
  static void cancel(void* self, std::uint64_t id) {
    if (port(self).plugged_ != nullptr) port(self).plugged_->cancel(id);
  }

  static void control(void* self, std::uint64_t id, usb_redir_control_packet_header* head,
                      std::uint8_t* data, int) {
    const std::uint16_t value = head->value, index = head->index, length = head->length;
    const std::uint8_t setup[8] = {head->requesttype,    head->request,
                                   std::uint8_t(value),  std::uint8_t(value >> 8),
                                   std::uint8_t(index),  std::uint8_t(index >> 8),
                                   std::uint8_t(length), std::uint8_t(length >> 8)};
    Bytes answer;
    Plugged* const plugged = port(self).plugged_;
    const int status = plugged == nullptr ? -EPIPE : plugged->control(setup, answer);
    usb_redir_control_packet_header reply = *head;
    reply.status = status_of(status);
    const bool is_in = (head->requesttype & 0x80) != 0;
    reply.length = status < 0 ? 0 : is_in ? std::uint16_t(answer.size()) : length;
    // The parser refuses a pointer to no data.
    std::uint8_t* const bytes = answer.empty() ? nullptr : answer.data();
    usbredirparser_send_control_packet(port(self).parser_, id, &reply, bytes, int(answer.size()));
    usbredirparser_free_packet_data(port(self).parser_, data);
  }

  static void bulk(void* self, std::uint64_t id, usb_redir_bulk_packet_header* head,
                   std::uint8_t* data, int size) {
    const std::size_t wanted = std::size_t(head->length) | std::size_t(head->length_high) << 16;
    Transfer transfer{id, (head->endpoint & 0x80) != 0, wanted, {}};
    if (data != nullptr) transfer.bytes.assign(data, data + size);
    usbredirparser_free_packet_data(port(self).parser_, data);
    port(self).asked_[id] = *head;
    Plugged* const plugged = port(self).plugged_;
    if (plugged == nullptr) return port(self).finish(id, -EPROTO, {}, 0);
    plugged->bulk(std::move(transfer));
  }
};

GuestPort::GuestPort(int fd) : fd_(fd), parser_(usbredirparser_create()) {
  parser_->priv = this;
  parser_->log_func = &Calls::log;
  parser_->read_func = &Calls::read;
  parser_->write_func = &Calls::write;
  parser_->hello_func = &Calls::hello;
  parser_->reset_func = &Calls::reset;
  parser_->set_configuration_func = &Calls::set_configuration;
  parser_->get_configuration_func = &Calls::get_configuration;
  parser_->set_alt_setting_func = &Calls::set_alternative;
  parser_->get_alt_setting_func = &Calls::get_alternative;
  parser_->cancel_data_packet_func = &Calls::cancel;
  parser_->control_packet_func = &Calls::control;
  parser_->bulk_packet_func = &Calls::bulk;
  std::uint32_t caps[USB_REDIR_CAPS_SIZE] = {};
  for (const int cap :
       {int(usb_redir_cap_connect_device_version), int(usb_redir_cap_ep_info_max_packet_size),
        int(usb_redir_cap_64bits_ids), int(usb_redir_cap_32bits_bulk_length)}) {
    usbredirparser_caps_set_cap(caps, cap);
  }
  usbredirparser_init(parser_, "depthai_ros", caps, USB_REDIR_CAPS_SIZE,
                      usbredirparser_fl_usb_host);
}

bool GuestPort::is_crowded() const {
  return usbredirparser_get_bufferered_output_size(parser_) > kCrowdedBytes;
}

void GuestPort::read() {
  if (usbredirparser_do_read(parser_) == usbredirparser_read_io_error) open_ = false;
}

void GuestPort::write() {
  if (wants_to_write() && usbredirparser_do_write(parser_) < 0) open_ = false;
}

void GuestPort::plug(const Board& board, Plugged& plugged) {
  plugged_ = &plugged;
  const std::uint16_t size = std::uint16_t(board.packet_bytes());
  endpoints_ = {};
  for (auto& type : endpoints_.type) type = usb_redir_type_invalid;
  for (const int direction : {0, 16}) {
    endpoints_.type[direction] = usb_redir_type_control;
    endpoints_.max_packet_size[direction] = board.super() ? 512 : 64;
    endpoints_.type[direction + 1] = usb_redir_type_bulk;
    endpoints_.max_packet_size[direction + 1] = size;
  }
  device_ = {};
  device_.speed = board.super()        ? usb_redir_speed_super
                  : board.full_speed() ? usb_redir_speed_full
                                       : usb_redir_speed_high;
  device_.vendor_id = 0x03e7;
  device_.product_id = board.product();
  device_.device_version_bcd = 1;
  if (greeted_) connect();
}

void GuestPort::connect() {
  usb_redir_interface_info_header interfaces{};
  interfaces.interface_count = 1;
  interfaces.interface_class[0] = 0xff;
  interfaces.interface_subclass[0] = interfaces.interface_protocol[0] = 0xff;
  usbredirparser_send_interface_info(parser_, &interfaces);
  usbredirparser_send_ep_info(parser_, &endpoints_);
  usbredirparser_send_device_connect(parser_, &device_);
}

void GuestPort::unplug() {
  plugged_ = nullptr;
  asked_.clear();
  if (greeted_) usbredirparser_send_device_disconnect(parser_);
}

void GuestPort::finish(std::uint64_t id, int status, const Bytes& bytes, std::size_t actual) {
  const auto found = asked_.find(id);
  if (found == asked_.end()) return;  // the board has left meanwhile
  usb_redir_bulk_packet_header head = found->second;
  asked_.erase(found);
  const bool is_in = (head.endpoint & 0x80) != 0;
  const std::size_t moved = status != 0 ? 0 : is_in ? bytes.size() : actual;
  head.status = status_of(status);
  head.length = std::uint16_t(moved);
  head.length_high = std::uint16_t(moved >> 16);
  const std::size_t size = is_in ? moved : 0;
  auto* const data = size > 0 ? const_cast<std::uint8_t*>(bytes.data()) : nullptr;
  usbredirparser_send_bulk_packet(parser_, id, &head, data, int(size));
}

}  // namespace rig
