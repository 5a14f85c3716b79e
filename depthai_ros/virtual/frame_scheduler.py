"""Triggers exposures at the frame rates and sends the packets of every open data stream."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from .. import _core, wire_formats
from ..errors import DepthaiError, LinkError
from ..rates import RateLimiter, packets_within
from ..streams import REPORT_HZ, STREAMS, WIRE_STREAMS
from .packet_factory import Exposure, PacketFactory, Parts
from .settings import VirtualSettings

_log = logging.getLogger(__name__)

#: Last packet of a stream without data. It fits every window and is valid JSON for `meta_d2h`.
_EMPTY_PACKET = b"{}\0"

#: rgb starts this many frames before the mono pair, unless sequence numbers are aligned.
RGB_LEAD = 5
#: Rendering may lag the sensors by this much, like frames in the device's buffers.
BUFFERED_S = 0.25
#: Interval at which a wait for credit checks whether the stream is still open.
_CREDIT_POLL_S = 0.1


@contextmanager
def part_of_session(link: _core.Link, name: str) -> Iterator[None]:
    """The work of a session's thread: an error of the link ends it, any other error the session."""
    try:
        yield
    except LinkError as cause:
        _log.debug("%s end: %s", name, cause)
    except Exception as cause:
        is_bug = not isinstance(cause, DepthaiError)
        _log.warning("session ends: %s: %s", name, cause, exc_info=is_bug)
        link.close()


class DeviceClock:
    """The device's uptime clock: offset and drift relative to the host's monotonic clock."""

    def __init__(self, uptime_s: float, drift_ppm: float) -> None:
        self._start_s = time.monotonic()
        self._uptime_s = uptime_s
        self._rate = 1 + drift_ppm / 1e6

    def now_s(self) -> float:
        """Seconds since boot on the device clock."""
        return self._uptime_s + (time.monotonic() - self._start_s) * self._rate

    def host_delay_s(self, device_s: float) -> float:
        """Host seconds until the device's clock shows `device_s`."""
        return (device_s - self.now_s()) / self._rate


@dataclass(slots=True)
class ExposureGroup:
    """Streams of the same exposures, in sending order."""

    streams: tuple[str, ...]
    fps: float
    lead: int  # first sequence number
    count: int = 0  # exposures so far
    late: int = 0  # exposures dropped because rendering fell behind


@dataclass(frozen=True, slots=True)
class LateStereo:
    """Stereo images of an exposure that are sent after its rgb images, at `due_s` or later."""

    due_s: float
    exposure: Exposure
    streams: tuple[str, ...]


def stereo_lag_s(sequence: int, limits_ms: tuple[float, float]) -> float:
    """Lag of the stereo images of an exposure behind its rgb images; the same in every session.

    0 for a negative lag: these are sent with their exposure, before the rgb images.
    """
    return max(0.0, random.Random(sequence).uniform(*limits_ms)) / 1000


@dataclass(slots=True)
class SentFrames:
    """The device's statement about one stream.

    `lost` counts frames between two packets that were sent: for which rendering was too late, the
    host gave no credit, or a fault applied. A host sees the same as gaps in the frame numbers.
    """

    sent: int = 0
    lost: int = 0
    last: int | None = None  # frame number of the last packet since the host opened the stream

    def add(self, sequence: int, spacing: float) -> None:
        """A packet was sent; without a loss the mean distance of two is `spacing` frames."""
        if self.last is not None:
            self.lost += max(0, packets_within(sequence - self.last, spacing) - 1)
        self.sent += 1
        self.last = sequence


class FrameScheduler:
    """The thread that makes and sends the packets of one pipeline."""

    def __init__(
        self,
        link: _core.Link,
        clock: DeviceClock,
        factory: PacketFactory,
        groups: Sequence[ExposureGroup],
        max_fps: Mapping[str, float],
        settings: VirtualSettings,
    ) -> None:
        self._link = link
        self._clock = clock
        self._factory = factory
        self._groups = groups
        self._limiters = {  # of one origin, so that streams of one rate have the same exposures
            stream: RateLimiter(group.fps, max_fps.get(stream, 0.0), origin_ns=0)
            for group in groups
            for stream in group.streams
        }
        self._fault = settings.fault
        self._waits = settings.pace == "receiver"
        self._lag_ms = settings.stereo_lag_ms
        self._late: deque[LateStereo] = deque()
        self._open: frozenset[str] = frozenset()
        self._made: Counter[str] = Counter()
        self.statement = {stream: SentFrames() for stream in WIRE_STREAMS}
        self._start_s = clock.now_s()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="frames", daemon=True)
        self._thread.start()

    def open(self, stream: str) -> None:
        """Start sending a stream."""
        if stream in self._limiters:
            self._limiters[stream].restart()
        self._open |= {stream}

    def close(self, stream: str) -> None:
        """Stop sending a stream; nothing for a stream of the session, such as config_d2h."""
        self._open -= {stream}
        if stream in self.statement:
            self.statement[stream].last = None

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopping.set()
        self._thread.join()
        lossy = [f"{name} {row.lost}" for name, row in self.statement.items() if row.lost]
        if lossy:
            _log.info("frames that were not sent: %s", ", ".join(lossy))

    def flush_last_packets(self) -> None:
        """Send one more packet on each stream that the host has not closed; call after `stop()`.

        The packet must be valid: the official host processes packets until it exits.
        """
        for group in self._groups:
            exposure = self._next_exposure(group)
            for stream in group.streams:
                if stream in self._open:
                    parts = self._factory.packet(stream, exposure) or (_EMPTY_PACKET,)
                    self._link.write(name=stream, parts=parts, timeout_s=0.0, wait_response=False)

    def _due_s(self, group: ExposureGroup) -> float:
        return self._start_s + group.count / group.fps

    def _run(self) -> None:
        with part_of_session(self._link, "frames"):
            while True:
                group = min(self._groups, key=self._due_s)
                due_s = self._due_s(group)
                late = self._late.popleft() if self._late and self._late[0].due_s < due_s else None
                delay_s = self._clock.host_delay_s(late.due_s if late else due_s)
                if self._stopping.wait(max(0.0, delay_s)):
                    return
                if late:
                    self._send_all(late.streams, late.exposure)
                else:
                    self._skip_missed(group)
                    self._expose(group)

    def _skip_missed(self, group: ExposureGroup) -> None:
        """Drop exposures beyond the buffer; with pace=receiver delay all exposures instead."""
        behind_s = self._clock.now_s() - self._due_s(group)
        if behind_s > BUFFERED_S and self._waits:
            self._start_s += behind_s
        elif behind_s > BUFFERED_S:
            missed = int(behind_s * group.fps)
            group.count += missed
            group.late += missed

    def _next_exposure(self, group: ExposureGroup) -> Exposure:
        due_s = self._due_s(group)
        group.count += 1
        return Exposure(
            sequence=group.lead + group.count - 1,
            time_s=due_s - self._start_s,
            timestamp_ns=round(due_s * 1e9),
        )

    def _expose(self, group: ExposureGroup) -> None:
        exposure = self._next_exposure(group)
        streams = [stream for stream in group.streams if stream in self._open]
        time_ns = round(exposure.time_s * 1e9)
        streams = [stream for stream in streams if self._limiters[stream].keeps(time_ns)]
        lag_s = stereo_lag_s(exposure.sequence, self._lag_ms)
        late = tuple(name for name in streams if STREAMS[name].is_stereo)
        if late and (lag_s > 0 or self._late):  # a stream stays in order
            due_s = exposure.timestamp_ns / 1e9 + lag_s
            self._late.append(LateStereo(due_s, exposure, late))
            streams = [name for name in streams if name not in late]
        self._send_all(streams, exposure)

    def _send_all(self, streams: Sequence[str], exposure: Exposure) -> None:
        """Send the streams of one exposure that are still open."""
        streams = [stream for stream in streams if stream in self._open]
        for turn in range(max(map(self._factory.turns, streams), default=0)):
            for stream in streams:
                if turn < self._factory.turns(stream):
                    self._send(stream, replace(exposure, turn=turn))

    def _send(self, stream: str, exposure: Exposure) -> None:
        parts = self._factory.packet(stream, exposure)
        if parts is None:
            return
        self._made[stream] += 1
        fault = self._fault
        if fault and fault.stream == stream and self._made[stream] % fault.every == 0:
            parts = PACKET_FAULTS[fault.kind](self._link, parts)
            if parts is None:
                return
        try:
            if self._write(stream, parts):
                self.statement[stream].add(exposure.sequence, self._limiters[stream].spacing)
        except LinkError:
            is_ours = stream in self._open and self._link.has_stream(name=stream)
            if is_ours or not self._link.is_up:
                raise
            _log.debug("stream %s was closed while its packet was made", stream)

    def _write(self, stream: str, parts: Parts) -> bool:
        """Without credit (the host is behind) drop the packet: False; with pace=receiver wait."""
        limit_s = _CREDIT_POLL_S if self._waits else 0.0
        while not self._link.write(
            name=stream, parts=parts, timeout_s=limit_s, wait_response=False
        ):
            if not self._waits or self._stopping.is_set() or stream not in self._open:
                return False
        return True


def _lie_about_size(_link: _core.Link, parts: Parts) -> Parts:
    fields = list(wire_formats.TRAILER.unpack(parts[1]))
    fields[10] += 1_000_000
    return parts[0], wire_formats.TRAILER.pack(*fields)


def _halve(_link: _core.Link, parts: Parts) -> Parts:
    data = parts[0][: len(parts[0]) // 2]
    fields = list(wire_formats.TRAILER.unpack(parts[1]))
    fields[10] = len(data)
    return data, wire_formats.TRAILER.pack(*fields)


def _mute(_link: _core.Link, _parts: Parts) -> Parts:
    raise LinkError("fault=mute: the device stops sending")


def _unplug(link: _core.Link, _parts: Parts) -> Parts:
    link.close()
    raise LinkError("fault=unplug: the device closed the link")


#: Fault -> function that changes the parts of a packet; None = the packet is not sent.
#: Source: docs/virtual_device.md#faults
PACKET_FAULTS: dict[str, Callable[[_core.Link, Parts], Parts | None]] = {
    "frame_size": _lie_about_size,
    "no_trailer": lambda _link, parts: (parts[0],),
    "short": lambda _link, parts: (bytes(20),),
    "shape": _halve,
    "drop": lambda _link, _parts: None,
    "mute": _mute,
    "unplug": _unplug,
}


def exposure_groups(config: dict[str, Any]) -> list[ExposureGroup]:
    """The streams of each sensor, in sending order, from a config_h2d document."""
    app, camera = config["app"], config["camera"]
    rows = [STREAMS[name] for name in WIRE_STREAMS]
    if not app["sync_video_meta_streams"]:  # results after their images
        rows.sort(key=lambda row: row.camera == "nn" and row.layout != "planar8")
    streams: dict[str, tuple[str, ...]] = {}
    for row in rows:
        sensor = row.sensor(config["ai"]["camera_input"])
        streams[sensor] = (*streams.get(sensor, ()), row.name)
    lead = 0 if app.get("sync_sequence_numbers") else RGB_LEAD
    return [
        ExposureGroup(streams["mono"], float(camera["mono"]["fps"]), 0),
        ExposureGroup(streams["rgb"], float(camera["rgb"]["fps"]), lead),
        ExposureGroup(streams[""], REPORT_HZ, 0),
    ]
