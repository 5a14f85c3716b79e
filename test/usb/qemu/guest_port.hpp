/// One USB port of the guest, as QEMU hands it over: a usbredir connection.
///
/// Source: usbredir's docs/usb-redirection-protocol.md and usbredirparser.h
#pragma once

#include <usbredirparser.h>

#include <cstddef>
#include <cstdint>
#include <map>

#include "../board.hpp"

namespace rig {

/// A bulk transfer that the guest asks for.
struct Transfer {
  std::uint64_t id;
  bool is_in;
  std::size_t wanted;  // IN: at most so many bytes
  Bytes bytes;         // OUT: these
};

/// What is plugged in.
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
  /// On a connected socket that does not block; the guest's QEMU has the other end.
  explicit GuestPort(int fd);
  GuestPort(const GuestPort&) = delete;
  GuestPort& operator=(const GuestPort&) = delete;
  ~GuestPort() { usbredirparser_destroy(parser_); }

  int fd() const { return fd_; }
  bool is_open() const { return open_; }
  bool wants_to_write() const { return usbredirparser_has_data_to_write(parser_) > 0; }
  /// True while QEMU is behind with reading.
  bool is_crowded() const;
  void read();
  void write();

  /// Show the guest a board; `plugged` is asked from now on.
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
