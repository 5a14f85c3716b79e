"""Packets of one exposure are published together, with late, lost and malformed packets."""

from __future__ import annotations

import random
from typing import Any

import pytest

from depthai_ros.messages.exposure_sync import MOST_WAITING, ExposureSet, Sync, Tally

MS = 1_000_000
PERIOD_NS = 33 * MS
TIMEOUT_NS = 100 * MS
PAIR = ("left", "right", "depth")


def make_sync(*expected: str) -> Sync[str]:
    sync: Sync[str] = Sync(PAIR, TIMEOUT_NS)
    sync.expect(expected or PAIR, 0)
    return sync


def feed(sync: Sync[str], *packets: str) -> list[ExposureSet[str]]:
    """Packets "STREAM EXPOSURE", each at the time of its exposure."""
    ended = []
    for packet in packets:
        stream, _, number = packet.partition(" ")
        stamp_ns = int(number) * PERIOD_NS
        ended += sync.add(stream, stamp_ns, stamp_ns, packet)
    return ended


def shown(sets: list[ExposureSet[str]]) -> list[Any]:
    """Packets of each set that ended, and its missing streams."""
    return [(*row.members.values(), *(f"-{name}" for name in sorted(row.missing))) for row in sets]


#: case, packets in order of arrival, sets that end
CASES: list[tuple[str, list[str], list[Any]]] = [
    (
        "in order",
        ["left 1", "right 1", "depth 1", "left 2", "right 2", "depth 2"],
        [("left 1", "right 1", "depth 1"), ("left 2", "right 2", "depth 2")],
    ),
    (
        "one stream is behind by an exposure",
        ["left 1", "right 1", "left 2", "right 2", "depth 1", "depth 2"],
        [("left 1", "right 1", "depth 1"), ("left 2", "right 2", "depth 2")],
    ),
    (
        "a lost packet is known with the next packet of its stream",
        ["left 1", "depth 1", "left 2", "right 2"],
        [("left 1", "depth 1", "-right")],
    ),
    (
        "an incomplete set leaves before the complete one after it",
        ["left 1", "depth 1", "left 2", "depth 2", "right 2"],
        [("left 1", "depth 1", "-right"), ("left 2", "depth 2", "right 2")],
    ),
    (
        "two of three are lost",
        ["depth 1", "left 2", "right 2"],
        [("depth 1", "-left", "-right")],
    ),
    (
        "a packet that comes after its set has ended",
        ["left 1", "right 2", "right 1"],
        [("left 1", "-depth", "-right"), ("right 1", "-depth", "-left")],
    ),
    (
        "the same packet twice",
        ["left 1", "left 1", "right 1", "depth 1"],
        [("left 1", "-depth", "-right"), ("left 1", "right 1", "depth 1")],
    ),
    (
        "the clock was set back",
        ["left 9", "right 9", "depth 9", "left 3", "right 3", "depth 3"],
        [
            ("left 9", "right 9", "depth 9"),
            ("left 3", "-depth", "-right"),
            ("right 3", "-depth", "-left"),
            ("depth 3", "-left", "-right"),
        ],
    ),
    (
        "the clock was set back, and continues",
        ["left 9", "right 9", "depth 9"]
        + ["left 3", "right 3", "depth 3", "left 4", "right 4", "depth 4"],
        [
            ("left 9", "right 9", "depth 9"),
            ("left 3", "-depth", "-right"),
            ("right 3", "-depth", "-left"),
            ("depth 3", "-left", "-right"),
            ("left 4", "right 4", "depth 4"),
        ],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
@pytest.mark.complaint(17)
def test_sets_end_in_order_and_only_once(case: Any) -> None:
    _, packets, expected = case
    assert shown(feed(make_sync(), *packets)) == expected


def test_set_that_lacks_something_ends_when_its_time_is_over() -> None:
    sync = make_sync()
    assert sync.deadline_ns is None
    sync.add("left", PERIOD_NS, 5 * MS, "left 1")
    sync.add("right", PERIOD_NS, 50 * MS, "right 1")
    assert sync.deadline_ns == 5 * MS + TIMEOUT_NS
    assert sync.expire(sync.deadline_ns - 1) == []
    assert shown(sync.expire(sync.deadline_ns)) == [("left 1", "right 1", "-depth")]
    assert sync.deadline_ns is None


def test_packets_count_as_complete_incomplete_or_missing() -> None:
    sync = make_sync()
    feed(sync, "left 1", "right 1", "depth 1", "left 2", "depth 2", "left 3", "right 3")
    assert sync.tallies == {
        "left": Tally(complete=1, incomplete=1),
        "right": Tally(complete=1, missing=1),
        "depth": Tally(complete=1, incomplete=1),
    }


def test_sets_wait_only_for_expected_streams() -> None:
    sync = make_sync("depth")
    assert shown(feed(sync, "depth 1", "depth 2")) == [("depth 1",), ("depth 2",)]
    assert sync.expect({"left", "depth", "color"}, 0) == []
    assert sync.expected == {"left", "depth"}
    assert feed(sync, "left 3") == []
    # depth is not expected any more: the sets that waited for it are complete.
    assert shown(sync.expect({"left"}, 0)) == [("left 3",)]


def test_no_more_than_a_few_exposures_wait() -> None:
    sync = make_sync()
    ended = []
    for number in range(100):  # all at once: no time passes
        ended += sync.add("left", number * PERIOD_NS, 0, f"left {number}")
        assert number + 1 - len(ended) <= MOST_WAITING
    assert [row.stamp_ns for row in ended] == [n * PERIOD_NS for n in range(100 - MOST_WAITING)]


def test_every_packet_leaves_exactly_once_whatever_is_lost() -> None:
    chance = random.Random(5)
    for _ in range(200):
        sync = make_sync()
        queues = {
            stream: [f"{stream} {number}" for number in range(30) if chance.random() > 0.2]
            for stream in PAIR
        }
        sent = sorted(packet for queue in queues.values() for packet in queue)
        ended: list[ExposureSet[str]] = []
        while waiting := [queue for queue in queues.values() if queue]:
            ended += feed(sync, chance.choice(waiting).pop(0))
        ended += sync.expire(10**18)
        left = sorted(packet for row in ended for packet in row.members.values())
        assert left == sent
        for row in ended:
            numbers = {packet.partition(" ")[2] for packet in row.members.values()}
            assert numbers == {str(row.stamp_ns // PERIOD_NS)}
        for stream in PAIR:  # each stream stays in order
            order = [row.stamp_ns for row in ended if stream in row.members]
            assert order == sorted(order)
