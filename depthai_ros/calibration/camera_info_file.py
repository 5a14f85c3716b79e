"""Checks, writes and reads the camera models from set_camera_info, as YAML files.

The format is that of camera_calibration_parsers, with the additional entry `device_mx_id`, which
other readers ignore.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..bounded import is_whole, shown
from ..config.paths import replace_file
from ..config.yaml_files import read_yaml_lines, yaml_number
from ..errors import ConfigError
from .camera_model import CameraModel, Matrix, projection, rotation_error
from .plausibility import matrix_problem

#: Distortion model -> number of coefficients. Source: sensor_msgs/CameraInfo
DISTORTION_MODELS = {"plumb_bob": 5, "rational_polynomial": 8, "equidistant": 4}
_RATIONAL = DISTORTION_MODELS["rational_polynomial"]
#: Shortest vector of coefficients that OpenCV knows; the order of fewer numbers is unknown.
_LEAST_COEFFICIENTS = 4
#: Largest relative difference to the known baseline; one in the wrong unit differs more.
_BASELINE_TOLERANCE = 0.1
_ROTATION_TOLERANCE = 1e-3
_LARGEST_FILE_BYTES = 100_000
_LARGEST_SIDE = 1 << 16


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


def settled(model: CameraModel) -> tuple[CameraModel, tuple[str, ...]]:
    """The model with as many coefficients as its distortion model has, and notes on changes.

    Vectors of OpenCV (k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4 tx ty) have 4, 5, 8, 12 or 14 numbers
    whatever their model is: zeros at the end are dropped or added. `check` refuses the rest.
    """
    name, d, notes = model.distortion_model, model.d, []
    used = int(np.flatnonzero(d)[-1]) + 1 if d.any() else 0
    if not name:
        name = "plumb_bob"
        notes.append("it has no distortion_model: read as plumb_bob")
    if name == "plumb_bob" and DISTORTION_MODELS["plumb_bob"] < used <= _RATIONAL:
        name = "rational_polynomial"
        notes.append(f"d has {used} numbers other than 0: read as {name}, plumb_bob has 5")
    count = DISTORTION_MODELS.get(name, 0)
    if used <= count and (d.size >= _LEAST_COEFFICIENTS or not d.size):
        d = np.concatenate([d[:count], np.zeros(max(0, count - d.size))])
    return replace(model, distortion_model=name, d=d), tuple(notes)


def _distortion_problem(model: CameraModel) -> str:
    count = DISTORTION_MODELS.get(model.distortion_model)
    if count is None:
        known = ", ".join(DISTORTION_MODELS)
        return f"distortion_model is {shown(model.distortion_model)}, must be one of {known}"
    if not np.isfinite(model.d).all():
        return "d holds a number that is not finite"
    if model.d.size > count:
        return (
            f"d has {model.d.size} numbers, {model.distortion_model} has {count}, and one of those "
            "behind is not 0: ROS has no model with thin-prism terms, calibrate without them"
        )
    if model.d.size < count:
        return f"d has {model.d.size} numbers, {model.distortion_model} has {count}"
    return ""


def _k_problem(model: CameraModel) -> str:
    k = model.k
    if not np.isfinite(k).all():
        return "k holds a number that is not finite"
    if k[0, 0] <= 0 or k[1, 1] <= 0:
        return f"k has fx {k[0, 0]:g} and fy {k[1, 1]:g}, must be positive: it is not calibrated"
    if not np.array_equal(k[2], [0, 0, 1]) or k[1, 0] != 0:
        return "k is not a camera matrix"
    problem = matrix_problem(k, (model.width, model.height))
    return f"k {problem}" if problem else ""


def _r_problem(model: CameraModel) -> str:
    r = model.r
    if not np.isfinite(r).all():
        return "r holds a number that is not finite"
    with np.errstate(over="ignore", invalid="ignore"):
        deviation = rotation_error(r)
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


class StoredModel(NamedTuple):
    """Contents of a file; `mx_id` is that of its device, "" = any."""

    model: CameraModel
    mx_id: str
    notes: tuple[str, ...]  # how the model differs from what the file says


def read(path: Path) -> StoredModel:
    """Read a file of camera_calibration_parsers or of OpenCV.

    Raises  ConfigError that begins with the path, and names key and line
    """
    if path.suffix == ".ini":
        convert = "ros2 run camera_calibration_parsers convert IN.ini OUT.yaml"
        raise ConfigError(f"{path}: only YAML files are read; convert it with '{convert}'")
    document, lines = read_yaml_lines(path, max_bytes=_LARGEST_FILE_BYTES)
    try:
        return _Fields(document, lines).stored()
    except ConfigError as cause:
        raise ConfigError(f"{path}: not a camera_info file: {cause}") from None


class _Fields:
    """The values of a document; OpenCV writes some of their keys with capitals."""

    def __init__(self, document: Any, lines: Mapping[str, int]) -> None:
        if not isinstance(document, dict):
            raise ConfigError(f"it is {shown(document)}, must be a mapping with camera_matrix")
        for key, what in _FOREIGN_FILES.items():
            if key in document:
                raise ConfigError(f"it has {key} and is {what}")
        self._values = {str(key).lower(): value for key, value in document.items()}
        self._lines = {key.lower(): line for key, line in lines.items()}

    def stored(self) -> StoredModel:
        """Raises ConfigError."""
        size = [self._side(key) for key in ("image_width", "image_height")]
        k = self._matrix("camera_matrix", (3, 3))
        d = self._matrix("distortion_coefficients", None)
        is_alone = not {"rectification_matrix", "projection_matrix"} & self._values.keys()
        if is_alone:
            r, p = np.eye(3), projection(k)
        else:
            r = self._matrix("rectification_matrix", (3, 3))
            p = self._matrix("projection_matrix", (3, 4))
        is_fisheye = self._values.get("fisheye_model") == 1
        name = "equidistant" if is_fisheye else self._text("distortion_model")
        model, notes = settled(CameraModel(size[0], size[1], k, d, name, r, p))
        if is_alone:
            notes = (*notes, "it has no projection_matrix: read as that of a single camera")
        return StoredModel(model, self._text("device_mx_id"), notes)

    def _wrong(self, key: str, problem: str) -> ConfigError:
        line = self._lines.get(key)
        return ConfigError(f"line {line}: {key} {problem}" if line else f"{key} {problem}")

    def _side(self, key: str) -> int:
        value = self._values.get(key)
        if key not in self._values:
            raise self._wrong(key, "is missing: the size of the images it was calibrated with")
        if not is_whole(value, 1, _LARGEST_SIDE):
            raise self._wrong(key, f"is {shown(value)}, must be from 1 to {_LARGEST_SIDE}")
        return value

    def _text(self, key: str) -> str:
        value = self._values.get(key)
        if value is not None and not isinstance(value, str):
            raise self._wrong(key, f"is {shown(value)}, must be text")
        return value or ""

    def _matrix(self, key: str, shape: tuple[int, ...] | None) -> Matrix:
        """`shape` None: a vector of any length."""
        matrix = self._values.get(key)
        if key not in self._values:
            raise self._wrong(key, "is missing")
        data = matrix.get("data") if isinstance(matrix, dict) else None
        if not isinstance(data, list):
            raise self._wrong(key, f"is {shown(matrix)}, must have rows, cols and a list 'data'")
        for value in data:
            if not isinstance(value, (int, float)) or isinstance(value, bool):
                raise self._wrong(f"{key}.data", f"has {shown(value)}, must be numbers")
        numbers = np.array(data, np.float64)
        if shape is None:
            return numbers
        if numbers.size != math.prod(shape):
            problem = f"has {numbers.size} numbers, must have {math.prod(shape)}"
            raise self._wrong(f"{key}.data", problem)
        return numbers.reshape(shape)


#: A key that camera_info files lack -> the files that have it.
_FOREIGN_FILES = {
    "M1": "a stereo calibration of OpenCV: each camera needs a file of its own",
    "cam0": "a calibration of Kalibr: each camera needs a file of its own",
    "/**": "a parameter file",
}
