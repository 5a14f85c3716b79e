/// The outgoing messages of a link; the reader never waits for room on the wire.
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

/// The caller that enqueues a payload sends it itself if no other thread is sending. Messages
/// without payload are sent at once if that needs no waiting. The writer thread sends all others
/// and is woken only for them. Messages are sent one by one, in the order of the `enqueue` calls.
class SendQueue {
 public:
  struct Transfer;
  struct Message {
    xlink::Header header;
    const Part* parts = nullptr;
    std::size_t part_count = 0;
    Transfer* transfer = nullptr;  // null: there is no payload
    std::size_t sent = 0;          // bytes of the header that were sent

    Part rest_of_header() const {
      return {xlink::wire_bytes(header) + sent, xlink::kHeaderBytes - sent};
    }
  };
  /// One message whose payload belongs to a caller, who must call `complete`.
  struct Transfer {
    enum class State { queued, owned, sent, aborted };
    State state = State::queued;
    Message message;  // while owned: the caller sends it
  };
  /// Called when sending fails, in the sending thread.
  using OnFailure = std::function<void(const Failure&)>;

  SendQueue(std::shared_ptr<Transport> transport, OnFailure on_failure);
  SendQueue(const SendQueue&) = delete;
  SendQueue& operator=(const SendQueue&) = delete;
  /// `abort()` and `join()` come first.
  ~SendQueue() = default;

  void start();

  /// Send messages without payload, or queue those that would have to wait. Never waits. Throws
  /// LinkError if thousands of them are queued because the other end does not read.
  void enqueue(std::initializer_list<xlink::Header> headers);

  /// Queue a message with payload. Never waits. The caller must call `complete(transfer)`; parts
  /// and transfer must live until that has returned.
  void enqueue(const xlink::Header& header, const Part* parts, std::size_t count,
               Transfer& transfer);

  /// Send it, or wait until it was sent. False if the queue was aborted before.
  bool complete(Transfer& transfer);

  /// Ignore all later messages; those in the queue are still sent.
  void close_input();

  /// Wait until the queue is empty. False after the timeout.
  bool drain(Timeout timeout);

  /// Stop sending. To interrupt a message that is being sent, close the transport, too.
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
  std::condition_variable work_;      // messages to send, or aborted
  std::condition_variable progress_;  // messages were sent, or aborted
  std::deque<Message> queue_;
  bool busy_ = false;  // a thread is sending
  bool input_closed_ = false;
  bool aborted_ = false;
  std::uint64_t bytes_sent_ = 0;
};

}  // namespace depthai
