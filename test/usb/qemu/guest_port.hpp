/// One USB port of the guest: a usbredir connection to QEMU.
///
/// Source: usbredir's docs/usb-redirection-protocol.md and usbredirparser.h
#pragma once

#include <usbredirparser.h>

#include <cstddef>
#include <cstdint>
#include <map>

#include "../board.hpp"

namespace rig {

/// A bulk transfer that the guest requests.
struct Transfer {
  std::uint64_t id;
  bool is_in;
  std::size_t wanted;  // IN: at most this many bytes
  Bytes bytes;         // OUT: the payload
};

/// The device in the port.
class Plugged {
 public:
  Plugged() = default;
  Plugged(const Plugged&) = delete;
  Plugged& operator=(const Plugged&) = delete;
  virtual ~Plugged() = default;
  virtual int control(const std::uint8_t setup[8], Bytes& answer) = 0;
  virtual void bulk(Transfer transfer) = 0;
  virtual void cancel(std::uint64_t id) = 0;
};

class GuestPort {
 public:
  /// Takes a connected, non-blocking socket; the guest's QEMU has the other end.
  explicit GuestPort(int fd);
  GuestPort(const GuestPort&) = delete;
  GuestPort& operator=(const GuestPort&) = delete;
  ~GuestPort() { usbredirparser_destroy(parser_); }

  int fd() const { return fd_; }
  bool is_open() const { return open_; }
  bool wants_to_write() const { return usbredirparser_has_data_to_write(parser_) > 0; }
  /// True while QEMU has not read all bytes.
  bool is_crowded() const;
  void read();
  void write();

  /// Show the guest a board; its requests go to `plugged`.
  void plug(const Board& board, Plugged& plugged);
  void unplug();

  /// End a transfer with 0 or a negative errno: `bytes` of an IN, `actual` bytes of an OUT.
  void finish(std::uint64_t id, int status, const Bytes& bytes, std::size_t actual);

 private:
  struct Calls;

  void connect();

  const int fd_;
  usbredirparser* const parser_;
  bool open_ = true;
  bool greeted_ = false;
  Plugged* plugged_ = nullptr;
  usb_redir_ep_info_header endpoints_{};
  usb_redir_device_connect_header device_{};
  std::map<std::uint64_t, usb_redir_bulk_packet_header> asked_;
};

}  // namespace rig
