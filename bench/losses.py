#!/usr/bin/env python3
"""Where messages of all default streams are lost, on an idle machine and beside bursts of work.

    bench/losses.py [--duration S]

First alone, then beside one process for each core that computes for one second and rests for one.
Frames are counted by the node at each stage, messages between node and subscriber by the monitor.
The node's own share, all but the device's, must be 0. The device and the subscriber are processes
that need the same cores; what they lose is theirs.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

from processes import end, resident_mb, run, run_watched
from results import Comparison, against_limit, arguments, publish_rows

from depthai_ros.messages.stream_stats import STAGES, StreamCounts, added_up

DURATION_S = 600.0
BURST_S = REST_S = 1.0
LOOK_S = 0.2
RESIDENT_MB = 800.0  # with a full packet queue, which may have 512 MiB


def work_in_bursts() -> None:
    """Compute and rest until the process is ended."""
    while True:
        end_s = time.monotonic() + BURST_S
        while time.monotonic() < end_s:
            pass
        time.sleep(REST_S)


def measured(case: str, duration_s: float, *, bursts: bool) -> Iterator[Comparison]:
    """Run the node, with or without other work, and count what was lost where."""
    with ExitStack() as stack:
        watched = run_watched(stack, duration_s)
        if bursts:
            for _ in range(os.cpu_count() or 1):
                stack.callback(end, run([__file__, "--work"]))
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
    if sys.argv[1:] == ["--work"]:
        work_in_bursts()
    chosen = arguments(__doc__, duration=DURATION_S)
    rows = [
        *measured("alone", chosen.duration / 2, bursts=False),
        *measured("beside bursts", chosen.duration / 2, bursts=True),
    ]
    publish_rows("losses", rows, chosen.json)


if __name__ == "__main__":
    main()
