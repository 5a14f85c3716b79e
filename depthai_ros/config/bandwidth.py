"""Estimates the data rate of a device before it starts, and adapts it to the USB link.

Rates of raw images are exact, those of encoded streams are estimates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..cameras import NN_CAMERAS
from ..errors import ConfigError
from ..rates import frame_spacing
from ..streams import REPORT_HZ, STREAMS
from .settings import Settings, mono_size, rgb_size, streams_fed_by, wire_rate_limit, wire_streams

#: Speed of the link -> practical rate of its bulk transfers, MB/s (10^6 bytes).
#: Source: USB 2.0, 5.8.4: at most 19 packets of 64 bytes per ms (FULL, 1.2 MB/s) and 13 of 512 per
#: 125 us (HIGH, 53 MB/s), of which hosts and hubs leave 35 to 40. USB 3: 5 Gbit/s in 8b/10b are
#: 500 MB/s on the wire, framing and hosts leave 350 to 400; the chip has no faster mode.
CAPACITY_MB_S = {"FULL": 1.0, "HIGH": 38.0, "SUPER": 370.0, "SUPER_PLUS": 370.0}

_BYTES_PER_MB = 1e6
#: JPEG of a natural image at common quality.
_JPEG_BYTES_PER_PIXEL = 0.25
#: Results and reports; negligible compared with images.
_RESULT_BYTES, _REPORT_BYTES = 4096, 2048
_PREVIEW_BYTES = 3 * 300 * 300  # until the network's input size is known


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _video_bytes(settings: Settings) -> float:
    if settings["video_config.profile"] == "mjpeg":
        return _area(rgb_size(settings)) * _JPEG_BYTES_PER_PIXEL
    constant = settings["video_config.rateCtrlMode"] == "cbr"
    bits = settings["video_config.bitrate" if constant else "video_config.maxBitrate"]
    return float(bits / 8 / settings["camera.rgb.fps"])


#: Layout -> bytes of one packet, by settings and size of the preview. `usb.on_insufficient: reduce`
#: lowers the rate of images.
_IMAGE_BYTES: dict[str, Callable[[Settings, int], float]] = {
    "mono8": lambda settings, _: _area(mono_size(settings)),
    "depth16": lambda settings, _: 2 * _area(mono_size(settings)),
    "planar8": lambda _, preview_bytes: preview_bytes,
    "i420": lambda settings, _: 1.5 * _area(rgb_size(settings)),
}
_PACKET_BYTES: dict[str, Callable[[Settings, int], float]] = {
    **_IMAGE_BYTES,
    "bitstream": lambda settings, _: _video_bytes(settings),
    "tensors": lambda *_: _RESULT_BYTES,
    "tracklets": lambda *_: _RESULT_BYTES,
    "json": lambda *_: _REPORT_BYTES,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Planned data rates by wire stream, and the link's capacity (nan = not known), MB/s."""

    speed: str = "UNKNOWN"
    rates_hz: Mapping[str, float] = field(default_factory=dict)
    streams_mb_s: Mapping[str, float] = field(default_factory=dict)
    capacity_mb_s: float = math.nan

    @property
    def planned_mb_s(self) -> float:
        """All streams together."""
        return sum(self.streams_mb_s.values())

    @property
    def is_too_much(self) -> bool:
        """True if the capacity is known and less than planned."""
        return self.planned_mb_s > self.capacity_mb_s

    def words(self) -> str:
        """The plan as a sentence, largest streams first."""
        largest = sorted(self.streams_mb_s.items(), key=lambda row: -row[1])
        parts = ", ".join(f"{name} {rate:.1f}" for name, rate in largest if rate >= 0.1)
        return (
            f"the streams need {self.planned_mb_s:.1f} MB/s ({parts}), a USB link of speed "
            f"{self.speed} carries about {self.capacity_mb_s:g} MB/s"
        )


def plan(settings: Settings, speed: str, preview_bytes: int = _PREVIEW_BYTES) -> Plan:
    """The data rates with these settings, over a link of this speed.

    `preview_bytes` is the size of the network's input, which is known after it has been loaded.
    """
    rates_hz = planned_rates_hz(settings)
    streams_mb_s = {
        name: rate_hz * _packet_bytes(settings, name, preview_bytes) / _BYTES_PER_MB
        for name, rate_hz in rates_hz.items()
    }
    return Plan(speed, rates_hz, streams_mb_s, CAPACITY_MB_S.get(speed, math.nan))


def planned_rates_hz(settings: Settings) -> dict[str, float]:
    """Packets per second of each wire stream; 0 = on request."""
    return {name: _rate_hz(settings, name) for name in wire_streams(settings)}


def _packet_bytes(settings: Settings, stream: str, preview_bytes: int) -> float:
    return _PACKET_BYTES[STREAMS[stream].layout](settings, preview_bytes)


def _nn_cameras(settings: Settings) -> tuple[str, ...]:
    """Cameras that feed the network in turn."""
    return tuple(NN_CAMERAS[settings["ai.camera_input"]])


def _rate_hz(settings: Settings, stream: str) -> float:
    """Packets per second: the rate of the camera, or `max_fps` if that is less."""
    row = STREAMS[stream]
    if row.pace == "request":
        return 0.0
    is_report = row.pace == "report"
    sensor = row.sensor(settings["ai.camera_input"])
    fps: float = REPORT_HZ if is_report else settings[f"camera.{sensor}.fps"]
    spacing = frame_spacing(fps, wire_rate_limit(settings, stream))
    return fps / spacing * (len(_nn_cameras(settings)) if row.camera == "nn" else 1)


def fitted(settings: Settings, speed: str) -> tuple[Settings, str]:
    """The settings to use on a link of this speed, and a warning for the user or "".

    If the link carries less than the streams need, `usb.on_insufficient` decides: keep the settings
    ("warn"), or divide all image rates by the same whole number ("reduce").

    Raises  ConfigError if it is "fail", or if the other streams alone are too much
    """
    wanted = plan(settings, speed)
    if not wanted.is_too_much:
        return settings, ""
    return _ANSWERS[settings["usb.on_insufficient"]](settings, wanted)


def _warn(settings: Settings, wanted: Plan) -> tuple[Settings, str]:
    return settings, f"{wanted.words()}: frames will be lost; {_ADVICE}"


def _fail(_settings: Settings, wanted: Plan) -> tuple[Settings, str]:
    raise ConfigError(f"{wanted.words()}; {_ADVICE}")


def _reduce(settings: Settings, wanted: Plan) -> tuple[Settings, str]:
    images = {
        name: rate
        for name, rate in wanted.streams_mb_s.items()
        if STREAMS[name].layout in _IMAGE_BYTES
    }
    room_mb_s = wanted.capacity_mb_s - (wanted.planned_mb_s - sum(images.values()))
    if room_mb_s <= 0 or not images:
        raise ConfigError(f"{wanted.words()}, even without images; {_ADVICE}")
    every = math.ceil(sum(images.values()) / room_mb_s)
    turns = len(_nn_cameras(settings))
    limits_hz = {
        name: wanted.rates_hz[name] / every / (turns if STREAMS[name].camera == "nn" else 1)
        for name in images
    }
    changes = {
        f"stream.{user}.max_fps": limit_hz
        for name, limit_hz in limits_hz.items()
        for user in streams_fed_by(settings, name)
    }
    rates = ", ".join(f"{name} to {limit_hz:.3g} Hz" for name, limit_hz in limits_hz.items())
    return settings.replace(changes), f"{wanted.words()}: lowered {rates} (usb.on_insufficient)"


_ADVICE = (
    "use a USB 3 port and cable, lower stream.NAME.max_fps or a resolution, or set "
    "usb.on_insufficient to reduce"
)
#: usb.on_insufficient -> its function.
_ANSWERS: dict[str, Callable[[Settings, Plan], tuple[Settings, str]]] = {
    "warn": _warn,
    "reduce": _reduce,
    "fail": _fail,
}
