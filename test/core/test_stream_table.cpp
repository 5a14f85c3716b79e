#include <gtest/gtest.h>

#include "link/stream_table.hpp"

namespace depthai {
namespace {

constexpr std::uint32_t kWindow = 1024;

/// Both directions are open.
Stream& open_both(StreamTable& table, const std::string& name) {
  Stream* const stream = table.accept_creation(name, kWindow);
  return table.creation_accepted(name, stream->id, kWindow);
}

void close_both(StreamTable& table, Stream& stream) {
  EXPECT_TRUE(table.accept_close(stream));
  table.close_answered(stream);
}

TEST(StreamTable, host_numbers_streams_as_firmware_does) {
  StreamTable table(Role::host);
  EXPECT_EQ(table.accept_creation("a", kWindow)->id, 0U);
  EXPECT_EQ(table.accept_creation("b", kWindow)->id, 1U);
  Stream& c = open_both(table, "c");
  EXPECT_EQ(c.id, 2U);
  close_both(table, c);
  EXPECT_EQ(table.accept_creation("d", kWindow)->id, 2U) << "a freed id is used at once";
  close_both(table, open_both(table, "a"));
  EXPECT_EQ(table.accept_creation("e", kWindow)->id, 3U) << "the cursor does not go back";
}

TEST(StreamTable, device_keeps_one_id_per_name_for_the_session) {
  StreamTable table(Role::device);
  Stream& first = open_both(table, "config_d2h");
  close_both(table, first);
  EXPECT_FALSE(first.exists);
  EXPECT_EQ(table.accept_creation("config_h2d", kWindow)->id, 1U);
  EXPECT_EQ(table.accept_creation("config_d2h", kWindow)->id, 0U);
}

TEST(StreamTable, stream_lives_until_both_directions_are_closed) {
  StreamTable table(Role::host);
  Stream& stream = open_both(table, "left");
  table.close_answered(stream);
  EXPECT_TRUE(stream.exists);
  EXPECT_EQ(table.find(stream.id), &stream);
  EXPECT_TRUE(table.accept_close(stream));
  EXPECT_EQ(table.find(stream.id), nullptr);
  EXPECT_EQ(table.find("left"), &stream) << "the record remains";
}

TEST(StreamTable, close_is_refused_while_packets_are_unreleased) {
  StreamTable table(Role::host);
  Stream& stream = open_both(table, "left");
  stream.rx_packets.push_back({0, 10, false});
  EXPECT_FALSE(table.accept_close(stream));
  EXPECT_EQ(stream.rx_window, kWindow);
}

TEST(StreamTable, repeated_creation_keeps_the_first_window) {
  StreamTable table(Role::device);
  EXPECT_NE(table.accept_creation("left", 128), nullptr);
  EXPECT_NE(table.accept_creation("left", 64), nullptr);
  EXPECT_EQ(table.find("left")->rx_window, 128U);
  EXPECT_EQ(table.accept_creation("left", 192), nullptr) << "larger than the granted window";
}

TEST(StreamTable, has_room_for_32_streams_at_a_time) {
  StreamTable table(Role::device);
  for (int i = 0; i < 32; ++i) ASSERT_NE(table.accept_creation(std::to_string(i), 64), nullptr);
  EXPECT_EQ(table.accept_creation("one too many", 64), nullptr);
  EXPECT_THROW(table.creation_accepted("one too many", 77, 64), LinkError);
  EXPECT_TRUE(table.accept_close(*table.find("0")));
  EXPECT_NE(table.accept_creation("one too many", 64), nullptr);
}

TEST(StreamTable, remembers_a_bounded_number_of_names) {
  StreamTable table(Role::host);
  int accepted = 0;
  for (int i = 0; i < 5000; ++i) {
    Stream* const stream = table.accept_creation(std::to_string(i), 64);
    if (stream == nullptr) break;
    EXPECT_TRUE(table.accept_close(*stream));
    ++accepted;
  }
  EXPECT_EQ(accepted, 1024);
}

TEST(StreamTable, host_adopts_the_device_s_id_for_both_directions) {
  StreamTable table(Role::host);
  Stream* const stream = table.accept_creation("left", kWindow);
  EXPECT_EQ(stream->id, 0U);
  table.creation_accepted("left", 7, kWindow);
  EXPECT_EQ(table.find(std::uint32_t{7}), stream);
  EXPECT_EQ(table.find(std::uint32_t{0}), nullptr);
  EXPECT_EQ(table.ids_adopted(), 1U);
}

TEST(StreamTable, device_keeps_its_own_id) {
  StreamTable table(Role::device);
  Stream* const stream = table.accept_creation("left", kWindow);
  table.creation_accepted("left", 7, kWindow);
  EXPECT_EQ(stream->id, 0U);
  EXPECT_EQ(table.ids_adopted(), 0U);
}

TEST(StreamTable, two_names_with_one_id_are_an_error) {
  for (const Role role : {Role::host, Role::device}) {
    StreamTable table(role);
    table.accept_creation("left", kWindow);
    EXPECT_THROW(table.creation_accepted("right", 0, kWindow), ProtocolError);
  }
  StreamTable table(Role::host);
  table.accept_creation("left", kWindow);
  table.accept_creation("right", kWindow);
  EXPECT_THROW(table.creation_accepted("right", 0, kWindow), ProtocolError);
}

TEST(StreamTable, invalid_id_or_second_larger_window_is_an_error) {
  StreamTable table(Role::host);
  EXPECT_THROW(table.creation_accepted("left", xlink::kInvalidStreamId, kWindow), LinkError);
  EXPECT_THROW(table.creation_accepted("left", 0x10000000, kWindow), LinkError);
  table.creation_accepted("left", 0, kWindow);
  EXPECT_THROW(table.creation_accepted("left", 0, kWindow + 64), LinkError);
  EXPECT_EQ(table.creation_accepted("left", 0, 64).tx_window, kWindow);
}

TEST(StreamTable, credit_counts_bytes_and_packets) {
  StreamTable table(Role::device);
  Stream& stream = open_both(table, "left");
  EXPECT_TRUE(stream.has_credit(kWindow));
  EXPECT_FALSE(stream.has_credit(kWindow + 1));
  table.note_sent(stream, 1000);
  EXPECT_TRUE(stream.has_credit(24));
  EXPECT_FALSE(stream.has_credit(25));
  table.note_released(stream, 1000);
  for (int i = 0; i < 64; ++i) {
    EXPECT_TRUE(stream.has_credit(0));
    table.note_sent(stream, 0);
  }
  EXPECT_FALSE(stream.has_credit(0));
}

TEST(StreamTable, release_must_name_the_oldest_packet) {
  StreamTable table(Role::device);
  Stream& stream = open_both(table, "left");
  EXPECT_THROW(table.note_released(stream, 1), ProtocolError) << "nothing was sent";
  table.note_released(stream, 0);  // the official host sends this
  table.note_sent(stream, 10);
  table.note_sent(stream, 20);
  EXPECT_THROW(table.note_released(stream, 20), ProtocolError);
  table.note_released(stream, 0);
  EXPECT_EQ(stream.tx_bytes, 30U);
  table.note_released(stream, 10);
  table.note_released(stream, 20);
  EXPECT_EQ(stream.tx_bytes, 0U);
}

TEST(StreamTable, other_end_may_only_send_within_its_window) {
  StreamTable table(Role::host);
  const auto header = [](std::uint32_t size) {
    return xlink::make_request(xlink::kWriteRequest, 1, 0, size);
  };
  EXPECT_THROW(table.check_incoming(nullptr, header(1)), ProtocolError);
  Stream& stream = table.creation_accepted("left", 0, kWindow);
  EXPECT_THROW(table.check_incoming(&stream, header(0)), ProtocolError) << "not opened by it";
  table.accept_creation("left", kWindow);
  table.check_incoming(&stream, header(kWindow));
  EXPECT_THROW(table.check_incoming(&stream, header(kWindow + 1)), ProtocolError);
  EXPECT_THROW(table.check_incoming(&stream, header(0xFFFFFFFF)), ProtocolError);
  stream.rx_bytes = 1000;
  EXPECT_THROW(table.check_incoming(&stream, header(25)), ProtocolError);
  stream.rx_bytes = 0;
  for (std::uint64_t i = 0; i < 64; ++i) stream.rx_packets.push_back({i, 0, false});
  EXPECT_THROW(table.check_incoming(&stream, header(0)), ProtocolError);
}

}  // namespace
}  // namespace depthai
