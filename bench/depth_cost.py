#!/usr/bin/env python3
"""CPU of the node for coloured points, and of its packet loop beside all outputs of the workers.

A node publishes depth and rgb of the virtual device at 30 Hz to one subscriber in another process.
The subscriber of the first row takes `points` as well; that of the second everything that workers
make, with a preset of filters.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple

import rclpy
from processes import cpu_s, end, run, run_device, run_node, threads_s
from rclpy.executors import ExternalShutdownException
from results import Comparison, against_limit, arguments, publish_rows
from sensor_msgs.msg import Image, PointCloud2

REPETITIONS = 5
SECONDS, WARM_UP_S = 5.0, 2.0
#: At most this share of a core, %.
GOAL_PERCENT = 12.0
GOAL_LOOP = 1.05
IMAGE = ("rgb/image_raw",)
PLAIN = ("depth/image_raw", "rgb/image_raw")
CLOUD = (*PLAIN, "points")
EVERYTHING = (
    *CLOUD,
    "depth_registered/image_raw",
    "rgb/image_rect_color",
    "left/image_rect",
    "right/image_rect",
)
PARAMETERS = {
    "stream_list": "[depth, color, left, right]",
    "calibration.nominal": "true",
    "points.color": "rgb",
    "stereo.rectify": "host",
}


class Used(NamedTuple):
    """CPU seconds per second of the node and of one thread, and the number of the thread."""

    node: float
    loop: float
    thread: int


def subscribe(*topics: str) -> None:
    """The subscriber's process: prints a line with the first messages of all, then receives."""
    rclpy.init()
    node = rclpy.create_node("bench_subscriber")
    missing = set(topics)

    def arrived(topic: str) -> None:
        missing.discard(topic)
        if not missing:
            missing.add("")
            print("all", flush=True)

    for topic in topics:
        kind = PointCloud2 if topic == "points" else Image
        name = f"/oak/{topic}"
        node.create_subscription(kind, name, lambda _, topic=topic: arrived(topic), 2, raw=True)
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)


@contextmanager
def running(**parameters: str) -> Any:
    """A node that streams."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="depthai_ros-bench-"))
        address = f"unix:{folder}/device"
        stack.callback(end, run_device(address))
        values = {"device.id": address, **PARAMETERS, **parameters}
        node = run_node(values, "-r", "__node:=oak", stderr=subprocess.DEVNULL)
        stack.callback(end, node)
        yield node


def used(node: subprocess.Popen[str], topics: tuple[str, ...], loop: int = 0) -> Used:
    """CPU seconds per second of the node and of a thread, with a subscriber to these topics.

    Without a thread it is the busiest one.
    """
    subscriber = run([__file__, "--subscribe", *topics], stdout=subprocess.PIPE)
    assert subscriber.stdout is not None
    subscriber.stdout.readline()
    time.sleep(WARM_UP_S)
    start_s, node_s, before = time.monotonic(), cpu_s(node.pid), threads_s(node.pid)
    time.sleep(SECONDS)
    elapsed_s, node_s = time.monotonic() - start_s, cpu_s(node.pid) - node_s
    threads = {tid: used_s - before.get(tid, 0.0) for tid, used_s in threads_s(node.pid).items()}
    end(subscriber)
    loop = loop or max(threads, key=lambda tid: threads[tid])
    return Used(node_s / elapsed_s, threads[loop] / elapsed_s, loop)


def main() -> None:
    """Measure, or be the subscriber."""
    if sys.argv[1:2] == ["--subscribe"]:
        subscribe(*sys.argv[2:])
        return
    output = arguments(__doc__).json
    with running() as node:
        runs = [(used(node, PLAIN), used(node, CLOUD)) for _ in range(REPETITIONS)]
    percent = [100 * (cloud.node - plain.node) for plain, cloud in runs]
    with running(**{"filters.preset": "manipulation"}) as node:
        loop = used(node, IMAGE).thread  # the only busy one: workers have nothing to do
        everything = [used(node, EVERYTHING, loop) for _ in range(REPETITIONS)]
    rows = [
        against_limit("coloured points, decimation 2, 30 Hz", percent, GOAL_PERCENT, "% of a core"),
        Comparison(
            case="packet loop beside all outputs of the workers",
            ours=[row.loop for row in everything],
            other=[plain.loop for plain, _ in runs],
            baseline="depth and rgb only",
            unit="cores",
            goal=GOAL_LOOP,
            further={"node_cores": [round(row.node, 3) for row in everything]},
        ),
    ]
    publish_rows("depth_cost", rows, output)


if __name__ == "__main__":
    main()
