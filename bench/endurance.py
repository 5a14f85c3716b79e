#!/usr/bin/env python3
"""All default streams for a while, each with a raw subscriber: drops, CPU and memory of the driver.

    bench/endurance.py [--duration S]        300 for the figure in README.md, 20 by default

The device runs as a process of its own and is not counted. Then the same with one more subscriber
that takes a picture of each topic every half second, which must neither cost frames nor memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from processes import ROOT, cpu_s, end, resident_mb, run, run_device, run_node
from results import Comparison, against_limit, arguments, publish_rows
from sensor_msgs.msg import Image

from depthai_ros import _core

DURATION_S = 20.0
CORE_SHARE, RESIDENT_MB = 60.0, 250.0
SAMPLES = 5
SLOW_TAKE_S = 0.5
SLOW_DEPTH = 10
SLOW_TOPICS = ("left", "right", "depth", "disparity", "rgb/preview", "rgb")


@dataclass(frozen=True)
class Run:
    """What was seen in one run, in equal parts of its time."""

    shares: list[float]  # of one core, %
    resident_mb: list[float]
    messages: int
    drops: int
    verdict: str  # the monitor's, which says where frames were lost


def slow_subscriber() -> None:
    """A process that is far too slow for what it subscribed to."""
    _core.keep_large_buffers()
    rclpy.init()
    node = rclpy.create_node("bench_slow")
    for topic in SLOW_TOPICS:
        name = f"/oak/{topic}/image_raw"
        node.create_subscription(Image, name, lambda _: None, SLOW_DEPTH, raw=True)
    while rclpy.ok():
        rclpy.spin_once(node)
        time.sleep(SLOW_TAKE_S / len(SLOW_TOPICS))


def observed(duration_s: float, *, slow: bool) -> Run:
    """Run the node and the monitor."""
    with tempfile.TemporaryDirectory(prefix="depthai_ros-bench-") as name:
        address, summary = f"unix:{name}/device", Path(name, "summary.json")
        device = run_device(address)
        parameters = {"device.id": address}
        settings = str(ROOT / "config" / "virtual.yaml")
        node = run_node(parameters, "--params-file", settings, stderr=subprocess.DEVNULL)
        words = ["--duration", str(duration_s), "--summary", str(summary), "--wait", "60"]
        others = [run([__file__, "--slow"], stderr=subprocess.DEVNULL)] if slow else []
        monitor = run(
            ["-u", "-m", "depthai_ros.monitor", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            shares, resident, verdict = sampled(node, monitor, duration_s)
        finally:
            for process in (monitor, *others, node, device):
                end(process)
        topics: Mapping[str, Any] = json.loads(summary.read_text())["topics"]
    messages = sum(topic["count"] for topic in topics.values())
    drops = sum(topic["drops"] or 0 for topic in topics.values())
    return Run(shares, resident, messages, drops, verdict)


def sampled(
    node: subprocess.Popen[str], monitor: subprocess.Popen[str], duration_s: float
) -> tuple[list[float], list[float], str]:
    """CPU and memory of the node in parts of the time in which the monitor measures, and what it
    says in the end.
    """
    assert monitor.stdout is not None
    monitor.stdout.readline()  # it waits for the topics
    heading = monitor.stdout.readline()  # its first table: it has begun to measure
    if "topic" not in heading:
        raise RuntimeError(f"the monitor says: {heading}{monitor.stdout.read()}")
    shares, resident = [], []
    part_s = (duration_s - 2.0) / SAMPLES
    for _ in range(SAMPLES):
        start_s, used_s = time.monotonic(), cpu_s(node.pid)
        time.sleep(part_s)
        shares.append((cpu_s(node.pid) - used_s) / (time.monotonic() - start_s) * 100.0)
        resident.append(resident_mb(node.pid))
    lines = monitor.communicate()[0].splitlines()  # until it ends by itself
    return shares, resident, lines[-1] if lines else ""


def main() -> None:
    """Measure, or be the slow subscriber."""
    if sys.argv[1:] == ["--slow"]:
        slow_subscriber()
        return
    chosen = arguments(__doc__, duration=DURATION_S)
    rows: list[Comparison] = []
    for slow in (False, True):
        seen = observed(chosen.duration, slow=slow)
        name = "slow subscriber too" if slow else "all streams"
        print(seen.verdict)
        further = {"duration_s": chosen.duration, "messages": seen.messages}
        drops = [float(seen.drops)]
        rows += [
            Comparison(
                f"{name}: drops", drops, [1.0], "one", "messages", goal=0.0, further=further
            ),
            against_limit(f"{name}: driver", seen.shares, CORE_SHARE, "% of a core", **further),
            against_limit(f"{name}: memory", seen.resident_mb, RESIDENT_MB, "MB", **further),
        ]
    publish_rows("endurance", rows, chosen.json)


if __name__ == "__main__":
    main()
