#!/usr/bin/env python3
"""Time from the start of the node's process to its first image; the device already runs.

One row for the whole, and one for each phase: Python's imports; until the device is connected (the
ROS node, its parameters, boot and session); until its streams run; until a waiting subscriber in
another process has the first image.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import rclpy
from processes import end, run, run_device, run_node, until
from rclpy.executors import SingleThreadedExecutor
from results import Comparison, against_limit, arguments, publish_rows
from sensor_msgs.msg import Image

from depthai_ros import _core

REPETITIONS = 5
LIMIT_S = 1.5
DEADLINE_S = 30.0
TOPIC = "/oak/left/image_raw"
#: Log messages of the node that end a phase.
MARKS = {"connected": "connected to", "streaming": "streaming "}
BARE = f"""
import rclpy
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("bare")
publisher = node.create_publisher(Image, "{TOPIC}", 2)
node.create_timer(1 / 30, lambda: publisher.publish(Image(data=bytes(921600))))
rclpy.spin(node)
"""


class Receiver:
    """Waits for the first image of a process that starts later.

    For one start only: after a process has ended, Fast DDS takes up to 3 s to find the next one.
    """

    def __init__(self) -> None:
        self._context = rclpy.Context()
        self._context.init()
        self._node = rclpy.create_node("bench_receiver", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._arrived_ns = 0
        self._node.create_subscription(Image, TOPIC, self._arrived, 2, raw=True)

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_error: object) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    def _arrived(self, _message: bytes) -> None:
        self._arrived_ns = self._arrived_ns or time.time_ns()

    def first_ns(self) -> int:
        """The time of its arrival. Raises TimeoutError."""
        deadline = time.monotonic() + DEADLINE_S
        while not self._arrived_ns:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no image in {DEADLINE_S:g} s")
            self._executor.spin_once(0.5)
        return self._arrived_ns


def imported_s(module: str) -> float:
    """Time of a Python process that only imports."""
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.monotonic() - start


def told(log: Path) -> bool:
    """True once the log has all these messages."""
    text = log.read_text()
    return all(words in text for words in MARKS.values())


def started(address: str, folder: Path) -> Mapping[str, float]:
    """Moments of one start, s after the process was started."""
    log = folder / "node.log"
    environment = {**os.environ, "RCUTILS_CONSOLE_OUTPUT_FORMAT": "{time_as_nanoseconds} {message}"}
    parameters = {"device.id": address, "stream_list": "[left]"}
    with Receiver() as receiver, log.open("w") as output:
        start_ns = time.time_ns()
        node = run_node(parameters, stdout=output, stderr=subprocess.STDOUT, env=environment)
        try:
            moments = {"first frame": (receiver.first_ns() - start_ns) / 1e9}
            until(lambda: told(log), DEADLINE_S, "the node's log")
        finally:
            end(node)
    lines = log.read_text().splitlines()
    for name, words in MARKS.items():
        line = next(line for line in lines if words in line)
        moments[name] = (int(line.split()[0]) - start_ns) / 1e9
    return moments


def bare_s() -> float:
    """The same for a bare publisher without a device."""
    with Receiver() as receiver:
        start_ns = time.time_ns()
        publisher = run(["-c", BARE], stderr=subprocess.DEVNULL)
        try:
            return (receiver.first_ns() - start_ns) / 1e9
        finally:
            end(publisher)


def main() -> None:
    """Measure."""
    output = arguments(__doc__).json
    _core.keep_large_buffers()
    imports, ros_imports, bare, starts = [], [], [], []
    with tempfile.TemporaryDirectory(prefix="depthai_ros-bench-") as name:
        folder = Path(name)
        address = f"unix:{folder}/device"
        device = run_device(address)
        try:
            for _ in range(REPETITIONS):
                imports.append(imported_s("depthai_ros.node.node"))
                ros_imports.append(imported_s("rclpy"))
                bare.append(bare_s())
                starts.append(started(address, folder))
        finally:
            end(device)
    phases = {
        "connected": [row["connected"] - s for row, s in zip(starts, imports, strict=True)],
        "streams run": [row["streaming"] - row["connected"] for row in starts],
        "first image": [row["first frame"] - row["streaming"] for row in starts],
    }
    total = [row["first frame"] for row in starts]
    rows = [
        against_limit("process start to first image", total, LIMIT_S, "s"),
        Comparison("the same, bare publisher", total, bare, "bare rclpy publisher", "s"),
        Comparison("phase 1: imports", imports, ros_imports, "import rclpy", "s"),
    ]
    for number, (phase, values) in enumerate(phases.items(), 2):
        rows.append(Comparison(f"phase {number}: {phase}", values, total, "all of it", "s"))
    publish_rows("startup", rows, output)


if __name__ == "__main__":
    main()
