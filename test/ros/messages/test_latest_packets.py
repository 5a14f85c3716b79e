"""Packets of one moment, for a thread that waits for them."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from contexts import make_picture, make_test_context
from nodes import DEADLINE_S, wait_until

from depthai_ros.messages.images import StampedPacket
from depthai_ros.messages.latest_packets import LatestPackets

CONTEXT = make_test_context()
#: Stream, stamp in ms, in the order of arrival; depth is late, rgb at other moments.
ARRIVALS = [
    ("right", 0), ("left", 0), ("color", 10), ("right", 33), ("left", 33), ("color", 43),
    ("disparity", 0), ("right", 66), ("left", 66), ("depth", 33), ("depth", 66),
]  # fmt: skip
MS = 1_000_000
WANTED = {"right": 0, "left": 5 * MS, "depth": 5 * MS, "color": 20 * MS}


def packet(stream: str, stamp_ms: int) -> StampedPacket:
    made = make_picture(CONTEXT, stream, np.zeros(4, np.uint8))
    return replace(made, stamp_ns=stamp_ms * MS)


def wait_in_thread(
    latest: LatestPackets, *, timeout_s: float = DEADLINE_S, ended: bool = False
) -> tuple[threading.Thread, dict[str, StampedPacket]]:
    found: dict[str, StampedPacket] = {}

    def wait() -> None:
        found.update(latest.wait_for(WANTED, timeout_s=timeout_s, has_ended=lambda: ended))

    thread = threading.Thread(target=wait)
    thread.start()
    return thread, found


def test_packets_of_one_moment_are_found_although_depth_is_late() -> None:
    latest = LatestPackets()
    assert not latest.is_waited_for
    latest.put(packet("right", 0))  # nobody waits: it is not kept
    thread, found = wait_in_thread(latest)
    wait_until(lambda: latest.is_waited_for, lambda: "the thread")
    for stream, stamp_ms in ARRIVALS:
        latest.put(packet(stream, stamp_ms))
    thread.join(DEADLINE_S)
    stamps = {stream: found[stream].stamp_ns // MS for stream in found}
    assert stamps == {"right": 33, "left": 33, "depth": 33, "color": 43}
    assert not latest.is_waited_for


@pytest.mark.parametrize(("timeout_s", "ended"), [(0.0, False), (DEADLINE_S, True)])
def test_streams_that_do_not_arrive_are_missing(timeout_s: float, ended: bool) -> None:
    latest = LatestPackets()
    thread, found = wait_in_thread(latest, timeout_s=timeout_s, ended=ended)
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    assert found == {}
