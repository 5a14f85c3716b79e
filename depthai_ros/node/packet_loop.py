"""The thread between the device's packets and the topics.

`PacketLoop` takes packets from the pipeline, groups them by exposure if `sync.enable` is set, and
publishes them through `StreamPublishers`, which build messages only for topics with subscribers.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from ..config.settings import Settings, host_rate_limit, stream_list
from ..device.clock import StampSource
from ..device.pipeline import Failures, Frame, RunningPipeline, count_failure
from ..errors import DecodeError, LinkError
from ..messages.builders import PACKET_HOOKS
from ..messages.context import MessageContext
from ..messages.derived import DEPTH
from ..messages.exposure_sync import ExposureSet, Sync
from ..messages.images import StampedPacket
from ..messages.stream_stats import SKIPPED, StreamCounts
from ..rates import RateLimiter
from ..streams import STREAMS
from .idle_streams import IdleStreamPolicy
from .publishers import NOTHING_SENT, StreamPublishers
from .workers import Workers

_WAIT_S = 0.5
_JOIN_S = 10.0
#: How often the subscribers are checked, if `sync.enable` or `publish.idle_hold_s` needs it.
_LOOK_S = 0.1
_NEVER_NS = 1 << 62
_NO_COUNTS = StreamCounts()
#: Cameras that expose at the same moment.
_PAIR = ("left", "right")


class PacketLoop:
    """The thread between a pipeline and the topics.

    `on_lost` is called from it, once, when the link breaks or a bug ends it.
    """

    def __init__(
        self,
        pipeline: RunningPipeline,
        context: MessageContext,
        publishers: StreamPublishers,
        stamps: StampSource,
        on_lost: Callable[[Exception], None],
    ) -> None:
        self._pipeline = pipeline
        self._context = context
        self._publishers = publishers
        self._stamps = stamps
        self._on_lost = on_lost
        self.first_frame = threading.Event()  # set when it has arrived
        self._stopping = threading.Event()
        self._rejected: Failures = {}  # malformed
        self._refused: Failures = {}  # by the middleware
        self._reporting = threading.Lock()
        self._earlier = dict(context.health.counts)  # of the runs before this one
        settings = pipeline.settings
        self._sync = _make_sync(pipeline) if settings["sync.enable"] else None
        self._limiters = _make_limiters(settings)
        self._publishes_incomplete = settings["sync.incomplete"] == "publish"
        context.health.sync = self._sync.tallies if self._sync is not None else None
        hold_s = settings["publish.idle_hold_s"]
        self._idle_streams = IdleStreamPolicy(pipeline.streams, hold_s)
        self._look_s = 0.0 if self._sync is not None or hold_s > 0.0 else math.inf
        self._workers = Workers(context, publishers, on_lost)
        self._thread = threading.Thread(target=self._run, name="packet-loop")
        self._thread.start()

    def stop(self) -> None:
        """End the thread and the pipeline."""
        self._stopping.set()
        self._pipeline.stop()
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)
        if self._sync is not None:
            self._publish_sets(self._sync.expire(_NEVER_NS), send=False)
        self._workers.stop()
        self.report_counts()
        self._pipeline.close()

    def report_counts(self) -> None:
        """Copy the counts into the health report; any thread may do so, also after the end."""
        with self._reporting:
            self._context.health.counts = self.counts()

    def counts(self) -> dict[str, StreamCounts]:
        """What became of every packet, by stream; earlier runs of the streams included."""
        rejected, dropped = self.rejected(), self._pipeline.dropped()
        counts = dict(self._earlier)
        for wire_stream in self._pipeline.streams:
            for stream in self._publishers.all_from(wire_stream):
                lost = {
                    "link": dropped.get(wire_stream, 0),
                    "loop": rejected.get(stream, (0, ""))[0],
                }
                run = self._context.health.stream_stats[stream].counts()
                counts[stream] = counts.get(stream, _NO_COUNTS) + run + StreamCounts(lost)
        for topic in self._publishers.compressed:
            run = self._context.health.stream_stats[topic].counts()
            counts[topic] = counts.get(topic, _NO_COUNTS) + run
        return counts

    def rejected(self) -> Mapping[str, tuple[int, str]]:
        """By stream: number of malformed packets, and the last error."""
        malformed, rejected = self._pipeline.rejected(), dict(self._rejected)
        for wire_stream, (count, reason) in malformed.items():
            for stream in self._publishers.all_from(wire_stream):
                others, last = rejected.get(stream, (0, ""))
                rejected[stream] = (others + count, last or reason)
        return rejected

    def refused(self) -> Mapping[str, tuple[int, str]]:
        """By stream: number of packets that the middleware refused, and the last error."""
        return {**self._refused, **self._workers.refused()}

    def failed(self) -> Mapping[str, tuple[int, str]]:
        """By output of the workers: number of packets of which nothing could be made, and why."""
        return self._workers.failed()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if time.monotonic() >= self._look_s:
                    self._look_who_listens()
                if self._pipeline.wait(self._patience_s()):
                    for frame in self._pipeline.recent_frames():
                        self._take(frame)
                        self.first_frame.set()
                if self._sync is not None:
                    self._publish_sets(self._sync.expire(time.monotonic_ns()))
        except Exception as cause:  # an exception would end only this thread
            if not (self._stopping.is_set() and isinstance(cause, LinkError)):
                self._on_lost(cause)

    def _patience_s(self) -> float:
        """Longest wait for packets, until the next exposure set expires."""
        deadline_ns = self._sync.deadline_ns if self._sync is not None else None
        if deadline_ns is None:
            return _WAIT_S
        return min(_WAIT_S, max(0.0, (deadline_ns - time.monotonic_ns()) / 1e9))

    def _look_who_listens(self) -> None:
        """Start and stop device streams by demand, and wait only for members that are needed."""
        now_ns = time.monotonic_ns()
        self._look_s = now_ns / 1e9 + _LOOK_S
        wanted = self._publishers.wanted()
        change = self._idle_streams.decide(wanted, now_ns / 1e9)
        for stream in change.start:
            self._pipeline.resume(stream)
        for stream in change.stop:
            self._pipeline.pause(stream)
        for wire_stream in (*change.start, *change.stop):
            for stream in self._publishers.all_from(wire_stream):
                self._context.health.stream_stats[stream].hold(wire_stream in change.stop, now_ns)
        if self._sync is not None:
            self._publish_sets(self._sync.expect(wanted, now_ns))

    def _take(self, frame: Frame) -> None:
        """Publish one packet, or add it to the set of its exposure."""
        row = STREAMS[frame.stream]
        packet = StampedPacket(
            stream=row,
            data=frame.data,
            buffer=frame.packet.buffer,
            metadata=frame.metadata,
            stamp_ns=self._stamps.stamp_ns(frame.metadata, frame.received_ns, frame.stream),
            received_ns=frame.received_ns,
            settings=self._context.images,
            serial=frame.packet.serial,
        )
        if self._context.latest.is_waited_for:
            self._context.latest.put(packet)
        if row.layout in PACKET_HOOKS:
            try:
                PACKET_HOOKS[row.layout](self._context, packet)
            except DecodeError as cause:
                for stream in self._publishers.all_from(frame.stream):
                    count_failure(self._rejected, stream, cause)
                return
        sync = self._sync
        if sync is None or frame.stream not in sync.expected:
            self._publish(packet)
        else:
            now_ns = time.monotonic_ns()
            self._publish_sets(sync.add(frame.stream, packet.stamp_ns, now_ns, packet))

    def _publish_sets(
        self, sets: Iterable[ExposureSet[StampedPacket]], *, send: bool = True
    ) -> None:
        for exposure in sets:
            complete = self._publishes_incomplete or not exposure.missing
            for packet in exposure.members.values():
                self._publish(packet, send=send and complete)

    def _publish(self, packet: StampedPacket, *, send: bool = True) -> None:
        """Publish every topic of every stream that is made from this packet.

        The workers get it afterwards: until then its pixels may change in place.
        """
        own, is_filtering = packet.stream.name, self._context.derived.is_filtering
        for stream in self._publishers.made_from(own):
            fate, sent = "" if send else "loop", NOTHING_SENT
            if self._is_beyond_rate(stream, packet):
                fate = SKIPPED
            elif send:
                try:
                    sent = self._publishers.send(
                        stream, self._context, packet, skip_filtered=is_filtering
                    )
                    if stream != own and own == DEPTH:
                        self._workers.convert(stream, packet)
                except DecodeError as cause:
                    for name in (stream, *self._publishers.worked_from(stream)):
                        count_failure(self._rejected, name, cause)
                    continue
                if sent.refused:
                    count_failure(self._refused, stream, sent.refusal)
            if not (is_filtering and stream == DEPTH):  # which the workers count
                self._context.health.stream_stats[stream].add(packet.passage(fate or sent.fate))
            if stream == own:
                self._workers.offer(packet, sent, fate, is_filtering=is_filtering)
            else:
                self._workers.compress(stream, packet, fate)

    def _is_beyond_rate(self, stream: str, packet: StampedPacket) -> bool:
        """True if `max_fps` drops the packet, which the device sent for another stream."""
        limiter, metadata = self._limiters.get(stream), packet.metadata
        if limiter is None or metadata is None:
            return False
        return not limiter.keeps(metadata.timestamp_ns)


def _make_limiters(settings: Settings) -> dict[str, RateLimiter]:
    """The rate limiters of the streams that share a faster wire stream."""
    limits = {stream: host_rate_limit(settings, stream) for stream in stream_list(settings)}
    fps = settings["camera.mono.fps"]
    return {stream: RateLimiter(fps, limit) for stream, limit in limits.items() if limit}


def _make_sync(pipeline: RunningPipeline) -> Sync[StampedPacket]:
    pair = [name for name in pipeline.streams if STREAMS[name].camera in _PAIR]
    return Sync(pair, round(pipeline.settings["sync.timeout_ms"] * 1e6))
