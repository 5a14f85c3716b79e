#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "golden.hpp"
#include "xlink/xlink.hpp"

namespace depthai::xlink {
namespace {

using test::Bytes;
using test::golden;
using test::golden_stream;

constexpr std::uint32_t kMaxPayload = 1 << 20;

Bytes bytes_of(const Header& header) {
  return {wire_bytes(header), wire_bytes(header) + kHeaderBytes};
}

/// A message that came out of the decoder, with its payload.
struct Message {
  Header header;
  Bytes payload;

  bool operator==(const Message& other) const {
    return bytes_of(header) == bytes_of(other.header) && payload == other.payload;
  }
};

/// Feeds a decoder and collects the messages.
class Feeder {
 public:
  explicit Feeder(Role sender = Role::host)
      : decoder(sender, kMaxPayload, [this](const Header& header) {
          ++memory_asked;
          payload_.assign(header.size, 0xEE);
          return payload_.data();
        }) {}

  void feed(const std::uint8_t* data, std::size_t size) {
    while (size > 0) {
      const ReceiveSpan span = decoder.next_span();
      ASSERT_GT(span.size, 0U);
      const std::size_t count = std::min(size, span.size);
      std::memcpy(span.data, data, count);
      if (const Header* header = decoder.filled(count)) {
        messages.push_back({*header, header->type == kWriteRequest ? payload_ : Bytes{}});
      }
      data += count;
      size -= count;
    }
  }
  void feed(const Bytes& bytes) { feed(bytes.data(), bytes.size()); }

  Decoder decoder;
  std::vector<Message> messages;
  int memory_asked = 0;

 private:
  Bytes payload_;
};

std::vector<std::uint32_t> types_of(const std::vector<Message>& messages) {
  std::vector<std::uint32_t> result;
  for (const Message& message : messages) result.push_back(message.header.type);
  return result;
}

TEST(Encoder, writes_the_bytes_of_the_official_host) {
  EXPECT_EQ(bytes_of(make_request(kPingRequest, 10)), golden("ping"));
  EXPECT_EQ(
      bytes_of(make_request(kCreateRequest, 11, kInvalidStreamId, rounded_window(1000), "demo")),
      golden("create"));
  EXPECT_EQ(bytes_of(make_request(kWriteRequest, 12, 0, 16)), golden("write"));
  EXPECT_EQ(bytes_of(make_request(kCloseRequest, 13, 0)), golden("close"));
  EXPECT_EQ(bytes_of(make_request(kResetRequest, 14)), golden("reset"));
}

TEST(Encoder, writes_the_bytes_of_the_official_device) {
  EXPECT_EQ(bytes_of(make_request(kReleaseRequest, 100, 0, 16)), golden("release"));
  EXPECT_EQ(bytes_of(make_response(make_request(kPingRequest, 10))), golden("ping_answer"));
  EXPECT_EQ(bytes_of(make_response(make_request(kCloseRequest, 13))), golden("close_answer"));
  EXPECT_EQ(bytes_of(make_response(make_request(kResetRequest, 14))), golden("reset_answer"));
  EXPECT_EQ(bytes_of(make_response(make_request(kCloseRequest, 13), kNack)),
            golden("close_refused"));
  Header answer = make_response(make_request(kWriteRequest, 12, 0, 16));
  answer.size = 16;
  EXPECT_EQ(bytes_of(answer), golden("write_answer"));
}

TEST(Encoder, rounds_windows_up_to_64_bytes) {
  const std::pair<std::uint32_t, std::uint32_t> kCases[] = {{1, 64},
                                                            {63, 64},
                                                            {64, 64},
                                                            {65, 128},
                                                            {1000, 1024},
                                                            {1'024'064, 1'024'064},
                                                            {0, 0},
                                                            {0xFFFFFFC0, 0xFFFFFFC0},
                                                            {0xFFFFFFFF, 0xFFFFFFC0}};
  for (const auto& [asked, rounded] : kCases) EXPECT_EQ(rounded_window(asked), rounded) << asked;
}

TEST(Encoder, keeps_the_longest_name_terminated) {
  const std::string longest(kMaxNameLength, 'n');
  const Header header = make_request(kCreateRequest, 1, kInvalidStreamId, 64, longest);
  EXPECT_EQ(name_of(header), longest);
  EXPECT_EQ(header.name[kMaxNameLength], '\0');
}

TEST(Decoder, reads_what_the_official_host_sent) {
  Feeder feeder(Role::host);
  feeder.feed(golden_stream("host"));
  EXPECT_EQ(types_of(feeder.messages),
            (std::vector<std::uint32_t>{kPingRequest, kCreateRequest, kWriteRequest,
                                        kReleaseResponse, kCloseRequest, kResetRequest}));
  EXPECT_EQ(name_of(feeder.messages[1].header), "demo");
  EXPECT_EQ(feeder.messages[1].header.size, 1024U);
  EXPECT_EQ(feeder.messages[1].header.stream_id, kInvalidStreamId);
  EXPECT_EQ(feeder.messages[2].payload, golden("payload"));
  EXPECT_EQ(feeder.messages[5].header.id, 14);
  EXPECT_FALSE(feeder.decoder.is_inside_message());
}

TEST(Decoder, reads_what_the_official_device_sent) {
  Feeder feeder(Role::device);
  feeder.feed(golden_stream("device"));
  EXPECT_EQ(types_of(feeder.messages),
            (std::vector<std::uint32_t>{kPingResponse, kCreateResponse, kWriteResponse,
                                        kReleaseRequest, kCloseResponse, kResetResponse}));
  EXPECT_EQ(feeder.messages[3].header.id, 100);
  EXPECT_EQ(feeder.messages[3].header.size, 16U);
}

TEST(Decoder, accepts_bytes_in_pieces_of_any_size) {
  for (const char* sender : {"host", "device"}) {
    const Bytes bytes = golden_stream(sender);
    Feeder whole;
    whole.feed(bytes);
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
      Feeder pieces;
      pieces.feed(bytes.data(), cut);
      pieces.feed(bytes.data() + cut, bytes.size() - cut);
      ASSERT_EQ(pieces.messages, whole.messages) << sender << " cut at " << cut;
    }
    Feeder bytewise;
    for (const std::uint8_t byte : bytes) bytewise.feed(&byte, 1);
    EXPECT_EQ(bytewise.messages, whole.messages);
  }
}

TEST(Decoder, knows_when_it_is_inside_a_message) {
  const Bytes bytes = golden_stream("host");
  Feeder feeder;
  const std::size_t ends[] = {84, 168, 268, 352, 436, 520};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    feeder.feed(&bytes[i], 1);
    const bool at_end = std::find(std::begin(ends), std::end(ends), i + 1) != std::end(ends);
    EXPECT_EQ(feeder.decoder.is_inside_message(), !at_end) << "after " << i + 1 << " bytes";
  }
}

TEST(Decoder, delivers_a_packet_without_bytes) {
  Feeder feeder;
  feeder.feed(bytes_of(make_request(kWriteRequest, 1, 0, 0)));
  feeder.feed(bytes_of(make_request(kPingRequest, 2)));
  EXPECT_EQ(types_of(feeder.messages), (std::vector<std::uint32_t>{kWriteRequest, kPingRequest}));
  EXPECT_EQ(feeder.memory_asked, 1);
}

struct Hostile {
  const char* what;
  std::uint32_t type;
  std::uint32_t size;
  std::string name;
  std::string words;  // in the message
};

TEST(Decoder, refuses_messages_that_violate_xlink_and_names_the_culprit) {
  const std::string full_name(kNameBytes, 'x');
  const Hostile kCases[] = {
      {"a read request", kReadRequest, 0, "", "READ_REQ"},
      {"a read response", kReadResponse, 0, "", "READ_RESP"},
      {"the separator", 7, 0, "", "type 7"},
      {"the other separator", 15, 0, "", "type 15"},
      {"an IPC type", 16, 0, "", "type 16"},
      {"the last IPC type", 23, 0, "", "type 23"},
      {"a type of all ones", 0xFFFFFFFF, 0, "", "type 4294967295"},
      {"a packet too large", kWriteRequest, kMaxPayload + 1, "", "1048577 bytes"},
      {"the largest packet", kWriteRequest, 0xFFFFFFFF, "", "4294967295 bytes"},
      {"a stream without a name", kCreateRequest, 64, "", "0 characters"},
      {"a name without an end", kCreateRequest, 64, full_name, "64 characters"},
      {"a stream without a window", kCreateRequest, 0, "left", "window of 0"},
  };
  for (const Hostile& row : kCases) {
    for (const Role sender : {Role::host, Role::device}) {
      Header header;
      header.id = 77;
      header.type = row.type;
      header.size = row.size;
      row.name.copy(header.name, kNameBytes);
      Feeder feeder(sender);
      try {
        feeder.feed(bytes_of(header));
        FAIL() << row.what << " was accepted";
      } catch (const ProtocolError& error) {
        EXPECT_EQ(error.culprit(), sender);
        EXPECT_NE(std::string(error.what()).find(row.words), std::string::npos) << error.what();
      }
      EXPECT_EQ(feeder.memory_asked, 0) << row.what;
    }
  }
}

TEST(Decoder, passes_on_the_exception_of_payload_memory) {
  Decoder decoder(Role::host, kMaxPayload, [](const Header&) -> std::uint8_t* {
    throw ProtocolError(Role::host, "no such stream");
  });
  const Header header = make_request(kWriteRequest, 1, 9, 100);
  std::memcpy(decoder.next_span().data, wire_bytes(header), kHeaderBytes);
  EXPECT_THROW(decoder.filled(kHeaderBytes), ProtocolError);
}

TEST(Decoder, ignores_insignificant_fields) {
  Header stale = make_response(make_request(kReleaseRequest, 100));
  std::fill(std::begin(stale.name), std::end(stale.name), '\xAA');
  stale.stream_id = 0xAAAAAAAA;
  stale.size = 0xAAAAAAAA;
  Feeder feeder;
  feeder.feed(bytes_of(stale));
  EXPECT_EQ(feeder.messages.size(), 1U);
  EXPECT_EQ(name_of(feeder.messages[0].header).size(), kNameBytes);
}

TEST(Decoder, survives_random_bytes) {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    Feeder feeder;
    int fed = 0;
    try {
      for (; fed < 5000; ++fed) {
        // Mostly small values: otherwise few headers would have a valid type.
        const std::uint32_t value = random();
        const std::uint8_t byte = value % 4 != 0 ? 0 : static_cast<std::uint8_t>(value >> 8) % 24;
        feeder.feed(&byte, 1);
      }
    } catch (const ProtocolError&) {
      EXPECT_GE(fed, 83);
    }
    EXPECT_LE(feeder.memory_asked, static_cast<int>(feeder.messages.size()) + 1);
  }
}

TEST(Decoder, finds_every_message_of_random_conversations) {
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    Bytes bytes;
    std::vector<Message> sent;
    for (int i = 0; i < 40; ++i) {
      const Type type = std::array{kWriteRequest, kReleaseRequest, kPingRequest, kCloseResponse,
                                   kCreateResponse}[random() % 5];
      Message message{make_request(type, i, random() % 5, random() % 3000, "n"), {}};
      if (type == kWriteRequest) message.payload.resize(message.header.size, random() & 0xFF);
      const Bytes head = bytes_of(message.header);
      bytes.insert(bytes.end(), head.begin(), head.end());
      bytes.insert(bytes.end(), message.payload.begin(), message.payload.end());
      sent.push_back(message);
    }
    Feeder feeder;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t count = std::min<std::size_t>(random() % 500 + 1, bytes.size() - at);
      feeder.feed(bytes.data() + at, count);
      at += count;
    }
    EXPECT_EQ(feeder.messages, sent) << "seed " << seed;
  }
}

}  // namespace
}  // namespace depthai::xlink
