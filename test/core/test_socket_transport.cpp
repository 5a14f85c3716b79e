#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <future>
#include <thread>

#include "base/error.hpp"
#include "raw_peer.hpp"
#include "transport/socket_transport.hpp"

namespace depthai {
namespace {

using namespace test;

/// A directory that is removed after the test.
class Directory {
 public:
  Directory() : path_(::mkdtemp(name_)) {}
  ~Directory() { EXPECT_EQ(::rmdir(path_.c_str()), 0) << path_ << " is not empty"; }
  std::string unix_address() const { return "unix:" + path_ + "/socket"; }
  std::string file() const { return path_ + "/socket"; }

 private:
  char name_[32] = "/tmp/depthai_test_XXXXXX";
  std::string path_;
};

void expect_to_be_joined(Transport& a, Transport& b) {
  const Bytes there = {1, 2, 3}, back = {4, 5};
  const Part first{there.data(), there.size()}, second{back.data(), back.size()};
  Bytes got(3);
  a.write(&first, 1);
  b.read_exactly(got.data(), 3);
  EXPECT_EQ(got, there);
  b.write(&second, 1);
  a.read_exactly(got.data(), 2);
  EXPECT_EQ(got[1], 5);
}

TEST(SocketTransport, pair_is_joined) {
  const auto ends = make_socket_pair();
  expect_to_be_joined(*ends.first, *ends.second);
}

TEST(SocketTransport, connection_is_joined_and_knows_its_address) {
  const Directory directory;
  for (const std::string& address : {directory.unix_address(), std::string("tcp:127.0.0.1:0")}) {
    SocketListener listener(address);
    if (address[0] == 't') {
      EXPECT_NE(listener.address(), address) << "the real port";
    }
    const auto near = connect_socket(listener.address(), kSoon);
    const auto far = listener.accept(kSoon);
    ASSERT_NE(far, nullptr);
    expect_to_be_joined(*near, *far);
    EXPECT_EQ(near->describe(), listener.address());
  }
}

TEST(SocketTransport, more_parts_than_one_system_call_takes_arrive_in_order) {
  const auto ends = make_socket_pair();
  const std::size_t kCount = 1000, kSize = 3000;
  Bytes bytes(kCount * kSize);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 31 >> 3);
  std::vector<Part> parts;
  for (std::size_t i = 0; i < kCount; ++i) parts.push_back({&bytes[i * kSize], kSize});
  parts.push_back({nullptr, 0});
  std::thread writer([&] { ends.first->write(parts.data(), parts.size()); });
  Bytes got(bytes.size());
  ends.second->read_exactly(got.data(), got.size());
  writer.join();
  EXPECT_EQ(got, bytes);
}

TEST(SocketTransport, close_wakes_reader_and_writer_of_both_ends) {
  for (const bool own_end : {true, false}) {
    const auto ends = make_socket_pair();
    const Bytes bytes(64 << 20);
    const Part part{bytes.data(), bytes.size()};
    auto reading = std::async(std::launch::async, [&] {
      std::uint8_t byte;
      ends.first->read_exactly(&byte, 1);
    });
    auto writing = std::async(std::launch::async, [&] { ends.first->write(&part, 1); });
    (own_end ? ends.first : ends.second)->close();
    EXPECT_THROW(reading.get(), LinkError);
    EXPECT_THROW(writing.get(), LinkError);
    ends.first->close();
  }
}

TEST(SocketTransport, address_without_a_listener_is_device_not_found) {
  const Directory directory;
  EXPECT_THROW(connect_socket(directory.unix_address(), kSoon), DeviceNotFoundError);
  std::string address;
  {
    const SocketListener gone("tcp:127.0.0.1:0");
    address = gone.address();
  }
  EXPECT_THROW(connect_socket(address, kSoon), DeviceNotFoundError);
}

TEST(SocketTransport, malformed_address_is_refused) {
  const std::string too_long = "unix:/" + std::string(200, 'x');
  for (const std::string& address : {std::string("usb"), std::string("unix:"), too_long,
                                     std::string("tcp:1234"), std::string("tcp:host:")}) {
    EXPECT_THROW(connect_socket(address, kSoon), std::invalid_argument) << address;
    EXPECT_THROW(SocketListener{address}, std::invalid_argument) << address;
  }
}

TEST(SocketTransport, only_a_stream_socket_is_taken) {
  const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  EXPECT_THROW(SocketTransport(fd, "null"), LinkError);
  EXPECT_EQ(::close(fd), 0) << "the caller still owns it";
}

TEST(SocketListener, accept_ends_after_the_timeout_or_when_the_listener_is_closed) {
  SocketListener listener("tcp:127.0.0.1:0");
  EXPECT_EQ(listener.accept(1ms), nullptr);
  auto accepting = std::async(std::launch::async, [&] { return listener.accept(std::nullopt); });
  listener.close();
  EXPECT_EQ(accepting.get(), nullptr);
  EXPECT_EQ(listener.accept(std::nullopt), nullptr);
  EXPECT_TRUE(listener.is_closed());
}

TEST(SocketListener, socket_of_a_dead_process_is_replaced_and_that_of_a_live_one_is_not) {
  const Directory directory;
  const std::string address = directory.unix_address();
  {
    SocketListener living(address);
    EXPECT_THROW(SocketListener{address}, LinkError);
    EXPECT_NE(connect_socket(address, kSoon), nullptr);
    // A killed process leaves the socket file without a listener.
    ASSERT_EQ(::link(directory.file().c_str(), (directory.file() + "2").c_str()), 0);
  }
  ASSERT_EQ(::rename((directory.file() + "2").c_str(), directory.file().c_str()), 0);
  const SocketListener next(address);
  EXPECT_NE(connect_socket(address, kSoon), nullptr);
}

TEST(SocketListener, file_that_is_no_socket_is_kept) {
  const Directory directory;
  ::close(::open(directory.file().c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  EXPECT_THROW(SocketListener{directory.unix_address()}, LinkError);
  EXPECT_EQ(::unlink(directory.file().c_str()), 0) << "it is still there";
}

}  // namespace
}  // namespace depthai
