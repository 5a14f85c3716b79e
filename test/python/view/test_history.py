"""The plots of the page: figures of the streams, and the limits of the diagnostics."""

from __future__ import annotations

import math

import numpy as np

from depthai_ros.view.history import PLOTS, History
from depthai_ros.view.source import StreamRow

RATE, LATENCY, _, LOST = range(len(PLOTS))


def row(name: str, fps: float, lost: int, expected_fps: float = 30.0) -> StreamRow:
    return StreamRow(name, "ok", "", fps, expected_fps, math.nan, 1.0, {"link": lost, "loop": 0})


def test_rates_are_shares_of_what_is_expected_beside_the_limit_of_the_diagnostics() -> None:
    history = History()
    for second, fps in enumerate((30.0, 15.0, math.nan)):
        history.add(100.0 + second, [row("left", fps, 0), row("video", fps, 0, expected_fps=0.0)])
    columns = history.columns(RATE)
    assert {name: column.tolist() for name, column in columns.items()} == {
        "left": [100.0, 50.0, 0.0],
        "warning below": [90.0] * 3,
    }
    assert history.times.tolist() == [100.0, 101.0, 102.0]
    assert history.columns(LATENCY) == {}  # no stream has a figure


def test_lost_frames_are_a_share_of_all_and_start_anew_with_the_node() -> None:
    history = History()
    history.drops_percent = 2.0
    for second, lost in enumerate((500, 510, 510, 0, 0)):
        history.add(100.0 + 2 * second, [row("left", 15.0, lost)])
    columns = history.columns(LOST)
    assert np.allclose(columns["left"], [0.0, 25.0, 0.0, 0.0, 0.0])
    assert columns["warning above"].tolist() == [2.0] * 5


def test_stream_that_vanished_leaves_the_plots() -> None:
    history = History()
    history.add(1.0, [row("left", 30.0, 0), row("right", 30.0, 0)])
    history.add(2.0, [row("right", 30.0, 0)])
    assert list(history.columns(RATE)) == ["right", "warning below"]
    history.add(3.0, [])
    assert history.columns(RATE) == {}
