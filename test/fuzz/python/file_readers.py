"""Readers of files."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import yaml
from device_readers import use_calibration
from firmware_files import IMAGE, PATCH, make_library, make_patch, make_wheel
from gen1_readers import BLOB_CONFIGS, use_settings
from inputs import MemoryFile, seeds_of, text
from reader import Reader, check_document, check_finite

from depthai_ros.calibration import calibration, camera_info_file, gen1_file
from depthai_ros.cameras import CALIBRATION_FLOATS
from depthai_ros.config import defaults, read_network_config, validate
from depthai_ros.config.parameter_files import for_other_nodes, parameters_in
from depthai_ros.config.yaml_files import read_yaml
from depthai_ros.device import firmware
from depthai_ros.errors import ConfigError
from depthai_ros.launch import plan
from depthai_ros.virtual.scenes.eeprom import eeprom_document

ROOT = Path(__file__).resolve().parents[3]
PARAMETERS = [yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()) for name in ("virtual",)]
PARAMETERS += [{"/**": {"ros__parameters": {"a": {"b": [1.0]}}}, "oak": {"*": {}}}]
CAMERA_LISTS = [yaml.safe_load((ROOT / "config/multi_camera.yaml").read_text())]
_FILE = MemoryFile()


def _written(value: Any) -> str:
    """A document as YAML: as JSON, which is quick to write, with the numbers of YAML."""
    return json.dumps(value).replace("NaN", ".nan").replace("Infinity", ".inf")


def _seeds(documents: list[Any]) -> list[bytes]:
    texts = [yaml.safe_dump(each, allow_unicode=True).encode() for each in documents]
    return [*texts, *seeds_of(documents, _written)]


def _holding(data: bytes, seeds: list[Any]) -> str:
    return _FILE.holding(text(data, seeds, _written))


def _yaml(data: bytes) -> None:
    read_yaml(_holding(data, PARAMETERS))


def _launch_parameters(data: bytes) -> None:
    path = Path(_holding(data, PARAMETERS))
    for key in parameters_in(path, "/robot/oak"):
        key.encode()
    assert for_other_nodes(path, "/robot/oak").isprintable()


def _launch_cameras(data: bytes) -> None:
    plan.cameras(Path(_holding(data, CAMERA_LISTS)), {})


def _network_config(data: bytes) -> None:
    network = read_network_config(_FILE.holding(text(data, BLOB_CONFIGS)))
    check_document(network.document)
    values = {"ai.blob_file": "x", "stream_list": ["metaout"], "ai.calc_dist_to_bb": True}
    use_settings(validate({**values, "ai.calc_dist_to_bb": False}), network)
    use_settings(validate(values), network)


_OVERRIDE = validate({"board_config.override_eeprom": True, "depth.calibration_file": "x"})


def _calibration_file(data: bytes) -> None:
    path = _FILE.holding(data)
    gen1_file.pack(gen1_file.read(path).floats, center_crop=True)
    for settings in (defaults(), _OVERRIDE):
        use_calibration(calibration.from_file(path, settings))


_FLOATS = np.concatenate([np.eye(3).ravel()] * 5 + [[-7.5, 0, 0], np.eye(3).ravel()] * 2)
_FLOATS = np.resize(np.append(_FLOATS, np.zeros(100)), CALIBRATION_FLOATS).astype("<f4")
_MATRIX = {"rows": 3, "cols": 3, "data": [1.0, 0, 0, 0, 1, 0, 0, 0, 1]}
CAMERA_INFOS = [
    {
        "image_width": 640,
        "image_height": 400,
        "camera_name": "left",
        "device_mx_id": "1A",
        "distortion_model": "plumb_bob",
        "camera_matrix": {**_MATRIX, "data": [400.0, 0, 320, 0, 400, 200, 0, 0, 1]},
        "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.0] * 5},
        "rectification_matrix": _MATRIX,
        "projection_matrix": {"data": [400.0, 0, 320, 0, 0, 400, 200, 0, 0, 0, 1, 0]},
    }
]


def _camera_info(data: bytes) -> None:
    model, mx_id, _ = camera_info_file.read(Path(_holding(data, CAMERA_INFOS)))
    mx_id.encode()
    camera_info_file.check("left", model, (model.width, model.height), 0.075)
    camera_info_file.pair_problem({"left": model, "right": model})
    for made in (model.resized(320, 200), model.window(1, 1, 10, 10)):
        check_finite(made.k, made.p, made.d, made.r)


_TRANSFORM = [[1.0, 0, 0, 0.0375], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
_KALIBR = {"resolution": [640, 400], "intrinsics": [400.0, 400.0, 320.0, 200.0]}
RGB_POSES: list[Any] = [
    {
        "cam0": {"rostopic": "/oak/left/image_raw", **_KALIBR},
        "cam1": {"rostopic": "/oak/right/image_rect", **_KALIBR, "T_cn_cnm1": _TRANSFORM},
        "cam2": {"rostopic": "/oak/rgb/image_raw", **_KALIBR, "T_cn_cnm1": _TRANSFORM},
    },
    {
        "header": {"stamp": {"sec": 1}, "frame_id": "oak_right_camera_frame"},
        "child_frame_id": "oak_rgb_camera_frame",
        "transform": {
            "translation": {"x": 0.0, "y": 0.0375, "z": 0.0},
            "rotation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0},
        },
    },
    {"frame_id": "rgb", "child_frame_id": "left", "rectified": False, "matrix": _TRANSFORM},
]


def _rgb_pose(data: bytes) -> None:
    path = _holding(data, RGB_POSES)
    found = calibration.load(
        eeprom_document(5),
        validate({"calibration.rgb_pose_file": path, "tf.source": "urdf"}),
    )
    check_finite(*found.poses().values(), found.rgb_from_depth())
    assert all(warning.isprintable() for warning in found.warnings)


# -- firmware

#: A firmware file of the tests is much smaller than a real one.
_PLAUSIBLE, _LARGEST = range(1, 1 << 20), 1 << 22


def _firmware(data: bytes) -> None:
    with (
        mock.patch.object(firmware, "PLAUSIBLE_BYTES", _PLAUSIBLE),
        mock.patch.object(firmware, "MAX_FILE_BYTES", _LARGEST),
    ):
        path = Path(_FILE.holding(data))
        firmware.extract(path)
        firmware.extract(path, usb2=True)


def _firmware_patch(data: bytes) -> None:
    with mock.patch.object(firmware, "PLAUSIBLE_BYTES", _PLAUSIBLE):
        firmware.apply_patch(IMAGE, data)


def _firmware_steps(data: bytes) -> None:
    """A patch of well-packed parts: a mutation of packed bytes rarely unpacks."""
    numbers = struct.unpack(f"<{len(data) // 8}q", data[: len(data) // 8 * 8])
    steps = [
        (int(add), int(insert), int(seek))
        for add, insert, seek in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=False)
    ]
    size = sum(add + insert for add, insert, _ in steps)
    patch = make_patch(steps, bytes(len(data)), data, min(abs(size), 1 << 62))
    _firmware_patch(patch)


_STEPS = struct.pack("<6q", 4, 2, -4, 4, 0, 0)
_ERRORS = (firmware.FirmwareError, ConfigError)

READERS = {
    "yaml": Reader(_yaml, (ConfigError,), _seeds(PARAMETERS)),
    "launch_parameters": Reader(_launch_parameters, (ConfigError,), _seeds(PARAMETERS)),
    "launch_cameras": Reader(_launch_cameras, (ConfigError,), _seeds(CAMERA_LISTS)),
    "network_config": Reader(_network_config, (ConfigError,), seeds_of(BLOB_CONFIGS)),
    "calibration_file": Reader(
        _calibration_file, (ConfigError,), [_FLOATS.tobytes() + b"\1", _FLOATS[:9].tobytes()]
    ),
    "rgb_pose_file": Reader(_rgb_pose, (ConfigError,), _seeds(RGB_POSES)),
    "camera_info_file": Reader(_camera_info, (ConfigError,), _seeds(CAMERA_INFOS)),
    "firmware": Reader(_firmware, _ERRORS, [make_library(), make_wheel(make_library())]),
    "firmware_patch": Reader(_firmware_patch, _ERRORS, [PATCH]),
    "firmware_steps": Reader(_firmware_steps, _ERRORS, [_STEPS]),
}
