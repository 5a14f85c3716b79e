"""A device that runs as long as somebody looks at it: started, watched, reconnected; without ROS.

One thread takes the packets and keeps the newest ones of the streams that are wanted. Nothing is
converted here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from ..bounded import clean_text
from ..calibration.calibration import Calibration, load
from ..config import NetworkConfig, stream_list
from ..config.bandwidth import fitted
from ..config.filters import PREFIX, decimation
from ..config.settings import Settings, cameras_of, streams_fed_by, worker_outputs
from ..config.unused import connected
from ..device.clock import StampSource
from ..device.device import OpenDevice
from ..device.live_commands import send_changes, send_options
from ..device.pipeline import Failures, Frame, RunningPipeline, count_failure
from ..device.reconnect import Backoff, Recovery, Repeats, is_bug
from ..errors import ConfigError, DecodeError, LinkError
from ..messages.derived import CLOUD, DerivedImages, output_problem
from ..messages.device_log import DeviceLog, read_report
from ..messages.images import ImageSettings, StampedPacket, image_settings
from ..messages.stream_stats import (
    PUBLISHED,
    UNSUBSCRIBED,
    StreamCounts,
    StreamStats,
    make_stream_stats,
)
from ..streams import STREAMS

_log = logging.getLogger(__name__)

#: States of a device, as in DeviceStatus.
DeviceState = Literal["disconnected", "booting", "streaming", "recovering", "error"]

_WAIT_S, _JOIN_S = 0.25, 10.0
#: Packets of a stream that are kept: colours are chosen by the stamp of the depth.
_KEPT = 3
#: Lines of the log that are kept.
_LINES = 200
_NO_COUNTS = StreamCounts()


@dataclass(frozen=True, slots=True, eq=False)
class StartedRun:
    """What belongs to the pipeline that was started last."""

    device: OpenDevice
    pipeline: RunningPipeline
    settings: Settings  # adapted to the device
    calibration: Calibration
    images: ImageSettings
    derived: DerivedImages
    stats: Mapping[str, StreamStats]


@dataclass(slots=True)
class _Kept:
    """The newest packets of some streams, by stream, and the report of the device."""

    wanted: frozenset[str] = frozenset()
    packets: dict[str, deque[StampedPacket]] = field(default_factory=dict)
    temperatures: Mapping[str, float] = field(default_factory=dict)


class DeviceRun:
    """Opens the device that the settings name, and keeps its streams running until `close()`.

    A device that is not there yet, or is lost, is looked for until it is found.
    """

    def __init__(self, settings: Settings, network: NetworkConfig | None) -> None:
        self.settings = settings
        self.network = network
        self.started: StartedRun | None = None
        self.state: DeviceState = "disconnected"
        self.last_error = ""
        self.arrived = threading.Condition()  # notified with each packet
        self._kept = _Kept()
        self._counts: dict[str, StreamCounts] = {}  # of the runs that have ended
        self._counted: StartedRun | None = None  # the run that has not ended
        self._updated: StartedRun | None = None  # the run that has the settings
        self._rejected: Failures = {}
        self._stamps = StampSource()
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._device_lines = DeviceLog()
        self._repeats = Repeats()
        self._changing = threading.RLock()
        self._device: OpenDevice | None = None
        self._loop: _PacketThread | None = None
        self._recovery = Recovery(self)
        self._recovery.demand("start")
        self._recovery.begin()

    # -- for the source

    @property
    def is_streaming(self) -> bool:
        """True while packets flow."""
        return self.state == "streaming"

    def want(self, streams: frozenset[str]) -> None:
        """Keep the packets of exactly these wire streams from now on."""
        with self.arrived:
            self._kept.wanted = streams
            for name in self._kept.packets.keys() - streams:
                del self._kept.packets[name]

    def newest(self, stream: str, *, near_ns: int | None = None) -> StampedPacket | None:
        """The newest packet of a stream, or the one nearest to a stamp; None = there is none."""
        with self.arrived:
            packets = self._kept.packets.get(stream)
            if not packets:
                return None
            if near_ns is None:
                return packets[-1]
            return min(packets, key=lambda packet: abs(packet.stamp_ns - near_ns))

    def temperatures(self) -> Mapping[str, float]:
        """°C by sensor, of the last report."""
        return self._kept.temperatures

    def log(self) -> tuple[str, ...]:
        """The last lines, oldest first; those of the device begin with "device: "."""
        for line in self._device_lines.take():
            self.say(f"device: {line}")
        return tuple(self._lines)

    def say(self, text: str) -> None:
        """Add a line to the log."""
        self._lines.append(f"{time.strftime('%H:%M:%S')} {text}")

    def say_once(self, text: str) -> None:
        """Add a line to the log, unless it is there already."""
        if not any(line.endswith(text) for line in tuple(self._lines)):
            self.say(text)

    def counts(self, stream: str) -> StreamCounts:
        """What became of the packets of a wire stream, since the first start."""
        run = self._counted
        present = _NO_COUNTS if run is None else self._counts_of(run, stream)
        return self._counts.get(stream, _NO_COUNTS) + present

    def change(self, new: Settings) -> None:
        """Use other live settings, on the device and in what the host computes.

        Raises  ConfigError, LinkError; then nothing has changed
        """
        with self._changing:
            started = self.started
            if started is not None and started is self._updated:
                send_changes(started.device, self.settings, new, lambda: self.is_streaming)
            if started is not None:
                self._compute_with(started, new)
            self.settings = new

    def _compute_with(self, started: StartedRun, new: Settings) -> None:
        """Use other live settings from now on; decimation makes depth of another size."""
        if decimation(new) == decimation(started.settings):
            started.derived.change(new)
            return
        filters = {key: new[key] for key in new if key.startswith(PREFIX)}
        settings = started.settings.replace(filters)
        derived = DerivedImages(settings, started.images, started.calibration)
        resized = replace(started, settings=settings, derived=derived)
        if self._updated is started:
            self._updated = self._counted = resized
        self.started = resized

    def command(self, send: Callable[[OpenDevice], None]) -> None:
        """Send a command. Raises LinkError if no streams run."""
        started = self.started
        if started is None or not self.is_streaming:
            raise LinkError(f"the device is {self.state}, a command needs a running device")
        send(started.device)

    def restart(self) -> bool:
        """Reset the device and start it again; False if that is going on already."""
        return self._recovery.demand("the device is reset on request")

    def close(self) -> None:
        """End the streams and close the device; nothing of it is left."""
        self._recovery.end()
        self.end_pipeline()
        self.want(frozenset())
        self.started, self.state = None, "disconnected"

    # -- called by the recovery; see `Recoverable`

    def on_loss(self, loss: Exception | str) -> Backoff | None:
        """Log it."""
        if self.started is not None:
            self.state, self.last_error = "recovering", str(loss)
            is_demanded = isinstance(loss, str)
            self.say(str(loss) if is_demanded else f"the device is lost: {loss}; reconnecting")
        return Backoff.of(self.settings, at_once=self.started is None)

    def end_pipeline(self) -> None:
        """End the streams and close the device."""
        with self._changing:
            self._updated = None
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.stop()
            self._keep_counts()
            self._kept.temperatures = {}
        with self.arrived:
            self._kept.packets.clear()
        device, self._device = self._device, None
        if device is not None:
            device.close()

    def start_pipeline(self, find_s: float) -> None:
        """Connect, start the streams, and wait for the first packet."""
        settings = self.settings
        self._device = device = OpenDevice.open(
            settings["device.id"],
            firmware=settings["device.firmware"],
            usb2=settings["usb.force_usb2"],
            find_s=find_s,
            should_stop=lambda: self._recovery.has_ended,
        )
        if self.started is None:
            self.state = "booting"
        possible, absent = without_absent(settings, device)
        adapted, words = fitted(possible, device.usb_speed)
        pipeline = device.start_pipeline(adapted, self.network)
        calibration = load(device.eeprom, adapted)
        adapted = with_possible_color(adapted, calibration)
        images = image_settings(adapted, calibration, pipeline.sizes)
        derived = DerivedImages(adapted, images, calibration)
        stats = wire_stats(adapted, pipeline.streams)
        started = StartedRun(device, pipeline, adapted, calibration, images, derived, stats)
        texts = (absent, words, *calibration.warnings, calibration.rgb_warning)
        for text in filter(None, (*texts, *derived.problems.values())):
            self.say_once(text)
        self._stamps.device_restarted()
        with self._changing:
            send_options(device, self.settings)
            self.started = self._counted = self._updated = started
            self._compute_with(started, self.settings)
        lost = partial(self._recovery.lost, self._recovery.run)
        self._loop = loop = _PacketThread(pipeline, partial(self._take, started), lost)
        self._recovery.wait_for_frame(loop.first_frame, 2 * pipeline.watchdog_s)

    def on_failure(self, cause: Exception, failures: int) -> None:
        """Log a failed attempt."""
        if is_bug(cause):
            _log.error("bug in the driver", exc_info=cause)
        self.last_error = str(cause)
        self.state = "recovering" if self.started is not None else "disconnected"
        if line := self._repeats.text(str(cause)):
            self.say(f"attempt {failures} failed: {line}")

    def on_return(self, away_s: float) -> None:
        """Log the success."""
        self.state, self.last_error = "streaming", ""
        assert self._device is not None
        name = f"{self._device.selector} {self._device.mx_id}".rstrip()
        self.say(f"{name}: the first frame came after {away_s:.2f} s")

    def on_giving_up(self, backoff: Backoff) -> None:
        """Log it."""
        self.state = "error"
        self.say(f"gave up after {backoff.summary}; last error: {self.last_error}")

    # -- packets

    def _take(self, started: StartedRun, frame: Frame) -> None:
        """Keep one packet, if somebody wants it, and count it."""
        row = STREAMS[frame.stream]
        packet = StampedPacket(
            stream=row,
            data=frame.data,
            buffer=frame.packet.buffer,
            metadata=frame.metadata,
            stamp_ns=self._stamps.stamp_ns(frame.metadata, frame.received_ns, frame.stream),
            received_ns=frame.received_ns,
            settings=started.images,
            serial=frame.packet.serial,
        )
        if row.layout == "json":
            try:
                self._kept.temperatures, lines = read_report(frame.data, row)
            except DecodeError as cause:
                count_failure(self._rejected, row.name, cause)
                return
            self._device_lines.add(lines, frame.received_ns)
        with self.arrived:
            is_kept = row.name in self._kept.wanted
            if is_kept:
                self._kept.packets.setdefault(row.name, deque(maxlen=_KEPT)).append(packet)
                self.arrived.notify_all()
        started.stats[row.name].add(packet.passage(PUBLISHED if is_kept else UNSUBSCRIBED))

    def _counts_of(self, started: StartedRun, stream: str) -> StreamCounts:
        """Of one run."""
        rejected = (*started.pipeline.rejected().items(), *self._rejected.items())
        lost = {
            "link": started.pipeline.dropped().get(stream, 0),
            "loop": sum(count for name, (count, _) in rejected if name == stream),
        }
        return started.stats[stream].counts() + StreamCounts(lost)

    def _keep_counts(self) -> None:
        """Add the counts of the run that has ended."""
        run = self._counted
        if run is not None:
            self._counts |= {stream: self.counts(stream) for stream in run.pipeline.streams}
        self._counted, self._rejected = None, {}


class _PacketThread:
    """The thread that takes the packets of one pipeline. `on_lost` is called from it, once."""

    def __init__(
        self,
        pipeline: RunningPipeline,
        take: Callable[[Frame], None],
        on_lost: Callable[[Exception], None],
    ) -> None:
        self.first_frame = threading.Event()
        self._pipeline = pipeline
        self._take = take
        self._on_lost = on_lost
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="view-packets", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and the pipeline."""
        self._stopping = True
        self._pipeline.stop()
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)
        self._pipeline.close()

    def _run(self) -> None:
        try:
            while not self._stopping:
                if self._pipeline.wait(_WAIT_S):
                    for frame in self._pipeline.recent_frames():
                        self._take(frame)
                        self.first_frame.set()
        except Exception as cause:  # an exception would end only this thread
            if not self._stopping:
                self._on_lost(cause)


def without_absent(settings: Settings, device: OpenDevice) -> tuple[Settings, str]:
    """Settings without the streams that this device cannot send, and a sentence about them or "".

    Raises  ConfigError if nothing is left
    """
    present = connected(settings, device.cameras)
    wanted = stream_list(settings)
    left = [
        name
        for name in wanted
        if all(present[camera] for camera in cameras_of(settings, name))
        and (STREAMS[name].made_from or name) in device.available_streams
    ]
    absent = [name for name in wanted if name not in left]
    if not absent:
        return settings, ""
    if not left:
        raise ConfigError(f"the device has none of the streams {', '.join(wanted)}")
    color = "rgb" if "color" in left else "mono" if "rectified_right" in left else "none"
    changes = {"stream_list": tuple(left), "points.color": color}
    text = f"the device has no {', '.join(absent)}: its camera is not connected"
    return settings.replace(changes), clean_text(text, 250)


def wire_stats(settings: Settings, streams: Iterable[str]) -> dict[str, StreamStats]:
    """Statistics for each stream on the wire."""
    stats = make_stream_stats(settings, time.monotonic_ns())
    names = {name: (name, *streams_fed_by(settings, name)) for name in streams}
    return {
        name: next(stats[one] for one in users if one in stats) for name, users in names.items()
    }


def with_possible_color(settings: Settings, calibration: Calibration) -> Settings:
    """Settings with grey points, if the calibration does not allow those of the rgb camera."""
    streams = stream_list(settings)
    if settings["points.color"] != "rgb" or "rectified_right" not in streams:
        return settings
    if CLOUD not in worker_outputs(settings) or not output_problem(CLOUD, settings, calibration):
        return settings
    return settings.replace({"points.color": "mono"})
