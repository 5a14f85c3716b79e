"""Parses the description of a virtual device.

    SCENE[=PATH][?key=value&key=value]      e.g.  images=/data/aloe?eeprom=4&strict=0

A device selector has it after `virtual:`, the command line of the process after `--device`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from ..errors import ConfigError
from ..streams import WIRE_STREAMS
from ..wire_formats import CAMERAS
from .scenes.source import SCENES

#: USB speeds that the host can report; they do not change the rate of sending.
USB_SPEEDS = ("FULL", "HIGH", "SUPER", "SUPER_PLUS")
#: If the host or the machine is too slow, exposures are dropped (camera) or delayed (receiver).
PACES = ("camera", "receiver")

#: Limits of the lag of stereo behind rgb. Source: docs/virtual_device.md#order
STEREO_LAG_MS = (-10.0, 5.0)
_MOST_LAG_MS = 1000.0

#: Malformed or missing packets, for tests. Source: docs/virtual_device.md#faults
FAULTS = ("frame_size", "no_trailer", "short", "shape", "drop", "mute", "unplug")


@dataclass(frozen=True, slots=True)
class Fault:
    """Alters every `every`-th packet of `stream`; "mute" ends sending, "unplug" closes the link."""

    kind: str
    stream: str
    every: int


@dataclass(frozen=True, slots=True)
class VirtualSettings:
    """Properties of a virtual device; defaults are those of a healthy, calibrated OAK-D."""

    scene: str = "synthetic"  # argument of source.make_source
    eeprom: int | None = None  # layout version, -1 = blank, None = default of the scene
    strict: bool = True  # depth and disparity exclude each other, as on silicon
    mx_id: str = "14442C10D1VIRTUAL0"
    drift_ppm: float = 0.0  # device clock relative to the host's
    uptime_s: float = 10.0  # device clock at the start of the session
    fault: Fault | None = None
    absent: tuple[str, ...] = ()  # cameras that are not connected
    pace: str = "camera"  # "receiver": exposures wait for the slowest stream, none is dropped
    lens: bool = False  # lenses with distortion
    noise: bool = False  # disparity with the errors of a matcher
    usb_speed: str = "UNKNOWN"  # reported by the host as speed of the link
    #: Stereo is sent this much later than the rgb images of its exposure, ms; negative = before.
    stereo_lag_ms: tuple[float, float] = STEREO_LAG_MS


def _flag(text: str) -> bool:
    flags = {"0": False, "1": True, "false": False, "true": True}
    if text.lower() not in flags:
        raise ValueError("0 or 1")
    return flags[text.lower()]


def _eeprom_version(text: str) -> int:
    versions = ("-1", "1", "2", "3", "4", "5")
    if text not in versions:
        raise ValueError(f"one of {', '.join(versions)}")
    return int(text)


def _number(low: float, high: float) -> Callable[[str], float]:
    """A reader of numbers in this range; NaN lies in none."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise ValueError(f"a number from {low:g} to {high:g}")
        return value

    return read


def _fault(text: str) -> Fault:
    kind, _, rest = text.partition(":")
    stream, _, every = rest.partition(":")
    if kind not in FAULTS or stream not in WIRE_STREAMS or not every.isdigit() or int(every) < 1:
        raise ValueError(f"KIND:STREAM:N with KIND one of {', '.join(FAULTS)} and N at least 1")
    return Fault(kind, stream, int(every))


def _cameras(text: str) -> tuple[str, ...]:
    names = tuple(filter(None, text.split(",")))
    if not set(names) <= set(CAMERAS):
        raise ValueError(f"some of {', '.join(CAMERAS)}, separated by commas")
    return names


def _pace(text: str) -> str:
    if text not in PACES:
        raise ValueError(f"one of {', '.join(PACES)}")
    return text


def _lag(text: str) -> tuple[float, float]:
    low_text, _, high_text = text.partition(":")
    try:
        low, high = (_number(-_MOST_LAG_MS, _MOST_LAG_MS)(part) for part in (low_text, high_text))
    except ValueError:
        low, high = 1.0, 0.0
    if low > high:
        raise ValueError(f"LOW:HIGH, two numbers from {-_MOST_LAG_MS:g} to {_MOST_LAG_MS:g}")
    return low, high


def _speed(text: str) -> str:
    if text not in USB_SPEEDS:
        raise ValueError(f"one of {', '.join(USB_SPEEDS)}")
    return text


#: Key -> parser of its value; the text of its ValueError is the allowed value.
_READERS: dict[str, Callable[[str], Any]] = {
    "eeprom": _eeprom_version,
    "strict": _flag,
    "mx_id": str,
    "drift_ppm": _number(-1e5, 1e5),
    "uptime_s": _number(0, 1e9),
    "fault": _fault,
    "lens": _flag,
    "noise": _flag,
    "absent": _cameras,
    "pace": _pace,
    "usb_speed": _speed,
    "stereo_lag_ms": _lag,
}


@dataclass(slots=True)
class _Parsed:
    scene: str
    values: dict[str, Any] = field(default_factory=dict)


def parse_settings(text: str) -> VirtualSettings:
    """Parse the description of a virtual device; "" = all defaults.

    Raises  ConfigError with the key, its value and the allowed values
    """
    scene, _, query = text.partition("?")
    parsed = _Parsed(_check_scene(scene))
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in _READERS:
            raise ConfigError(
                f"virtual device has no option {key!r}, known are {', '.join(_READERS)}"
            )
        try:
            parsed.values[key] = _READERS[key](value)
        except ValueError as cause:
            raise ConfigError(f"virtual device: {key} is {value!r}, must be {cause}") from None
    return VirtualSettings(scene=parsed.scene, **parsed.values)


def _check_scene(text: str) -> str:
    name, _, path = (text or "synthetic").partition("=")
    if name not in SCENES:
        raise ConfigError(f"virtual device has no scene {name!r}, known are {', '.join(SCENES)}")
    if SCENES[name].path and not path:
        raise ConfigError(f"virtual device: scene {name!r} needs a path, as in {name}=PATH")
    if path and not SCENES[name].path:
        raise ConfigError(f"virtual device: scene {name!r} takes no path, found {path!r}")
    return f"{name}={path}" if path else name
