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
from ..bounded import describe
from ..device.connect import LINKS, split_selector
from ..errors import DepthaiError
from .config import gen1_words
from .control import AutofocusMode, CameraControl
from .pipeline import CNNPipeline
from .session import Gen1Session
from .types import Opaque

_log = logging.getLogger("depthai")

#: Environment variable with the selector of the device: usb, virtual, unix:/path, …
SELECTOR_VARIABLE = "DEPTHAI_DEVICE"
#: Environment variable with the path of the USB firmware, used if `cmd_file` does not exist.
FIRMWARE_VARIABLE = "DEPTHAI_FIRMWARE"
_USB = "usb"
_NO_HARDWARE = (
    "without hardware run `depthai-run --device virtual PROGRAM`, "
    f"or set {SELECTOR_VARIABLE}=virtual"
)
_EMPTY: dict[str, Any] = {}


def choose_selector(usb_device: str) -> str:
    """Selector for the argument `usb_device`.

    Priority: selector in `usb_device`, then DEPTHAI_DEVICE, then USB port path in `usb_device`.
    """
    if split_selector(usb_device)[0] in LINKS:
        return usb_device
    chosen = os.environ.get(SELECTOR_VARIABLE) or _USB
    return f"{_USB}:{usb_device}" if chosen == _USB and usb_device else chosen


def _on_usb() -> list[str]:
    """Selectors of the boards on USB, booted or unbooted."""
    try:
        return sorted(f"{_USB}:{board.location}" for board in _core.scan_usb())
    except DepthaiError as cause:  # no USB bus, for example in a container
        _log.warning("%s", str(cause))
        return []


def list_devices() -> None:
    """Print the available devices and exit. Raises SystemExit."""
    selector = choose_selector("")
    found = _on_usb() if split_selector(selector)[0] == _USB else [selector]
    print(f"Detected {len(found)} device(s):", *found, sep="\n")
    raise SystemExit(0)


def _firmware(cmd_file: str | os.PathLike[str]) -> str:
    """`cmd_file` if that file exists, else DEPTHAI_FIRMWARE."""
    if str(cmd_file) and Path(cmd_file).is_file():
        return str(cmd_file)
    return os.environ.get(FIRMWARE_VARIABLE, "")


def _slow_variant(selector: str, firmware: str) -> bool:
    """True if the firmware can be limited to USB 2 speed; logs a warning if not."""
    if not selector.startswith(_USB) or zipfile.is_zipfile(firmware):
        return selector.startswith(_USB)
    _log.warning(
        "usb2_mode is ignored: the USB speed of firmware image %s is fixed; use the official "
        "wheel, or an image made with `depthai-firmware extract --usb2`",
        firmware,
    )
    return False


def open_session(
    usb_device: str, cmd_file: str | os.PathLike[str] = "", *, usb2: bool = False
) -> Gen1Session | None:
    """Open the device; logs an error and returns None if that fails."""
    if usb_device == "list":
        list_devices()
    selector, firmware = choose_selector(usb_device), _firmware(cmd_file)
    is_usb = split_selector(selector)[0] == _USB
    if is_usb and not firmware:
        _log.error("cannot initialise device: %s; %s", _no_firmware(cmd_file), _NO_HARDWARE)
        return None
    try:
        return Gen1Session(selector, firmware, usb2=usb2 and _slow_variant(selector, firmware))
    except DepthaiError as cause:
        advice = f"; {_NO_HARDWARE}" if is_usb else ""
        _log.error("cannot initialise device: %s%s", gen1_words(str(cause)), advice)
        return None


def _no_firmware(cmd_file: str | os.PathLike[str]) -> str:
    """Why there is no firmware, and where to give it."""
    found = f"cmd_file {os.fspath(cmd_file)} does not exist" if cmd_file else "no firmware is given"
    return (
        f"{found}, and a board on USB needs it at each start: set {FIRMWARE_VARIABLE} or "
        "cmd_file to the official Gen1 wheel, or to an image from `depthai-firmware extract`"
    )


def _read_arguments(arguments: tuple[Any, ...]) -> tuple[str, str | os.PathLike[str] | None, bool]:
    """(usb_device, cmd_file, usb2_mode) from the three forms of `Device()`; None = no cmd_file."""
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

    `usb_device` is a USB port path such as "2.1", "" for the first device, "list" to print the
    devices and exit, or a selector such as "virtual". `usb2_mode` limits the link to USB 2 speed if
    the firmware is the official wheel. The connection ends with the last reference to the `Device`,
    even if its pipeline is still referenced.

    Raises  RuntimeError if the device cannot be opened, only in the form with `cmd_file`; in the
            other forms `create_pipeline` returns None. TypeError for other arguments
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

        Ends the previous pipeline. Returns None and logs an error if the device is missing, does
        not offer a stream, has too few resources, or if a value is out of range.

        Raises  RuntimeError for a wrong type, a missing field, or a blob configuration that does
                not fit the blob; TypeError if `config` is not a dict
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
        """Streams that the device offers, in the device's order."""
        return list(self._session.device.available_streams) if self._session else []

    def get_nn_to_depth_bbox_mapping(self) -> dict[str, int]:
        """Region of the depth image that the network's input covers: max_h, max_w, off_x, off_y.

        Pixels; x in the depth image is off_x + x_nn * max_w. Zeros until a network is loaded.
        """
        return self._session.nn_to_depth if self._session else dict.fromkeys(_MAPPING_KEYS, 0)

    # -- commands; ignored without a running pipeline

    def _command(self, send: Callable[[Any], None]) -> None:
        if self._session is not None:
            self._session.command(send)

    def request_jpeg(self) -> None:
        """Capture one still image for stream `jpegout`."""
        self._command(lambda device: device.capture_still())

    def request_af_trigger(self) -> None:
        """Start one autofocus run."""
        self._command(lambda device: device.trigger_autofocus())

    def request_af_mode(self, mode: AutofocusMode) -> None:
        """Set the focus mode. Raises TypeError if `mode` is not an AutofocusMode."""
        _check(mode, AutofocusMode, "mode")
        self._command(lambda device: device.set_autofocus_mode(int(mode)))

    def send_disparity_confidence_threshold(self, confidence: int) -> None:
        """Set the limit, 0..255: matches that cost more are invalid. Raises TypeError."""
        value = _byte("confidence", confidence)
        self._command(lambda device: device.set_disparity_confidence(value))

    def send_camera_control(
        self,
        camera_id: CameraControl.CamId,
        command_id: CameraControl.Command,
        extra_args: str,
    ) -> None:
        """Send a command to one camera; `extra_args` are numbers separated by blanks, or "".

        Raises  TypeError; ValueError if the command has more than 64 bytes
        """
        _check(camera_id, CameraControl.CamId, "camera_id")
        _check(command_id, CameraControl.Command, "command_id")
        _check(extra_args, str, "extra_args")
        numbers = int(camera_id), int(command_id)
        self._command(lambda device: device.control_camera(*numbers, extra_args))

    # -- properties of the device

    def is_usb3(self) -> bool:
        """True for a link at USB 3 speed, and for links other than USB."""
        return self._opened().device.usb_speed not in ("LOW", "FULL", "HIGH")

    def get_mx_id(self) -> str:
        """Serial number of the chip."""
        return self._opened().device.mx_id

    def is_device_changed(self) -> bool:
        """True after opening and after each restart, until `reset_device_changed()`."""
        return self._opened().is_changed

    def reset_device_changed(self) -> None:
        """Set `is_device_changed()` to False."""
        self._opened().is_changed = False

    def is_rgb_connected(self) -> bool:
        """True if the colour camera is connected."""
        return self._opened().device.cameras["rgb"]

    def is_left_connected(self) -> bool:
        """True if the left camera is connected."""
        return self._opened().device.cameras["left"]

    def is_right_connected(self) -> bool:
        """True if the right camera is connected."""
        return self._opened().device.cameras["right"]

    # -- calibration, at the mono resolution of the last pipeline

    def is_eeprom_loaded(self) -> bool:
        """True if the EEPROM holds a calibration with intrinsics."""
        return self._opened().calibration.is_loaded

    def get_left_intrinsic(self) -> list[list[float]]:
        """3x3, pixels. Raises RuntimeError if the stored calibration is older than layout 4."""
        return self._opened().calibration.left_intrinsic()

    def get_right_intrinsic(self) -> list[list[float]]:
        """3x3, pixels. Raises RuntimeError if the stored calibration is older than layout 4."""
        return self._opened().calibration.right_intrinsic()

    def get_left_homography(self) -> list[list[float]]:
        """3x3, left image to rectified image. Raises RuntimeError as above."""
        return self._opened().calibration.left_homography()

    def get_right_homography(self) -> list[list[float]]:
        """3x3, right image to rectified image; [] if nothing is stored."""
        return self._opened().calibration.right_homography()

    def get_rotation(self) -> list[list[float]]:
        """3x3, rotation from the left to the right camera. Raises RuntimeError as above."""
        return self._opened().calibration.rotation()

    def get_translation(self) -> list[float]:
        """Translation from the left to the right camera, cm. Raises RuntimeError as above."""
        return self._opened().calibration.translation_cm()

    def get_intrinsic(self, camera_id: CameraControl.CamId) -> list[list[float]]:
        """3x3, pixels; for RGB of the image 1920 px wide, from the calibration file in use.

        Raises  TypeError; RuntimeError as above, and if the camera is not calibrated
        """
        _check(camera_id, CameraControl.CamId, "camera_id")
        return self._opened().calibration.intrinsic(camera_id.name)

    def get_distortion_coeffs(self, camera_id: CameraControl.CamId) -> list[float]:
        """14 numbers in the order of OpenCV. Raises as `get_intrinsic`; they need layout 5."""
        _check(camera_id, CameraControl.CamId, "camera_id")
        return self._opened().calibration.distortion(camera_id.name)

    def get_rgb_rotation(self) -> list[list[float]]:
        """3x3, rotation from the right to the rgb camera. Raises RuntimeError as above."""
        return self._opened().calibration.rgb_rotation()

    def get_rgb_translation(self) -> list[float]:
        """Translation from the right to the rgb camera, cm. Raises RuntimeError as above."""
        return self._opened().calibration.rgb_translation_cm()

    def write_eeprom_data(self, config: dict[str, Any] = _EMPTY) -> None:
        """Write board description and calibration to the EEPROM; see docs/wire_format.md.

        The device reports the result as a log line on `meta_d2h`.
        Raises  RuntimeError if no pipeline with `app.enable_reconfig` runs or the transfer fails
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
    """An integer 0..255; bool as 0 and 1. Raises TypeError."""
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if not 0 <= number <= 255:
        raise TypeError(f"{name} is {describe(value)}, must be an integer between 0 and 255")
    return number


def _plain(value: Any) -> Any:
    """A value as JSON types; accepts numpy values and paths. Raises TypeError for other types."""
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
