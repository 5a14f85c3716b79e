"""The publishers follow the settings, with the order and QoS that subscribers need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from depthai_ros.config import validate
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
    "rgb/image_raw/compressed": (10, VOLATILE),
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
