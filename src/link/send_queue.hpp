/// What a link sends, so that its reader never waits for room on the wire.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/deadline.hpp"
#include "base/error.hpp"
#include "transport/transport.hpp"
#include "xlink/xlink.hpp"

namespace depthai {

/// Whoever posts a payload sends it himself if nothing else is being sent. Messages without one
/// leave at once where that needs no waiting; all others are sent by a thread, which is woken only
/// for them. One message after the other, in the order of the posts.
class SendQueue {
 public:
  struct Transfer;
  struct Message {
    xlink::Header header;
    const Part* parts = nullptr;
    std::size_t part_count = 0;
    Transfer* transfer = nullptr;  // null: there is no payload
    std::size_t sent = 0;          // bytes of the header that have left already

    Part rest_of_header() const {
      return {xlink::wire_bytes(header) + sent, xlink::kHeaderBytes - sent};
    }
  };
  /// One message whose payload belongs to a caller, who sees to its end.
  struct Transfer {
    enum class State { queued, owned, sent, aborted };
    State state = State::queued;
    Message message;  // while owned: the caller sends it
  };
  /// Called when sending fails, in the thread that sent.
  using OnFailure = std::function<void(const Failure&)>;

  SendQueue(std::shared_ptr<Transport> transport, OnFailure on_failure);
  SendQueue(const SendQueue&) = delete;
  SendQueue& operator=(const SendQueue&) = delete;
  /// `abort()` and `join()` come first.
  ~SendQueue() = default;

  void start();

  /// Send messages without payload, or queue what would have to wait. Never waits. Throws
  /// LinkError if the other end has let thousands of them pile up.
  void enqueue(std::initializer_list<xlink::Header> headers);

  /// Queue a message with payload. Never waits; the parts and the transfer must live until
  /// `complete(transfer)` has returned, and that must be called.
  void enqueue(const xlink::Header& header, const Part* parts, std::size_t count,
               Transfer& transfer);

  /// Send it, or wait until it was sent. False if that will never happen.
  bool complete(Transfer& transfer);

  /// Let nothing be sent after what is queued now.
  void close_input();

  /// Wait until nothing is left to send. False when time is over first.
  bool drain(Timeout timeout);

  /// Send nothing more. The transport must be closed, too, to interrupt what is being sent.
  void abort();

  void join();

  std::uint64_t bytes_sent() const;

 private:
  using Batch = std::vector<Message>;

  void send_what_need_not_wait();
  void run();
  bool next_batch(Batch& batch);
  void send(const Batch& batch);

  const std::shared_ptr<Transport> transport_;
  const OnFailure on_failure_;
  std::thread thread_;

  mutable std::mutex mutex_;
  std::condition_variable work_;      // something to send, or the end
  std::condition_variable progress_;  // something was sent, or the end
  std::deque<Message> queue_;
  bool busy_ = false;  // somebody sends
  bool input_closed_ = false;
  bool aborted_ = false;
  std::uint64_t bytes_sent_ = 0;
};

}  // namespace depthai
