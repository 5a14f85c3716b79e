"""Decides which streams the device may stop because they had no subscriber for a while."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from ..streams import STREAMS


class Change(NamedTuple):
    """Streams to reopen, and streams to close."""

    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()


class IdleStreamPolicy:
    """Decides which streams of one pipeline are stopped. Times are seconds of any steady clock.

    One stream always runs: a device that sends nothing assumes that its host is dead and restarts.
    Source: docs/wire_format.md#watchdogs
    """

    def __init__(self, streams: Iterable[str], hold_s: float) -> None:
        """`hold_s`: how long a stream keeps running without a subscriber; 0 = for ever."""
        self.stopped: frozenset[str] = frozenset()
        self._streams = tuple(name for name in streams if STREAMS[name].pace == "exposure")
        self._hold_s = hold_s
        self._wanted_s: dict[str, float] = {}  # time of each stream's last demand

    def decide(self, wanted: Collection[str], now_s: float) -> Change:
        """The streams to start and stop now; the policy assumes that the caller does it."""
        if self._hold_s <= 0.0:
            return Change()
        for stream in self._streams:
            if stream in wanted or stream not in self._wanted_s:
                self._wanted_s[stream] = now_s
        idle = {name for name, last_s in self._wanted_s.items() if now_s - last_s >= self._hold_s}
        if idle.issuperset(self._streams):
            idle.discard(min(self._streams, key=_cost, default=""))
        change = Change(
            start=tuple(name for name in self._streams if name in self.stopped - idle),
            stop=tuple(name for name in self._streams if name in idle - self.stopped),
        )
        self.stopped = frozenset(idle)
        return change


def _cost(stream: str) -> tuple[bool, int]:
    """Sort key: the smallest camera stream stays alive. A network may be slower than a watchdog."""
    return STREAMS[stream].camera == "nn", STREAMS[stream].window_bytes
