#!/usr/bin/env python3
"""All default streams for a while, each with a raw subscriber: drops, CPU and memory of the driver.

    bench/endurance.py [--duration S]

The device is a separate process and is not included. In the second half of the time there is one
more subscriber, which takes one image of each topic every half second: that must cost neither
frames nor memory. The busiest thread is the packet loop, which all streams share.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import rclpy
from processes import busiest_s, cpu_s, end, resident_mb, run, run_watched
from results import Comparison, against_limit, arguments, publish_rows
from sensor_msgs.msg import Image

from depthai_ros import _core

DURATION_S = 600.0
CORE_SHARE, THREAD_SHARE, RESIDENT_MB, GROWTH = 60.0, 50.0, 250.0, 1.05
#: Limits: name, attribute of `Half`, limit, unit.
LIMITS = (
    ("driver", "shares", CORE_SHARE, "% of a core"),
    ("its busiest thread", "busiest", THREAD_SHARE, "% of a core"),
    ("memory", "resident_mb", RESIDENT_MB, "MB"),
)
SAMPLES = 6  # of each half
MARGIN_S = 1.0  # of each half, for the work between the measurements
SLOW_TAKE_S = 0.5
SLOW_DEPTH = 10
SLOW_TOPICS = ("left", "right", "depth", "disparity", "rgb/preview", "rgb")


@dataclass
class Half:
    """Measurements of the node in equal parts of this time."""

    shares: list[float] = field(default_factory=list)  # of one core, %
    busiest: list[float] = field(default_factory=list)  # the same of one thread
    resident_mb: list[float] = field(default_factory=list)

    def watch(self, pid: int, duration_s: float) -> None:
        """Measure a process for this time."""
        for _ in range(SAMPLES):
            start_s, used_s, busiest = time.monotonic(), cpu_s(pid), busiest_s(pid)
            time.sleep(duration_s / SAMPLES)
            percent = 100.0 / (time.monotonic() - start_s)
            self.shares.append((cpu_s(pid) - used_s) * percent)
            self.busiest.append((busiest_s(pid) - busiest) * percent)
            self.resident_mb.append(resident_mb(pid))


def slow_subscriber() -> None:
    """A process that is far too slow for its subscriptions."""
    _core.keep_large_buffers()
    rclpy.init()
    node = rclpy.create_node("bench_slow")
    for topic in SLOW_TOPICS:
        name = f"/oak/{topic}/image_raw"
        node.create_subscription(Image, name, lambda _: None, SLOW_DEPTH, raw=True)
    while rclpy.ok():
        rclpy.spin_once(node)
        time.sleep(SLOW_TAKE_S / len(SLOW_TOPICS))


def observed(duration_s: float, halves: Sequence[Half]) -> tuple[Mapping[str, Any], str]:
    """Run the node and the monitor: returns the counts of each topic, and the monitor's verdict."""
    with ExitStack() as stack:
        watched = run_watched(stack, duration_s)
        for half, extra in zip(halves, ([], ["--slow"]), strict=True):
            if extra:
                stack.callback(end, run([__file__, *extra], stderr=subprocess.DEVNULL))
            half.watch(watched.node.pid, duration_s / 2 - MARGIN_S)
        document, verdict = watched.results()
        return document["topics"], verdict


def main() -> None:
    """Measure, or be the slow subscriber."""
    if sys.argv[1:] == ["--slow"]:
        slow_subscriber()
        return
    chosen = arguments(__doc__, duration=DURATION_S)
    halves = {"all streams": Half(), "slow subscriber too": Half()}
    topics, verdict = observed(chosen.duration, list(halves.values()))
    print(verdict)
    drops = [float(sum(topic["drops"] or 0 for topic in topics.values()))]
    messages = sum(topic["count"] for topic in topics.values())
    further = {"duration_s": chosen.duration, "messages": messages}
    rows = [
        Comparison("drops", drops, [1.0], "one", "messages", goal=0.0, further=further),
        *(
            against_limit(f"{what}, {name}", getattr(half, place), limit, unit)
            for what, place, limit, unit in LIMITS
            for name, half in halves.items()
        ),
        *(
            Comparison(
                f"memory, {name}, in the end",
                half.resident_mb[-1:],
                half.resident_mb[:1],
                "a part after the start",
                "MB",
                goal=GROWTH,
            )
            for name, half in halves.items()
        ),
    ]
    publish_rows("endurance", rows, chosen.json)


if __name__ == "__main__":
    main()
