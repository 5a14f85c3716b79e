"""Spaces out repeated attempts, and decides which failures are logged."""

from __future__ import annotations

import time

#: The same failure is logged again after this long.
_REMIND_S = 60.0
#: Shortest search: after a reset a board is off the bus for a moment.
_LEAST_FIND_S = 3.0


class Backoff:
    """Pauses that double from one attempt to the next, up to a limit.

    After `most` failures there is no further attempt; 0 = no limit.
    """

    def __init__(self, *, most: int, initial_delay_s: float, max_delay_s: float) -> None:
        self.failures = 0
        self._most = most
        self._delay_s = min(initial_delay_s, max_delay_s)
        self._max_delay_s = max_delay_s
        self._logged = ""
        self._logged_s = 0.0

    @property
    def are_left(self) -> bool:
        """True if another attempt is allowed."""
        return self._most == 0 or self.failures < self._most

    def next_delay_s(self) -> float:
        """The pause before the next attempt."""
        delay_s = self._delay_s
        self._delay_s = min(2 * delay_s, self._max_delay_s)
        return delay_s

    def is_news(self, words: str) -> bool:
        """Count a failure; True if it has to be logged: it is a new one, or a minute has passed."""
        self.failures += 1
        now_s = time.monotonic()
        if words == self._logged and now_s - self._logged_s < _REMIND_S:
            return False
        self._logged, self._logged_s = words, now_s
        return True


def search_s(delay_s: float) -> float:
    """How long to search for a board on USB; replaces the pause, so that it is found at once."""
    return max(_LEAST_FIND_S, delay_s)


def remaining_s(delay_s: float, start_s: float) -> float:
    """The rest of the pause after an attempt that began at `start_s`."""
    return max(0.0, delay_s - (time.monotonic() - start_s))
