"""The publishers follow the settings, with the order and QoS that subscribers need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
from contexts import make_picture, make_test_context
from foxglove_msgs.msg import CompressedVideo
from nodes import wait_until
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from depthai_ros.config import validate
from depthai_ros.messages.builders import BUILDERS, PACKET_HOOKS
from depthai_ros.messages.stream_stats import PUBLISHED
from depthai_ros.node.publishers import StreamPublishers
from depthai_ros.streams import COMPRESSED_TOPICS, STREAMS

pytestmark = pytest.mark.distribution("functions of rcl that the extension calls")

RELIABLE = ReliabilityPolicy.RELIABLE
VOLATILE, LATCHED = DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL
NETWORK = {"ai.blob_file": "any.blob"}


@pytest.fixture
def node() -> Iterator[Node]:
    node = rclpy.create_node("publishers")
    yield node
    node.destroy_node()


def make_publishers(node: Node, values: dict[str, Any]) -> StreamPublishers:
    return StreamPublishers(node, validate(values), decoded=True)


#: stream_list, further settings, wire stream, streams made from its packets, in order
FEEDS: list[tuple[list[str], dict[str, Any], str, list[str]]] = [
    (["depth"], {}, "depth", ["depth"]),
    (["depth", "disparity"], {}, "depth", ["disparity", "depth"]),
    (
        ["depth", "disparity", "disparity_color"],
        {},
        "depth",
        ["disparity", "disparity_color", "depth"],
    ),
    (["disparity"], {"ai.calc_dist_to_bb": True, **NETWORK}, "depth", ["disparity"]),
    (["disparity", "disparity_color"], {}, "disparity", ["disparity_color", "disparity"]),
    (["disparity_color"], {}, "disparity", ["disparity_color"]),
    (["left"], {}, "left", ["left"]),
    (["left"], {}, "right", []),
]


@pytest.mark.parametrize("case", FEEDS, ids=lambda case: f"{case[2]} for {', '.join(case[0])}")
def test_derived_streams_are_published_before_the_packet_is_changed(case: Any, node: Node) -> None:
    streams, further, wire, expected = case
    publishers = make_publishers(node, {"stream_list": streams, **further})
    assert publishers.made_from(wire) == expected


#: topic: depth, durability
PROFILES = {
    "left/image_raw": (7, VOLATILE),
    "depth/image": (7, VOLATILE),
    "disparity": (7, VOLATILE),
    "rgb/image_raw/ffmpeg": (10, VOLATILE),
    "rgb/video": (10, VOLATILE),
    "nn/detections": (10, VOLATILE),
    "tracklets": (10, VOLATILE),
    "nn/label_info": (1, LATCHED),
    "device/status": (1, LATCHED),
    "rgb/still/image_raw/compressed": (1, LATCHED),
}


@pytest.mark.complaint(18)
def test_publishers_are_reliable_with_the_configured_depth(node: Node) -> None:
    wanted = {"stream_list": list(STREAMS), "publish.depth_float": True, "publish.queue_depth": 7}
    publishers = make_publishers(node, {**wanted, **NETWORK})
    for topic, (depth, durability) in PROFILES.items():
        publisher = publishers.publisher(topic)
        assert publisher is not None
        profile = publisher.qos_profile
        found = (profile.depth, profile.durability, profile.reliability)
        assert found == (depth, durability, RELIABLE), topic


def test_optional_topics_are_there_only_if_asked_for(node: Node) -> None:
    publishers = make_publishers(node, {"stream_list": ["depth", "metaout"], **NETWORK})
    assert publishers.publisher("depth/image_raw") is not None
    assert publishers.publisher("depth/image") is None
    assert publishers.publisher("nn/detections") is not None
    assert publishers.publisher("nn/spatial_detections") is None


#: What is announced of the stream `video`, by profile.
VIDEO_TOPICS = {
    "mjpeg": {"rgb/image_raw/compressed"},
    "h264_baseline": {"rgb/image_raw/ffmpeg", "rgb/video"},
    "h265_main": {"rgb/image_raw/ffmpeg", "rgb/video"},
}


@pytest.mark.parametrize("profile", VIDEO_TOPICS)
@pytest.mark.complaint(20)
def test_encoding_decides_which_topics_of_video_there_are(profile: str, node: Node) -> None:
    publishers = make_publishers(
        node, {"stream_list": ["video", "jpegout"], "video_config.profile": profile}
    )
    found = {row.name for row in STREAMS["video"].topics if publishers.publisher(row.name)}
    assert found == VIDEO_TOPICS[profile]
    assert publishers.publisher("rgb/still/image_raw/compressed") is not None
    assert publishers.missing == ()


def test_topic_without_its_message_package_is_named_with_the_package(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DISTRO", "some")
    monkeypatch.delitem(BUILDERS, "ffmpeg_packet")
    publishers = make_publishers(node, {"stream_list": ["video"]})
    assert publishers.publisher("rgb/image_raw/ffmpeg") is None
    assert publishers.publisher("rgb/video") is not None
    (row,) = publishers.missing
    assert row.stream == "video"
    assert row.text == (
        "~/rgb/image_raw/ffmpeg is not announced: its message package ffmpeg_image_transport_msgs "
        "is not installed here (apt install ros-some-ffmpeg-image-transport-msgs)"
    )


def test_packet_that_waits_for_the_next_one_counts_as_published(node: Node) -> None:
    publishers = make_publishers(node, {"stream_list": ["video"]})
    context, arrived = make_test_context({"stream_list": ["video"]}), list[CompressedVideo]()
    subscription = node.create_subscription(CompressedVideo, "~/rgb/video", arrived.append, 5)
    wait_until(lambda: publishers.is_heard("video"), lambda: "the subscription")
    contents = [b"\0\0\0\1\x67\x64\0\x1f\xac\0\0\0\1\x68\xee", b"\0\0\0\1\x65\x88\x84"]
    for serial, content in enumerate(contents):
        packet = make_picture(context, "video", content)
        packet.serial = serial
        PACKET_HOOKS["bitstream"](context, packet)
        assert publishers.send("video", context, packet).fate == PUBLISHED
    wait_until(lambda: rclpy.spin_once(node, timeout_sec=0.1) or arrived, lambda: "the message")
    (message,) = arrived
    assert bytes(message.data).replace(b"\0\0\0\0\1", b"\0\0\0\1") == b"".join(contents)
    node.destroy_subscription(subscription)


def test_destroy_leaves_no_publisher(node: Node) -> None:
    before = {publisher.topic_name for publisher in node.publishers}
    publishers = make_publishers(node, {"stream_list": ["left", "rectified_left", "depth"]})
    made = {publisher.topic_name for publisher in node.publishers} - before
    names = ["left/image_raw", "left/image_rect", "left/camera_info", "points"]
    for group in ("depth", "depth/unfiltered", "depth_registered"):
        names += [f"{group}/image_raw", f"{group}/camera_info"]
    names += [topic.name for image, topic in COMPRESSED_TOPICS.items() if image in names]
    assert made == {f"/publishers/{name}" for name in names}
    publishers.destroy()
    assert {publisher.topic_name for publisher in node.publishers} == before
