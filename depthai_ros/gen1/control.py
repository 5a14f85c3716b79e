"""Enumerations for camera commands of the Gen1 API."""

from __future__ import annotations

from .types import Enumeration, Opaque


class AutofocusMode(
    Enumeration,
    members={
        "AF_MODE_AUTO": 0,
        "AF_MODE_MACRO": 1,
        "AF_MODE_CONTINUOUS_VIDEO": 2,
        "AF_MODE_CONTINUOUS_PICTURE": 3,
        "AF_MODE_EDOF": 4,
    },
):
    """How the colour camera focuses."""

    __slots__ = ()


#: Numbers of the camera controls. Source: docs/wire_format.md#commands
_COMMANDS = {
    "START_STREAM": 0,
    "STOP_STREAM": 1,
    "REQUEST_STILL": 2,
    "MOVE_LENS": 3,
    "FOCUS_TRIGGER": 4,
    "AE_MANUAL": 5,
    "AE_AUTO": 6,
    "SET_AWB_MODE": 7,
    "SCENE_MODES": 8,
    "ANTIBANDING_MODES": 9,
    "EXPOSURE_COMPENSATION": 10,
    "AE_LOCK": 12,
    "AE_TARGET_FPS_RANGE": 13,
    "AWB_LOCK": 15,
    "CAPTURE_INTENT": 16,
    "CONTROL_MODE": 17,
    "FRAME_DURATION": 20,
    "SENSITIVITY": 22,
    "EFFECT_MODE": 23,
    "AF_MODE": 25,
    "NOISE_REDUCTION_STRENGTH": 26,
    "SATURATION": 27,
    "BRIGHTNESS": 30,
    "STREAM_FORMAT": 32,
    "CAM_RESOLUTION": 33,
    "SHARPNESS": 34,
    "CUSTOM_USECASE": 39,
    "CUSTOM_CAPT_MODE": 40,
    "CUSTOM_EXP_BRACKETS": 41,
    "CUSTOM_CAPTURE": 42,
    "CONTRAST": 43,
    "AE_REGION": 44,
    "AF_REGION": 46,
    "LUMA_DENOISE": 47,
    "CHROMA_DENOISE": 48,
}


class CameraControl(Opaque):
    """Holds the enumerations for `Device.send_camera_control`; cannot be constructed."""

    __slots__ = ()

    class CamId(Enumeration, members={"RGB": 0, "LEFT": 1, "RIGHT": 2}):
        """Which camera a command is for."""

        __slots__ = ()

    class Command(Enumeration, members=_COMMANDS):
        """What the camera should do; `extra_args` holds its numbers, separated by blanks."""

        __slots__ = ()
