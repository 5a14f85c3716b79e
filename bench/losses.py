#!/usr/bin/env python3
"""Where messages of all default streams are lost, on an idle machine and beside other work.

    bench/losses.py [--duration S]

First alone, then beside a subscriber for which the node compresses left, rgb and depth, then beside
one process for each core that computes for one second and rests for one. Frames are counted by the
node at each stage, messages between node and subscriber by the monitor. The node's own share, all
but the device's, must be 0. The device and the subscriber are processes that need the same cores;
what they lose is theirs.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import rclpy
from processes import end, resident_mb, run, run_watched
from rclpy.executors import ExternalShutdownException
from results import Comparison, against_limit, arguments, publish_rows
from sensor_msgs.msg import CompressedImage

from depthai_ros.messages.stream_stats import STAGES, StreamCounts, added_up

DURATION_S = 900.0
BURST_S = REST_S = 1.0
LOOK_S = 0.2
RESIDENT_MB = 800.0  # with a full packet queue, which may have 512 MiB
COMPRESSED = (
    "left/image_raw/compressed",
    "rgb/image_raw/compressed",
    "depth/image_raw/compressedDepth",
)


def work_in_bursts() -> None:
    """Compute and rest until the process is ended."""
    while True:
        end_s = time.monotonic() + BURST_S
        while time.monotonic() < end_s:
            pass
        time.sleep(REST_S)


def subscribe() -> None:
    """Receive compressed images until the process is ended."""
    rclpy.init()
    node = rclpy.create_node("bench_subscriber")
    for topic in COMPRESSED:
        node.create_subscription(CompressedImage, f"/oak/{topic}", lambda _: None, 2, raw=True)
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)


#: Word that starts other work -> what does it.
WORK = {"--work": work_in_bursts, "--subscribe": subscribe}


def measured(case: str, duration_s: float, *beside: str) -> Iterator[Comparison]:
    """Run the node beside other work, and count what was lost where."""
    with ExitStack() as stack:
        watched = run_watched(stack, duration_s)
        for word in beside:
            stack.callback(end, run([__file__, word]))
        most_mb = 0.0
        while watched.monitor.poll() is None:
            most_mb = max(most_mb, resident_mb(watched.node.pid))
            time.sleep(LOOK_S)
        document, verdict = watched.results()
    print(f"{case}: {verdict}")
    streams = document["streams"].values()
    counts = added_up(StreamCounts.read({key: str(row[key]) for key in row}) for row in streams)
    topics = document["topics"].values()
    further = {"duration_s": document["duration_s"], "frames": counts.produced}
    for stage in STAGES:
        goal = None if stage == "device" else 0.0
        lost = [float(counts.lost[stage])]
        yield Comparison(f"{stage}, {case}", lost, [1.0], "one", "frames", goal, further=further)
    unseen = [float(sum(row["lost"].get("dds", 0) for row in topics if row["drops"]))]
    yield Comparison(f"node to subscriber, {case}", unseen, [1.0], "one", "messages")
    delays = [row["latency_ms"]["p99"] for row in topics if row["drops"] is not None]
    yield Comparison(f"longest p99 latency, {case}", [max(delays)], [1.0], "one", "ms")
    yield against_limit(f"most memory, {case}", [most_mb], RESIDENT_MB, "MB")


def main() -> None:
    """Measure, or be the other work."""
    if sys.argv[1:] and sys.argv[1] in WORK:
        WORK[sys.argv[1]]()
        return
    chosen = arguments(__doc__, duration=DURATION_S)
    rows = [
        *measured("alone", chosen.duration / 3),
        *measured("beside compression", chosen.duration / 3, "--subscribe"),
        *measured("beside bursts", chosen.duration / 3, *["--work"] * (os.cpu_count() or 1)),
    ]
    publish_rows("losses", rows, chosen.json)


if __name__ == "__main__":
    main()
