#!/usr/bin/env python3
"""CPU time of the publishing process for one image.

Three ways with the same pixels and publisher, in turns:

  ours       the node's path for a packet whose pixels are ready: look for subscribers, prefix and
             suffix of the message, publishing in the core, counters
  bytes      rclpy's publish(bytes) of a message that was serialised before
  cv_bridge  a message filled as cv_bridge fills it, array('B', image.tobytes())

Each case has two conditions. "published": there is no subscriber, so only publishing is measured
(the publisher reports one subscriber; otherwise the node would not publish). "delivered": one
subscriber in another process, over shared memory, at a camera's rate; Fast DDS copies twice in the
publisher's process then, which is the same for every way.

The time is that of all threads of the process. For each way the kernel copies every image into a
new buffer of the core's pool, as from a socket: a copy in this process would bypass the cache with
the settings of `make run`, and so leave the image where no link leaves it. This copy is not
included. The first images of each turn are not counted either: they pay for the cache contents that
the previous way left.
"""

from __future__ import annotations

import array
import contextlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray
from processes import end, run
from rclpy.executors import ExternalShutdownException
from rclpy.serialization import serialize_message
from results import Comparison, arguments, publish_rows
from sensor_msgs.msg import Image

from depthai_ros import _core
from depthai_ros.calibration.calibration import load
from depthai_ros.calibration.poses import frame_ids
from depthai_ros.config import mono_size, rgb_size, validate
from depthai_ros.messages.context import MessageContext, make_context
from depthai_ros.messages.diagnostics import Health
from depthai_ros.messages.images import ImageBuffer, StampedPacket
from depthai_ros.messages.stream_stats import (
    PUBLISHED,
    UNSUBSCRIBED,
    Passage,
    make_stream_stats,
)
from depthai_ros.node.publishers import TopicPublisher
from depthai_ros.streams import STREAMS
from depthai_ros.virtual.scenes.eeprom import eeprom_document
from depthai_ros.wire_formats import FrameSizes

REPETITIONS = 7
FRAMES = {"published": 30, "delivered": 20}
WARM_UP_FRAMES = 10
TOPIC, DEPTH = "/bench/image", 2
MATCH_S = 15.0
_READ_BYTES = 1 << 15  # one piece of a unix socket's buffer
WAYS = ("ours", "bytes", "cv_bridge")


@dataclass(frozen=True)
class Case:
    """One image size, on the topic of one stream."""

    stream: str
    encoding: str
    width: int
    height: int
    pixel_bytes: int
    fps: float
    goal: float

    @property
    def step(self) -> int:
        """Bytes of a row."""
        return self.width * self.pixel_bytes


CASES = {
    "720p mono8": Case("left", "mono8", 1280, 720, 1, 60.0, 0.25),
    "720p 16UC1": Case("depth", "16UC1", 1280, 720, 2, 60.0, 0.25),
    "720p bgr8": Case("color", "bgr8", 1280, 720, 3, 60.0, 0.22),
    "1080p bgr8": Case("color", "bgr8", 1920, 1080, 3, 30.0, 0.22),
    "4K bgr8": Case("color", "bgr8", 3840, 2160, 3, 12.0, 0.22),
}


class Heard:
    """A publisher that looks for subscribers and always reports at least one."""

    def __init__(self, publisher: Any) -> None:
        self._publisher = publisher
        self.publish = publisher.publish
        self.handle = publisher.handle

    def get_subscription_count(self) -> int:
        """The number of subscribers, at least 1."""
        return self._publisher.get_subscription_count() or 1  # type: ignore[no-any-return]


class ReadyPicture(StampedPacket):
    """A packet whose pixels need no conversion, of any size."""

    def converted(self, encoding: str) -> ImageBuffer:
        """The packet's own buffer."""
        return ImageBuffer(self.buffer, self.data)


def make_bench_context() -> MessageContext:
    """The camera data of the messages."""
    settings = validate({"stream_list": ["left", "depth", "color"]})
    health = Health("oak", settings)
    health.stream_stats = make_stream_stats(settings, started_ns=0)
    sizes = FrameSizes(mono_size(settings), rgb_size(settings))
    calibration = load(eeprom_document(5), settings)
    return make_context(settings, calibration, None, sizes, frame_ids("oak"), health, "")


class Ways:
    """The ways to publish the images of one case, by name."""

    def __init__(self, publisher: Any, context: MessageContext, case: Case) -> None:
        self._publisher, self._context, self._case = publisher, context, case
        row = STREAMS[case.stream]
        self._publisher_of_topic = TopicPublisher(row, row.topics[0], Heard(publisher))
        self._frame_id = context.frame_id(row, None)
        size = case.step * case.height
        self._source = np.random.default_rng(1).integers(0, 255, size, np.uint8)
        self._message = serialize_message(self._filled(self._source, 0))
        self._far_end = os.memfd_create("pictures")
        os.write(self._far_end, self._source[:_READ_BYTES])

    def publish(self, way: str, turn: int) -> int:
        """Publish one image; returns the CPU time of all threads for its preparation, ns."""
        start = time.process_time_ns()
        buffer = _core.Buffer(size=len(self._source))
        pixels = self._received(buffer)
        used_ns = time.process_time_ns() - start
        stamp_ns = time.time_ns()
        if way == "ours":
            self._through_the_outlet(turn, buffer, pixels, stamp_ns)
        elif way == "bytes":
            self._publisher.publish(self._message)
        else:
            self._publisher.publish(self._filled(pixels, stamp_ns))
        return used_ns

    def _received(self, buffer: _core.Buffer) -> NDArray[np.uint8]:
        """Fill a buffer as from a socket: the kernel copies from pages that are always in use."""
        memory = memoryview(buffer)
        for begin in range(0, len(memory), _READ_BYTES):
            os.preadv(self._far_end, [memory[begin : begin + _READ_BYTES]], 0)
        return np.frombuffer(memory, np.uint8)

    def _through_the_outlet(
        self, turn: int, buffer: _core.Buffer, pixels: NDArray[np.uint8], stamp_ns: int
    ) -> None:
        case = self._case
        shape = (case.height, case.width, case.pixel_bytes)
        picture = ReadyPicture(
            stream=self._publisher_of_topic.stream,
            data=pixels.reshape(shape if case.pixel_bytes == 3 else (case.height, case.step)),
            buffer=buffer,
            metadata=None,
            stamp_ns=stamp_ns,
            received_ns=time.monotonic_ns(),
            settings=self._context.images,
        )
        sent = self._publisher_of_topic.send(self._context, picture)
        stats = self._context.health.stream_stats[case.stream]
        fate = PUBLISHED if sent.published else UNSUBSCRIBED
        delay_ns = time.time_ns() - stamp_ns
        stats.add(Passage(turn, turn, len(pixels), picture.received_ns, delay_ns, fate))

    def _filled(self, pixels: NDArray[np.uint8], stamp_ns: int) -> Image:
        case = self._case
        message = Image(height=case.height, width=case.width, encoding=case.encoding)
        message.header.frame_id = self._frame_id
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
        message.step = case.step
        message.data = array.array("B", pixels.tobytes())
        return message


def cpu_ms_per_frame(ways: Ways, way: str, frames: int, fps: float | None) -> float:
    """Publish images, at a steady rate or without pauses; returns the CPU time of one."""
    start, used_ns, apart_ns = time.monotonic(), 0, 0
    for turn in range(WARM_UP_FRAMES + frames):
        if turn == WARM_UP_FRAMES:
            used_ns, apart_ns = time.process_time_ns(), 0
        apart_ns += ways.publish(way, turn)
        if fps is not None:
            time.sleep(max(0.0, start + (turn + 1) / fps - time.monotonic()))
    return (time.process_time_ns() - used_ns - apart_ns) / 1e6 / frames


def measured(publisher: Any, context: MessageContext, name: str, condition: str) -> Comparison:
    """One row."""
    case = CASES[name]
    ways = Ways(publisher, context, case)
    fps = case.fps if condition == "delivered" else None
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for repetition in range(REPETITIONS + 1):
        for way, values in times.items():
            used_ms = cpu_ms_per_frame(ways, way, FRAMES[condition], fps)
            if repetition:  # the first warms up
                values.append(used_ms)
    further = {"bytes": case.step * case.height, "bytes_ms": round(median(times["bytes"]), 3)}
    return Comparison(
        case=f"{name}, {condition}",
        ours=times["ours"],
        other=times["cv_bridge"],
        baseline="cv_bridge style",
        unit="ms CPU",
        goal=case.goal if condition == "published" else None,
        further=further,
    )


def subscribe() -> None:
    """The subscriber's process: takes serialised images until it is ended."""
    _core.keep_large_buffers()
    rclpy.init()
    node = rclpy.create_node("bench_subscriber")
    node.create_subscription(Image, TOPIC, lambda _message: None, DEPTH, raw=True)
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)


@contextlib.contextmanager
def subscriber(publisher: Any) -> Iterator[None]:
    """A subscriber in another process. Raises TimeoutError if it does not appear."""
    process = run([__file__, "--subscribe"])
    try:
        deadline = time.monotonic() + MATCH_S
        while not publisher.get_subscription_count():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the subscriber did not appear within {MATCH_S:g} s")
            time.sleep(0.05)
        yield
    finally:
        end(process)  # killed it would leave its shared memory behind


def main() -> int:
    """Measure every case in both conditions."""
    if sys.argv[1:] == ["--subscribe"]:
        subscribe()
        return 0
    output = arguments(__doc__).json
    _core.keep_large_buffers()
    rclpy.init()
    node = rclpy.create_node("bench_publisher")
    publisher = node.create_publisher(Image, TOPIC, DEPTH)
    context = make_bench_context()
    rows = [measured(publisher, context, name, "published") for name in CASES]
    with subscriber(publisher):
        rows += [measured(publisher, context, name, "delivered") for name in CASES]
    rclpy.shutdown()
    publish_rows("publish_cost", rows, output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
