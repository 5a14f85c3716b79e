"""Turns the arrivals of one topic's messages into rate, drops and latency.

A message is known by three numbers: its stamp, when it arrived, and its size. Lost messages show as
gaps between stamps: the stamp is the moment of exposure, so that two neighbours are one period of
the expected rate apart, however late either of them arrived.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

_NS_PER_S = 1_000_000_000
#: Latencies that are kept: 20 minutes at 30 Hz. Of longer runs the newest count.
_LATENCIES_KEPT = 36_000


class Arrival(NamedTuple):
    """One message. Without a header at its start it has no stamp (0)."""

    stamp_ns: int
    received_ns: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ArrivalSummary:
    """What was seen of one topic. None where there is nothing to tell from."""

    count: int
    fps: float
    expected_fps: float | None
    drops: int | None
    latency_mean_ms: float | None
    latency_p99_ms: float | None
    mb_s: float

    def summary(self, message_type: str) -> dict[str, Any]:
        """The topic's entry of a summary file."""
        return {
            "type": message_type,
            "count": self.count,
            "fps": _rounded(self.fps),
            "expected_fps": _rounded(self.expected_fps),
            "drops": self.drops,
            "latency_ms": {
                "mean": _rounded(self.latency_mean_ms),
                "p99": _rounded(self.latency_p99_ms),
            },
            "mb_s": _rounded(self.mb_s),
        }


class ArrivalStats:
    """Adds up one topic. `expected_fps` may be set when it becomes known; None = no rate."""

    def __init__(self, *, expected_fps: float | None = None, stamped: bool = True) -> None:
        self.expected_fps = expected_fps
        self._stamped = stamped
        self._latencies_ms: deque[float] = deque(maxlen=_LATENCIES_KEPT)
        self._last_stamp_ns = 0
        self._count = self._bytes = self._drops = 0

    def add(self, arrivals: Iterable[Arrival]) -> None:
        """Count messages, in order of arrival."""
        for stamp_ns, received_ns, size_bytes in arrivals:
            self._count += 1
            self._bytes += size_bytes
            if self._stamped:
                self._latencies_ms.append((received_ns - stamp_ns) / 1e6)
                self._drops += self._gap(stamp_ns)
                self._last_stamp_ns = stamp_ns

    def _gap(self, stamp_ns: int) -> int:
        """Messages that are missing between the last one and this."""
        if not self.expected_fps or not self._last_stamp_ns:
            return 0
        periods = (stamp_ns - self._last_stamp_ns) / _NS_PER_S * self.expected_fps
        return max(0, round(periods) - 1)

    def figures(self, duration_s: float) -> ArrivalSummary:
        """Everything so far, over `duration_s`."""
        latencies = sorted(self._latencies_ms)
        rated = self._stamped and self.expected_fps is not None
        return ArrivalSummary(
            count=self._count,
            fps=self._count / duration_s if duration_s > 0 else 0.0,
            expected_fps=self.expected_fps,
            drops=self._drops if rated else None,
            latency_mean_ms=sum(latencies) / len(latencies) if latencies else None,
            latency_p99_ms=percentile(latencies, 0.99),
            mb_s=self._bytes / 1e6 / duration_s if duration_s > 0 else 0.0,
        )


def percentile(ordered: list[float], share: float) -> float | None:
    """The smallest of sorted values that `share` of them do not exceed; None without values."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
