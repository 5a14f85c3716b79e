"""States and reports of a device; its log lines wait to be printed: few, short, printable."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..bounded import clean_text, device_json, number
from ..errors import DecodeError
from ..streams import Stream
from .value_limits import TEMPERATURE_LIMITS_C

#: State of a device -> its level in the diagnostics, and a sentence.
DEVICE_STATES: dict[str, tuple[Literal["ok", "warn", "error"], str]] = {
    "disconnected": ("error", "no device is connected"),
    "booting": ("ok", "connected, not streaming"),
    "streaming": ("ok", "streaming"),
    "recovering": ("warn", "the device is lost, reconnecting"),
    "error": ("error", "stopped after an error"),
}
#: The sensors of a device.
TEMPERATURES = ("css", "mss", "upa0", "upa1")
_NS_PER_S = 1_000_000_000
#: Lines that are kept in each second, and their characters.
_LINES_PER_S, _LONGEST_LINE = 50, 250
#: Lines that wait; the longest diagnostics.period_s of a device that reports once a second.
_MOST_WAITING = 1000


def read_report(data: NDArray[np.uint8], stream: Stream) -> tuple[dict[str, float], list[Any]]:
    """Temperatures in °C by sensor, and the log lines, of a packet of `meta_d2h`.

    Raises  DecodeError
    """
    what = stream.name
    document = device_json(data, what=what, max_bytes=stream.max_packet_bytes)
    sensors, lines = document.get("sensors"), document.get("logs", [])
    found = sensors.get("temperature") if isinstance(sensors, dict) else None
    if not isinstance(found, dict) or not isinstance(lines, list):
        raise DecodeError(f"{what}: sensors.temperature must be an object, and logs an array")
    temperatures = {
        name: number(found[name], f"{what}: temperature {name}", *TEMPERATURE_LIMITS_C)
        for name in TEMPERATURES
        if name in found
    }
    return temperatures, lines


class DeviceLog:
    """The packet loop adds lines, the diagnostics timer takes them."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque(maxlen=_MOST_WAITING)
        self._second = -1
        self._room = 0  # lines that this second has left
        self._missing = 0  # lines left out since the last line that said so

    def add(self, lines: Sequence[object], received_ns: int) -> None:
        """Keep the first lines of each second, and say how many more there were."""
        second = received_ns // _NS_PER_S
        if second != self._second:
            self._second, self._room = second, _LINES_PER_S
        kept = [clean_text(str(line), _LONGEST_LINE) for line in lines[: self._room]]
        self._missing += len(lines) - len(kept)
        if self._missing and self._room:
            kept.append(f"{self._missing} more lines")
            self._missing = 0
        self._room = max(0, self._room - len(kept))
        self._waiting.extend(kept)

    def take(self) -> list[str]:
        """The lines that wait; each is returned once."""
        return [self._waiting.popleft() for _ in range(len(self._waiting))]
