"""Checks, writes and reads the camera models from set_camera_info, as YAML files.

The format is that of camera_calibration_parsers, with the additional entry `device_mx_id`, which
other readers ignore.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..bounded import whole
from ..config.paths import replace_file, resolve_path
from ..config.settings import Settings
from ..config.yaml_files import read_yaml, yaml_number
from ..errors import ConfigError
from .camera_model import CameraModel, Matrix

#: Distortion model -> number of coefficients. Source: sensor_msgs/CameraInfo
DISTORTION_MODELS = {"plumb_bob": 5, "rational_polynomial": 8, "equidistant": 4}
#: Largest relative difference to the known baseline; one in the wrong unit differs more.
_BASELINE_TOLERANCE = 0.1
_ROTATION_TOLERANCE = 1e-3
_LARGEST_FILE_BYTES = 100_000
_LARGEST_SIDE = 1 << 16


def folder(settings: Settings) -> Path:
    """The folder of the files. Raises ConfigError."""
    given = settings["calibration.camera_info_folder"]
    if given:
        return resolve_path(given)
    return resolve_path(os.environ.get("ROS_HOME") or "~/.ros") / "camera_info"


# -- checks


def check(camera: str, model: CameraModel, size: tuple[int, int], baseline_m: float) -> None:
    """Check that a model fits images of this size (width, height) in px.

    `baseline_m` is the known distance of left and right.
    Raises  ConfigError with all errors
    """
    problems = [problem for rule in _RULES if (problem := rule(model))]
    if (model.width, model.height) != size:
        problems.insert(
            0, f"it is for {model.width}x{model.height} pixels, the images are {size[0]}x{size[1]}"
        )
    text = "; ".join(problems) or _baseline_problem(camera, model, baseline_m)
    if text:
        raise ConfigError(text)


def _distortion_problem(model: CameraModel) -> str:
    count = DISTORTION_MODELS.get(model.distortion_model)
    if count is None:
        known = ", ".join(DISTORTION_MODELS)
        return f"distortion_model is {model.distortion_model!r}, must be one of {known}"
    if model.d.size != count:
        return f"d has {model.d.size} numbers, {model.distortion_model} needs {count}"
    return "" if np.isfinite(model.d).all() else "d holds a number that is not finite"


def _k_problem(model: CameraModel) -> str:
    k = model.k
    if not np.isfinite(k).all():
        return "k holds a number that is not finite"
    if k[0, 0] <= 0 or k[1, 1] <= 0:
        return f"k has fx {k[0, 0]:g} and fy {k[1, 1]:g}, must be positive: it is not calibrated"
    return "" if np.array_equal(k[2], [0, 0, 1]) and k[1, 0] == 0 else "k is not a camera matrix"


def _r_problem(model: CameraModel) -> str:
    r = model.r
    if not np.isfinite(r).all():
        return "r holds a number that is not finite"
    deviation = float(np.abs(r @ r.T - np.eye(3)).max())
    is_rotation = deviation < _ROTATION_TOLERANCE and np.linalg.det(r) > 0
    return "" if is_rotation else "r is not a rotation"


def _p_problem(model: CameraModel) -> str:
    p = model.p
    if not np.isfinite(p).all():
        return "p holds a number that is not finite"
    if p[0, 0] <= 0 or p[1, 1] <= 0:
        return f"p has fx' {p[0, 0]:g} and fy' {p[1, 1]:g}, must be positive"
    is_projection = np.array_equal(p[2], [0, 0, 1, 0]) and p[1, 0] == 0 and p[1, 3] == 0
    return "" if is_projection else "p is not the projection matrix of a rectified camera"


_RULES: tuple[Callable[[CameraModel], str], ...] = (
    _distortion_problem,
    _k_problem,
    _r_problem,
    _p_problem,
)


def _baseline_problem(camera: str, model: CameraModel, baseline_m: float) -> str:
    """Check Tx: -fx' B for the right camera, 0 for all others, as image_geometry expects."""
    tx = float(model.p[0, 3])
    if camera != "right":
        return "" if tx == 0 else f"p[3] is {tx:g}, must be 0: only the right camera has a baseline"
    found_m = -tx / float(model.p[0, 0])
    is_near = abs(found_m - baseline_m) <= _BASELINE_TOLERANCE * baseline_m or baseline_m <= 0
    if found_m > 0 and is_near:
        return ""
    return (
        f"p[3] is {tx:g}, which places the right camera {found_m:g} m right of the left one; the "
        f"known baseline is {baseline_m:g} m. Calibrate both as a pair, in metres, or correct "
        "board_config.left_to_right_distance_cm"
    )


def pair_problem(models: Mapping[str, CameraModel]) -> str:
    """The reason why left and right are not a rectified pair for image_geometry, or ""."""
    if not {"left", "right"} <= models.keys():
        return ""
    left, right = models["left"].p, models["right"].p
    if all(math.isclose(left[at], right[at]) for at in ((0, 0), (1, 1), (1, 2))):
        return ""
    return "fx', fy' or cy' in p differ between left and right: set both from one calibration"


# -- files


def write(path: Path, camera_name: str, mx_id: str, model: CameraModel) -> None:
    """Write one camera's file, completely or not at all.

    Raises  OSError
    """
    replace_file(path, _text(camera_name, mx_id, model).encode())


def _text(camera_name: str, mx_id: str, model: CameraModel) -> str:
    matrices = {
        "camera_matrix": model.k,
        "distortion_coefficients": model.d.reshape(1, -1),
        "rectification_matrix": model.r,
        "projection_matrix": model.p,
    }
    lines = [
        f"image_width: {model.width}",
        f"image_height: {model.height}",
        f"camera_name: {camera_name}",
        f"device_mx_id: {_quoted(mx_id)}",
        f"distortion_model: {model.distortion_model}",
    ]
    for name, matrix in matrices.items():
        numbers = ", ".join(map(yaml_number, matrix.ravel()))
        rows, columns = matrix.shape
        lines += [f"{name}:", f"  rows: {rows}", f"  cols: {columns}", f"  data: [{numbers}]"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Text as a quoted YAML string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def read(path: Path) -> tuple[CameraModel, str]:
    """Read a file: the camera model, and the MX id of its device ("" = any).

    Raises  ConfigError
    """
    document = read_yaml(path, max_bytes=_LARGEST_FILE_BYTES)
    try:
        if not isinstance(document, dict):
            raise TypeError(f"{type(document).__name__}, expected a mapping")
        return _model(document), _word(document.get("device_mx_id") or "")
    except (KeyError, TypeError, ValueError, OverflowError) as cause:
        raise ConfigError(f"{path}: not a camera_info file: {cause!r}") from cause


def _model(document: Mapping[str, Any]) -> CameraModel:
    return CameraModel(
        width=whole(document["image_width"], "image_width", 1, _LARGEST_SIDE),
        height=whole(document["image_height"], "image_height", 1, _LARGEST_SIDE),
        k=_matrix(document, "camera_matrix", (3, 3)),
        d=_matrix(document, "distortion_coefficients", None),
        distortion_model=_word(document["distortion_model"]),
        r=_matrix(document, "rectification_matrix", (3, 3)),
        p=_matrix(document, "projection_matrix", (3, 4)),
    )


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__}, expected text")
    return value


def _matrix(document: Mapping[str, Any], name: str, shape: tuple[int, ...] | None) -> Matrix:
    data = document[name]["data"]
    if not isinstance(data, list) or not all(isinstance(number, (int, float)) for number in data):
        raise TypeError(f"{name} has no list of numbers")
    numbers = np.array([float(number) for number in data], np.float64)
    if shape is None:
        return numbers
    if numbers.size != math.prod(shape):
        raise ValueError(f"{name} has {numbers.size} numbers, expected {math.prod(shape)}")
    return numbers.reshape(shape)
