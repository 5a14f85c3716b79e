// A link against captured and handwritten bytes.

#include <gtest/gtest.h>

#include <future>

#include "raw_rig.hpp"
#include "session_trace.hpp"

namespace depthai {
namespace {

using namespace test;

// ---- captured bytes --------------------------------------------------------------------------

TEST(LinkWire, host_sends_what_the_official_host_sent) {
  Rig rig(Role::host);
  auto session = std::async(std::launch::async, [&] {
    rig.link.ping(kSoon);
    EXPECT_EQ(rig.link.open_stream("demo", 1000, nullptr, kSoon), 0U);
    EXPECT_TRUE(write(rig.link, "demo", golden("payload")));
    rig.link.close_stream("demo", kSoon);
    rig.link.reset(kSoon);
  });
  for (const char* request : {"ping", "create"}) {
    EXPECT_EQ(rig.peer.receive_bytes(84), golden(request)) << request;
    rig.peer.send(golden(std::string(request) + "_answer"));
  }
  EXPECT_EQ(rig.peer.receive_bytes(84), golden("write"));
  EXPECT_EQ(rig.peer.receive_bytes(16), golden("payload"));
  rig.peer.send(golden("write_answer"));
  rig.peer.send(golden("release"));
  // Only id, type and flags of this message are significant.
  Bytes answer = rig.peer.receive_bytes(84), expected = golden("release_answer");
  EXPECT_TRUE(std::equal(answer.begin(), answer.begin() + 8, expected.begin()));
  EXPECT_TRUE(std::equal(answer.begin() + 80, answer.end(), expected.begin() + 80));
  for (const char* request : {"close", "reset"}) {
    EXPECT_EQ(rig.peer.receive_bytes(84), golden(request)) << request;
    rig.peer.send(golden(std::string(request) + "_answer"));
  }
  session.get();
}

TEST(LinkWire, device_answers_the_official_host_s_bytes_as_a_device_did) {
  Rig rig(Role::device);
  for (const char* request : {"ping", "create"}) {
    rig.peer.send(golden(request));
    EXPECT_EQ(rig.peer.receive_bytes(84), golden(std::string(request) + "_answer")) << request;
  }
  rig.peer.send(golden("write"));
  rig.peer.send(golden("payload"));
  EXPECT_EQ(rig.peer.receive_bytes(84), golden("write_answer"));
  EXPECT_EQ(rig.peer.receive_bytes(84), golden("release"));
  rig.peer.send(golden("release_answer"));
  for (const char* request : {"close", "reset"}) {
    rig.peer.send(golden(request));
    EXPECT_EQ(rig.peer.receive_bytes(84), golden(std::string(request) + "_answer")) << request;
  }
  const auto packet = rig.link.read("demo", kSoon);
  EXPECT_TRUE(
      std::equal(packet->buffer->data(), packet->buffer->data() + 16, golden("payload").begin()));
}

/// One end of the captured session. Checks every significant field.
class Player {
 public:
  Player(RawPeer& peer, Role self) : peer_(peer), self_(self) {}

  void play() {
    for (const Step& step : session_trace()) {
      SCOPED_TRACE(std::string(role_name(step.from)) + " " + xlink::type_name(step.type) + " " +
                   step.stream);
      step.from == self_ ? request(step) : serve(step);
      if (::testing::Test::HasFailure()) return;
    }
  }

 private:
  static std::string name_in(const Step& step) {
    return step.type == xlink::kCreateRequest ? step.stream : "";
  }

  void request(const Step& step) {
    const bool creates = step.type == xlink::kCreateRequest;
    const bool writes = step.type == xlink::kWriteRequest;
    const auto request =
        peer_.request(step.type, creates ? xlink::kInvalidStreamId : step.id, step.size,
                      name_in(step), writes ? Bytes(step.size, 0x5A) : Bytes());
    auto answer = peer_.receive();
    // A request may arrive before the answer: the link does not wait for this end.
    if (answer.type < xlink::kResponseOffset) early_ = std::exchange(answer, peer_.receive());
    EXPECT_EQ(answer.id, request.id);
    EXPECT_EQ(answer.type, request.type + xlink::kResponseOffset);
    EXPECT_EQ(answer.flags, xlink::kAck);
    if (!creates && !writes) return;
    EXPECT_EQ(answer.size, step.size);
    EXPECT_EQ(answer.stream_id, step.id);
    if (creates) {
      EXPECT_EQ(xlink::name_of(answer), step.stream);
    }
  }

  void serve(const Step& step) {
    const auto request = early_ ? *early_ : peer_.receive();
    early_.reset();
    ASSERT_EQ(xlink::type_name(request.type), xlink::type_name(step.type));
    EXPECT_EQ(request.flags, xlink::kAck);
    EXPECT_EQ(request.size, step.size);
    EXPECT_EQ(xlink::name_of(request), name_in(step));
    EXPECT_EQ(request.stream_id,
              step.type == xlink::kCreateRequest ? xlink::kInvalidStreamId : step.id);
    if (step.type == xlink::kWriteRequest) peer_.receive_bytes(request.size);
    peer_.answer(request, xlink::kAck, step.id);
  }

  RawPeer& peer_;
  const Role self_;
  std::optional<xlink::Header> early_;
};

TEST(LinkWire, host_has_the_captured_session_with_a_device) {
  Rig rig(Role::host);
  auto session = std::async(std::launch::async, [&link = rig.link] {
    link.ping(kSoon);
    link.open_stream("config_d2h", 102'400, nullptr, kSoon);
    EXPECT_EQ(link.read("config_d2h", kSoon)->buffer->size(), kJsonBytes);
    link.close_stream("config_d2h", kSoon);
    link.open_stream("config_h2d", 1'048'576, nullptr, kSoon);
    write(link, "config_h2d", Bytes(kConfigBytes));
    link.close_stream("config_h2d", kSoon);
    link.open_stream("host_capture", 64, nullptr, kSoon);
    link.open_stream("inBlob", kBlobBytes, nullptr, kSoon);
    write(link, "inBlob", Bytes(kBlobBytes));
    link.close_stream("inBlob", kSoon);
    link.open_stream("outBlob", 102'400, nullptr, kSoon);
    EXPECT_EQ(link.read("outBlob", kSoon)->buffer->size(), kJsonBytes);
    link.close_stream("outBlob", kSoon);
    const auto queue = std::make_shared<PacketQueue>(8, 8);
    EXPECT_EQ(link.open_stream("left", kFrameWindow, queue, kSoon), 5U);
    for (int i = 0; i < kFrames; ++i) EXPECT_EQ(queue->pop(kSoon)->buffer->size(), kFrameBytes);
    write(link, "host_capture", Bytes(4));
  });
  Player(rig.peer, Role::device).play();
  session.get();
  EXPECT_TRUE(rig.link.is_up()) << rig.link.failure();
}

/// Wait for the other end to open or close the stream.
void await_event(Link& link, LinkEvent::Kind kind, const std::string& stream) {
  for (;;) {
    const auto event = link.next_event(kSoon);
    ASSERT_TRUE(event && event->kind != LinkEvent::Kind::down) << stream;
    if (event->kind == kind && event->stream == stream) return;
  }
}

TEST(LinkWire, device_has_the_captured_session_with_the_official_host) {
  Rig rig(Role::device);
  auto session = std::async(std::launch::async, [&link = rig.link] {
    const auto send = [&](const std::string& name, std::uint32_t size, int packets) {
      await_event(link, LinkEvent::Kind::opened, name);
      link.open_stream(name, kDeviceWindow, nullptr, kSoon);
      for (int i = 0; i < packets; ++i) {
        WriteOptions options = patient();
        options.wait_response = false;
        const Bytes bytes(size);
        const Part part{bytes.data(), bytes.size()};
        EXPECT_TRUE(link.write(name, &part, 1, options));
        // One at a time, as in the capture.
        EXPECT_TRUE(eventually([&] { return link.stream_counters()[name]["tx_packets"] == 0; }));
      }
    };
    const auto close = [&](const std::string& name) {
      await_event(link, LinkEvent::Kind::closed, name);
      link.close_stream(name, kSoon);
    };
    send("config_d2h", kJsonBytes, 1);
    close("config_d2h");
    EXPECT_EQ(link.read("config_h2d", kSoon)->buffer->size(), kConfigBytes);
    EXPECT_EQ(link.read("inBlob", kSoon)->buffer->size(), kBlobBytes);
    send("outBlob", kJsonBytes, 1);
    close("outBlob");
    send("left", kFrameBytes, kFrames);
    EXPECT_EQ(link.read("host_capture", kSoon)->buffer->size(), 4U);
  });
  Player(rig.peer, Role::host).play();
  session.get();
  EXPECT_TRUE(rig.link.is_up()) << rig.link.failure();
}

// ---- rules of the host's side ----------------------------------------------------------------

TEST(LinkWire, packet_right_behind_the_creation_is_received) {
  Rig rig(Role::host);
  auto opened = std::async(std::launch::async,
                           [&] { return rig.link.open_stream("left", 64, nullptr, kSoon); });
  const auto request = rig.peer.expect(xlink::kCreateRequest);
  // Answer, creation and packet in one write, before the link can process the first.
  rig.peer.answer(request, xlink::kAck, 0);
  rig.peer.create("left", 1024);
  rig.peer.write(0, Bytes(1000, 7));
  EXPECT_EQ(rig.link.read("left", kSoon)->buffer->size(), 1000U);
  EXPECT_EQ(opened.get(), 0U);
}

TEST(LinkWire, host_follows_the_device_s_number_when_both_created_the_name) {
  Rig rig(Role::host);
  EXPECT_EQ(rig.open_from_peer("left", 1024), 0U);
  EXPECT_EQ(rig.open_from_link("left", 64, 7), 7U);
  rig.peer.write(7, Bytes(10));
  EXPECT_EQ(rig.peer.expect(xlink::kWriteResponse).stream_id, 7U);
  EXPECT_EQ(rig.peer.expect(xlink::kReleaseRequest).stream_id, 7U);
  EXPECT_EQ(rig.link.read("left", kSoon)->buffer->size(), 10U);
  auto written = std::async(std::launch::async, [&] { return write(rig.link, "left", {1}); });
  EXPECT_EQ(rig.peer.serve(xlink::kWriteRequest).stream_id, 7U);
  EXPECT_TRUE(written.get());
  EXPECT_EQ(rig.link.counters()["ids_adopted"], 1U);
}

TEST(LinkWire, two_names_with_one_number_end_the_link) {
  Rig rig(Role::host);
  EXPECT_EQ(rig.open_from_peer("left", 1024), 0U);
  EXPECT_THROW(rig.open_from_link("right", 64, 0), ProtocolError);
  EXPECT_NE(rig.down().find("share the id 0"), std::string::npos);
}

TEST(LinkWire, answer_after_the_timeout_still_opens_the_stream) {
  Rig rig(Role::host);
  EXPECT_THROW(rig.link.open_stream("left", 64, nullptr, 1ms), LinkTimeoutError);
  rig.peer.serve(xlink::kCreateRequest, xlink::kAck, 3);
  EXPECT_TRUE(eventually([&] { return rig.link.has_stream("left"); }));
  EXPECT_EQ(rig.open_from_peer("left", 1024), 3U);
}

TEST(LinkWire, answers_without_a_waiting_caller_are_ignored) {
  Rig rig(Role::host);
  for (std::uint32_t type = xlink::kWriteResponse; type <= xlink::kResetResponse; ++type) {
    if (!xlink::kEventTypes[type].on_wire) continue;
    auto stray = xlink::make_response(xlink::make_request(xlink::kWriteRequest, 5));
    stray.type = type;
    rig.peer.send(stray);
  }
  auto ping = std::async(std::launch::async, [&] { rig.link.ping(kSoon); });
  rig.peer.serve(xlink::kPingRequest);
  ping.get();
  EXPECT_EQ(rig.link.counters()["responses_in"], 7U);
}

struct Refusal {
  std::uint32_t flags;
  std::uint32_t stream_id;
  const char* words;
};

TEST(LinkWire, refused_creation_names_the_reason) {
  const Refusal kCases[] = {
      {xlink::kSizeTooBig, xlink::kInvalidStreamId, "out of memory"},
      {xlink::kNack, xlink::kInvalidStreamId, "communication fail"},
      {0, 0, "error"},
      {xlink::kAck, xlink::kInvalidStreamId, "invalid id"},
  };
  for (const Refusal& row : kCases) {
    Rig rig(Role::host);
    auto opening =
        std::async(std::launch::async, [&] { rig.link.open_stream("left", 64, nullptr, kSoon); });
    rig.peer.serve(xlink::kCreateRequest, row.flags, row.stream_id);
    try {
      opening.get();
      ADD_FAILURE() << row.words;
    } catch (const LinkError& error) {
      EXPECT_NE(std::string(error.what()).find(row.words), std::string::npos) << error.what();
    }
    EXPECT_FALSE(rig.link.has_stream("left"));
    EXPECT_TRUE(rig.link.is_up());
  }
}

TEST(LinkWire, acceptance_of_another_name_or_an_empty_window_is_an_error) {
  for (const bool other_name : {true, false}) {
    Rig rig(Role::host);
    auto opening =
        std::async(std::launch::async, [&] { rig.link.open_stream("left", 64, nullptr, kSoon); });
    auto request = rig.peer.expect(xlink::kCreateRequest);
    if (other_name) request.name[0] = 'x';
    if (!other_name) request.size = 0;
    rig.peer.answer(request);
    EXPECT_THROW(opening.get(), LinkError) << other_name;
    EXPECT_FALSE(rig.link.has_stream("left"));
  }
}

TEST(LinkWire, refused_close_and_refused_packet_are_errors) {
  Rig rig(Role::host);
  rig.open_from_link("left", 64, 0);
  auto written = std::async(std::launch::async, [&] { write(rig.link, "left", {1}); });
  rig.peer.serve(xlink::kWriteRequest, 0);
  EXPECT_THROW(written.get(), LinkError);
  rig.peer.request(xlink::kReleaseRequest, 0, 1);
  rig.peer.expect(xlink::kReleaseResponse);
  auto closed = std::async(std::launch::async, [&] { rig.link.close_stream("left", kSoon); });
  rig.peer.serve(xlink::kCloseRequest, xlink::kNack);
  EXPECT_THROW(closed.get(), LinkError);
  EXPECT_FALSE(rig.link.has_stream("left")) << "a refused close closes our direction, too";
}

TEST(LinkWire, close_from_the_other_end_is_refused_while_its_packets_are_unreleased) {
  LinkOptions options;
  options.auto_release = false;
  Rig rig(Role::host, options);
  const auto id = rig.open_from_peer("left", 1024);
  rig.peer.write(id, Bytes(10));
  rig.peer.expect(xlink::kWriteResponse);
  rig.peer.request(xlink::kCloseRequest, id);
  EXPECT_EQ(rig.peer.expect(xlink::kCloseResponse).flags, 2U);
  rig.link.release(*rig.link.read("left", kSoon));
  rig.peer.serve(xlink::kReleaseRequest);
  rig.peer.request(xlink::kCloseRequest, id);
  EXPECT_EQ(rig.peer.expect(xlink::kCloseResponse).flags, 1U);
  rig.peer.request(xlink::kCloseRequest, 99);
  EXPECT_EQ(rig.peer.expect(xlink::kCloseResponse).flags, 1U) << "an unknown stream is closed";
}

TEST(LinkWire, refused_creation_has_the_captured_bytes) {
  Rig rig(Role::device);
  rig.open_from_peer("demo", 64);
  auto request =
      xlink::make_request(xlink::kCreateRequest, 11, xlink::kInvalidStreamId, 128, "demo");
  rig.peer.send(request);
  EXPECT_EQ(rig.peer.receive_bytes(84), golden("create_refused"));
}

}  // namespace
}  // namespace depthai
