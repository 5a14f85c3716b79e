"""The device of the Gen1 API."""

from __future__ import annotations

import logging
import operator
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .. import _core
from ..device.connect import LINKS
from ..errors import DepthaiError
from .control import AutofocusMode, CameraControl
from .pipeline import CNNPipeline
from .session import Gen1Session
from .types import Opaque, describe

_log = logging.getLogger("depthai")

#: Names the device that programs get, as `depthai_ros` selectors do: usb, virtual, unix:/path, …
SELECTOR_VARIABLE = "DEPTHAI_DEVICE"
#: Path of the firmware for boards on USB, where the program names no file that exists.
FIRMWARE_VARIABLE = "DEPTHAI_FIRMWARE"
_USB = "usb"
_EMPTY: dict[str, Any] = {}


def choose_selector(usb_device: str) -> str:
    """Selector for what a program asked for.

    A selector in `usb_device` wins over DEPTHAI_DEVICE, and that over a USB port path.
    """
    if usb_device.partition(":")[0] in LINKS:
        return usb_device
    chosen = os.environ.get(SELECTOR_VARIABLE) or _USB
    return f"{_USB}:{usb_device}" if chosen == _USB and usb_device else chosen


def _on_usb() -> list[str]:
    """Boards on USB, booted or not, as selectors."""
    try:
        return sorted(f"{_USB}:{board.location}" for board in _core.scan_usb())
    except DepthaiError as cause:  # no bus at all, as in a container
        _log.warning("%s", str(cause))
        return []


def list_devices() -> None:
    """Print what could be opened, and leave the program. Raises SystemExit."""
    selector = choose_selector("")
    found = _on_usb() if selector.partition(":")[0] == _USB else [selector]
    print(f"Detected {len(found)} device(s):", *found, sep="\n")
    raise SystemExit(0)


def _firmware(cmd_file: str | os.PathLike[str]) -> str:
    """The program's own file if there is one, else that of the environment."""
    if str(cmd_file) and Path(cmd_file).is_file():
        return str(cmd_file)
    return os.environ.get(FIRMWARE_VARIABLE, "")


def _slow_variant(selector: str, firmware: str) -> bool:
    """True if the firmware can be made to stay at USB 2 speed; a message if not."""
    if not selector.startswith(_USB) or zipfile.is_zipfile(firmware):
        return selector.startswith(_USB)
    _log.warning(
        "usb2_mode: %s is a finished image and decides itself; give the official wheel, or an "
        "image made with `depthai-firmware extract --usb2`",
        firmware,
    )
    return False


def open_session(
    usb_device: str, cmd_file: str | os.PathLike[str] = "", *, usb2: bool = False
) -> Gen1Session | None:
    """Open the device, None and a message if that is not possible."""
    if usb_device == "list":
        list_devices()
    selector, firmware = choose_selector(usb_device), _firmware(cmd_file)
    try:
        return Gen1Session(selector, firmware, usb2=usb2 and _slow_variant(selector, firmware))
    except DepthaiError as cause:
        advice = ""
        if selector.startswith(_USB):
            advice = f"; for a device without hardware set {SELECTOR_VARIABLE}=virtual"
        _log.error("cannot initialise device: %s%s", str(cause), advice)
        return None


def _read_arguments(arguments: tuple[Any, ...]) -> tuple[str, str | os.PathLike[str] | None, bool]:
    """(usb_device, cmd_file, usb2_mode) of the three forms of `Device()`; one has a cmd_file."""
    if not arguments:
        return "", None, False
    if len(arguments) == 2:
        first, second = arguments
        if isinstance(second, str) and isinstance(first, (str, os.PathLike)):
            return second, first, False
        is_flag = second is None or hasattr(type(second), "__bool__")
        if is_flag and isinstance(first, str):
            return first, None, bool(second)
    raise TypeError(
        f"Device{arguments!r}: incompatible arguments, must be Device(), "
        "Device(usb_device: str, usb2_mode: bool) or Device(cmd_file: str, usb_device: str)"
    )


class Device(Opaque):
    """A device: `Device()`, `Device(usb_device, usb2_mode)` or `Device(cmd_file, usb_device)`.

    `usb_device` is a USB port path such as "2.1", "" for the first device found, "list" to print
    what there is and exit, or a selector such as "virtual". With `usb2_mode` the link stays at USB
    2 speed, if the firmware is the official wheel. The connection ends with the last reference to
    the object, whether or not its pipeline is still referenced.

    Raises  RuntimeError if the device cannot be opened, in the form with `cmd_file` only; else
            `create_pipeline` returns None. TypeError for other arguments
    """

    __slots__ = ("_session",)
    _session: Gen1Session | None

    def __init__(self, *arguments: Any) -> None:
        self._session = None
        usb_device, cmd_file, usb2 = _read_arguments(arguments)
        self._session = open_session(usb_device, cmd_file or "", usb2=usb2)
        if self._session is None and cmd_file is not None:
            raise RuntimeError("cannot initialise device")

    def __del__(self) -> None:
        self._close()

    def _close(self) -> None:
        session = getattr(self, "_session", None)
        if session is not None:
            session.close()

    def _opened(self) -> Gen1Session:
        if self._session is None:
            raise RuntimeError("device not initialised")
        return self._session

    # -- pipeline

    def create_pipeline(self, config: dict[str, Any] = _EMPTY) -> CNNPipeline | None:
        """Configure the device and start its streams; docs/parameters.md has all keys.

        A pipeline that was there before ends. None, with a message on stderr, if the device is not
        there, lacks a stream or resources, or a value is out of range.

        Raises  RuntimeError for a wrong type, a missing field, or a blob configuration that does
                not fit; TypeError if `config` is not a dict
        """
        if not isinstance(config, dict):
            raise TypeError(f"config is {describe(config)}, must be a dict")
        if self._session is None:
            _log.error("create_pipeline: device not initialised")
            return None
        return self._session.start(config)

    def get_pipeline(self) -> CNNPipeline:
        """The running pipeline. Raises RuntimeError if there is none."""
        pipeline = self._session.pipeline if self._session else None
        if pipeline is None:
            raise RuntimeError("there is no pipeline")
        return pipeline

    def get_available_streams(self) -> list[str]:
        """Streams that the device offers, in its own order."""
        return list(self._session.device.available_streams) if self._session else []

    def get_nn_to_depth_bbox_mapping(self) -> dict[str, int]:
        """Where the network's input lies in the depth picture: max_h, max_w, off_x, off_y.

        Pixels; x of the depth picture is off_x + x_nn * max_w. Zeros until a network is loaded.
        """
        return self._session.nn_to_depth if self._session else dict.fromkeys(_MAPPING_KEYS, 0)

    # -- commands; without a running pipeline nothing happens

    def _command(self, send: Callable[[Any], None]) -> None:
        if self._session is not None:
            self._session.command(send)

    def request_jpeg(self) -> None:
        """Have one picture taken for `jpegout`."""
        self._command(lambda device: device.capture_still())

    def request_af_trigger(self) -> None:
        """Focus once."""
        self._command(lambda device: device.trigger_autofocus())

    def request_af_mode(self, mode: AutofocusMode) -> None:
        """Choose how the camera focuses. Raises TypeError for anything but an AutofocusMode."""
        _check(mode, AutofocusMode, "mode")
        self._command(lambda device: device.set_autofocus_mode(int(mode)))

    def send_disparity_confidence_threshold(self, confidence: int) -> None:
        """0..255, pixels of lower certainty become invalid. Raises TypeError for anything else."""
        value = _byte("confidence", confidence)
        self._command(lambda device: device.set_disparity_confidence(value))

    def send_camera_control(
        self,
        camera_id: CameraControl.CamId,
        command_id: CameraControl.Command,
        extra_args: str,
    ) -> None:
        """Command one camera; `extra_args` are numbers separated by blanks, or "".

        Raises  TypeError; ValueError if the text is too long
        """
        _check(camera_id, CameraControl.CamId, "camera_id")
        _check(command_id, CameraControl.Command, "command_id")
        _check(extra_args, str, "extra_args")
        numbers = int(camera_id), int(command_id)
        self._command(lambda device: device.control_camera(*numbers, extra_args))

    # -- what the device is

    def is_usb3(self) -> bool:
        """True if the link is as fast as USB 3, or is none of USB."""
        return self._opened().device.usb_speed not in ("LOW", "FULL", "HIGH")

    def get_mx_id(self) -> str:
        """Serial number of the chip."""
        return self._opened().device.mx_id

    def is_device_changed(self) -> bool:
        """True until `reset_device_changed()`, and again after the device had to be restarted."""
        return self._opened().is_changed

    def reset_device_changed(self) -> None:
        """Make `is_device_changed()` false."""
        self._opened().is_changed = False

    def is_rgb_connected(self) -> bool:
        """True if there is a colour camera."""
        return self._opened().device.cameras["rgb"]

    def is_left_connected(self) -> bool:
        """True if there is a left camera."""
        return self._opened().device.cameras["left"]

    def is_right_connected(self) -> bool:
        """True if there is a right camera."""
        return self._opened().device.cameras["right"]

    # -- calibration; once a pipeline runs, for its mono resolution

    def is_eeprom_loaded(self) -> bool:
        """True if the device has a stored calibration with camera matrices."""
        return self._opened().calibration.is_loaded

    def get_left_intrinsic(self) -> list[list[float]]:
        """3x3, pixels. Raises RuntimeError if the stored calibration is older than layout 4."""
        return self._opened().calibration.left_intrinsic()

    def get_right_intrinsic(self) -> list[list[float]]:
        """3x3, pixels. Raises RuntimeError if the stored calibration is older than layout 4."""
        return self._opened().calibration.right_intrinsic()

    def get_left_homography(self) -> list[list[float]]:
        """3x3, left picture to rectified picture. Raises RuntimeError as above."""
        return self._opened().calibration.left_homography()

    def get_right_homography(self) -> list[list[float]]:
        """3x3, right picture to rectified picture; [] if nothing is stored."""
        return self._opened().calibration.right_homography()

    def get_rotation(self) -> list[list[float]]:
        """3x3, right camera with respect to the left. Raises RuntimeError as above."""
        return self._opened().calibration.rotation()

    def get_translation(self) -> list[float]:
        """Right camera with respect to the left, centimetres. Raises RuntimeError as above."""
        return self._opened().calibration.translation_cm()

    def write_eeprom_data(self, config: dict[str, Any] = _EMPTY) -> None:
        """Have the device store a board description and a calibration; see docs/wire_format.md.

        The outcome comes as a log line of `meta_d2h`.
        Raises  RuntimeError without a pipeline with `app.enable_reconfig`, or if the transfer fails
        """
        if not isinstance(config, dict):
            raise TypeError(f"config is {describe(config)}, must be a dict")
        try:
            document = _plain(config)
        except TypeError as cause:
            raise RuntimeError(f"write_eeprom_data: {cause}") from cause
        self._opened().write_board(document)


_MAPPING_KEYS = ("max_h", "max_w", "off_x", "off_y")


def _check(value: Any, kind: type, name: str) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{name} is {describe(value)}, must be {kind.__qualname__}")


def _byte(name: str, value: Any) -> int:
    """0..255, truth values as 0 and 1. Raises TypeError."""
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if not 0 <= number <= 255:
        raise TypeError(f"{name} is {describe(value)}, must be an integer between 0 and 255")
    return number


def _plain(value: Any) -> Any:
    """What JSON can say, from what programs put into dicts. Raises TypeError for anything else."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f"{describe(value)} cannot be sent to a device")
