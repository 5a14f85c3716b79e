#!/usr/bin/env python3
"""CPU time that publishing one picture costs the process that publishes it.

Three ways with the same pixels, publisher and subscriber (another process), taking turns:

  ours       what the node does: prefix from cdr.py, pixels where the link put them
  bytes      rclpy's publish(bytes) of a message that was serialised elsewhere
  cv_bridge  a message filled the way cv_bridge does it, array('B', picture.tobytes())

The time is that of all threads of the process, so what Fast DDS does is in it.
"""

from __future__ import annotations

import array
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import numpy as np
import rclpy
from rclpy.serialization import serialize_message
from results import json_file, print_rows
from sensor_msgs.msg import Image

from depthai_ros import _core, cdr
from depthai_ros.publishing import send

REPETITIONS = 7
FRAMES = 20
TOPIC, DEPTH = "/bench/image", 2
#: Pictures wait in this many buffers, as they do behind a link.
BUFFERS = 4
FRAME_ID = "oak_rgb_camera_optical_frame"
MATCH_S = 15.0

#: case -> encoding, width, height, bytes per pixel, frames per second
CASES = {
    "720p mono8": ("mono8", 1280, 720, 1, 60.0),
    "720p 16UC1": ("16UC1", 1280, 720, 2, 60.0),
    "720p bgr8": ("bgr8", 1280, 720, 3, 60.0),
    "1080p bgr8": ("bgr8", 1920, 1080, 3, 40.0),
    "4K bgr8": ("bgr8", 3840, 2160, 3, 15.0),
}


class Ways:
    """The ways to publish the pictures of one case, by name."""

    def __init__(self, publisher: Any, encoding: str, width: int, height: int, pixel: int) -> None:
        self._publisher = publisher
        self._encoding, self._width, self._height = encoding, width, height
        self._step = width * pixel
        self._buffers = [_core.Buffer(size=self._step * height) for _ in range(BUFFERS)]
        random = np.random.default_rng(1)
        for buffer in self._buffers:
            view = np.frombuffer(buffer, np.uint8)
            view[:] = random.integers(0, 255, len(view), np.uint8)
        self._message = serialize_message(self._filled(0, 0))
        self.by_name: dict[str, Callable[[int, int], None]] = {
            "ours": self._ours,
            "bytes": self._bytes,
            "cv_bridge": self._cv_bridge,
        }

    def _ours(self, turn: int, stamp_ns: int) -> None:
        buffer = self._buffers[turn % BUFFERS]
        prefix = cdr.image_prefix(
            stamp_ns, FRAME_ID, self._height, self._width, self._encoding, self._step
        )
        send(self._publisher, cdr.Serialized(buffer, len(buffer), prefix))

    def _bytes(self, _turn: int, _stamp_ns: int) -> None:
        self._publisher.publish(self._message)

    def _cv_bridge(self, turn: int, stamp_ns: int) -> None:
        self._publisher.publish(self._filled(turn, stamp_ns))

    def _filled(self, turn: int, stamp_ns: int) -> Image:
        picture = np.frombuffer(self._buffers[turn % BUFFERS], np.uint8)
        message = Image(height=self._height, width=self._width, encoding=self._encoding)
        message.header.frame_id = FRAME_ID
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
        message.step = self._step
        message.data = array.array("B", picture.tobytes())
        return message


def cpu_ms_per_frame(publish: Callable[[int, int], None], fps: float) -> float:
    """Publish FRAMES pictures at a steady rate; CPU time of one."""
    start, used = time.monotonic(), time.process_time()
    for turn in range(FRAMES):
        publish(turn, time.time_ns())
        time.sleep(max(0.0, start + (turn + 1) / fps - time.monotonic()))
    return (time.process_time() - used) * 1e3 / FRAMES


def measured(publisher: Any, case: str) -> dict[str, Any]:
    """One row: the median and the extremes of each way."""
    *shape, fps = CASES[case]
    ways = Ways(publisher, *shape).by_name
    times: dict[str, list[float]] = {name: [] for name in ways}
    for repetition in range(REPETITIONS + 1):
        for name, publish in ways.items():
            used_ms = cpu_ms_per_frame(publish, fps)
            if repetition:  # the first warms up
                times[name].append(used_ms)
    ratios = [ours / theirs for ours, theirs in zip(times["ours"], times["cv_bridge"], strict=True)]
    row: dict[str, Any] = {"case": case, "bytes": shape[1] * shape[2] * shape[3]}
    for name, values in times.items():
        row[f"{name}_ms"] = round(median(values), 3)
        row[f"{name}_spread_ms"] = [round(min(values), 3), round(max(values), 3)]
    row["ratio"] = round(median(ratios), 3)
    row["ratio_spread"] = [round(min(ratios), 3), round(max(ratios), 3)]
    return row


def subscribe() -> None:
    """The subscriber's process: takes pictures as they are, until it is ended."""
    _core.keep_large_buffers()
    rclpy.init()
    node = rclpy.create_node("bench_subscriber")
    node.create_subscription(Image, TOPIC, lambda _message: None, DEPTH, raw=True)
    rclpy.spin(node)


@contextmanager
def subscriber() -> Iterator[None]:
    """Another process that takes what is published."""
    process = subprocess.Popen([sys.executable, __file__, "--subscribe"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main() -> int:
    """Measure every case."""
    if sys.argv[1:] == ["--subscribe"]:
        subscribe()
        return 0
    output = json_file(__doc__)
    _core.keep_large_buffers()
    rclpy.init()
    node = rclpy.create_node("bench_publisher")
    publisher = node.create_publisher(Image, TOPIC, DEPTH)
    with subscriber():
        deadline = time.monotonic() + MATCH_S
        while not publisher.get_subscription_count():
            if time.monotonic() > deadline:
                print(f"error: the subscriber was not there after {MATCH_S:g} s", file=sys.stderr)
                return 1
            time.sleep(0.05)
        rows = [measured(publisher, case) for case in CASES]
    rclpy.shutdown()
    print_rows(rows)
    if output is not None:
        output.write_rows("publish_cost", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
