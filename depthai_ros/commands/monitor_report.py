"""Prints the results of the monitor: a live table, and one line at the end."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..messages.arrival_stats import ArrivalSummary

_TERMINAL_PERIOD_S, _PLAIN_PERIOD_S = 1.0, 5.0
#: The verdict names topics below this share of their expected rate.
ENOUGH = 0.95
#: Number of topics that the verdict names, the worst first.
_NAMED = 3
_COLUMNS = (
    f"{'fps':>7} {'expected':>8} {'MB/s':>7} {'ratio':>6} "
    f"{'drops':>6} {'latency ms':>11} {'p99':>7}"
)


class TopicRow(NamedTuple):
    """Results of one topic. `required`: it publishes without a request.

    `raw_bytes` is the size of the raw image that a compressed one shows; None = not known.
    """

    name: str
    type_name: str
    required: bool
    figures: ArrivalSummary
    raw_bytes: int | None = None

    @property
    def ratio(self) -> float | None:
        """Raw bytes for each byte that arrived; None if not known."""
        figures = self.figures
        if self.raw_bytes is None or not figures.mb_s:
            return None
        return self.raw_bytes * figures.fps / (figures.mb_s * 1e6)

    def summary(self) -> dict[str, Any]:
        """The topic's entry of a summary file."""
        ratio = None if self.ratio is None else round(self.ratio, 3)
        return {**self.figures.summary(self.type_name), "compression_ratio": ratio}


def table(rows: Sequence[TopicRow]) -> list[str]:
    """The live table: a line of titles, then one line for each topic."""
    names = max((len(row.name) for row in rows), default=0)
    types = max((len(_short(row.type_name)) for row in rows), default=0)
    lines = [f"{'topic':{names}}  {'type':{types}} {_COLUMNS}"]
    for row in rows:
        figures = row.figures
        cells = (
            f"{figures.fps:7.2f} {_cell(figures.expected_fps, 8, 2)} {figures.mb_s:7.2f} "
            f"{_cell(row.ratio, 6, 1)} {_cell(figures.drops, 6, 0)} "
            f"{_cell(figures.latency_mean_ms, 11, 1)} {_cell(figures.latency_p99_ms, 7, 1)}"
        )
        where = f"  {_stages(figures.lost)}" if figures.drops else ""
        lines.append(f"{row.name:{names}}  {_short(row.type_name):{types}} {cells}{where}")
    return lines


def _stages(lost: Mapping[str, int]) -> str:
    """The stages that lost something."""
    return ", ".join(f"{stage} {count}" for stage, count in lost.items() if count)


def _short(type_name: str) -> str:
    return type_name.replace("/msg/", "/")


def _cell(value: float | None, width: int, digits: int) -> str:
    return f"{'-' if value is None else f'{value:.{digits}f}':>{width}}"


def verdict(rows: Sequence[TopicRow], duration_s: float, lost: Mapping[str, int]) -> str:
    """One line: whether every topic kept its rate, and what was lost.

    `lost` is the number of frames, of all streams, that the node reports as lost, by stage.
    """
    rated = [row for row in rows if row.figures.expected_fps]
    slow = sorted((row for row in rated if _share(row) < ENOUGH), key=_share)
    lossy = sorted((row for row in rated if row.figures.drops), key=_drops, reverse=True)
    parts = [f"{len(rows)} topics in {duration_s:.1f} s"]
    if slow:
        named = [f"{row.name} ({row.figures.fps:.1f}/{row.figures.expected_fps:g})" for row in slow]
        parts.append(f"below {ENOUGH:.0%} of the expected rate: {_listed(named)}")
    else:
        parts.append(f"all {len(rated)} with a rate at {ENOUGH:.0%} of it or more")
    named = [f"{row.name} ({_where(row.figures)})" for row in lossy]
    parts.append(f"drops: {_listed(named)}" if named else "no drops")
    if words := _stages(lost):
        parts.append(f"frames that the node reports as lost: {words}")
    if unseen := sum(row.figures.lost.get("dds", 0) for row in lossy):
        parts.append(f"{unseen} messages were lost between the node and this monitor")
    return "; ".join(parts)


def _where(figures: ArrivalSummary) -> str:
    words = _stages(figures.lost)
    return f"{figures.drops}: {words}" if words else str(figures.drops)


def _share(row: TopicRow) -> float:
    return row.figures.fps / (row.figures.expected_fps or 1.0)


def _drops(row: TopicRow) -> int:
    return row.figures.drops or 0


def _listed(names: Sequence[str]) -> str:
    """The first names, and the number of the others."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


class Screen:
    """Output of the live table: the top lines of a terminal, or plain lines."""

    def __init__(self) -> None:
        self.period_s = _TERMINAL_PERIOD_S if sys.stdout.isatty() else _PLAIN_PERIOD_S
        self._reserved = 0

    def draw(self, lines: Sequence[str]) -> None:
        """Show the current table."""
        columns, rows = shutil.get_terminal_size()
        if not sys.stdout.isatty() or len(lines) + 4 > rows:
            print("\n".join(lines), end="\n\n", flush=True)
            return
        start = ""
        if self._reserved != len(lines):  # output of other processes scrolls below the table
            self._reserved = len(lines)
            start = f"\x1b[2J\x1b[{len(lines) + 2};{rows}r\x1b[{len(lines) + 2};1H"
        shown = "".join(f"{line[:columns]}\x1b[K\r\n" for line in lines)
        print(f"{start}\x1b7\x1b[H{shown}\x1b8", end="", flush=True)

    def release(self) -> None:
        """Restore the terminal."""
        if self._reserved:
            rows = shutil.get_terminal_size().lines
            print(f"\x1b[r\x1b[{rows};1H", flush=True)
            self._reserved = 0
