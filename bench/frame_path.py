#!/usr/bin/env python3
"""Time from the last byte of a packet on the link to the subscriber's callback, through the node.

The virtual device (a process) records when its link has sent the last byte of each packet; the
node (a process) publishes it; this process subscribes. The node still has to read the bytes in the
socket at that time: this is included. The baseline is the same message from a bare rclpy node,
measured from the moment when it has the pixels to the same callback.
"""

from __future__ import annotations

import array
import json
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from processes import end, run, run_node
from rclpy.executors import SingleThreadedExecutor
from results import Comparison, arguments, publish_rows
from sensor_msgs.msg import Image

from depthai_ros import _core
from depthai_ros.messages.arrival_stats import percentile
from depthai_ros.virtual.session import DeviceSession
from depthai_ros.virtual.settings import parse_settings
from depthai_ros.wire_formats import TRAILER, TRAILER_MAGIC

FRAMES = 200
WARM_UP = 20
TURNS = 5  # the node and the bare publisher take turns
FPS = 30
GOAL = 1.2
DEPTH = 2
DEADLINE_S = 40.0
#: Largest difference between stamp and device time of one frame, after the clocks are aligned.
SAME_FRAME_NS = 15_000_000

#: Stamp of a serialised message that begins with a header.
STAMP = struct.Struct("<4xiI")

#: stream -> topic, encoding, width, height, bytes per pixel
CASES = {
    "left": ("left/image_raw", "mono8", 1280, 720, 1),
    "depth": ("depth/image_raw", "16UC1", 1280, 720, 2),
    "color": ("rgb/image_raw", "bgr8", 1920, 1080, 3),
}


class NotingLink:
    """A link that records when each frame has been sent; the rest is delegated to the link."""

    def __init__(self, link: _core.Link) -> None:
        self._link = link
        self.sent: list[tuple[str, int, int]] = []  # stream, device clock, host clock, ns

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def write(self, *, name: str, parts: Sequence[Any], **options: Any) -> bool:
        """Write and record the time."""
        written = self._link.write(name=name, parts=parts, **options)
        now_ns = time.time_ns()
        end = bytes(memoryview(parts[-1])[-TRAILER.size :])
        if len(end) == TRAILER.size:
            fields = TRAILER.unpack(end)
            if fields[-1] == TRAILER_MAGIC:
                self.sent.append((name, fields[8] * 1_000_000_000 + fields[9], now_ns))
        return bool(written)


def device(address: str, notes: Path) -> None:
    """The device's process: serve one host, then write the time of each packet to a file."""
    _core.keep_large_buffers()
    listener = _core.Listener(address=address)
    print("ready", flush=True)
    transport = listener.accept(timeout_s=DEADLINE_S)
    if transport is None:
        raise TimeoutError(f"no host connected to {address}")
    link = NotingLink(_core.Link(transport=transport, role="device"))
    DeviceSession(link, parse_settings("pattern")).run()  # type: ignore[arg-type]
    notes.write_text(json.dumps(link.sent))


def bare(topic: str, encoding: str, width: int, height: int, pixel: int) -> None:
    """The bare publisher's process: the same message at the same rate, stamped when it begins."""
    _core.keep_large_buffers()
    rclpy.init()
    node = rclpy.create_node("oak")
    publisher = node.create_publisher(Image, topic, DEPTH)
    picture = np.random.default_rng(1).integers(0, 255, (height, width * pixel), np.uint8)
    start, turn = time.monotonic(), 0
    while rclpy.ok():
        turn += 1
        time.sleep(max(0.0, start + turn / FPS - time.monotonic()))
        message = Image(height=height, width=width, encoding=encoding, step=width * pixel)
        message.header.frame_id = f"oak_{topic.split('/')[1]}_camera_optical_frame"
        now = divmod(time.time_ns(), 1_000_000_000)
        message.header.stamp.sec, message.header.stamp.nanosec = now
        message.data = array.array("B", picture.tobytes())
        publisher.publish(message)


class Receiver:
    """Takes the messages of one topic: (stamp, time of arrival), ns."""

    def __init__(self) -> None:
        self._node = rclpy.create_node("bench_receiver")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self.arrivals: list[tuple[int, int]] = []

    def take(self, topic: str, count: int) -> list[tuple[int, int]]:
        """The arrivals after the first few, which are warm-up. Raises TimeoutError."""
        self.arrivals = []
        subscription = self._node.create_subscription(Image, topic, self._arrived, DEPTH, raw=True)
        deadline = time.monotonic() + DEADLINE_S
        while len(self.arrivals) < WARM_UP + count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{topic}: {len(self.arrivals)} messages in {DEADLINE_S:g} s")
            self._executor.spin_once(0.1)
        self._node.destroy_subscription(subscription)
        return self.arrivals[WARM_UP:]

    def _arrived(self, message: bytes) -> None:
        now_ns = time.time_ns()
        seconds, nanoseconds = STAMP.unpack_from(message)
        self.arrivals.append((seconds * 1_000_000_000 + nanoseconds, now_ns))


def through_the_node(receiver: Receiver, stream: str, folder: Path) -> list[float]:
    """Latencies of one run, ms."""
    address, notes = f"unix:{folder}/device", folder / "notes.json"
    notes.unlink(missing_ok=True)
    Path(folder, "device").unlink(missing_ok=True)
    camera = run([__file__, "--device", address, str(notes)], stdout=subprocess.PIPE)
    assert camera.stdout is not None
    camera.stdout.readline()
    parameters = {"device.id": address, "stream_list": f"[{stream}]"}
    node = run_node(parameters, "--log-level", "error")
    try:
        arrivals = receiver.take(f"/oak/{CASES[stream][0]}", FRAMES)
    finally:
        end(node)
        camera.wait(DEADLINE_S)
        camera.stdout.close()
    sent = [entry[1:] for entry in json.loads(notes.read_text()) if entry[0] == stream]
    return matched_ms(arrivals, sent)


def matched_ms(arrivals: Sequence[tuple[int, int]], sent: Sequence[tuple[int, int]]) -> list[float]:
    """Latency of each arrival whose packet is known.

    The fastest packet gives the offset of the device's clock; the error is the shortest time for
    drawing a frame. The node estimates the same offset from the fastest packet that it receives. So
    a message's stamp identifies its packet: frames are further apart than either error.
    """
    devices = np.array([device_ns for device_ns, _ in sent])
    offset_ns = min(now_ns - device_ns for device_ns, now_ns in sent)
    latencies = []
    for stamp_ns, now_ns in arrivals:
        index = int(np.abs(devices + offset_ns - stamp_ns).argmin())
        if abs(int(devices[index]) + offset_ns - stamp_ns) < SAME_FRAME_NS:
            latencies.append((now_ns - sent[index][1]) / 1e6)
    return latencies


def from_bare_publisher(receiver: Receiver, stream: str) -> list[float]:
    """Latencies of one run, ms."""
    topic, *shape = CASES[stream]
    words = [f"/bench/{topic}", *map(str, shape)]
    publisher = run([__file__, "--bare", *words], stderr=subprocess.DEVNULL)
    try:
        arrivals = receiver.take(words[0], FRAMES)
    finally:
        end(publisher)
    return [(now_ns - stamp_ns) / 1e6 for stamp_ns, now_ns in arrivals]


def measured(receiver: Receiver, stream: str, folder: Path) -> list[Comparison]:
    """Two rows: p50 and p99, one value for each turn."""
    node: list[list[float]] = []
    plain: list[list[float]] = []
    for _ in range(TURNS):
        node.append(sorted(through_the_node(receiver, stream, folder)))
        plain.append(sorted(from_bare_publisher(receiver, stream)))
    return [
        Comparison(
            case=f"{CASES[stream][0]}, p{percent}",
            ours=[percentile(turn, percent / 100) or 0.0 for turn in node],
            other=[percentile(turn, percent / 100) or 0.0 for turn in plain],
            baseline="bare rclpy publisher",
            unit="ms",
            goal=GOAL if percent == 99 else None,
            further={"frames": sum(map(len, node))},
        )
        for percent in (50, 99)
    ]


def main(words: Sequence[str]) -> int:
    """Measure every case, or be one of the processes that take part."""
    if words[:1] == ["--device"]:
        device(words[1], Path(words[2]))
        return 0
    if words[:1] == ["--bare"]:
        topic, encoding, *numbers = words[1:]
        bare(topic, encoding, *map(int, numbers))
        return 0
    output = arguments(__doc__).json
    _core.keep_large_buffers()
    rclpy.init()
    receiver = Receiver()
    with tempfile.TemporaryDirectory(prefix="depthai_ros-bench-") as folder:
        rows = [row for stream in CASES for row in measured(receiver, stream, Path(folder))]
    rclpy.shutdown()
    publish_rows("frame_path", rows, output)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
