"""Compressed images: decoded by OpenCV, and compared with the raw image of the same stamp."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import cv2
import numpy as np
import pytest
import rclpy
from coded_images import decoded_depth
from loops import Running
from nodes import DEADLINE_S, Listener, NodeProcess, wait_until
from numpy.typing import NDArray
from parameter_clients import read, set_one, set_together
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from recordings import pixels
from sensor_msgs.msg import CompressedImage, Image

from depthai_ros.config import validate
from depthai_ros.config.settings import compressed_by_device
from depthai_ros.messages.stream_stats import PUBLISHED, SKIPPED
from depthai_ros.node import publishers
from depthai_ros.streams import COMPRESSED_TOPICS

FPS = 10
#: Every image topic; the host rectifies, and the filters make another image than unfiltered.
EVERYTHING: dict[str, Any] = {
    "device.id": "virtual",
    "stream_list": [
        "left",
        "right",
        "depth",
        "disparity",
        "disparity_color",
        "color",
        "previewout",
    ],
    "camera.mono.fps": FPS,
    "camera.mono.resolution_h": 400,
    "camera.rgb.fps": FPS,
    "calibration.nominal": True,
    "stereo.rectify": "host",
    "filters.preset": "navigation",
    "publish.depth_float": True,
    "publish.queue_depth": 10,
}
#: Lowest peak signal-to-noise ratio of JPEG against the raw image, dB.
LEAST_DB = 33.0
#: Streams that the device sends at the same time, small ones.
SMALL: dict[str, Any] = {
    "camera.mono.resolution_h": 400,
    "stream_list": ["left", "right", "depth"],
}
LEFT = "left/image_raw/compressed"


def decoded(message: CompressedImage) -> NDArray[Any]:
    """The image of a message, by OpenCV; RVL by the decoder of the tests."""
    data = np.frombuffer(message.data, np.uint8)
    if "compressedDepth" in message.format:
        return decoded_depth(data, message.format)
    flag = cv2.IMREAD_GRAYSCALE if message.format.startswith("mono8") else cv2.IMREAD_COLOR
    image: NDArray[Any] | None = cv2.imdecode(data, flag)
    assert image is not None, message.format
    return image


def by_stamp(raw: list[bytes]) -> dict[bytes, bytes]:
    """Serialised messages by the bytes of their stamp."""
    return {data[4:12]: data for data in raw}


def pair(listener: Listener, image: str, form: str = "") -> tuple[Image, CompressedImage]:
    """An image, and its compressed one with the same stamp that has `form` in its format."""
    small = COMPRESSED_TOPICS[image].name
    listener.subscribe(Image, image)
    listener.subscribe(CompressedImage, small)
    found: list[tuple[Image, CompressedImage]] = []

    def is_there() -> bool:
        both = by_stamp(listener.raw(image)), by_stamp(listener.raw(small))
        for stamp in both[0].keys() & both[1].keys():
            coded = deserialize_message(both[1][stamp], CompressedImage)
            if form in coded.format:
                found.append((deserialize_message(both[0][stamp], Image), coded))
        return bool(found)

    listener.wait_until(is_there, f"{image} and {small} with one stamp, {form}")
    listener.unsubscribe(image)
    listener.unsubscribe(small)
    return found[-1]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listener]:
    node = NodeProcess(tmp_path_factory.mktemp("node"), EVERYTHING)
    listener = Listener(keep=8)
    try:
        yield listener
    finally:
        listener.close()
        node.kill()


@pytest.mark.parametrize("image", COMPRESSED_TOPICS)
@pytest.mark.complaint(20)
def test_every_image_is_compressed_as_jpeg_or_png(everything: Listener, image: str) -> None:
    raw, small = pair(everything, image)
    encoding, depth = raw.encoding, raw.encoding in ("16UC1", "32FC1")
    form = "compressedDepth png" if depth else f"jpeg compressed {encoding}"
    assert (small.format, small.header) == (f"{encoding}; {form}", raw.header)
    check(decoded(small), raw, is_exact=depth)


def check(found: NDArray[Any], raw: Image, *, is_exact: bool) -> None:
    """The decoded image shows the same as the raw one."""
    shown = pixels(raw)
    assert found.shape == shown.shape
    if raw.encoding == "32FC1":
        check_quantised(found, shown)
    elif is_exact:
        far = (shown > 10_000) & (raw.encoding == "16UC1")
        np.testing.assert_array_equal(found, np.where(far, 0, shown))
    else:
        assert cv2.PSNR(found, shown) > LEAST_DB


def check_quantised(found: NDArray[Any], metres: NDArray[Any], most_m: float = 10.0) -> None:
    """Steps of inverse depth: q = 100, as compressed_depth_image_transport has them."""
    scale = 100.0 * 101.0
    measured = metres < most_m
    near_m = scale / (65535 - 1 + scale / most_m)  # what is nearer has the largest value
    np.testing.assert_array_equal(np.isnan(found), ~measured)
    expected = np.maximum(metres[measured], near_m)
    step_m = expected**2 / scale
    assert (np.abs(found[measured] - expected) <= 1.01 * step_m).all()


#: Encoding -> the format without losses, but for the steps of 32FC1.
EXACT = {
    "mono8": "mono8; png compressed ",
    "bgr8": "bgr8; png compressed bgr8",
    "16UC1": "16UC1; compressedDepth rvl",
    "32FC1": "32FC1; compressedDepth rvl",
}


def test_png_and_rvl_keep_every_value(everything: Listener) -> None:
    changed = {"compressed.format": "png", "compressed.depth_format": "rvl"}
    assert set_together(everything, changed).successful
    for image, topic in COMPRESSED_TOPICS.items():
        raw, small = pair(everything, image, EXACT[topic.encoding])
        assert small.format == EXACT[raw.encoding], image
        check(decoded(small), raw, is_exact=True)
    as_before = {"compressed.format": "jpeg", "compressed.depth_format": "png"}
    assert set_together(everything, as_before).successful


def test_a_parameter_of_one_topic_wins_over_that_for_all(everything: Listener) -> None:
    keys = [f"compressed.{name}.image_raw.jpeg_quality" for name in ("left", "right")]
    assert set_one(everything, keys[0], 30).successful
    assert set_one(everything, "compressed.jpeg_quality", 60).successful
    assert read(everything, keys) == dict(zip(keys, (30, 60), strict=True))
    sizes = [len(pair(everything, f"{side}/image_raw")[1].data) for side in ("left", "right")]
    assert sizes[0] < 0.9 * sizes[1]
    # The names of the image_transport plugins; a node in a namespace has a dot in front.
    for alias in ("oak.left.image_raw.compressed.", ".oak.left.image_raw.compressed."):
        assert set_one(everything, f"{alias}jpeg_quality", 40).successful
        assert read(everything, keys[:1]) == {keys[0]: 40}
        assert set_one(everything, keys[0], 30).successful
    name = "oak.depth.image_raw.compressedDepth.format"
    assert set_one(everything, name, "rvl").successful
    assert read(everything, ["compressed.depth.image_raw.format"]) == {
        "compressed.depth.image_raw.format": "rvl"
    }


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("compressed.jpeg_quality", 0, "must be between 1 and 100"),
        ("compressed.left.image_raw.jpeg_quality", 101, "must be between 1 and 100"),
        ("compressed.format", "webp", "must be one of jpeg, png"),
        ("compressed.depth.image_raw.format", "jpeg", "must be one of png, rvl"),
        ("oak.left.image_raw.compressed.png_level", 10, "must be between 0 and 9"),
        ("compressed.left.image_raw.depth_max", 1.0, "is not a parameter"),
        ("oak.left.image_raw.compressed.tiff.xdpi", 1, "is not a parameter"),
    ],
)
def test_bad_values_are_refused(everything: Listener, key: str, value: Any, words: str) -> None:
    result = set_one(everything, key, value)
    assert not result.successful
    assert words in result.reason


# -- in the process of the test


@pytest.fixture
def node() -> Iterator[Node]:
    node = rclpy.create_node("compressing")
    yield node
    node.destroy_node()


@pytest.fixture
def running(node: Node) -> Iterator[Running]:
    with ExitStack() as stack:
        running = Running(node, SMALL)
        stack.callback(running.close)
        stack.callback(running.publishers.gate.set)
        yield running


def listen(node: Node, topic: str, message_type: Any = CompressedImage) -> list[int]:
    """Stamps of the messages that a subscriber gets while the node is spun."""
    stamps: list[int] = []

    def keep(data: bytes) -> None:
        seconds, nanoseconds = struct.unpack_from("<iI", data, 4)
        stamps.append(seconds * 10**9 + nanoseconds)

    node.create_subscription(message_type, f"~/{topic}", keep, 10, raw=True)
    return stamps


def test_slow_encoder_gets_the_newest_image_and_the_loop_goes_on(
    node: Node, running: Running
) -> None:
    stamps = listen(node, LEFT)
    running.publishers.slow = LEFT
    wait_until(lambda: running.publishers.passed[LEFT], lambda: "a compressed image")
    running.publishers.gate.clear()
    running.wait_for_packets(10, "left")
    running.publishers.gate.set()
    running.wait_for_packets(3, "left", LEFT)
    running.close()
    found = running.loop.counts()[LEFT]
    assert found.lost[f"worker.{LEFT}"] >= 6
    assert found.lost_total == found.lost[f"worker.{LEFT}"]
    assert found.produced == found.of(PUBLISHED) + found.lost_total
    while len(stamps) < found.of(PUBLISHED):
        rclpy.spin_once(node, timeout_sec=DEADLINE_S)
    assert stamps == sorted(set(stamps))


def test_nothing_is_compressed_without_a_subscriber_and_each_new_one_gets_images(
    node: Node, running: Running
) -> None:
    running.wait_for_packets(5)
    assert not {*running.publishers.compressed} & {*running.publishers.passed}
    assert LEFT not in running.loop.counts() or running.loop.counts()[LEFT].produced == 0
    for _ in range(100):
        arrived: list[bytes] = []
        subscription = node.create_subscription(
            CompressedImage, f"~/{LEFT}", arrived.append, 10, raw=True
        )
        while not arrived:
            rclpy.spin_once(node, timeout_sec=DEADLINE_S)
        node.destroy_subscription(subscription)
    running.wait_for_packets(3)  # the last one that was waiting is done
    passed = running.publishers.passed[LEFT]
    running.wait_for_packets(5)
    assert running.publishers.passed[LEFT] == passed
    assert running.context.health.stream_stats[LEFT].is_held


def test_rate_limits_of_raw_and_compressed_topics_are_live(node: Node, running: Running) -> None:
    raw, small, other = "left/image_raw", LEFT, "right/image_raw"
    stamps = {raw: listen(node, raw, Image), other: listen(node, other, Image)}
    stamps[small] = listen(node, small)
    limited = {"compressed.left.image_raw.max_fps": 10.0, "publish.left.image_raw.max_fps": 5.0}
    running.change({**SMALL, **limited})

    def period_s(topic: str, count: int = 8) -> float:
        """Mean distance of the next stamps."""
        stamps[topic].clear()
        wait_until(
            lambda: rclpy.spin_once(node, timeout_sec=0.1) or len(stamps[topic]) > count,
            lambda: f"{count} messages on {topic}",
        )
        found = stamps[topic][1:]  # the first may be from before the change
        return (found[-1] - found[0]) / 1e9 / (len(found) - 1)

    assert period_s(raw) == pytest.approx(1 / 5, rel=0.1)
    assert period_s(small) == pytest.approx(1 / 10, rel=0.1)
    assert period_s(other) == pytest.approx(1 / 30, rel=0.1)
    assert running.context.health.stream_stats[LEFT].expected_fps == 10.0
    running.change(SMALL)
    assert period_s(raw) == pytest.approx(1 / 30, rel=0.1)
    assert period_s(small) == pytest.approx(1 / 30, rel=0.1)
    counts = running.loop.counts()
    assert counts[LEFT].of(SKIPPED) > 0
    assert counts["left"].lost_total == 0


def test_without_a_library_its_topics_are_not_announced(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        publishers, "missing_library", lambda form: "no libpng" if form == "png" else ""
    )
    made = publishers.StreamPublishers(node, validate(SMALL), decoded=True)
    assert made.publisher(LEFT) is not None
    assert made.publisher("depth/image_raw/compressedDepth") is None
    (missing,) = made.missing
    assert "~/depth/image_raw/compressedDepth" in missing.text
    assert "no libpng" in missing.text
    made.destroy()


def test_jpeg_of_the_device_takes_the_place_of_that_of_the_node(node: Node) -> None:
    values = {"stream_list": ["color", "video"], "video_config.profile": "mjpeg"}
    made = publishers.StreamPublishers(node, validate(values), decoded=True)
    topic = "rgb/image_raw/compressed"
    assert compressed_by_device(validate(values)) == [topic]  # of which the node says so
    assert topic not in made.compressed
    assert made.publisher(topic) is not None
    made.destroy()
    made = publishers.StreamPublishers(node, validate({"stream_list": ["color"]}), decoded=True)
    assert topic in made.compressed
    made.destroy()
