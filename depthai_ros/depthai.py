"""The Gen1 DepthAI API: `from depthai_ros import depthai`.

Programs with `import depthai` run unchanged with `python -m depthai_ros.depthai PROGRAM`. The
module functions use one device per process; `Device` objects are independent of it.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from . import __version__ as _own_version
from .gen1.control import AutofocusMode, CameraControl
from .gen1.device import Device, open_session
from .gen1.entries import TensorEntry, TensorEntryContainer
from .gen1.packets import DataPacket, DataPacketList, FrameMetadata, ObjectTracker, Tracklet
from .gen1.pipeline import CNNPipeline, Pipeline
from .gen1.results import Detection, Detections, NNetPacket, NNetPacketList
from .gen1.session import Gen1Session
from .gen1.tensors import TensorInfo

__all__ = [
    "init_device",
    "create_pipeline",
    "deinit_device",
    "get_available_steams",
    "get_available_streams",
    "get_nn_to_depth_bbox_mapping",
    "request_jpeg",
    "request_af_trigger",
    "request_af_mode",
    "send_DisparityConfidenceThreshold",
    "send_disparity_confidence_threshold",
    "reboot_device",
    "download_blob",
    "Device",
    "CNNPipeline",
    "Pipeline",
    "NNetPacket",
    "NNetPacketList",
    "DataPacket",
    "DataPacketList",
    "FrameMetadata",
    "ObjectTracker",
    "Tracklet",
    "TensorInfo",
    "Detections",
    "Detection",
    "TensorEntryContainer",
    "TensorEntry",
    "CameraControl",
    "AutofocusMode",
]

_log = logging.getLogger("depthai")

#: Programs compare this version; the suffix +dev marks a module that is not a vendor release.
__version__ = "1.0.0.0+dev"
#: In the first releases: the commit of the build.
__dev_version__ = _own_version

#: The device of the module functions.
_device: Device | None = None


def init_device(
    cmd_file: str | os.PathLike[str] = "./depthai.cmd",
    usb_device: str = "",
    *,
    cmd_file_path: str | os.PathLike[str] | None = None,
) -> bool:
    """Open the device of the module functions. False if it fails or a device is already open.

    `cmd_file` (or `cmd_file_path`) is the firmware for a board on USB; DEPTHAI_FIRMWARE is used if
    that file does not exist. `usb_device` is as for `Device`. A device that is already open stays
    open.
    """
    global _device
    file = cmd_file if cmd_file_path is None else cmd_file_path
    if not isinstance(file, (str, os.PathLike)) or not isinstance(usb_device, str):
        raise TypeError(f"init_device({file!r}, {usb_device!r}): both must be texts")
    if _device is not None:
        _log.warning("init_device: the device is already initialised")
        return False
    session = open_session(usb_device, file)
    if session is None:
        return False
    _device = _hold(session)
    return True


def _hold(session: Gen1Session) -> Device:
    device = Device.__new__(Device)
    device._session = session
    return device


def create_pipeline(config: dict[str, Any] = {}) -> CNNPipeline | None:  # noqa: B006
    """`Device.create_pipeline` of the module's device. None before `init_device`."""
    if not isinstance(config, dict):
        raise TypeError(f"config is {config!r}, must be a dict")
    if _device is None:
        _log.error("create_pipeline: call init_device first")
        return None
    return _device.create_pipeline(config)


def deinit_device() -> bool:
    """Reset and close the module's device, if there is one; always True."""
    global _device
    device, _device = _device, None
    if device is not None:
        device._close()
    return True


def get_available_streams() -> list[str]:
    """Streams that the device offers; [] before `init_device`."""
    return _device.get_available_streams() if _device else []


def get_available_steams() -> list[str]:
    """`get_available_streams` under its first name."""
    return get_available_streams()


def get_nn_to_depth_bbox_mapping() -> dict[str, int]:
    """`Device.get_nn_to_depth_bbox_mapping` of the module's device."""
    return (_device or _NO_DEVICE).get_nn_to_depth_bbox_mapping()


def request_jpeg() -> None:
    """Capture one still image for stream `jpegout`."""
    (_device or _NO_DEVICE).request_jpeg()


def request_af_trigger() -> None:
    """Start one autofocus run."""
    (_device or _NO_DEVICE).request_af_trigger()


def request_af_mode(mode: AutofocusMode) -> None:
    """Set the focus mode."""
    (_device or _NO_DEVICE).request_af_mode(mode)


def send_disparity_confidence_threshold(confidence: int) -> None:
    """Set the limit, 0..255: matches that cost more are invalid."""
    (_device or _NO_DEVICE).send_disparity_confidence_threshold(confidence)


def send_DisparityConfidenceThreshold(confidence: int) -> None:
    """`send_disparity_confidence_threshold` under its first name."""
    send_disparity_confidence_threshold(confidence)


def reboot_device(device_id: int = 0) -> None:
    """Reset the module's device; `device_id` has no effect."""
    print(f"resetting device {device_id}")
    deinit_device()
    print("done")


def download_blob(
    model_name: str,
    nr_shaves: int,
    nr_cmx_slices: int,
    nr_NCEs: int,
    output_folder_path: str,
    /,
) -> int:
    """Always fails and returns 1: the vendor's server for compiled networks is gone."""
    _log.error("download_blob: the server for %s is gone", model_name)
    return 1


#: Used by the module functions before `init_device`; its commands have no effect.
_NO_DEVICE = Device.__new__(Device)
_NO_DEVICE._session = None

for _public in [globals()[name] for name in __all__]:
    if isinstance(_public, type):
        _public.__module__ = "depthai"
for _public in (
    CameraControl.CamId,
    CameraControl.Command,
    TensorInfo.Dimension,
    TensorInfo.DataType,
):
    _public.__module__ = "depthai"
del _public


def __dir__() -> list[str]:
    """The public names and the special ones, without the imports of this file."""
    special = [name for name in globals() if name.startswith("__") and name.endswith("__")]
    return sorted([*__all__, *special])


if __name__ == "__main__":
    from .commands.run_script import main

    sys.exit(main())
