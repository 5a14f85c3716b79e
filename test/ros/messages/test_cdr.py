"""Serialised messages equal those of the ROS serialiser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import rclpy
from ffmpeg_image_transport_msgs.msg import FFMPEGPacket
from foxglove_msgs.msg import CompressedVideo
from nodes import wait_until
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image
from stereo_msgs.msg import DisparityImage

from depthai_ros import _core
from depthai_ros.messages import cdr
from depthai_ros.messages.builders import ros_time
from depthai_ros.node import publishers

pytestmark = pytest.mark.distribution("layouts of messages, and the classes that rosidl generates")

STAMP_NS = 1_700_000_123_987_654_321
ENDS = cdr.DisparityEnds(883.25, 0.078125, (0, 3, 545, 397), 6.625, 95.0, 1.0)


def pixels(size: int) -> bytes:
    return bytes((3 * index + 1) % 256 for index in range(size))


def stamped(header: Any, frame_id: str) -> None:
    header.stamp.sec, header.stamp.nanosec = divmod(STAMP_NS, 1_000_000_000)
    header.frame_id = frame_id


def image(frame_id: str, height: int, width: int, encoding: str, step: int) -> Image:
    message = Image(height=height, width=width, encoding=encoding, step=step)
    stamped(message.header, frame_id)
    message.data = pixels(height * step)
    return message


def padding(message: bytes, fields: Iterator[tuple[int, int]]) -> set[int]:
    """Padding positions, which ROS leaves uninitialised."""
    covered = {position for start, size in fields for position in range(start, start + size)}
    return set(range(4, len(message))) - covered


def image_fields(start: int, frame_id: str, encoding: str, size: int) -> Iterator[tuple[int, int]]:
    """Positions of the fields of an Image by the rules of CDR, if it begins at `start`."""
    yield start, 12 + len(frame_id) + 1
    start = (start + 12 + len(frame_id) + 1 + 3) // 4 * 4
    yield start, 12 + len(encoding) + 2
    start = (start + 12 + len(encoding) + 2 + 3) // 4 * 4
    yield start, 8 + size


def disparity_fields(frame_id: str, size: int) -> Iterator[tuple[int, int]]:
    yield 4, 12 + len(frame_id) + 1
    start = (4 + 12 + len(frame_id) + 1 + 3) // 4 * 4
    yield from image_fields(start, frame_id, "32FC1", size)
    end = max(first + length for first, length in image_fields(start, frame_id, "32FC1", size))
    yield end, 25
    yield end + 28, 12


def assert_same(ours: bytes, theirs: bytes, unused: set[int]) -> None:
    assert len(ours) == len(theirs)
    differing = {at for at in range(len(ours)) if ours[at] != theirs[at]}
    assert differing <= unused


IMAGES = [
    ("oak_left_camera_optical_frame", 4, 6, "mono8", 6),
    ("oak_right_camera_optical_frame", 3, 5, "mono8", 5),
    ("a", 2, 3, "bgr8", 9),
    ("ab", 2, 3, "16UC1", 6),
    ("abc", 1, 3, "32FC1", 12),
    ("größer", 1, 1, "mono8", 1),
    ("", 2, 2, "mono8", 2),
]


@pytest.mark.parametrize("case", IMAGES, ids=lambda case: f"{case[0]}-{case[3]}")
def test_image_bytes_are_those_of_the_ros_serializer(case: tuple[str, int, int, str, int]) -> None:
    frame_id, height, _, encoding, step = case
    size = height * step
    ours = cdr.image_prefix(STAMP_NS, *case) + pixels(size)
    theirs = image(*case)
    unused = padding(ours, image_fields(4, frame_id.encode().decode("latin1"), encoding, size))
    assert_same(ours, serialize_message(theirs), unused)
    assert deserialize_message(ours, Image) == theirs


@pytest.mark.parametrize("size", [1, 2, 3, 4, 1001])
@pytest.mark.parametrize("frame_id", ["x", "oak_rgb_camera_optical_frame"])
def test_compressed_image_bytes_are_those_of_the_ros_serializer(frame_id: str, size: int) -> None:
    text = "bgr8; jpeg compressed bgr8"
    ours = cdr.compressed_image_prefix(STAMP_NS, frame_id, text, size) + pixels(size)
    theirs = CompressedImage(format=text)
    stamped(theirs.header, frame_id)
    theirs.data = pixels(size)
    format_at = (4 + 12 + len(frame_id) + 1 + 3) // 4 * 4
    fields = [(4, 13 + len(frame_id)), (format_at, 5 + len(text)), (len(ours) - size - 4, size + 4)]
    assert_same(ours, serialize_message(theirs), padding(ours, iter(fields)))
    assert deserialize_message(ours, CompressedImage) == theirs


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 1001])
@pytest.mark.parametrize("frame_id", ["", "x", "oak_rgb_camera_optical_frame"])
def test_bytes_of_encoded_video_are_those_of_the_ros_serializer(frame_id: str, size: int) -> None:
    prefix, suffix = cdr.compressed_video_ends(STAMP_NS, frame_id, "h264", size)
    video = CompressedVideo(frame_id=frame_id, format="h264", data=pixels(size))
    video.timestamp = ros_time(STAMP_NS)
    assert deserialize_message(prefix + pixels(size) + suffix, CompressedVideo) == video
    assert len(prefix + suffix) + size == len(serialize_message(video))

    for encoding in ("h264", "hevc;yuv420p;bgr8;bgr8"):
        start = cdr.ffmpeg_packet_prefix(
            STAMP_NS, frame_id, 1920, 1080, encoding, is_key=True, size=size
        )
        packet = FFMPEGPacket(width=1920, height=1080, encoding=encoding, flags=1, pts=STAMP_NS)
        stamped(packet.header, frame_id)
        packet.data = pixels(size)
        assert deserialize_message(start + pixels(size), FFMPEGPacket) == packet
        assert len(start) + size == len(serialize_message(packet))


@pytest.mark.parametrize("frame_id", ["", "a", "ab", "abc", "oak_right_camera_optical_frame"])
def test_disparity_image_bytes_are_those_of_the_ros_serializer(frame_id: str) -> None:
    height, width = 2, 3
    prefix, suffix = cdr.disparity_image_ends(STAMP_NS, frame_id, height, width, ENDS)
    ours = prefix + pixels(4 * height * width) + suffix
    theirs = DisparityImage(
        image=image(frame_id, height, width, "32FC1", 4 * width),
        f=ENDS.focal_px,
        t=ENDS.baseline_m,
        min_disparity=ENDS.min_px,
        max_disparity=ENDS.max_px,
        delta_d=ENDS.step_px,
    )
    stamped(theirs.header, frame_id)
    window = theirs.valid_window
    window.x_offset, window.y_offset, window.width, window.height = ENDS.window
    unused = padding(ours, disparity_fields(frame_id, 4 * height * width))
    assert_same(ours, serialize_message(theirs), unused)
    assert deserialize_message(ours, DisparityImage) == theirs


def test_new_stamp_changes_nothing_but_the_stamp() -> None:
    message = serialize_message(image("frame", 2, 2, "mono8", 2))
    later = deserialize_message(cdr.restamped(message, STAMP_NS + 5_000_000_000), Image)
    assert later.header.stamp.sec == STAMP_NS // 1_000_000_000 + 5
    later.header.stamp.sec -= 5
    assert later == image("frame", 2, 2, "mono8", 2)


@pytest.mark.parametrize("way", ["in place", "extension without rcl", "rclpy hides the address"])
def test_every_way_of_sending_puts_the_same_bytes_on_the_wire(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "in place" and not _core.has_rcl():
        pytest.skip("the extension was built without rcl's headers")
    monkeypatch.setattr(publishers, "_HAS_RCL", way != "extension without rcl")
    if way == "rclpy hides the address":
        monkeypatch.setattr(publishers, "publisher_address", lambda _handle: None)
    height, width = 3, 5
    buffer = _core.Buffer(size=4 * height * width + 56)  # a trailer follows the pixels
    content = np.frombuffer(memoryview(buffer), np.uint8)
    content[:] = 0xEE
    content[: 4 * height * width] = np.frombuffer(pixels(4 * height * width), np.uint8)
    prefix, suffix = cdr.disparity_image_ends(STAMP_NS, "frame", height, width, ENDS)
    message = cdr.Serialized(buffer, 4 * height * width, prefix, suffix)
    node = rclpy.create_node(f"wire_{way}".replace(" ", "_"))
    received: list[bytes] = []
    node.create_subscription(
        DisparityImage, "~/wire", lambda raw: received.append(raw), 1, raw=True
    )
    publisher = node.create_publisher(DisparityImage, "~/wire", 1)
    wait_until(publisher.get_subscription_count, lambda: "the subscription")
    publishers.send(publisher, message)
    end_s = time.monotonic() + 10
    while not received and time.monotonic() < end_s:
        rclpy.spin_once(node, timeout_sec=0.1)
    node.destroy_node()
    assert received == [prefix + pixels(4 * height * width) + suffix]
