"""Pixels go to the middleware from where the link read them to, or from where one pass put them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import rclpy
from node_parts import wait_until
from rclpy.node import Node
from rig_parts import STAMP_NS, make_metadata, make_test_rig
from sensor_msgs.msg import Image
from stereo_msgs.msg import DisparityImage

from depthai_ros import _core, outlets, pictures
from depthai_ros.outlets import Outlet
from depthai_ros.pictures import Picture
from depthai_ros.streams import STREAMS

MIRRORED = {"depth.warp_rectify.mirror_frame": True}
UPRIGHT = {"depth.warp_rectify.mirror_frame": False}

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


class Spy:
    """The core, with what is published noted."""

    def __init__(self) -> None:
        self.published: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(_core, name)

    def publish_serialized(self, *, buffer: _core.Buffer, **others: Any) -> None:
        self.published.append(address(buffer))
        _core.publish_serialized(buffer=buffer, **others)


@pytest.mark.parametrize(("stream", "topic_name", "values", "passes"), PATHS)
def test_payload_is_published_from_where_it_was_received_or_converted_once(
    stream: str,
    topic_name: str,
    values: dict[str, Any],
    passes: int,
    node: Node,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = make_test_rig(values)
    row = STREAMS[stream]
    shape = rig.pictures.shape(row.layout)
    data = bytes(int(np.prod(shape)) * (2 if row.layout == "depth16" else 1))
    packet = received(stream, data + make_metadata(stream, len(data)).pack())
    pixels = np.frombuffer(memoryview(packet.buffer), np.uint8)[: len(data)]
    picture = Picture(row, pixels, packet.buffer, None, STAMP_NS, 0, rig.pictures)

    spy = Spy()
    made: list[int] = []
    blank = pictures.Canvas.blank

    def noted(shape: tuple[int, ...], dtype: Any) -> pictures.Canvas:
        canvas = blank(shape, dtype)
        made.append(address(canvas.buffer))
        return canvas

    monkeypatch.setattr(outlets, "_core", spy)
    monkeypatch.setattr(pictures.Canvas, "blank", noted)
    fed = next(s for s in STREAMS.values() for t in s.topics if t.name == topic_name)
    topic = next(topic for topic in fed.topics if topic.name == topic_name)
    kind = DisparityImage if topic.message == "disparity_image" else Image
    publisher = node.create_publisher(kind, "~/picture", 2)
    subscription = node.create_subscription(kind, "~/picture", lambda _: None, 2)
    wait_until(publisher.get_subscription_count, lambda: "the subscription")

    assert Outlet(fed, topic, publisher).send(rig, picture) == 1
    assert len(made) == passes
    assert spy.published == (made or [address(packet.buffer)])
    node.destroy_subscription(subscription)
