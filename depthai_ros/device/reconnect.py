"""Starts a lost pipeline again: the thread, its pauses, its limits, and what is logged.

`Recovery` serves the camera node and the Gen1 API. Their part, to start and to end a pipeline and
to report, is a `Recoverable`.
"""

from __future__ import annotations

import mmap
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

from ..config import Settings, wire_streams
from ..errors import DepthaiError, ProtocolError
from .pipeline import watchdog_s

#: The same words are logged again after this long.
_REMIND_S = 60.0
#: Shortest search: after a reset a board is off the bus for a moment.
_LEAST_FIND_S = 3.0
#: A pipeline that is lost again sooner than two times its watchdog counts as a failed attempt.
_STEADY_WATCHDOGS = 2
#: Bugs in a row after which there is no further attempt.
_MAX_BUGS = 3
_CHECK_S = 0.05
#: Memory that must be free for the threads of a pipeline to begin.
_THREAD_BYTES = 16 << 20


def is_bug(cause: Exception | str) -> bool:
    """True for an exception that only a mistake in this driver can cause.

    False for errors of a device, its cable, a file, or a machine without memory or descriptors.
    """
    if isinstance(cause, ProtocolError):
        return cause.culprit == "host"
    return not isinstance(cause, (str, DepthaiError, OSError, MemoryError))


class Repeats:
    """Decides which of many equal log lines are written: one a minute."""

    def __init__(self) -> None:
        self._words = ""
        self._since_s = 0.0
        self._count = 0

    def text(self, words: str) -> str:
        """The line to log; "" if the same was logged less than a minute ago."""
        now_s = time.monotonic()
        if words == self._words and now_s - self._since_s < _REMIND_S:
            self._count += 1
            return ""
        again = f" (and {self._count} times before)" if words == self._words and self._count else ""
        self._words, self._since_s, self._count = words, now_s, 0
        return words + again


class Backoff:
    """Pauses that double from one attempt to the next, up to a limit.

    The first attempt comes `at_once`, or after a first pause. After `most` failures in a row there
    is no further attempt; 0 = no limit. `watchdog_s` is that of the pipeline.
    """

    def __init__(
        self,
        *,
        most: int,
        initial_delay_s: float,
        max_delay_s: float,
        watchdog_s: float,
        at_once: bool = False,
    ) -> None:
        self.failures = 0
        self.bugs = 0
        self._most = most
        self._delay_s = min(initial_delay_s, max_delay_s)
        self._max_delay_s = max_delay_s
        self._at_once = at_once
        self.steady_s = _STEADY_WATCHDOGS * watchdog_s

    @classmethod
    def of(cls, settings: Settings, *, at_once: bool = False) -> Backoff:
        """Pauses and limits as the options say."""
        return cls(
            most=settings["reconnect.max_attempts"],
            initial_delay_s=settings["reconnect.initial_delay_s"],
            max_delay_s=settings["reconnect.max_delay_s"],
            watchdog_s=watchdog_s(settings, wire_streams(settings)),
            at_once=at_once,
        )

    @property
    def are_left(self) -> bool:
        """True if another attempt is allowed."""
        return self.bugs < _MAX_BUGS and (self._most == 0 or self.failures < self._most)

    @property
    def summary(self) -> str:
        """The failures so far, and which limit they count for."""
        if self.bugs >= _MAX_BUGS:
            return f"{self.bugs} bugs in a row"
        return f"{self.failures} reconnect attempts (reconnect.max_attempts)"

    def failed(self, cause: Exception | str) -> None:
        """Count a failed attempt."""
        self.failures += 1
        self.bugs += is_bug(cause)

    def attempts(self, pause: Callable[[float], bool]) -> Iterator[float]:
        """Yield how long each attempt may search for its board on USB, in s.

        `pause(s)` waits between attempts; if it returns True, there are no more. The search is a
        part of the pause, so that a board is found as soon as it is back.
        """
        rest_s = 0.0 if self._at_once else self._next_delay_s()
        while self.are_left and not pause(rest_s):
            delay_s, start_s = self._next_delay_s(), time.monotonic()
            yield max(_LEAST_FIND_S, delay_s)
            rest_s = max(0.0, delay_s - (time.monotonic() - start_s))

    def _next_delay_s(self) -> float:
        delay_s = self._delay_s
        self._delay_s = min(2 * delay_s, self._max_delay_s)
        return delay_s


class Recoverable(Protocol):
    """What a `Recovery` starts again. Its thread calls these methods, one at a time."""

    def on_loss(self, loss: Exception | str) -> Backoff | None:
        """Report a loss. None: the pipeline ends and is not started again."""

    def end_pipeline(self) -> None:
        """End the pipeline and close the device; may be called repeatedly."""

    def start_pipeline(self, find_s: float) -> None:
        """Connect and start. Raises  any error: the attempt has failed."""

    def on_failure(self, cause: Exception, failures: int) -> None:
        """Report a failed attempt, the last of `failures` in a row."""

    def on_return(self, away_s: float) -> None:
        """Report success."""

    def on_giving_up(self, backoff: Backoff) -> None:
        """Report that there is no further attempt."""


class Recovery:
    """The thread that starts a pipeline again, from its start by a user to its end by a user.

    `end()` is final: the next start by a user has a Recovery of its own. An owner that does not
    call `lost()` gives `find_loss`: the thread calls it every `check_s`, and it returns why the
    pipeline has to be started again, "" if all is well.
    """

    def __init__(
        self,
        owner: Recoverable,
        *,
        find_loss: Callable[[], str] = lambda: "",
        check_s: float | None = None,
    ) -> None:
        self._owner = owner
        self._find_loss = find_loss
        self._check_s = check_s
        self._changed = threading.Condition()
        self._has_ended = False  # set by end(), never cleared
        self._is_busy = False  # from a loss until the pipeline runs again
        self._loss: Exception | str = ""
        self._run = 0
        self._backoff: Backoff | None = None  # of the last recovery
        self._back_s = 0.0  # time of its success
        self._thread = threading.Thread(target=self._work, name="recovery", daemon=True)

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def run(self) -> int:
        """Number of the present pipeline; the next attempt has the next number."""
        return self._run

    @property
    def has_ended(self) -> bool:
        """True after `end()`."""
        return self._has_ended

    def lost(self, run: int, loss: Exception) -> None:
        """Report that pipeline number `run` has ended; only its first loss has an effect."""
        with self._changed:
            if run == self._run and not self._loss:
                self._loss = loss
                self._changed.notify_all()

    def demand(self, why: str) -> bool:
        """Start the pipeline again although nothing is lost; False during a recovery."""
        with self._changed:
            if self._is_busy or self._loss:
                return False
            self._loss = why
            self._changed.notify_all()
            return True

    def end(self) -> None:
        """End the thread; a pause ends at once, an attempt as soon as it looks at `has_ended`."""
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def wait_for_frame(self, arrived: threading.Event, timeout_s: float) -> None:
        """Wait in an attempt for the first frame, a loss, `end()`, or the timeout.

        Raises  the exception with which the pipeline was lost
        """
        end_s = time.monotonic() + timeout_s
        while time.monotonic() < end_s and not arrived.wait(_CHECK_S):
            if self._has_ended:
                return
            if isinstance(self._loss, Exception):
                raise self._loss

    # -- the thread

    def _work(self) -> None:
        while not self._has_ended:
            loss = self._next_loss()
            if not loss:
                continue
            try:
                self._recover(loss)
            except Exception as cause:  # raised by a report: the thread must not end
                self._owner.on_failure(cause, 0)
            self._is_busy = False
            loss = ""  # its traceback holds the lost pipeline: its socket, its packets

    def _next_loss(self) -> Exception | str:
        """The reason of the next recovery; "" after `check_s` without one, and after `end()`."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_ended or self._loss, self._check_s)
            if self._has_ended:
                return ""
            self._is_busy, loss = bool(self._loss), self._loss
        try:
            return loss or self._find_loss()
        except Exception as cause:
            return cause

    def _recover(self, loss: Exception | str) -> None:
        owner, lost_s = self._owner, time.monotonic()
        self._next_run()
        fresh = owner.on_loss(loss)
        if fresh is None:
            owner.end_pipeline()
            return
        backoff = self._backoff_after(loss, fresh)
        self._succeeds(owner.end_pipeline, backoff)
        for find_s in backoff.attempts(self._pause):
            self._next_run()
            if self._succeeds(partial(self._attempt, find_s), backoff):
                self._backoff, self._back_s = backoff, time.monotonic()
                self._is_busy = False
                owner.on_return(self._back_s - lost_s)
                return
            self._succeeds(owner.end_pipeline, backoff)
        if not self._has_ended:
            owner.on_giving_up(backoff)

    def _attempt(self, find_s: float) -> None:
        """Start the pipeline, if there is memory for its threads.

        Python waits forever for the start of a thread that finds none.
        """
        mmap.mmap(-1, _THREAD_BYTES).close()
        self._owner.start_pipeline(find_s)

    def _next_run(self) -> None:
        with self._changed:
            self._run, self._loss = self._run + 1, ""

    def _backoff_after(self, loss: Exception | str, fresh: Backoff) -> Backoff:
        """`fresh`, or the last one if the pipeline was lost again soon after its return."""
        last = self._backoff
        if (
            last is None
            or isinstance(loss, str)
            or time.monotonic() > self._back_s + fresh.steady_s
        ):
            last = fresh
        if last is not fresh or is_bug(loss):
            last.failed(loss)
        return last

    def _pause(self, pause_s: float) -> bool:
        """Wait; True after `end()`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._has_ended, pause_s)

    def _succeeds(self, step: Callable[[], None], backoff: Backoff) -> bool:
        """Run one step of an attempt. An exception after `end()` is no failure."""
        try:
            step()
        except Exception as cause:
            if not self._has_ended:
                backoff.failed(cause)
                self._owner.on_failure(cause, backoff.failures)
        else:
            return not self._has_ended
        return False
