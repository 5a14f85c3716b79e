"""The services of the node: commands, device information, calibration.

They exist in every state of the node. A service that is not possible in the current state answers
`success: false` and names the state it needs. No service waits for the device longer than the link
needs to accept a command; ~/calibration_check answers within two seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from lifecycle_msgs.srv import ChangeState
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo
from sensor_msgs.srv import SetCameraInfo
from std_srvs.srv import Trigger

from .. import __version__
from ..calibration import camera_info_file, camera_info_places, gen1_file
from ..calibration.calibration import Calibration
from ..calibration.camera_model import CameraModel
from ..config.paths import resolve_path, safe_name
from ..config.settings import image_size, stream_list
from ..device.device import OpenDevice
from ..errors import ConfigError, DepthaiError
from ..messages.diagnostics import Health
from ..srv import DeviceInfo, SaveCalibration
from ..streams import STREAMS
from ..wire_formats import CAMERAS
from .calibration_check import CalibrationCheck
from .supervisor import Supervisor

_STILLS = "jpegout"


class WrongStateError(DepthaiError):
    """The service is not possible in the present state of the node or the device."""


class Services:
    """All services of a node. `state` returns the node's lifecycle state."""

    def __init__(
        self, node: Node, supervisor: Supervisor, health: Health, state: Callable[[], str]
    ) -> None:
        self._node = node
        self._supervisor = supervisor
        self._health = health
        self._state = state
        self._check = CalibrationCheck(supervisor)
        supervisor.corrected = self._with_stored_models
        for name, (service_type, method) in SERVICES.items():
            self._offer(name, service_type, partial(method, self))

    def _offer(self, name: str, service_type: Any, work: Callable[[Any, Any], str]) -> None:
        """`work` fills the response and returns its message, or raises an error."""

        def answer(request: Any, response: Any) -> Any:
            try:
                message, response.success = work(request, response), True
            except (DepthaiError, OSError) as cause:
                message, response.success = str(cause), False
            except Exception as cause:  # it would end the executor and the node
                self._supervisor.log_bug(cause)
                message, response.success = f"bug in the driver, see its log: {cause!r}", False
            field = "status_message" if service_type is SetCameraInfo else "message"
            setattr(response, field, message)
            return response

        self._node.create_service(service_type, f"~/{name}", answer)

    # -- preconditions

    def _need_state(self, *allowed: str) -> None:
        state = self._state()
        if state not in allowed:
            raise WrongStateError(f"the node is {state}, it has to be {' or '.join(allowed)}")

    def _need_streams(self) -> OpenDevice:
        self._need_state("active")
        device = self._supervisor.device
        if device is None or not self._supervisor.is_streaming:
            raise WrongStateError(f"the device is not streaming: {self._why_not_streaming()}")
        return device

    def _need_calibration(self) -> Calibration:
        self._need_state("inactive", "active")
        calibration = self._supervisor.calibration
        if calibration is None:
            raise WrongStateError(
                f"no calibration has been read from the device yet: {self._why_not_streaming()}"
            )
        return calibration

    def _why_not_streaming(self) -> str:
        return self._health.last_error or "the node is reconnecting, see ~/device/status"

    # -- commands

    def _capture_still(self, _request: Any, _response: Any) -> str:
        device = self._need_streams()
        settings = self._supervisor.settings
        if _STILLS not in stream_list(settings):
            raise ConfigError(
                f"stream_list has no {_STILLS}, the stream of still images; "
                "add it while the node is unconfigured"
            )
        if not settings[f"stream.{_STILLS}.publish"]:
            raise ConfigError(f"stream.{_STILLS}.publish is false: set it to true first")
        device.capture_still()
        topic = self._node.resolve_topic_name(f"~/{STREAMS[_STILLS].topics[0].name}")
        return f"the still image will be published on {topic}"

    def _trigger_autofocus(self, _request: Any, _response: Any) -> str:
        device = self._need_streams()
        lens_position = self._supervisor.settings["camera.rgb.lens_position"]
        if lens_position >= 0:
            raise ConfigError(
                f"camera.rgb.lens_position is {lens_position}, manual focus: set it to -1 to use "
                "autofocus"
            )
        device.trigger_autofocus()
        return "autofocus was triggered; the device does not report when it has finished"

    def _reset_device(self, _request: Any, _response: Any) -> str:
        self._need_state("active")
        self._supervisor.restart("~/reset_device was called")
        return "the device is being reset; ~/device/status shows when it streams again"

    # -- device information

    def _describe_device(self, _request: Any, response: Any) -> str:
        response.driver_version = __version__
        response.selector = self._supervisor.settings["device.id"]
        self._need_state("inactive", "active")
        device, calibration = self._supervisor.device, self._supervisor.calibration
        if device is None or calibration is None or not device.is_connected:
            raise WrongStateError(f"no device is connected: {self._why_not_streaming()}")
        geometry, pipeline = calibration.geometry, self._supervisor.pipeline
        response.mx_id = device.mx_id
        response.product, response.board_revision = geometry.name, geometry.revision
        response.firmware_version = device.firmware_version
        response.usb_path = device.usb_path
        response.usb_speed = "" if device.usb_speed == "UNKNOWN" else device.usb_speed.lower()
        response.cameras = [camera for camera, is_there in device.cameras.items() if is_there]
        response.available_streams = list(device.available_streams)
        if pipeline is not None:
            response.running_streams = list(stream_list(pipeline.settings))
        response.eeprom_version = int(device.eeprom["version"])
        response.calibration_source = calibration.source
        response.set_cameras = sorted(calibration.models)
        response.baseline_m = calibration.baseline_m
        return f"connected to {device.selector}"

    # -- calibration

    def _save_calibration(self, request: Any, response: Any) -> str:
        calibration = self._need_calibration()
        if calibration.stereo is None or calibration.source not in ("eeprom", "file"):
            raise ConfigError(
                f"there is no calibration to save, its source is {calibration.source}: neither "
                "the EEPROM nor depth.calibration_file holds one"
            )
        name = f"{safe_name(self._health.device.mx_id) or self._camera_name('cameras')}.calib"
        path = request.path or str(camera_info_places.folder(self._supervisor.settings) / name)
        floats = calibration.stereo.floats(calibration.rgb)
        gen1_file.write(path, floats, center_crop=calibration.geometry.center_crop)
        response.path = str(resolve_path(path).absolute())
        return (
            f"calibration (source: {calibration.source}) written to {response.path}; "
            "load it with depth.calibration_file"
        )

    def _calibration_check(self, _request: Any, _response: Any) -> str:
        self._need_streams()
        context, calibration = self._supervisor.context, self._need_calibration()
        if context is None:
            raise WrongStateError(f"the device is not streaming: {self._why_not_streaming()}")
        return self._check.answer(context, calibration)

    def _set_camera_info(self, request: Any, _response: Any, *, camera: str) -> str:
        calibration = self._need_calibration()
        model, notes = camera_info_file.settled(_model_of(request.camera_info))
        size = image_size(self._supervisor.settings, camera)
        camera_info_file.check(camera, model, size, calibration.baseline_m)
        name = self._camera_name(camera)
        path = camera_info_places.written_file(self._supervisor.settings, camera, name)
        camera_info_file.write(path, name, self._health.device.mx_id, model)
        models = {**calibration.models, camera: model}
        self._supervisor.recalibrate(calibration.with_models(models))
        pair = camera_info_file.pair_problem(models)
        return "; ".join([f"written to {path}", *notes, *([pair] if pair else [])])

    def _camera_name(self, camera: str) -> str:
        return camera_info_places.file_name(self._node.get_fully_qualified_name(), camera)

    def _with_stored_models(self, calibration: Calibration, device: OpenDevice) -> Calibration:
        """Add the models from camera_info files that fit this device and image size."""
        settings, logger = self._supervisor.settings, self._node.get_logger()
        names = {camera: self._camera_name(camera) for camera in CAMERAS}
        if warning := camera_info_places.folder_warning(settings, list(names.values())):
            logger.warning(warning)
        models = {}
        for camera, name in names.items():
            paths, warnings = camera_info_places.files(settings, camera, name)
            for warning in warnings:
                logger.warning(warning)
            for path in paths:
                if model := self._stored_model(camera, path, calibration, device):
                    models[camera] = model
                    break
        return calibration.with_models(models)

    def _stored_model(
        self, camera: str, path: Path, calibration: Calibration, device: OpenDevice
    ) -> CameraModel | None:
        """The model in a file; None, and a warning, if it does not fit."""
        try:
            model, mx_id, notes = camera_info_file.read(path)
            if mx_id not in ("", device.mx_id):
                raise ConfigError(
                    f"it is for the device {mx_id}, the connected device is {device.mx_id}"
                )
            size = image_size(self._supervisor.settings, camera)
            camera_info_file.check(camera, model, size, calibration.baseline_m)
        except ConfigError as cause:
            reason = str(cause).removeprefix(f"{path}: ")
            self._node.get_logger().warning(f"{path} is not used: {reason}")
            return None
        for note in notes:
            self._node.get_logger().warning(f"{path}: {note}")
        return model


def _model_of(info: CameraInfo) -> CameraModel:
    """The model in a message. Raises ConfigError if it does not describe the full image."""
    window = (info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height)
    if window not in ((0, 0, 0, 0), (0, 0, info.width, info.height)):
        raise ConfigError("roi is set: the model must describe the full image, without a roi")
    if max(info.binning_x, info.binning_y) > 1:
        raise ConfigError("binning is set: the model must describe the image as it is published")
    return CameraModel(
        width=info.width,
        height=info.height,
        k=np.array(info.k, np.float64).reshape(3, 3),
        d=np.array(info.d, np.float64),
        distortion_model=info.distortion_model,
        r=np.array(info.r, np.float64).reshape(3, 3),
        p=np.array(info.p, np.float64).reshape(3, 4),
    )


#: Service name below the node's -> (service type, handler).
SERVICES: dict[str, tuple[Any, Callable[..., str]]] = {
    "capture_still": (Trigger, Services._capture_still),
    "autofocus_trigger": (Trigger, Services._trigger_autofocus),
    "reset_device": (Trigger, Services._reset_device),
    "device_info": (DeviceInfo, Services._describe_device),
    "calibration_check": (Trigger, Services._calibration_check),
    "save_calibration": (SaveCalibration, Services._save_calibration),
    **{
        f"{camera}/set_camera_info": (
            SetCameraInfo,
            partial(Services._set_camera_info, camera=camera),
        )
        for camera in CAMERAS
    },
}


def refuse_wrong_transitions(node: Node) -> None:
    """Make ~/change_state answer `success: false` to a transition that its state does not have.

    Older versions of rclpy raise an error instead, and the client waits for ever.
    """
    for service in node.services:
        if service.srv_type is ChangeState:
            service.callback = partial(_changed_state, service.callback)


def _changed_state(change: Callable[[Any, Any], Any], request: Any, response: Any) -> Any:
    try:
        return change(request, response)
    except RuntimeError:  # RCLError is one; rcl has logged the transition and the state
        response.success = False
        return response
