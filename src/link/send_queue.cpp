#include "link/send_queue.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <optional>
#include <string>
#include <utility>

namespace depthai {
namespace {

// A correct peer can cause at most an answer and a release for each of 64 packets on 32 streams to
// be queued. More are queued only if it sends and never reads.
constexpr std::size_t kMaxQueued = 8192;
constexpr std::size_t kMaxBatch = 32;

}  // namespace

SendQueue::SendQueue(std::shared_ptr<Transport> transport, OnFailure on_failure)
    : transport_(std::move(transport)), on_failure_(std::move(on_failure)) {}

void SendQueue::start() { thread_ = std::thread(&SendQueue::run, this); }

void SendQueue::enqueue(std::initializer_list<xlink::Header> headers) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (input_closed_ || aborted_) return;
    if (queue_.size() >= kMaxQueued) {
      throw LinkError(transport_->describe() + ": the other end does not read; " +
                      std::to_string(queue_.size()) + " messages are queued");
    }
    for (const xlink::Header& header : headers) queue_.push_back({header});
    if (busy_) return;  // the thread that is sending handles the rest
    send_what_need_not_wait();
    if (queue_.empty()) return;
  }
  work_.notify_one();
}

/// From the front of the queue. The caller holds `mutex_` and no thread is sending. On an error the
/// messages stay queued; the writer thread retries and reports.
void SendQueue::send_what_need_not_wait() {
  std::array<Part, kMaxBatch> parts;
  std::size_t count = 0;
  while (count < std::min(queue_.size(), parts.size()) && queue_[count].transfer == nullptr) {
    parts[count] = queue_[count].rest_of_header();
    ++count;
  }
  std::size_t sent = count > 0 ? transport_->write_now(parts.data(), count) : 0;
  bytes_sent_ += sent;
  while (sent > 0) {
    Message& first = queue_.front();
    const std::size_t of_this = std::min(sent, first.rest_of_header().size);
    first.sent += of_this;
    sent -= of_this;
    if (first.sent == xlink::kHeaderBytes) queue_.pop_front();
  }
}

void SendQueue::enqueue(const xlink::Header& header, const Part* parts, std::size_t count,
                        Transfer& transfer) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const Message message{header, parts, count, &transfer};
  if (input_closed_ || aborted_) {
    transfer.state = Transfer::State::aborted;
  } else if (busy_ || !queue_.empty()) {
    queue_.push_back(message);
  } else {
    busy_ = true;
    transfer.state = Transfer::State::owned;
    transfer.message = message;
  }
}

bool SendQueue::complete(Transfer& transfer) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (transfer.state == Transfer::State::owned) {
    lock.unlock();
    send({transfer.message});
    lock.lock();
  }
  progress_.wait(lock, [&] {
    return transfer.state == Transfer::State::sent || transfer.state == Transfer::State::aborted;
  });
  return transfer.state == Transfer::State::sent;
}

void SendQueue::close_input() {
  const std::lock_guard<std::mutex> lock(mutex_);
  input_closed_ = true;
}

bool SendQueue::drain(Timeout timeout) {
  const Deadline deadline(timeout);
  std::unique_lock<std::mutex> lock(mutex_);
  return deadline.wait(progress_, lock, [this] { return aborted_ || (queue_.empty() && !busy_); });
}

void SendQueue::abort() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    aborted_ = true;
    for (const Message& message : queue_) {
      if (message.transfer != nullptr) message.transfer->state = Transfer::State::aborted;
    }
    queue_.clear();
  }
  work_.notify_one();
  progress_.notify_all();
}

void SendQueue::join() {
  if (thread_.joinable()) thread_.join();
}

std::uint64_t SendQueue::bytes_sent() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return bytes_sent_;
}

void SendQueue::run() {
  Batch batch;
  while (next_batch(batch)) send(batch);
}

// Queued messages without payload leave in one system call. A payload ends the batch, so that its
// owner does not wait for the next one.
bool SendQueue::next_batch(Batch& batch) {
  std::unique_lock<std::mutex> lock(mutex_);
  work_.wait(lock, [this] { return aborted_ || (!busy_ && !queue_.empty()); });
  if (aborted_) return false;
  batch.clear();
  while (!queue_.empty() && batch.size() < kMaxBatch) {
    batch.push_back(queue_.front());
    queue_.pop_front();
    if (batch.back().transfer != nullptr) break;
  }
  busy_ = true;
  return true;
}

/// Only for the thread that has set `busy_`.
void SendQueue::send(const Batch& batch) {
  std::vector<Part> parts;
  std::uint64_t bytes = 0;
  for (const Message& message : batch) {
    parts.push_back(message.rest_of_header());
    bytes += parts.back().size;
    parts.insert(parts.end(), message.parts, message.parts + message.part_count);
    if (message.transfer != nullptr) bytes += message.header.size;
  }
  std::optional<Failure> failure;
  bool thread_is_needed = false;
  try {
    transport_->write(parts.data(), parts.size());
  } catch (const std::exception& error) {
    failure = Failure::of(error, Role::device);
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    busy_ = false;
    if (failure) {
      aborted_ = true;
    } else {
      bytes_sent_ += bytes;
      send_what_need_not_wait();
    }
    thread_is_needed = aborted_ || !queue_.empty();
    for (const Message& message : batch) {
      if (message.transfer == nullptr) continue;
      message.transfer->state = failure ? Transfer::State::aborted : Transfer::State::sent;
    }
  }
  if (thread_is_needed) work_.notify_one();
  progress_.notify_all();
  if (failure) on_failure_(*failure);
}

}  // namespace depthai
