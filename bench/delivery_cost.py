#!/usr/bin/env python3
"""CPU of a publisher and one raw rclpy subscriber for one image, with and without our settings.

Two processes publish and receive images at a camera's rate. Both conditions publish through the
core, so that only the settings differ:

  ours      what `make run` and the launch files set: config/fastdds.xml, allocator, copying
  defaults  Fast DDS and glibc with their default settings

Further rows compare with a publisher that fills messages as cv_bridge does, with default settings.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from statistics import median
from typing import Any

import rclpy
from processes import SETTINGS, cpu_s, end, run, until
from publish_cost import CASES, DEPTH, TOPIC, Ways, make_bench_context
from rclpy.executors import ExternalShutdownException
from results import Comparison, arguments, publish_rows
from sensor_msgs.msg import Image

REPETITIONS = 5
SECONDS, WARM_UP_S = 1.5, 0.5
TAKEN_WITHIN_S = 0.5
MEASURED = {"720p mono8": None, "1080p bgr8": 0.45}
#: condition -> way to publish, with our settings
CONDITIONS = {
    "settings": ("ours", True),
    "defaults": ("ours", False),
    "cv_bridge": ("cv_bridge", False),
}


def subscribe() -> None:
    """The subscriber's process: counts images until the command to end, prints the number."""
    rclpy.init()
    node = rclpy.create_node("bench_subscriber")
    count = 0

    def arrived(_message: bytes) -> None:
        nonlocal count
        count += 1

    node.create_subscription(Image, TOPIC, arrived, DEPTH, raw=True)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        print(count, flush=True)


def publish(way: str, name: str) -> None:
    """The publisher's process: prints its CPU time, the subscriber's, and the number of images."""
    case = CASES[name]
    rclpy.init()
    node = rclpy.create_node("bench_publisher")
    publisher = node.create_publisher(Image, TOPIC, DEPTH)
    ways = Ways(publisher, make_bench_context(), case)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    subscriber = run([__file__, "--subscribe"], **pipes)
    until(publisher.get_subscription_count, 15.0, "the subscriber")
    counts = {}
    sent = 0
    for seconds in (WARM_UP_S, SECONDS):
        start, used_ns, apart_ns = time.monotonic(), time.process_time_ns(), 0
        theirs_s = cpu_s(subscriber.pid)
        frames = round(seconds * case.fps)
        for turn in range(frames):
            apart_ns += ways.publish(way, turn)
            time.sleep(max(0.0, start + (turn + 1) / case.fps - time.monotonic()))
        counts["publisher_ms"] = (time.process_time_ns() - used_ns - apart_ns) / 1e6 / frames
        counts["subscriber_ms"] = (cpu_s(subscriber.pid) - theirs_s) * 1e3 / frames
        sent += frames
    time.sleep(TAKEN_WITHIN_S)
    subscriber.send_signal(signal.SIGINT)
    assert subscriber.stdout is not None
    counts["lost"] = sent - int(subscriber.stdout.read() or 0)
    end(subscriber)
    rclpy.shutdown()
    print(json.dumps(counts), flush=True)


def once(condition: str, name: str) -> Mapping[str, Any]:
    """One run of both processes."""
    way, ours = CONDITIONS[condition]
    environment = dict(os.environ)
    if not ours:
        environment = {key: text for key, text in os.environ.items() if key not in SETTINGS}
    command = [sys.executable, __file__, "--publish", way, name]
    output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout
    figures: dict[str, Any] = json.loads(output)
    return figures


def measured(name: str) -> list[Comparison]:
    """Two rows: against the same publisher and cv_bridge's way, both with default settings."""
    runs: dict[str, list[Mapping[str, Any]]] = {condition: [] for condition in CONDITIONS}
    for _ in range(REPETITIONS):
        for condition, results in runs.items():
            results.append(once(condition, name))
    totals = {
        condition: [row["publisher_ms"] + row["subscriber_ms"] for row in results]
        for condition, results in runs.items()
    }
    further = {
        condition: {key: round(median(row[key] for row in results), 3) for key in results[0]}
        for condition, results in runs.items()
    }
    words = {"defaults": "no settings", "cv_bridge": "no settings, cv_bridge style"}
    return [
        Comparison(
            case=f"{name}, both processes, {number}",
            ours=totals["settings"],
            other=totals[condition],
            baseline=baseline,
            unit="ms CPU",
            goal=MEASURED[name] if condition == "defaults" else None,
            further=further,
        )
        for number, (condition, baseline) in enumerate(words.items(), 1)
    ]


def main() -> None:
    """Measure, or be one of the processes."""
    if sys.argv[1:] == ["--subscribe"]:
        subscribe()
    elif sys.argv[1:2] == ["--publish"]:
        publish(*sys.argv[2:])
    else:
        output = arguments(__doc__).json
        rows = [row for name in MEASURED for row in measured(name)]
        publish_rows("delivery_cost", rows, output)


if __name__ == "__main__":
    main()
