#!/usr/bin/env python3
"""CPU of the driver for each camera with 1, 2 and 4 cameras in as many processes.

Each camera sends one mono stream and has a raw subscriber; the rate is low enough for four cameras
on two cores. The virtual devices are separate processes and not included. Goal: within 10 %.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from functools import partial

import rclpy
from processes import cpu_s, end, run, run_device, run_node
from results import Comparison, arguments, publish_rows
from sensor_msgs.msg import Image

from depthai_ros import _core

CAMERAS = (1, 2, 4)
REPETITIONS, SECONDS = 5, 3.0
FPS = 10
GOAL = 1.1


def subscribe(names: list[str]) -> None:
    """The subscriber's process."""
    _core.keep_large_buffers()
    rclpy.init()
    node = rclpy.create_node("bench_subscriber")
    waiting = set(names)
    for name in names:
        arrived = partial(lambda name, _message: waiting.discard(name), name)
        node.create_subscription(Image, f"/{name}/left/image_raw", arrived, 2, raw=True)
    while waiting:
        rclpy.spin_once(node)
    print("ready", flush=True)
    rclpy.spin(node)


def shares(count: int) -> list[float]:
    """CPU of one camera's driver, % of a core: the mean of all, for each repetition."""
    names = [f"camera_{number}" for number in range(count)]
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="depthai_ros-bench-"))
        nodes = []
        for name in names:
            address = f"unix:{folder}/{name}"
            stack.callback(end, run_device(address, "pattern"))
            parameters = {
                "device.id": address,
                "stream_list": "[left]",
                "camera.mono.fps": f"{FPS}.0",
            }
            node = run_node(parameters, "-r", f"__node:={name}", stderr=subprocess.DEVNULL)
            stack.callback(end, node)
            nodes.append(node)
        words = [__file__, "--subscribe", *names]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        subscriber = run(words, **pipes)
        stack.callback(end, subscriber)
        assert subscriber.stdout is not None
        subscriber.stdout.readline()
        return [share(nodes) for _ in range(REPETITIONS)]


def share(nodes: list[subprocess.Popen[str]]) -> float:
    """CPU time of all nodes in some seconds."""
    start_s, used_s = time.monotonic(), sum(cpu_s(node.pid) for node in nodes)
    time.sleep(SECONDS)
    used_s = sum(cpu_s(node.pid) for node in nodes) - used_s
    return used_s / (time.monotonic() - start_s) / len(nodes) * 100.0


def main() -> None:
    """Measure, or be the subscriber."""
    if sys.argv[1:2] == ["--subscribe"]:
        subscribe(sys.argv[2:])
        return
    output = arguments(__doc__).json
    found = {count: shares(count) for count in CAMERAS}
    unit = "% of a core"
    rows = [
        Comparison(f"{count} cameras, each", found[count], found[1], "one alone", unit, GOAL)
        for count in CAMERAS[1:]
    ]
    publish_rows("scaling", rows, output)


if __name__ == "__main__":
    main()
