"""The limiter of a stream's rate, with times of simulated exposures."""

from __future__ import annotations

import random
from collections.abc import Iterable

import numpy as np
import pytest

from depthai_ros.rates import RateLimiter, frame_spacing, packets_within

FRAMES = 3000


def exposures(fps: float, present: Iterable[int]) -> list[int]:
    """Times of the exposures of a camera, ns; it has been running for a while."""
    return [round(12_345_678_901 + number / fps * 1e9) for number in present]


def kept(limiter: RateLimiter, times_ns: Iterable[int]) -> list[int]:
    """The frames that a limiter keeps; `is_due` says so before."""
    times_ns = list(times_ns)
    due = [(limiter.is_due(time_ns), limiter.keeps(time_ns)) for time_ns in times_ns]
    assert all(said == done for said, done in due)
    return [time_ns for time_ns, (_, done) in zip(times_ns, due, strict=True) if done]


def mean_hz(times_ns: list[int]) -> float:
    return 1e9 * (len(times_ns) - 1) / (times_ns[-1] - times_ns[0])


def missing(kind: str) -> list[int]:
    """Numbers of the exposures that a camera of 30 Hz made."""
    chance = random.Random(1)
    made = {
        "none": lambda _: True,
        "one in three": lambda number: number % 3 != 1,
        "every other one": lambda number: number % 2 == 0,
        "a third, at random": lambda _: chance.random() > 1 / 3,
        "bursts of 8": lambda number: number % 90 >= 8,
    }[kind]
    return [number for number in range(FRAMES) if made(number)]


@pytest.mark.parametrize("max_fps", [12.0, 10.0, 7.5, 1.0, 14.5, 11.999, 1 / 3])
@pytest.mark.parametrize(
    "kind", ["none", "one in three", "every other one", "a third, at random", "bursts of 8"]
)
def test_mean_rate_is_the_limit_also_without_some_exposures(kind: str, max_fps: float) -> None:
    found = kept(RateLimiter(30.0, max_fps), exposures(30.0, missing(kind)))
    assert mean_hz(found) == pytest.approx(max_fps, rel=0.02)


@pytest.mark.parametrize("fps", [29.97, 30.0, 30.02, 60.0, 118.0])
@pytest.mark.parametrize("max_fps", [12.0, 20.0, 29.0])
def test_mean_rate_does_not_depend_on_the_quotient(fps: float, max_fps: float) -> None:
    found = kept(RateLimiter(fps, max_fps), exposures(fps, range(FRAMES)))
    assert mean_hz(found) == pytest.approx(max_fps, rel=0.005)


@pytest.mark.parametrize(("max_fps", "steps"), [(10.0, {3}), (15.0, {2}), (12.0, {2, 3})])
def test_frames_are_dropped_evenly(max_fps: float, steps: set[int]) -> None:
    found = kept(RateLimiter(30.0, max_fps), exposures(30.0, range(FRAMES)))
    assert {round(step * 30e-9) for step in np.diff(found)} == steps


@pytest.mark.parametrize("max_fps", [0.0, 30.0, 31.0, 1e300])
def test_no_frame_is_dropped_below_the_limit(max_fps: float) -> None:
    times_ns = exposures(30.0, range(100))
    assert kept(RateLimiter(30.0, max_fps), times_ns) == times_ns


def test_streams_that_start_at_different_times_keep_the_same_exposures() -> None:
    times_ns = [round(number / 30.0 * 1e9) for number in range(60)]
    first = kept(RateLimiter(30.0, 12.0, origin_ns=0), times_ns)
    second = kept(RateLimiter(30.0, 12.0, origin_ns=0), times_ns[4:])
    assert first[-20:] == second[-20:]


def test_a_long_pause_is_not_made_up_for() -> None:
    times_ns = exposures(30.0, [*range(300), *range(3000, 3300)])
    limiter = RateLimiter(30.0, 10.0)
    found = kept(limiter, times_ns)
    assert len(found) <= 100 + 10 + 100
    limiter.restart()
    assert len(kept(limiter, times_ns[300:])) == 100


def test_a_clock_that_starts_again_does_not_stop_the_stream() -> None:
    limiter = RateLimiter(30.0, 10.0)
    kept(limiter, exposures(30.0, range(300)))
    after = kept(limiter, exposures(30.0, range(-200, 100)))
    assert len(after) == pytest.approx(100, abs=2)


@pytest.mark.parametrize(
    ("fps", "max_fps", "frames", "packets"),
    [
        (30.0, 0.0, 2, 2),
        (30.0, 10.0, 3, 1),
        (30.0, 10.0, 6, 2),
        (30.0, 12.0, 3, 1),
        (30.0, 12.0, 5, 2),
        (0.3, 0.1, 3, 1),
        (30.0, 5e-324, 1000, 0),
    ],
)
def test_missing_packets_are_those_that_are_certainly_missing(
    fps: float, max_fps: float, frames: int, packets: int
) -> None:
    assert packets_within(frames, frame_spacing(fps, max_fps)) == packets
