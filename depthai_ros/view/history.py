"""Figures of the streams in the last minutes, as columns for plots."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.options import BY_KEY
from ..messages.stream_stats import ENOUGH
from .source import StreamRow

Column = NDArray[np.float64]

#: Samples that are kept, one each second.
LENGTH = 120
#: Start of the name of the line of a limit.
LIMIT = "warning"
#: Streams in a plot; nobody can tell more lines apart.
MOST_STREAMS = 12
#: The option with the limit of lost frames, which can change.
DROPS_KEY = "diagnostics.drops_warn_percent"
_DROPS_PERCENT: Any = BY_KEY[DROPS_KEY].default


@dataclass(frozen=True, slots=True)
class PlotOf:
    """One plot: its title, and its figure, made of the row of a stream and its losses per s."""

    title: str
    figure: Callable[[StreamRow, float], float]
    limit: str = ""  # name of the limit of the diagnostics, "" = there is none


def _share_of_rate(stream: StreamRow, _: float) -> float:
    return 100 * stream.fps / stream.expected_fps if stream.expected_fps > 0 else math.nan


def _share_lost(stream: StreamRow, lost_per_s: float) -> float:
    sent_per_s = stream.fps + lost_per_s
    return 100 * lost_per_s / sent_per_s if sent_per_s > 0 else math.nan


PLOTS = (
    PlotOf("Rate, % of what is expected", _share_of_rate, limit=f"{LIMIT} below"),
    PlotOf("Latency, ms", lambda stream, _: stream.latency_ms),
    PlotOf("Data, MB/s", lambda stream, _: stream.mb_s),
    PlotOf("Lost frames, %", _share_lost, limit=f"{LIMIT} above"),
)


class History:
    """The last samples of all streams; streams that vanish are forgotten with their samples."""

    def __init__(self) -> None:
        self.drops_percent = _DROPS_PERCENT  # more is a warning
        self._times: deque[float] = deque(maxlen=LENGTH)
        self._samples: deque[dict[str, tuple[float, ...]]] = deque(maxlen=LENGTH)
        self._lost: dict[str, int] = {}

    def add(self, time_s: float, streams: Sequence[StreamRow]) -> None:
        """One sample, at a Unix time."""
        passed_s = max(time_s - self._times[-1], 1e-3) if self._times else math.nan
        lost = {stream.name: sum(stream.lost.values()) for stream in streams}
        growth = {name: count - self._lost.get(name, count) for name, count in lost.items()}
        self._lost = lost
        self._times.append(time_s)
        self._samples.append(
            {
                stream.name: tuple(
                    plot.figure(stream, max(growth[stream.name], 0) / passed_s) for plot in PLOTS
                )
                for stream in streams
            }
        )

    @property
    def times(self) -> Column:
        """The Unix times of the samples."""
        return np.array(self._times, np.float64)

    def columns(self, number: int) -> dict[str, Column]:
        """Name -> the figures of one plot: streams of the newest sample, then the limit.

        Streams without any figure are left out; a sample that lacks is 0.
        """
        plot, gap = PLOTS[number], (math.nan,) * len(PLOTS)
        names = tuple(self._samples[-1])[:MOST_STREAMS] if self._samples else ()
        columns = {
            name: np.array([sample.get(name, gap)[number] for sample in self._samples], np.float64)
            for name in names
        }
        columns = {
            name: np.nan_to_num(column, nan=0.0, posinf=0.0, neginf=0.0)
            for name, column in columns.items()
            if np.isfinite(column).any()
        }
        if columns and plot.limit:
            limit = 100 * ENOUGH if plot.figure is _share_of_rate else self.drops_percent
            columns[plot.limit] = np.full(len(self._times), limit)
        return columns
