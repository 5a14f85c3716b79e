"""The lanes of the worker stage: every output has its turn, also when there is too much to do."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import numpy as np
from nodes import DEADLINE_S, wait_until

from depthai_ros import _core
from depthai_ros.messages.images import StampedPacket
from depthai_ros.messages.stream_stats import PUBLISHED, StreamStats
from depthai_ros.node.lanes import Job, Lanes
from depthai_ros.streams import STREAMS

OUTPUTS = ("first", "second", "third", "last")
ROUNDS = 40


def packet(received_ns: int) -> StampedPacket:
    settings: Any = None  # of images, which nobody converts here
    return StampedPacket(
        STREAMS["left"],
        np.zeros(1, np.uint8),
        _core.Buffer(size=1),
        None,
        received_ns,
        received_ns,
        settings,
        received_ns,
    )


def test_no_output_waits_for_ever_if_there_is_too_much_to_do() -> None:
    served: Counter[str] = Counter()
    go = threading.Semaphore(0)

    def make(name: str, _job: Job) -> str:
        assert go.acquire(timeout=DEADLINE_S)
        served[name] += 1
        return PUBLISHED

    failed: list[Exception] = []
    stats = {name: StreamStats(0.0, 0.0, 0) for name in OUTPUTS}
    lanes = Lanes(stats, make, failed.append)
    lanes.start()
    for number in range(ROUNDS):  # of each exposure the packets come in this order
        for place, name in enumerate(OUTPUTS):
            lanes.add(name, Job(packet(len(OUTPUTS) * number + place)))
        go.release()
        wait_until(lambda count=number: served.total() > count, lambda: f"{served}")
    go.release(len(OUTPUTS))
    lanes.stop()
    assert not failed
    share = ROUNDS // len(OUTPUTS)
    assert all(abs(served[name] - share) <= 2 for name in OUTPUTS), served
    for name, row in stats.items():
        counts = row.counts()
        assert counts.of(PUBLISHED) == served[name]
        assert counts.lost_total == counts.lost[f"worker.{name}"] == ROUNDS - served[name]
