"""The log lines of a device that wait to be printed: few, short and printable."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ..bounded import clean_text

_NS_PER_S = 1_000_000_000
#: Lines that are kept in each second, and their characters.
_LINES_PER_S, _LONGEST_LINE = 50, 250
#: Lines that wait; the longest diagnostics.period_s of a device that reports once a second.
_MOST_WAITING = 1000


class DeviceLog:
    """The packet loop adds lines, the diagnostics timer takes them."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque(maxlen=_MOST_WAITING)
        self._second = -1
        self._room = 0  # lines that this second has left
        self._missing = 0  # lines left out since the last line that said so

    def add(self, lines: Sequence[object], received_ns: int) -> None:
        """Keep the first lines of each second, and say how many more there were."""
        second = received_ns // _NS_PER_S
        if second != self._second:
            self._second, self._room = second, _LINES_PER_S
        kept = [clean_text(str(line), _LONGEST_LINE) for line in lines[: self._room]]
        self._missing += len(lines) - len(kept)
        if self._missing and self._room:
            kept.append(f"{self._missing} more lines")
            self._missing = 0
        self._room = max(0, self._room - len(kept))
        self._waiting.extend(kept)

    def take(self) -> list[str]:
        """The lines that wait; each is returned once."""
        return [self._waiting.popleft() for _ in range(len(self._waiting))]
