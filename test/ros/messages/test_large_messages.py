"""Large messages equal those of the ROS serialiser, byte by byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import rclpy
from contexts import PREVIEW_SIZE, TOPICS, make_picture, make_test_context
from nodes import DEADLINE_S, wait_until
from numpy.typing import NDArray
from padding import without_gaps
from rclpy.node import Node
from rclpy.serialization import deserialize_message, serialize_message

from depthai_ros import _core
from depthai_ros.messages.builders import BUILDERS, OPTIONAL_PACKAGES, PACKET_HOOKS, Builder
from depthai_ros.messages.cdr import Serialized
from depthai_ros.node import publishers

pytestmark = pytest.mark.distribution("rcl's publish, and the memory of Fast DDS")

RANDOM = np.random.default_rng(3)


def noise(shape: tuple[int, ...], dtype: Any = np.uint8) -> NDArray[Any]:
    return RANDOM.integers(0, 200, shape).astype(dtype)


JPEG = b"\xff\xd8" + bytes(range(200)) + b"\xff\xd9"
LAYERS = [
    {"name": "odd", "offset": 0, "idx": 0, "shape": {
        "data_type": 1, "order": [3], "dimensions": [5], "strides": [1]}},
    {"name": "halves", "offset": 64, "idx": 1, "shape": {
        "data_type": 0, "order": [4, 3, 2, 1], "dimensions": [1, 2, 1, 3],
        "strides": [12, 6, 6, 2]}},
]  # fmt: skip

#: wire stream, topic, packet, further settings; one row for each way of making a large message
LARGE: list[tuple[str, str, Any, dict[str, Any]]] = [
    ("left", "left/image_raw", noise((400, 640)), {}),
    ("rectified_left", "left/image_rect", noise((400, 640)), {}),
    ("depth", "depth/image_raw", noise((400, 640), np.uint16), {}),
    ("depth", "depth/image", noise((400, 640), np.uint16), {}),
    ("depth", "disparity", noise((400, 640), np.uint16), {}),
    ("depth", "disparity/image_raw", noise((400, 640), np.uint16), {}),
    ("disparity", "disparity", noise((400, 640)), {}),
    ("disparity", "disparity_color/image_raw", noise((400, 640)), {}),
    ("previewout", "rgb/preview/image_raw", noise((3, *PREVIEW_SIZE[::-1])), {}),
    ("color", "rgb/image_raw", noise((1620, 1920)), {}),
    ("video", "rgb/image_raw/compressed", JPEG, {"video_config.profile": "mjpeg"}),
    ("video", "rgb/image_raw/ffmpeg", b"\0\0\0\1\x41\x9a odd", {}),
    ("video", "rgb/video", b"\0\0\0\1\2\1\xd0 odd", {"video_config.profile": "h265_main"}),
    ("jpegout", "rgb/still/image_raw/compressed", JPEG + bytes(13), {}),
    ("metaout", "nn/tensors", noise((100,)), {}),
]


def test_every_large_message_of_the_stream_table_is_compared() -> None:
    fast = {"image", "compressed_image", "disparity_image", "tensors"} | OPTIONAL_PACKAGES.keys()
    encodings = {(row.message, row.encoding) for row in TOPICS.values() if row.message in fast}
    compared = {(TOPICS[topic].message, TOPICS[topic].encoding) for _, topic, _, _ in LARGE}
    assert compared == encodings


def build(case: Any) -> tuple[type[Any], Serialized]:
    """Message type, and the message as built for the packet loop."""
    stream, topic, content, values = case
    context = make_test_context(values, tensors=LAYERS)
    builder = BUILDERS[TOPICS[topic].message]
    assert isinstance(builder, Builder)
    packet = make_picture(context, stream, content)
    if packet.stream.layout in PACKET_HOOKS:
        PACKET_HOOKS[packet.stream.layout](context, packet)
    message = builder.build(context, TOPICS[topic], packet)
    (message,) = message if isinstance(message, list) else [message]
    assert isinstance(message, Serialized)
    return builder.message_type, message


def as_bytes(message: Serialized) -> bytes:
    ends = {"prefix": message.prefix, "suffix": message.suffix}
    return _core.serialized(buffer=message.buffer, size=message.size, **ends)


def name_of(case: Any) -> str:
    return f"{case[0]} to {case[1]}{' h265' if 'odd' in str(case[2]) else ''}"


@pytest.mark.parametrize("case", LARGE, ids=name_of)
def test_large_message_equals_the_one_that_ros_serialises(case: Any) -> None:
    message_type, ours = build(case)
    raw = as_bytes(ours)
    message = deserialize_message(raw, message_type)
    theirs = serialize_message(message)
    assert without_gaps(raw, message) == without_gaps(theirs, message)


@pytest.fixture
def node() -> Iterator[Node]:
    node = rclpy.create_node("large")
    yield node
    node.destroy_node()


def received(node: Node, message_type: Any, publish: Callable[[Any], None]) -> bytes:
    """The bytes that a subscriber receives of one message that `publish(publisher)` sends."""
    arrived: list[bytes] = []
    subscription = node.create_subscription(message_type, "~/wire", arrived.append, 1, raw=True)
    publisher = node.create_publisher(message_type, "~/wire", 1)
    wait_until(publisher.get_subscription_count, lambda: "the subscription")
    publish(publisher)

    def one() -> bool:
        rclpy.spin_once(node, timeout_sec=0.1)
        return bool(arrived)

    wait_until(one, lambda: f"the message, for {DEADLINE_S} s")
    node.destroy_publisher(publisher)
    node.destroy_subscription(subscription)
    return arrived[0]


@pytest.mark.parametrize("case", LARGE, ids=name_of)
@pytest.mark.complaint(5)
def test_all_ways_of_sending_put_the_same_bytes_on_the_wire(
    case: Any, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_type, ours = build(case)
    expected = as_bytes(ours)
    message = deserialize_message(expected, message_type)
    if _core.has_rcl():
        assert (
            received(node, message_type, lambda sender: publishers.send(sender, ours)) == expected
        )
    monkeypatch.setattr(publishers, "_HAS_RCL", False)
    assert received(node, message_type, lambda sender: publishers.send(sender, ours)) == expected
    plain = received(node, message_type, lambda sender: publishers.send(sender, message))
    assert without_gaps(plain, message) == without_gaps(expected, message)
