"""Keeps the newest packets of some streams while somebody waits for frames of one moment."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

from .images import StampedPacket

#: Packets of each stream that are kept: depth arrives some frames after its mono images.
_KEPT = 8
_LOOK_S = 0.1


class LatestPackets:
    """Packets for one waiting thread; `put` is called by another one.

    `is_waited_for` is False nearly always: then nothing is to be put.
    """

    def __init__(self) -> None:
        self.is_waited_for = False
        self._changed = threading.Condition()
        self._kept: dict[str, deque[StampedPacket]] = {}

    def put(self, packet: StampedPacket) -> None:
        """Keep a packet, if its stream is waited for."""
        with self._changed:
            kept = self._kept.get(packet.stream.name)
            if kept is not None:
                kept.append(packet)
                self._changed.notify()

    def wait_for(
        self,
        tolerances_ns: Mapping[str, int],
        *,
        timeout_s: float,
        has_ended: Callable[[], bool],
    ) -> dict[str, StampedPacket]:
        """One packet of each stream, whose stamp is within its tolerance from the first stream's.

        After `timeout_s`, or when `has_ended` is true: the streams that do not fit are missing.
        """
        end_s = time.monotonic() + timeout_s
        with self._changed:
            self._kept = {stream: deque(maxlen=_KEPT) for stream in tolerances_ns}
            self.is_waited_for = True
            try:
                while len(found := self._together(tolerances_ns)) < len(tolerances_ns):
                    if time.monotonic() >= end_s or has_ended():
                        break
                    self._changed.wait(_LOOK_S)
                return found
            finally:
                self.is_waited_for = False
                self._kept = {}

    def _together(self, tolerances_ns: Mapping[str, int]) -> dict[str, StampedPacket]:
        """The set of the most streams."""
        best: dict[str, StampedPacket] = {}
        for first in self._kept[next(iter(tolerances_ns))]:
            found: dict[str, StampedPacket] = {}
            for stream, tolerance_ns in tolerances_ns.items():
                for packet in self._kept[stream]:
                    away_ns = abs(packet.stamp_ns - first.stamp_ns)
                    nearest = found.get(stream)
                    if away_ns <= tolerance_ns and (
                        nearest is None or away_ns < abs(nearest.stamp_ns - first.stamp_ns)
                    ):
                        found[stream] = packet
            best = found if len(found) > len(best) else best
        return best
