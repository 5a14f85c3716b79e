"""Computes rate, drops and latency of one topic from the arrivals of its messages.

Each message has a stamp, a time of arrival and a size. Lost messages show as gaps between stamps:
the stamp is the moment of exposure, so two neighbours are one period of the expected rate apart,
however late they arrive.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .stream_stats import SKIPPED, StreamCounts

_NS_PER_S = 1_000_000_000
#: Number of newest latencies that are kept: 20 minutes at 30 Hz.
_LATENCIES_KEPT = 36_000


class Arrival(NamedTuple):
    """One message; `stamp_ns` is 0 if the message does not start with a header."""

    stamp_ns: int
    received_ns: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ArrivalSummary:
    """The measurements of one topic; None where there is no data."""

    count: int
    fps: float
    expected_fps: float | None
    drops: int | None
    latency_mean_ms: float | None
    latency_p99_ms: float | None
    mb_s: float
    lost: Mapping[str, int] = field(default_factory=dict)  # `drops` by stage, if that is known

    def summary(self, message_type: str) -> dict[str, Any]:
        """The topic's entry of a summary file."""
        return {
            "type": message_type,
            "count": self.count,
            "fps": _rounded(self.fps),
            "expected_fps": _rounded(self.expected_fps),
            "drops": self.drops,
            "lost": dict(self.lost),
            "latency_ms": {
                "mean": _rounded(self.latency_mean_ms),
                "p99": _rounded(self.latency_p99_ms),
            },
            "mb_s": _rounded(self.mb_s),
        }


class ArrivalStats:
    """Collects the arrivals of one topic. `expected_fps` may be set later; None = no fixed rate."""

    def __init__(self, *, expected_fps: float | None = None, stamped: bool = True) -> None:
        self.expected_fps = expected_fps
        self._stamped = stamped
        self._latencies_ms: deque[float] = deque(maxlen=_LATENCIES_KEPT)
        self._last_stamp_ns = 0
        self._count = self._bytes = self._drops = 0

    def add(self, arrivals: Iterable[Arrival]) -> None:
        """Add messages, in order of arrival."""
        for stamp_ns, received_ns, size_bytes in arrivals:
            self._count += 1
            self._bytes += size_bytes
            if self._stamped:
                self._latencies_ms.append((received_ns - stamp_ns) / 1e6)
                self._drops += self._gap(stamp_ns)
                self._last_stamp_ns = stamp_ns

    def _gap(self, stamp_ns: int) -> int:
        """Number of messages missing between the previous one and this one."""
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


def drops_by_stage(drops: int, feeding: Iterable[StreamCounts]) -> dict[str, int]:
    """Where the missing messages of a topic were lost: stage -> number; the sum is `drops`.

    `feeding` counts the packets of the streams that feed the topic. What the node did not lose was
    lost between node and subscriber. One of several streams is enough for a message, so the stream
    with the fewest losses counts.
    """
    counts = min(feeding, key=_absent, default=StreamCounts())
    result, left = {}, drops
    for stage, lost in counts.lost.items():
        lost += counts.of(SKIPPED) if stage == "device" else 0
        result[stage] = min(left, lost)
        left -= result[stage]
    result["dds"] += left
    return result


def _absent(counts: StreamCounts) -> int:
    return counts.lost_total + counts.of(SKIPPED)


def percentile(ordered: list[float], share: float) -> float | None:
    """Smallest value that is not exceeded by `share` of the sorted values; None without values."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
