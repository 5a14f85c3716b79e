"""Pixels reach the middleware from the link's buffer, or after one pass over them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import rclpy
from contexts import STAMP_NS, make_metadata, make_test_context
from nodes import DEADLINE_S, wait_until
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import deserialize_message

from depthai_ros import _core
from depthai_ros.messages import images
from depthai_ros.messages.builders import BUILDERS
from depthai_ros.messages.cdr import Serialized
from depthai_ros.messages.context import MessageContext
from depthai_ros.messages.images import StampedPacket
from depthai_ros.node import publishers
from depthai_ros.node.publishers import TopicPublisher
from depthai_ros.streams import STREAMS

MIRRORED = {"depth.warp_rectify.mirror_frame": True}
UPRIGHT = {"depth.warp_rectify.mirror_frame": False}

#: topic -> its stream and its row
TOPICS = {topic.name: (row, topic) for row in STREAMS.values() for topic in row.topics}

#: stream on the wire, topic, settings, passes over the pixels
PATHS: list[tuple[str, str, dict[str, Any], int]] = [
    ("left", "left/image_raw", {}, 0),
    ("right", "right/image_raw", {}, 0),
    ("depth", "depth/image_raw", {}, 0),
    ("disparity", "disparity/image_raw", {}, 0),
    ("rectified_left", "left/image_rect", UPRIGHT, 0),
    ("rectified_right", "right/image_rect", MIRRORED, 1),
    ("depth", "disparity/image_raw", {}, 1),
    ("depth", "disparity", {}, 1),
    ("disparity", "disparity", {}, 1),
    ("disparity", "disparity_color/image_raw", {}, 1),
    ("depth", "depth/image", {}, 1),
    ("previewout", "rgb/preview/image_raw", {}, 1),
    ("color", "rgb/image_raw", {}, 1),
    ("depth", "depth/image_raw", UPRIGHT, 1),
    ("depth", "depth/image", UPRIGHT, 1),
    ("depth", "disparity", UPRIGHT, 1),
    ("disparity", "disparity/image_raw", UPRIGHT, 1),
    ("disparity", "disparity", UPRIGHT, 1),
    ("disparity", "disparity_color/image_raw", UPRIGHT, 1),
    ("previewout", "rgb/preview/image_raw", {**MIRRORED, "ai.camera_input": "rectified_right"}, 1),
]


@pytest.fixture
def node() -> Iterator[Node]:
    node = rclpy.create_node("copies")
    yield node
    node.destroy_node()


def address(buffer: Any) -> int:
    return int(np.frombuffer(memoryview(buffer), np.uint8).ctypes.data)


def received(stream: str, payload: bytes) -> _core.Packet:
    """A packet that came over a real link."""
    here, there = _core.Transport.pair()
    host = _core.Link(transport=here, role="host")
    device = _core.Link(transport=there, role="device")
    queue = _core.PacketQueue()
    host.open_stream(name=stream, window_bytes=64, queue=queue)
    device.open_stream(name=stream, window_bytes=len(payload))
    device.write(name=stream, parts=[payload])
    assert queue.wait(timeout_s=10.0)
    (packet,) = queue.take()
    for link in (device, host):
        link.close()
    return packet


def received_picture(context: MessageContext, stream: str) -> tuple[_core.Packet, StampedPacket]:
    """The same random pixels each time, followed by the trailer."""
    row = STREAMS[stream]
    size = int(np.prod(context.images.sizes.shape(row.layout))) * (
        2 if row.layout == "depth16" else 1
    )
    data = np.random.default_rng(5).integers(0, 96, size, np.uint8).tobytes()
    packet = received(stream, data + make_metadata(stream, size).pack())
    pixels = np.frombuffer(memoryview(packet.buffer), np.uint8)[:size]
    return packet, StampedPacket(row, pixels, packet.buffer, None, STAMP_NS, 0, context.images)


class Spy:
    """The core, recording what is published."""

    def __init__(self) -> None:
        self.published: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(_core, name)

    def publish_serialized(self, *, buffer: _core.Buffer, **others: Any) -> None:
        self.published.append(address(buffer))
        _core.publish_serialized(buffer=buffer, **others)


def subscribed_publisher(
    node: Node, topic_name: str, callback: Callable[[bytes], None]
) -> TopicPublisher:
    """A publisher with a subscriber."""
    fed, topic = TOPICS[topic_name]
    kind = BUILDERS[topic.message].message_type
    publisher = node.create_publisher(kind, "~/picture", 3)
    node.create_subscription(kind, "~/picture", callback, 3, raw=True)
    wait_until(publisher.get_subscription_count, lambda: "the subscription")
    return TopicPublisher(fed, topic, publisher)


@pytest.mark.parametrize(("stream", "topic_name", "values", "passes"), PATHS)
def test_payload_is_published_from_where_it_was_received_or_converted_once(
    stream: str,
    topic_name: str,
    values: dict[str, Any],
    passes: int,
    node: Node,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = make_test_context(values)
    packet, picture = received_picture(context, stream)
    spy = Spy()
    made: list[int] = []
    blank = images.ImageBuffer.blank

    def noted(shape: tuple[int, ...], dtype: Any) -> images.ImageBuffer:
        canvas = blank(shape, dtype)
        made.append(address(canvas.buffer))
        return canvas

    monkeypatch.setattr(publishers, "_core", spy)
    monkeypatch.setattr(images.ImageBuffer, "blank", noted)

    publisher = subscribed_publisher(node, topic_name, lambda _: None)
    assert publisher.send(context, picture).published == 1
    assert len(made) == passes
    assert spy.published == (made or [address(packet.buffer)])


def as_message(publisher: Any, message: Serialized) -> None:
    """Publish as other nodes do, with a message object."""
    raw = _core.serialized(
        buffer=message.buffer, size=message.size, prefix=message.prefix, suffix=message.suffix
    )
    publisher.publish(deserialize_message(raw, publisher.msg_type))


@pytest.mark.parametrize(("stream", "topic_name", "values", "passes"), PATHS)
def test_subscribers_get_the_same_bytes_from_every_way_to_publish(
    stream: str,
    topic_name: str,
    values: dict[str, Any],
    passes: int,
    node: Node,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = make_test_context(values)
    arrived: list[bytes] = []
    publisher = subscribed_publisher(node, topic_name, arrived.append)

    publisher.send(context, received_picture(context, stream)[1])
    with monkeypatch.context() as patched:
        patched.setattr(publishers, "_HAS_RCL", False)
        publisher.send(context, received_picture(context, stream)[1])
        patched.setattr(publishers, "send", as_message)
        publisher.send(context, received_picture(context, stream)[1])

    executor = SingleThreadedExecutor()
    executor.add_node(node)
    end_s = time.monotonic() + DEADLINE_S
    while len(arrived) < 3 and time.monotonic() < end_s:
        executor.spin_once(timeout_sec=0.1)
    executor.remove_node(node)
    fast, plain, message = arrived
    assert fast == plain
    assert fast == message
