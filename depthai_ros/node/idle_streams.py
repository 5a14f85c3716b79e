"""Decides which streams a device need not send, because nobody has wanted them for a while."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from ..streams import STREAMS


class Change(NamedTuple):
    """Streams to open again, and streams to close."""

    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()


class IdleStreamPolicy:
    """Which streams of one pipeline stand still. Times are seconds of any steady clock.

    One stream always goes on: a device that sends nothing takes its host for dead and restarts.
    Source: docs/wire_format.md#watchdogs
    """

    def __init__(self, streams: Iterable[str], hold_s: float) -> None:
        """`hold_s`: how long a stream goes on that nobody wants; 0 = for ever."""
        self.stopped: frozenset[str] = frozenset()
        self._streams = tuple(name for name in streams if STREAMS[name].pace == "exposure")
        self._hold_s = hold_s
        self._wanted_s: dict[str, float] = {}  # when each stream was wanted last

    def decide(self, wanted: Collection[str], now_s: float) -> Change:
        """What has to change; taken for done."""
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
    """A camera's small pictures rather than large ones; a network may be slower than a watchdog."""
    return STREAMS[stream].camera == "nn", STREAMS[stream].window_bytes
