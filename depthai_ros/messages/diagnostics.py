"""The state of the device and its streams, for /diagnostics and ~/device/status.

The packet loop writes, the diagnostics timer reads: `StreamStats` has a lock, every other value is
replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from .. import _core
from ..config.options import rate_key
from ..config.settings import Settings
from ..config.unused import UnusedTable
from ..msg import DeviceStatus
from ..rates import frame_spacing, longest_silence_s
from ..streams import ALL_STREAMS, LIMITED_TOPICS, REPORT_HZ
from .device_log import DEVICE_STATES, TEMPERATURES, DeviceLog
from .exposure_sync import Tally
from .stream_stats import StreamCounts, StreamFigures, StreamStats, judged

_OK, _WARN = DiagnosticStatus.OK, DiagnosticStatus.WARN
_ERROR, _STALE = DiagnosticStatus.ERROR, DiagnosticStatus.STALE
_LEVELS = {"ok": _OK, "warn": _WARN, "error": _ERROR}
_NS_PER_S = 1_000_000_000
_DRIFT_WARN_PPM = 200.0
_NO_COUNTS = StreamCounts()

#: State of the device -> level, word, message.
STATES = {
    number: (_LEVELS[level], word, sentence)
    for number, (word, (level, sentence)) in zip(
        (
            DeviceStatus.STATE_DISCONNECTED,
            DeviceStatus.STATE_BOOTING,
            DeviceStatus.STATE_STREAMING,
            DeviceStatus.STATE_RECOVERING,
            DeviceStatus.STATE_ERROR,
        ),
        DEVICE_STATES.items(),
        strict=True,
    )
}


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """Properties of the connected device."""

    mx_id: str = ""
    product: str = ""
    firmware: str = ""
    usb_path: str = ""
    usb_speed: str = ""
    connected_ns: int = 0


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """The device's clock compared with the host's."""

    offset_s: float
    drift_ppm: float
    jumps: int
    jitter_ms: float


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """Data rate of the link; the capacity is nan if it is not known."""

    planned_mb_s: float
    measured_mb_s: float
    capacity_mb_s: float


@dataclass(frozen=True, slots=True)
class CalibrationFacts:
    """Summary of the calibration; `source` is eeprom, file, nominal or none.

    `rgb_warning` says why the rgb camera is not calibrated, "" = it is; `is_rgb_refused` if numbers
    for it are stored, but cannot be right.
    """

    source: str = "none"
    baseline_m: float = 0.0
    fx_px: float = 0.0
    rgb_warning: str = ""
    is_rgb_refused: bool = False


@dataclass(slots=True)
class Health:
    """All data of /diagnostics and ~/device/status. `name` is the node's."""

    name: str
    settings: Settings
    state: int = DeviceStatus.STATE_DISCONNECTED
    last_error: str = ""
    restarts: int = 0
    device: DeviceFacts = field(default_factory=DeviceFacts)
    calibration: CalibrationFacts | None = None
    clock: ClockFacts | None = None
    link: LinkFacts | None = None
    stream_stats: dict[str, StreamStats] = field(default_factory=dict)
    counts: Mapping[str, StreamCounts] = field(default_factory=dict)  # by stream, of all runs
    rejected: Mapping[str, int] = field(default_factory=dict)  # by stream
    temperatures: Mapping[str, float] = field(default_factory=dict)
    temperatures_ns: int = 0
    sync: Mapping[str, Tally] | None = None  # by wire stream; None = sync.enable is false
    name_conflict: str = ""  # warning about another node of this name, "" = none
    unused: UnusedTable = field(default_factory=UnusedTable)
    logs: DeviceLog = field(default_factory=DeviceLog)
    _synced: dict[str, Tally] = field(default_factory=dict)  # `sync` at the last report

    def device_spoke(
        self, temperatures: Mapping[str, float], logs: Sequence[object], received_ns: int
    ) -> None:
        """Store a report of the device; the node prints the log lines later."""
        self.temperatures, self.temperatures_ns = temperatures, received_ns
        self.logs.add(logs, received_ns)

    def diagnostics(
        self, stamp: Time, now_ns: int, subscribers: Mapping[str, int]
    ) -> DiagnosticArray:
        """All statuses. `now_ns` is the host's monotonic time; `subscribers` are by stream."""
        message = DiagnosticArray(header=Header(stamp=stamp))
        message.status.append(self._device_diagnostic(now_ns))
        message.status.append(self._memory_diagnostic())
        if self.state != DeviceStatus.STATE_DISCONNECTED:
            message.status.extend(self._camera_diagnostics(now_ns))
        for stream, stats in self._used_stats().items():
            message.status.append(
                self._stream_diagnostic(
                    stream, stats, stats.figures(now_ns), subscribers.get(stream, 0)
                )
            )
        if self.sync is not None and self.stream_stats:
            message.status.append(self._sync_diagnostic(self.sync))
        if self.name_conflict:
            message.status.append(self._status("name", _WARN, self.name_conflict, {}))
        if unused := self.unused.text():
            message.status.append(self._status("not used", _WARN, unused, {}))
        return message

    def device_status(self, stamp: Time, now_ns: int) -> DeviceStatus:
        """The same in short, as a typed message. `now_ns` is the host's monotonic time."""
        used = self._used_stats()
        figures = {stream: stats.figures(now_ns) for stream, stats in used.items()}
        return DeviceStatus(
            header=Header(stamp=stamp),
            mx_id=self.device.mx_id,
            product=self.device.product,
            usb_speed=self.device.usb_speed.lower(),
            state=self.state,
            restart_count=self.restarts,
            **{f"{name}_c": self.temperatures.get(name, float("nan")) for name in TEMPERATURES},
            stream_names=list(figures),
            fps=[figure.fps for figure in figures.values()],
            expected_fps=[0.0 if stats.is_held else stats.expected_fps for stats in used.values()],
            drops=[self.counts.get(stream, _NO_COUNTS).lost_total for stream in figures],
            latency_ms=[figure.latency_ms_mean for figure in figures.values()],
        )

    def _used_stats(self) -> dict[str, StreamStats]:
        """All streams, and the compressed topics that somebody listens to or has listened to."""
        return {name: stats for name, stats in self.stream_stats.items() if not stats.is_unused}

    def _status(
        self, component: str, level: bytes, text: str, values: Mapping[str, object]
    ) -> DiagnosticStatus:
        return DiagnosticStatus(
            name=f"{self.name}: {component}",
            level=level,
            message=text,
            hardware_id=self.device.mx_id,
            values=[KeyValue(key=key, value=_plain(value)) for key, value in values.items()],
        )

    def _device_diagnostic(self, now_ns: int) -> DiagnosticStatus:
        level, word, sentence = STATES[self.state]
        device = self.device
        if level == _OK and device.usb_speed == "HIGH" and not self.settings["usb.force_usb2"]:
            level, sentence = _WARN, f"{sentence}, on a USB 2 link where USB 3 is expected"
        connected = self.state != DeviceStatus.STATE_DISCONNECTED
        values = {
            "state": word,
            "mx_id": device.mx_id,
            "product": device.product,
            "firmware": device.firmware,
            "usb_path": device.usb_path,
            "usb_speed": device.usb_speed,
            "restarts": self.restarts,
            "uptime_s": (now_ns - device.connected_ns) / _NS_PER_S if connected else 0.0,
            "last_error": self.last_error,
        }
        return self._status("device", level, self.last_error or sentence, values)

    def _memory_diagnostic(self) -> DiagnosticStatus:
        buffers = _core.buffer_counters()
        text = f"{buffers['in_use']} packet buffers in use"
        values = {f"buffers_{name}": count for name, count in buffers.items()}
        return self._status("memory", _OK, text, values)

    def _camera_diagnostics(self, now_ns: int) -> Iterator[DiagnosticStatus]:
        if "meta_d2h" in self.stream_stats:
            yield self._temperature_diagnostic(now_ns)
        if self.link is not None:
            yield self._link_diagnostic(self.link)
        if self.clock is not None:
            yield self._clock_diagnostic(self.clock)
        if self.calibration is not None:
            yield self._calibration_diagnostic(self.calibration)

    def _temperature_diagnostic(self, now_ns: int) -> DiagnosticStatus:
        age_s = (now_ns - self.temperatures_ns) / _NS_PER_S
        known = [value for value in self.temperatures.values() if value == value]
        hottest = max(known, default=float("nan"))
        warn_c = self.settings["diagnostics.temp_warn_c"]
        error_c = self.settings["diagnostics.temp_error_c"]
        reports_hz = REPORT_HZ / frame_spacing(REPORT_HZ, self.settings["stream.meta_d2h.max_fps"])
        stale_s = longest_silence_s(self.settings["diagnostics.stale_after_s"], reports_hz)
        if not known or age_s > stale_s:
            level, text = _STALE, "the device has not reported temperatures recently"
        elif hottest >= error_c:
            level, text = _ERROR, f"{hottest:.1f} °C, error from {error_c:g} °C"
        elif hottest >= warn_c:
            level, text = _WARN, f"{hottest:.1f} °C, warning from {warn_c:g} °C"
        else:
            level, text = _OK, f"{hottest:.1f} °C"
        values = {f"{name}_c": self.temperatures.get(name, float("nan")) for name in TEMPERATURES}
        return self._status(
            "temperature", level, text, {**values, "max_c": hottest, "age_s": age_s}
        )

    def _link_diagnostic(self, link: LinkFacts) -> DiagnosticStatus:
        level, text = _OK, f"{link.planned_mb_s:.1f} MB/s planned"
        if link.planned_mb_s > link.capacity_mb_s:
            level = _WARN
            text += f", a {self.device.usb_speed} speed link carries {link.capacity_mb_s:g} MB/s"
        return self._status("usb link", level, text, asdict(link))

    def _clock_diagnostic(self, clock: ClockFacts) -> DiagnosticStatus:
        level, text = _OK, "synchronised with the device clock"
        if clock.jumps:
            level, text = _WARN, f"device clock jumped {clock.jumps} times"
        elif abs(clock.drift_ppm) > _DRIFT_WARN_PPM:
            level, text = _WARN, f"device clock drifts by {clock.drift_ppm:.0f} ppm"
        values = {
            "offset_s": clock.offset_s,
            "drift_ppm": clock.drift_ppm,
            "jumps": clock.jumps,
            "jitter_ms": clock.jitter_ms,
        }
        return self._status("clock", level, text, values)

    def _calibration_diagnostic(self, facts: CalibrationFacts) -> DiagnosticStatus:
        level, text = _CALIBRATIONS[facts.source]
        if facts.is_rgb_refused:
            level, text = _WARN, f"{text}; {facts.rgb_warning}"
        values = {
            "source": facts.source,
            "baseline_m": facts.baseline_m,
            "fx_px": facts.fx_px,
            "eeprom_loaded": facts.source == "eeprom",
            "rgb": facts.rgb_warning or "calibrated",
        }
        return self._status("calibration", level, text, values)

    def _stream_diagnostic(
        self, stream: str, stats: StreamStats, figures: StreamFigures, subscribers: int
    ) -> DiagnosticStatus:
        counts = self.counts.get(stream, _NO_COUNTS)
        values = {
            "fps": figures.fps,
            "fps_expected": stats.expected_fps,
            "fps_min": figures.fps_min,
            "drops_total": counts.lost_total,
            "drops_percent": figures.drops_percent,
            "gap_max_ms": figures.gap_max_ms,
            "latency_ms_mean": figures.latency_ms_mean,
            "latency_ms_max": figures.latency_ms_max,
            "subscribers": subscribers,
            "bytes_per_s": figures.bytes_per_s,
            "rejected": self.rejected.get(stream, 0),
            **counts.values(),
            **rate_limits(self.settings, stream),
        }
        level_name, text = judged(stats, figures, self.settings)
        level = _LEVELS[level_name]
        if unused := self.unused.text(stream):
            level, text = max(level, _WARN), f"{text}; {unused}"
        if stats.without_color:
            values["without_color"] = stats.without_color
        if not self.settings.get(f"stream.{stream}.publish", True):
            text += f", not published: stream.{stream}.publish is false"
        return self._status(f"stream {stream}", level, text, values)

    def _sync_diagnostic(self, tallies: Mapping[str, Tally]) -> DiagnosticStatus:
        new = {
            stream: row.since(self._synced.get(stream, Tally())) for stream, row in tallies.items()
        }
        self._synced = {stream: replace(row) for stream, row in tallies.items()}
        broken = sum(row.incomplete for row in new.values())
        percent = 100.0 * broken / max(1, broken + sum(row.complete for row in new.values()))
        level, text = _OK, f"{percent:.0f} % of the packets belong to incomplete exposures"
        if percent > self.settings["diagnostics.drops_warn_percent"]:
            level, worst = _WARN, max(new, key=lambda stream: new[stream].missing)
            if new[worst].missing:  # else packets came after their exposure had ended
                text += f", {worst} is missing most often"
        values = {
            f"{stream}_{field}": getattr(row, field)
            for stream, row in tallies.items()
            for field in ("complete", "incomplete", "missing")
        }
        return self._status("sync", level, text, values)


#: Start of the keys of rate limits; the topic follows.
MAX_FPS = "max_fps "


def rate_limits(settings: Settings, stream: str) -> dict[str, float]:
    """The rate limits of the topics of a stream or output, those that are set."""
    topics = ALL_STREAMS[stream].topics if stream in ALL_STREAMS else ()
    limits = {
        row.name: settings[rate_key(row.name)] for row in topics if row.name in LIMITED_TOPICS
    }
    return {f"{MAX_FPS}{topic}": max_fps for topic, max_fps in limits.items() if max_fps}


#: Source of the calibration -> level, message.
_CALIBRATIONS = {
    "eeprom": (_OK, "from the device's EEPROM"),
    "file": (_OK, "from a calibration file"),
    "nominal": (_OK, "computed from the field of view, because calibration.nominal is set"),
    "none": (_WARN, "none: camera_info is all zero"),
}


def _plain(value: object) -> str:
    """A value as text without its unit, which is in the key."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)
