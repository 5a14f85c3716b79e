"""Commands for the options that a running device can change; table `LIVE_COMMANDS`.

A device keeps each value until its pipeline ends and cannot be queried: the option itself is the
only record.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from ..cameras import CONTROLS, FOCUS_MODES
from ..config.options import BY_KEY, WHITE_BALANCES
from ..config.settings import Settings, frame_duration_us, image_size
from ..errors import ConfigError, LinkError
from ..wire_formats import CAMERAS
from .device import OpenDevice

#: Last argument of the region command; the only value that is known to work.
_REGION_PRIORITY = 1

Send = Callable[[OpenDevice, Settings], None]


@dataclass(frozen=True, slots=True)
class LiveCommand:
    """Options that one call of `send` transfers to the device.

    While all `keys` have their defaults nothing is sent and `details` have no effect.
    `irreversible_reason`: why a running device cannot return to the defaults, "" = it can.
    """

    keys: tuple[str, ...]
    send: Send
    details: tuple[str, ...] = ()
    irreversible_reason: str = ""

    def is_default(self, settings: Settings) -> bool:
        """True if a newly started device needs no command."""
        return all(settings[key] == BY_KEY[key].default for key in self.keys)

    def differs(self, old: Settings, new: Settings) -> bool:
        """True if a device with the values `old` needs a command for `new`."""
        keys = self.keys + (() if self.is_default(new) else self.details)
        return any(old[key] != new[key] for key in keys)


def _send_confidence(device: OpenDevice, settings: Settings) -> None:
    device.set_disparity_confidence(settings["depth.disparity_confidence"])


def _send_focus(device: OpenDevice, settings: Settings) -> None:
    """Auto mode does not move the lens before an autofocus trigger."""
    lens_position = settings["camera.rgb.lens_position"]
    mode = "auto" if lens_position >= 0 else settings["camera.rgb.focus_mode"]
    device.set_autofocus_mode(FOCUS_MODES.index(mode))
    if lens_position >= 0:
        device.control_camera(CAMERAS.index("rgb"), CONTROLS["MOVE_LENS"], str(lens_position))


def _send_white_balance(device: OpenDevice, settings: Settings) -> None:
    mode = WHITE_BALANCES.index(settings["camera.rgb.white_balance"])
    device.control_camera(CAMERAS.index("rgb"), CONTROLS["SET_AWB_MODE"], str(mode))


def _number_sender(camera: str, key: str, control: str) -> Send:
    """A `send` for one number or truth value."""

    def send(device: OpenDevice, settings: Settings) -> None:
        device.control_camera(CAMERAS.index(camera), CONTROLS[control], str(int(settings[key])))

    return send


def _exposure_sender(camera: str) -> Send:
    def send(device: OpenDevice, settings: Settings) -> None:
        exposure_us = settings[f"camera.{camera}.exposure_us"]
        if exposure_us == 0:
            device.control_camera(CAMERAS.index(camera), CONTROLS["AE_AUTO"])
            return
        numbers = exposure_us, settings[f"camera.{camera}.iso"], frame_duration_us(settings, camera)
        words = " ".join(map(str, numbers))
        device.control_camera(CAMERAS.index(camera), CONTROLS["AE_MANUAL"], words)

    return send


def _region_sender(camera: str) -> Send:
    def send(device: OpenDevice, settings: Settings) -> None:
        width, height = image_size(settings, camera)
        region = settings[f"camera.{camera}.ae_region"] or f"0 0 {width} {height}"
        words = f"{region} {_REGION_PRIORITY}"
        device.control_camera(CAMERAS.index(camera), CONTROLS["AE_REGION"], words)

    return send


def _camera_rows(camera: str) -> tuple[LiveCommand, ...]:
    key = f"camera.{camera}"
    return (
        LiveCommand((f"{key}.ae_region",), _region_sender(camera)),
        LiveCommand(
            (f"{key}.ae_compensation",),
            _number_sender(camera, f"{key}.ae_compensation", "EXPOSURE_COMPENSATION"),
        ),
        LiveCommand((f"{key}.exposure_us",), _exposure_sender(camera), details=(f"{key}.iso",)),
        LiveCommand((f"{key}.ae_lock",), _number_sender(camera, f"{key}.ae_lock", "AE_LOCK")),
    )


#: The commands for live options, in the order in which they are sent.
LIVE_COMMANDS: tuple[LiveCommand, ...] = (
    LiveCommand(
        ("depth.disparity_confidence",),
        _send_confidence,
        irreversible_reason="no command restores the default threshold of a running device: set a "
        "number (Gen1 programs start with 200), or change it while the node is inactive",
    ),
    LiveCommand(("camera.rgb.focus_mode", "camera.rgb.lens_position"), _send_focus),
    LiveCommand(("camera.rgb.white_balance",), _send_white_balance),
    LiveCommand(("camera.rgb.awb_lock",), _number_sender("rgb", "camera.rgb.awb_lock", "AWB_LOCK")),
    *(row for camera in CAMERAS for row in _camera_rows(camera)),
)


def send_options(device: OpenDevice, settings: Settings) -> None:
    """Send every value that differs from its default to a newly started device. Raises LinkError"""
    for row in LIVE_COMMANDS:
        if not row.is_default(settings):
            row.send(device, settings)


def send_changes(
    device: OpenDevice, old: Settings, new: Settings, is_streaming: Callable[[], bool]
) -> None:
    """Send what differs between two settings, all or nothing.

    A device that is lost meanwhile is no error: the next start sends everything.
    Raises  ConfigError, LinkError; then the device has the old values
    """
    rows = [row for row in LIVE_COMMANDS if row.differs(old, new)]
    for row in rows:
        if row.irreversible_reason and row.is_default(new):
            raise ConfigError(f"{row.keys[0]}: {row.irreversible_reason}")
    for count, row in enumerate(rows):
        try:
            row.send(device, new)
        except LinkError as cause:
            if not is_streaming():
                return
            _send_again(device, rows[count::-1], old)
            raise LinkError(f"{row.keys[0]} did not reach the device: {cause}") from cause


def _send_again(device: OpenDevice, rows: list[LiveCommand], settings: Settings) -> None:
    """Restore the old values; a command without an answer may still have been executed."""
    with contextlib.suppress(LinkError):
        for row in rows:
            row.send(device, settings)
