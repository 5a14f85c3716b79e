"""The worker stage: makes derived outputs beside the packet loop.

The packet loop hands packets over and never waits. Each output has room for one waiting packet; a
newer one replaces it, and the replaced one is counted as lost at the stage `worker.NAME`. The
packets of one output are worked on in their order, those of different outputs at the same time.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice

from ..device.pipeline import Failures, count_failure
from ..errors import DecodeError
from ..messages.context import MessageContext
from ..messages.derived import CLOUD, DEPTH, FILTERS
from ..messages.images import StampedPacket
from ..messages.stream_stats import UNSUBSCRIBED, WORKER, StreamStats
from ..streams import COLOR_STREAMS
from .publishers import NOTHING_SENT, Sent, StreamPublishers

#: Threads: two outputs can be made at the same time.
_THREADS = 2
_JOIN_S = 10.0
#: Packets of the colour stream from which the nearest is chosen.
_MOST_COLORS = 3


@dataclass(slots=True)
class _Job:
    """One packet of an output; `fate` is empty until it is known, see `Passage`."""

    packet: StampedPacket
    sent: Sent  # by the packet loop
    due_ns: int = 0  # monotonic; it starts earlier if the packet that it waits for has come
    fate: str = ""


@dataclass(slots=True)
class _Lane:
    """The packets of one output in order: decided ones, and at most one that waits."""

    name: str
    stats: StreamStats
    jobs: deque[_Job] = field(default_factory=deque)
    is_busy: bool = False  # with the first

    def add(self, job: _Job) -> None:
        """Add a packet; one that is to be worked on replaces the waiting one."""
        if not job.fate:
            for waiting in islice(self.jobs, int(self.is_busy), None):
                waiting.fate = waiting.fate or WORKER + self.name
        self.jobs.append(job)

    def decided(self) -> list[_Job]:
        """Count and remove the packets whose fate is known, up to the first that waits."""
        rows = []
        while self.jobs and self.jobs[0].fate:
            rows.append(self.jobs.popleft())
            self.stats.add(rows[-1].packet.passage(rows[-1].fate))
        return rows

    @property
    def waiting(self) -> _Job | None:
        """The packet to work on next."""
        return None if self.is_busy or not self.jobs else self.jobs[0]


class Workers:
    """The worker threads of one run of the streams; `on_lost` is called once if a bug ends them."""

    def __init__(
        self,
        context: MessageContext,
        publishers: StreamPublishers,
        on_lost: Callable[[Exception], None],
    ) -> None:
        self._context = context
        self._publishers = publishers
        self._on_lost = on_lost
        settings = context.health.settings
        self._color_stream = COLOR_STREAMS[settings["points.color"]]
        self._patience_ns = round(settings["points.max_rgb_age_ms"] * 1e6)
        stats = context.health.stream_stats
        outputs = {FILTERS: DEPTH} if DEPTH in stats else {}
        outputs |= {name: name for name in publishers.outputs}
        self._lanes = {name: _Lane(name, stats[counted]) for name, counted in outputs.items()}
        self._colors: deque[StampedPacket] = deque(maxlen=_MOST_COLORS)
        self._failed: Failures = {}
        self._refused: Failures = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"worker-{number}")
            for number in range(_THREADS if self._lanes else 0)
        ]
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
        for lane in self._lanes.values():  # the filters first
            for job in lane.jobs:
                job.fate = job.fate or WORKER + lane.name
            self._count(lane)

    def failed(self) -> Failures:
        """By output: packets of which no message could be made, and the last error."""
        return dict(self._failed)

    def refused(self) -> Failures:
        """By output: packets of which the middleware refused a message, and the last error."""
        return dict(self._refused)

    # -- called by the packet loop

    def offer(self, packet: StampedPacket, sent: Sent, fate: str, *, is_filtering: bool) -> None:
        """Hand over a packet that the packet loop has finished, and what it has `sent` of it.

        `fate`: nothing is to be made of the packet, for this reason; "" = all that is needed.
        """
        stream = packet.stream.name
        if stream == DEPTH and is_filtering:
            outputs = self._publishers.worked_from(stream)
            is_needed = self._publishers.is_heard(DEPTH, only_filtered=True) or any(
                map(self._publishers.is_heard, outputs)
            )
            self._add(FILTERS, _Job(packet, sent, fate=fate or ("" if is_needed else sent.fate)))
        else:
            self._offer_outputs(packet, fate)
        if stream == self._color_stream and not fate:
            self._keep_color(packet)

    def _keep_color(self, packet: StampedPacket) -> None:
        with self._changed:
            if self._publishers.is_heard(CLOUD):
                self._colors.append(packet)
                self._changed.notify()
            else:
                self._colors.clear()

    def _offer_outputs(self, packet: StampedPacket, fate: str = "") -> None:
        for name in self._publishers.worked_from(packet.stream.name):
            has_patience = name == CLOUD and bool(self._color_stream)
            due_ns = packet.received_ns + self._patience_ns if has_patience else 0
            heard = self._publishers.is_heard(name)
            job = _Job(packet, NOTHING_SENT, due_ns, fate or ("" if heard else UNSUBSCRIBED))
            self._add(name, job)

    def _add(self, name: str, job: _Job) -> None:
        lane = self._lanes[name]
        with self._changed:
            lane.add(job)
            self._changed.notify()
        if not lane.is_busy:
            self._count(lane)

    def _count(self, lane: _Lane) -> None:
        with self._changed:
            jobs = lane.decided()
        if lane.name == FILTERS:  # what is lost there is lost for everything behind it
            for job in jobs:
                if job.fate == WORKER + FILTERS:
                    self._offer_outputs(job.packet, job.fate)

    # -- the threads

    def _run(self) -> None:
        try:
            while (work := self._next()) is not None:
                lane, job = work
                fate = self._made(lane, job)
                with self._changed:
                    job.fate = fate
                    lane.is_busy = False
                    self._changed.notify()
                self._count(lane)
        except Exception as cause:  # an exception would end only this thread
            self._on_lost(cause)

    def _next(self) -> tuple[_Lane, _Job] | None:
        """The packet that waits longest of those that are due; None at the end."""
        with self._changed:
            while not self._stopping:
                now_ns = time.monotonic_ns()
                waiting = [(lane, job) for lane in self._lanes.values() if (job := lane.waiting)]
                due = [row for row in waiting if self._due_ns(row[1]) <= now_ns]
                if due:
                    lane, job = min(due, key=lambda row: row[1].packet.received_ns)
                    lane.is_busy = True
                    return lane, job
                next_ns = min((self._due_ns(job) for _, job in waiting), default=None)
                self._changed.wait(None if next_ns is None else (next_ns - now_ns) / 1e9)
        return None

    def _due_ns(self, job: _Job) -> int:
        """When to work on a packet: at once if the packet that it waits for has come."""
        colors = self._colors
        has_come = bool(colors) and colors[-1].stamp_ns >= job.packet.stamp_ns
        return 0 if has_come else job.due_ns

    def _made(self, lane: _Lane, job: _Job) -> str:
        """Make the messages of one packet, and publish them; returns its fate."""
        publishers, context, packet = self._publishers, self._context, job.packet
        try:
            if lane.name == FILTERS:
                packet = context.derived.filtered(packet)
                sent = publishers.send(DEPTH, context, packet, only_filtered=True)
                self._offer_outputs(packet)
            else:
                sent = self._output(lane.name, packet)
        except DecodeError as cause:
            count_failure(self._failed, lane.name, cause)
            return WORKER + lane.name
        if sent.refused:
            count_failure(self._refused, lane.name, sent.refusal)
        return job.sent.plus(sent).fate

    def _output(self, name: str, packet: StampedPacket) -> Sent:
        if name == CLOUD and self._color_stream:
            packet = replace(packet, beside=self._color_of(packet))
        made = self._context.derived.made(name, packet)
        return self._publishers.send(name, self._context, made) if made else NOTHING_SENT

    def _color_of(self, packet: StampedPacket) -> StampedPacket | None:
        """The nearest packet of the colour stream; None, and counted, if it is too far away."""

        def distance_ns(color: StampedPacket) -> int:
            return abs(color.stamp_ns - packet.stamp_ns)

        with self._changed:
            nearest = min(self._colors, key=distance_ns, default=None)
        aligned = self._color_stream != COLOR_STREAMS["rgb"]
        most_ns = 0 if aligned else self._patience_ns
        if nearest is None or distance_ns(nearest) > most_ns:
            self._lanes[CLOUD].stats.without_color += 1
            return None
        return nearest
