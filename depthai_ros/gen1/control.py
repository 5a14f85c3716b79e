"""Enumerations for camera commands of the Gen1 API."""

from __future__ import annotations

from ..cameras import CONTROLS, FOCUS_MODES
from ..wire_formats import CAMERAS
from .types import Enumeration, Opaque


class AutofocusMode(
    Enumeration,
    members={f"AF_MODE_{name.upper()}": number for number, name in enumerate(FOCUS_MODES)},
):
    """Focus mode of the colour camera."""

    __slots__ = ()


class CameraControl(Opaque):
    """Holds the enumerations for `Device.send_camera_control`; cannot be constructed."""

    __slots__ = ()

    class CamId(Enumeration, members={name.upper(): number for number, name in enumerate(CAMERAS)}):
        """Camera that receives a command."""

        __slots__ = ()

    class Command(Enumeration, members=CONTROLS):
        """Camera command; its arguments are the numbers in `extra_args`, separated by blanks."""

        __slots__ = ()
