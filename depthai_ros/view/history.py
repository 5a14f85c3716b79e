"""Figures of the streams in the last minutes, as columns for plots."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .source import StreamRow

Column = NDArray[np.float64]

#: Samples that are kept, one each second.
LENGTH = 120
#: Name of the line of a limit.
LIMIT = "warning below"
#: Streams in a plot; nobody can tell more lines apart.
MOST_STREAMS = 12


@dataclass(frozen=True, slots=True)
class PlotOf:
    """One plot: its title, the figure of a stream, and the limit of the diagnostics."""

    title: str
    figure: Callable[[StreamRow], float]
    is_total: bool = False  # the figure is a sum since the start: the plot shows its growth per s
    limit: float | None = None


def _share_of_rate(stream: StreamRow) -> float:
    return 100 * stream.fps / stream.expected_fps if stream.expected_fps > 0 else math.nan


#: The limit of the rate is that of the diagnostics: below 90 % is a warning.
PLOTS = (
    PlotOf("Rate, % of what is expected", _share_of_rate, limit=90.0),
    PlotOf("Latency, ms", lambda stream: stream.latency_ms),
    PlotOf("Data, MB/s", lambda stream: stream.mb_s),
    PlotOf("Lost frames per second", lambda stream: sum(stream.lost.values()), is_total=True),
)


class History:
    """The last samples of all streams; streams that vanish are forgotten with their samples."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=LENGTH)
        self._samples: deque[dict[str, tuple[float, ...]]] = deque(maxlen=LENGTH)

    def add(self, time_s: float, streams: Sequence[StreamRow]) -> None:
        """One sample, at a Unix time."""
        self._times.append(time_s)
        self._samples.append(
            {stream.name: tuple(plot.figure(stream) for plot in PLOTS) for stream in streams}
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
        if plot.is_total:
            columns = {name: _growth(self.times, column) for name, column in columns.items()}
        columns = {
            name: np.nan_to_num(column, nan=0.0, posinf=0.0, neginf=0.0)
            for name, column in columns.items()
            if np.isfinite(column).any()
        }
        if columns and plot.limit is not None:
            columns[LIMIT] = np.full(len(self._times), plot.limit)
        return columns


def _growth(times: Column, totals: Column) -> Column:
    """Growth per second of a sum; NaN where it starts anew."""
    rates = np.full(len(times), math.nan)
    if len(times) > 1:
        rates[1:] = np.diff(totals) / np.maximum(np.diff(times), 1e-3)
    rates[rates < 0] = math.nan
    return rates
