"""Threads that work on packets for several outputs.

Each output has a lane with room for one waiting packet; a newer one replaces it, and the replaced
one is counted as lost at the stage `worker.NAME`. The packets of one output are worked on in their
order, those of different outputs at the same time.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from ..messages.images import StampedPacket
from ..messages.stream_stats import WORKER, StreamStats
from .publishers import NOTHING_SENT, Sent

#: Threads: two outputs can be made at the same time.
_THREADS = 2
_JOIN_S = 10.0


@dataclass(slots=True)
class Job:
    """One packet of an output; `fate` is empty until it is known, see `Passage`.

    `due_ns`: when to work on it (monotonic), unless what it waits for comes earlier. `sent`: what
    was published of it before. `counted`: the packet for the statistics, None = `packet`.
    """

    packet: StampedPacket
    fate: str = ""
    due_ns: int = 0
    sent: Sent = NOTHING_SENT
    counted: StampedPacket | None = None


@dataclass(slots=True)
class _Lane:
    """The packets of one output in order: decided ones, and at most one that waits."""

    name: str
    stats: StreamStats
    jobs: deque[Job] = field(default_factory=deque)
    is_busy: bool = False  # with the first
    turn: int = 0  # when it was last worked on

    def add(self, job: Job) -> None:
        """Add a packet; one that is to be worked on replaces the waiting one."""
        if not job.fate:
            for waiting in islice(self.jobs, int(self.is_busy), None):
                waiting.fate = waiting.fate or WORKER + self.name
        self.jobs.append(job)

    def decided(self) -> list[Job]:
        """Count and remove the packets whose fate is known, up to the first that waits."""
        rows = []
        while self.jobs and self.jobs[0].fate:
            job = self.jobs.popleft()
            self.stats.add((job.counted or job.packet).passage(job.fate))
            rows.append(job)
        return rows

    @property
    def waiting(self) -> Job | None:
        """The packet to work on next."""
        return None if self.is_busy or not self.jobs else self.jobs[0]


def _due_ns(job: Job) -> int:
    return job.due_ns


class Lanes:
    """The lanes of some outputs, and their threads, which are called `thread` and a number.

    `make` works on one packet of an output and returns its fate. `on_lost` is called once if a bug
    ends the threads. `due_ns`: when to work on a packet. `on_counted` gets the packets of an output
    whose fate has been counted.
    """

    def __init__(
        self,
        stats: Mapping[str, StreamStats],
        make: Callable[[str, Job], str],
        on_lost: Callable[[Exception], None],
        *,
        thread: str = "worker",
        due_ns: Callable[[Job], int] = _due_ns,
        on_counted: Callable[[str, list[Job]], None] | None = None,
    ) -> None:
        self._lanes = {name: _Lane(name, row) for name, row in stats.items()}
        self._make = make
        self._on_lost = on_lost
        self._due_ns = due_ns
        self._on_counted = on_counted
        self._changed = threading.Condition()
        self._stopping = False
        self._turn = 0
        self._threads = [
            threading.Thread(target=self._run, name=f"{thread}-{number}")
            for number in range(_THREADS if self._lanes else 0)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads. What still waits is lost."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(_JOIN_S)
        for lane in self._lanes.values():
            for job in lane.jobs:
                job.fate = job.fate or WORKER + lane.name
            self._count(lane)

    def add(self, name: str, job: Job) -> None:
        """Add a packet to the lane of an output."""
        lane = self._lanes[name]
        with self._changed:
            lane.add(job)
            self._changed.notify()
        if not lane.is_busy:
            self._count(lane)

    def wake(self) -> None:
        """Look again which packets are due."""
        with self._changed:
            self._changed.notify()

    def _count(self, lane: _Lane) -> None:
        with self._changed:
            jobs = lane.decided()
        if self._on_counted is not None and jobs:
            self._on_counted(lane.name, jobs)

    def _run(self) -> None:
        try:
            while (work := self._next()) is not None:
                lane, job = work
                fate = self._make(lane.name, job)
                with self._changed:
                    job.fate = fate
                    lane.is_busy = False
                    self._changed.notify()
                self._count(lane)
        except Exception as cause:  # an exception would end only this thread
            self._on_lost(cause)

    def _next(self) -> tuple[_Lane, Job] | None:
        """The next of the packets that are due; None at the end.

        The output that has waited longest comes first: by the age of its packet, one that is often
        replaced would never be old enough.
        """
        with self._changed:
            while not self._stopping:
                now_ns = time.monotonic_ns()
                waiting = [(lane, job) for lane in self._lanes.values() if (job := lane.waiting)]
                due = [row for row in waiting if self._due_ns(row[1]) <= now_ns]
                if due:
                    lane, job = min(due, key=lambda row: (row[0].turn, row[1].packet.received_ns))
                    self._turn += 1
                    lane.turn, lane.is_busy = self._turn, True
                    return lane, job
                next_ns = min((self._due_ns(job) for _, job in waiting), default=None)
                self._changed.wait(None if next_ns is None else (next_ns - now_ns) / 1e9)
        return None
