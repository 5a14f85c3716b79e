"""Executes the commands that arrive on `host_capture` and stores the resulting camera state."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..cameras import CONTROLS, FOCUS_MODES
from ..streams import HOST_CAPTURE_BYTES, HOST_CAPTURE_WINDOW
from ..wire_formats import CAMERAS

#: Exposure time (us) x ISO at which the brightness of the scene is unchanged.
_NATURAL_EXPOSURE = 10_000 * 400
_START_CONFIDENCE = 200
_LOG_LIMIT = 100

_COMPENSATION_LIMIT = 20


class CameraState:
    """Camera state set by commands. The command thread writes it, the rendering thread reads it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tables: dict[str, NDArray[np.uint8]] = {}
        self._manual_gains: dict[str, float] = {}
        self._compensations: dict[str, int] = {}
        self._locked: dict[str, int] = {}  # camera -> compensation at the time of AE_LOCK
        self._stills = 0
        self._logs: list[str] = []
        self.disparity_confidence = _START_CONFIDENCE
        self.autofocus_mode = FOCUS_MODES.index("continuous_picture")
        self.lens_position = 0

    def exposure_table(self, camera: str) -> NDArray[np.uint8] | None:
        """(256,) uint8 brightness table of a camera; None for unchanged brightness."""
        return self._tables.get(camera)

    def take_still_request(self) -> bool:
        """True if a still was requested since the last call; several requests give one still."""
        with self._lock:
            requested, self._stills = self._stills, 0
        return requested > 0

    def take_logs(self) -> list[str]:
        """Log lines since the last call."""
        with self._lock:
            logs, self._logs = self._logs, []
        return logs

    def log(self, text: str) -> None:
        """Queue a log line for `meta_d2h`; without a reader the oldest lines are dropped."""
        with self._lock:
            self._logs = [*self._logs[-_LOG_LIMIT:], text]

    def execute(self, command: bytes) -> None:
        """Execute one command; log and ignore unknown commands."""
        if len(command) > HOST_CAPTURE_WINDOW:
            self.log(f"ignored command of {len(command)} bytes: {command[:16].hex(' ')}")
        elif command.startswith(b"3A ") and command.endswith(b"\0"):
            self._control_camera(command[:-1].decode("ascii", "replace"))
        elif len(command) == 1:
            self.disparity_confidence = command[0]
            self.log(f"disparity confidence threshold {command[0]}")
        elif len(command) == HOST_CAPTURE_BYTES and command[0] <= 3:
            self._capture(command[0], command[1])
        else:
            self.log(f"ignored command of {len(command)} bytes: {command[:16].hex(' ')}")

    def _capture(self, command: int, argument: int) -> None:
        if command == 1:
            self._request_still()
        elif command == 3:
            self.autofocus_mode = argument
        self.log(f"capture command {command} argument {argument}")

    def _request_still(self) -> None:
        with self._lock:
            self._stills = 1

    def _control_camera(self, text: str) -> None:
        try:
            number, camera, *arguments = (int(word) for word in text.split()[1:])
            name = dict(enumerate(CAMERAS))[camera]
            if number in _CONTROLS:
                _CONTROLS[number](self, name, arguments)
        except (ValueError, LookupError):
            self.log(f"ignored camera control {text!r}")
            return
        self.log(f"camera control {text} ({_CONTROL_NAMES.get(number, 'unknown')} of {name})")

    def _expose(self, camera: str) -> None:
        """Recompute the brightness table of a camera from its exposure settings."""
        compensation = self._locked.get(camera, self._compensations.get(camera, 0))
        gain = self._manual_gains.get(camera, 2.0 ** (compensation / 2))
        if gain == 1.0:
            self._tables.pop(camera, None)
            return
        levels = np.clip(np.arange(256) * gain, 0, 255)
        self._tables[camera] = levels.astype(np.uint8)

    def _manual_exposure(self, camera: str, arguments: list[int]) -> None:
        exposure_us, iso = arguments[:2]
        self._manual_gains[camera] = exposure_us * iso / _NATURAL_EXPOSURE
        self._expose(camera)

    def _auto_exposure(self, camera: str, _arguments: list[int]) -> None:
        self._manual_gains.pop(camera, None)
        self._expose(camera)

    def _compensate(self, camera: str, arguments: list[int]) -> None:
        limit = _COMPENSATION_LIMIT
        self._compensations[camera] = max(-limit, min(limit, arguments[0]))
        self._expose(camera)

    def _lock_exposure(self, camera: str, arguments: list[int]) -> None:
        if not arguments[0]:
            self._locked.pop(camera, None)
        elif camera not in self._locked:
            self._locked[camera] = self._compensations.get(camera, 0)
        self._expose(camera)

    def _move_lens(self, _camera: str, arguments: list[int]) -> None:
        self.lens_position = arguments[0]


_CONTROL_NAMES = {number: name for name, number in CONTROLS.items()}
#: Number of a camera control that changes something here -> what it does.
_CONTROLS: dict[int, Callable[[CameraState, str, list[int]], None]] = {
    CONTROLS["REQUEST_STILL"]: lambda state, _camera, _arguments: state._request_still(),
    CONTROLS["MOVE_LENS"]: CameraState._move_lens,
    CONTROLS["AE_MANUAL"]: CameraState._manual_exposure,
    CONTROLS["AE_AUTO"]: CameraState._auto_exposure,
    CONTROLS["EXPOSURE_COMPENSATION"]: CameraState._compensate,
    CONTROLS["AE_LOCK"]: CameraState._lock_exposure,
}
