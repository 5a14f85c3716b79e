"""`make soak` uses the node at random, measures it, and sees what grows or hangs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest
from nodes import ROOT
from soak_verdict import COUNTS, WARM_UP_MIN, Judgement, Sample, heading, judge

SOAK = ROOT / "tools/soak"
ACTIONS, SEED = 25, 4
HOUR_MIN = 61


def sample(minutes: float, memory_mb: float = 100.0, state: str = "", **counts: int) -> Sample:
    """The counts are 10, except those given for this state."""
    usual = {name: dict.fromkeys(names, 10) for name, names in COUNTS.items()}
    if state:
        usual[state] |= counts
    return Sample(minutes, round(minutes) * 20, usual, memory_mb, 7, {"device": 3})


def hour(memory: Callable[[float], float]) -> list[Sample]:
    return [sample(minute, memory(minute)) for minute in range(HOUR_MIN)]


def failed(samples: Sequence[Sample]) -> list[Judgement]:
    return [row for row in judge(samples) if not row.is_good]


#: Memory in MB at each minute -> a part of the verdict, True if it is good.
MEMORIES: list[tuple[str, Callable[[float], float], str, bool]] = [
    ("even", lambda _: 100.0, "+0.0 MB/h over 51 samples", True),
    ("leak", lambda minute: 100 + 6 * minute / 60, "+6.0 MB/h over 51 samples", False),
    ("leak of a byte in a while", lambda minute: 100 + 4 * minute / 60, "+4.0 MB/h", True),
    ("steps", lambda minute: 100 + 10 * (minute // 20), "grows", False),
    ("warm-up", lambda minute: 100 + 5 * min(minute, WARM_UP_MIN), "+0.0 MB/h", True),
    ("noise", lambda minute: 100 + 20 * (minute % 2), "MB/h", True),
    ("falls", lambda minute: 100 - minute, "-60.0 MB/h", True),
]


@pytest.mark.parametrize("case", MEMORIES, ids=lambda case: case[0])
def test_memory_is_judged_by_its_slope(
    case: tuple[str, Callable[[float], float], str, bool],
) -> None:
    _, memory, words, is_good = case
    *_, found = judge(hour(memory))
    assert found.name == "memory"
    assert (found.is_good, words in found.text) == (is_good, True), found
    assert ("grows" in found.text) != is_good


def test_too_short_a_time_says_nothing_about_memory() -> None:
    for minutes in (0, 1, 10, 20):
        *_, found = judge([sample(minute, 100.0 + minute) for minute in range(minutes + 1)])
        assert found.is_good
        assert "not judged" in found.text
    assert judge([]) == []


#: State, what leaks there, its counts, words of the verdict
COUNTED = [
    ("streaming", "threads", [10, 11, 12], "grows: 10 at the start, 11 at minute 1.0"),
    ("streaming", "files", [10, 10, 11], "grows: 10 at the start, 11 at minute 2.0"),
    ("inactive", "buffers", [10, 11, 10, 12], "12 at minute 3.0"),
    ("inactive", "threads", [10, 11, 10], "10 at the start, 11 at minute 1.0"),
    ("inactive", "files", [10, 9], "10 at the start, 9 at minute 1.0"),
    ("inactive", "files", [10, 11, 12, 13], "13 at minute 3.0 and 1 more"),
]


@pytest.mark.parametrize("case", COUNTED, ids=lambda case: f"{case[0]} {case[1]} {case[2]}")
def test_counts_have_to_be_exactly_those_of_the_start(
    case: tuple[str, str, list[int], str],
) -> None:
    state, name, counts, words = case
    samples = [sample(minute, 100.0, state, **{name: count}) for minute, count in enumerate(counts)]
    (found,) = failed(samples)
    assert found.name == f"{name}, {state}"
    assert words in found.text
    assert ("grows" in found.text) == (counts[-1] > counts[0])
    assert failed([sample(minute) for minute in range(5)]) == []


def test_the_table_has_a_title_above_each_number() -> None:
    groups, titles = heading().splitlines()
    row = sample(1.5).row()
    assert len(groups) == len(titles) == len(row)
    assert len(titles.split()) == len(row.split())


@pytest.mark.complaint(7)
def test_a_short_soak_finds_nothing() -> None:
    command = [sys.executable, str(SOAK), "--actions", str(ACTIONS), "--seed", str(SEED)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = [line for line in done.stdout.splitlines() if line.startswith("ok ")]
    assert len(verdict) == 9, done.stdout
    assert f"{ACTIONS}, the longest" in done.stdout
