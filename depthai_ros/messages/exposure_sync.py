"""Groups the packets of one exposure.

Packets of one exposure have the same stamp (`clock.StampSource` ensures it), and each stream
delivers its packets in order. A stream that has delivered a later exposure will not add to an
earlier one, so most gaps are known without waiting; for the rest there is a timeout.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

#: Largest number of waiting exposures, independent of the timeout: they hold image buffers.
MOST_WAITING = 8
#: Number of ended exposures that are remembered, to recognise packets that are too late.
_REMEMBERED = 64


@dataclass(slots=True)
class Tally:
    """Counts of one stream: packets in complete and incomplete sets, and missing packets."""

    complete: int = 0
    incomplete: int = 0
    missing: int = 0

    def since(self, before: Tally) -> Tally:
        """The difference to an earlier copy; 0 where the counters have been restarted."""
        return Tally(
            max(0, self.complete - before.complete),
            max(0, self.incomplete - before.incomplete),
            max(0, self.missing - before.missing),
        )


@dataclass(frozen=True, slots=True)
class ExposureSet(Generic[T]):
    """The packets of one exposure, by stream; `missing` are the expected streams without one."""

    stamp_ns: int
    members: dict[str, T]
    missing: frozenset[str]


@dataclass(slots=True)
class _Waiting(Generic[T]):
    until_ns: int
    members: dict[str, T] = field(default_factory=dict)


class Sync(Generic[T]):
    """Collects packets until an exposure is complete, or cannot become complete.

    `tallies` has a row for each stream that can take part. Times are the host's monotonic clock.
    """

    def __init__(self, streams: Iterable[str], timeout_ns: int) -> None:
        self.tallies = {stream: Tally() for stream in streams}
        self._timeout_ns = timeout_ns
        self._expected: frozenset[str] = frozenset()
        self._waiting: dict[int, _Waiting[T]] = {}  # by stamp
        self._newest_ns: dict[str, int] = {}  # stamp of each stream's last packet
        self._ended: deque[int] = deque(maxlen=_REMEMBERED)

    @property
    def expected(self) -> frozenset[str]:
        """The streams of a complete set; `add()` takes packets of these only."""
        return self._expected

    def expect(self, streams: Collection[str], now_ns: int) -> list[ExposureSet[T]]:
        """Set the streams of a complete set; returns the sets that end by this."""
        expected = frozenset(streams) & self.tallies.keys()
        if expected == self._expected:
            return []
        self._expected = expected
        return self.expire(now_ns)

    def add(self, stream: str, stamp_ns: int, now_ns: int, item: T) -> list[ExposureSet[T]]:
        """Add one packet of an expected stream; returns the sets that have ended, oldest first."""
        self._newest_ns[stream] = stamp_ns
        waiting = self._waiting.get(stamp_ns)
        if stamp_ns in self._ended or (waiting is not None and stream in waiting.members):
            return [self._late(stream, stamp_ns, item)]
        if waiting is None:
            waiting = self._waiting[stamp_ns] = _Waiting(now_ns + self._timeout_ns)
        waiting.members[stream] = item
        return self.expire(now_ns)

    def expire(self, now_ns: int) -> list[ExposureSet[T]]:
        """Sets that are complete, cannot become complete, or timed out; oldest first.

        A set waits for every older one that may still become complete.
        """
        ended = []
        for stamp_ns in sorted(self._waiting):
            if len(self._waiting) <= MOST_WAITING and not self._has_ended(stamp_ns, now_ns):
                break
            ended.append(self._end(stamp_ns))
        return ended

    @property
    def deadline_ns(self) -> int | None:
        """When `expire()` is due; None if no set is waiting."""
        return self._waiting[min(self._waiting)].until_ns if self._waiting else None

    def _late(self, stream: str, stamp_ns: int, item: T) -> ExposureSet[T]:
        """A set of one packet: its exposure has ended, or already has a packet of this stream."""
        self.tallies[stream].incomplete += 1
        return ExposureSet(stamp_ns, {stream: item}, self._expected - {stream})

    def _has_ended(self, stamp_ns: int, now_ns: int) -> bool:
        waiting = self._waiting[stamp_ns]
        missing = self._expected - waiting.members.keys()
        overtaken = any(self._newest_ns.get(stream, stamp_ns) > stamp_ns for stream in missing)
        return not missing or overtaken or now_ns >= waiting.until_ns

    def _end(self, stamp_ns: int) -> ExposureSet[T]:
        self._ended.append(stamp_ns)
        members = self._waiting.pop(stamp_ns).members
        missing = self._expected - members.keys()
        for stream in members:
            if missing:
                self.tallies[stream].incomplete += 1
            else:
                self.tallies[stream].complete += 1
        for stream in missing:
            self.tallies[stream].missing += 1
        return ExposureSet(stamp_ns, members, missing)
