"""Checks of camera models and poses, before tables are computed from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..calibration.camera_info_file import DISTORTION_MODELS
from ..calibration.camera_model import CameraModel, Matrix, is_camera_matrix, rotation_error
from ..errors import ConfigError

#: Largest deviation of a rotation from an orthogonal matrix, that of stored calibrations.
_ROTATION_TOLERANCE = 0.01
#: Cameras of one device are not farther from each other.
_LARGEST_DISTANCE_M = 10.0
#: Pixels of one image; a device has at most 4056 x 3040.
_MOST_PIXELS = 1 << 24


def check_rectified(what: str, model: CameraModel) -> None:
    """Check size and P of the rectified camera `what`.

    Raises  ConfigError
    """
    if not (min(model.width, model.height) > 0 and model.width * model.height <= _MOST_PIXELS):
        raise ConfigError(
            f"{what}: the image is {model.width}x{model.height}, must have 1 to {_MOST_PIXELS} "
            "pixels"
        )
    _check_matrix(f"{what}: p", model.p[:, :3])


def check_raw(what: str, model: CameraModel) -> None:
    """Check size, K, D, R and P of the camera `what`.

    Raises  ConfigError
    """
    check_rectified(what, model)
    _check_matrix(f"{what}: k", model.k)
    _check_rotation(f"{what}: r", model.r)
    count = DISTORTION_MODELS.get(model.distortion_model)
    if count is None or model.d.shape != (count,):
        known = ", ".join(f"{name} ({number})" for name, number in DISTORTION_MODELS.items())
        raise ConfigError(
            f"{what}: {model.distortion_model!r} with {model.d.size} coefficients, must be one of "
            f"{known}"
        )
    if not np.isfinite(model.d).all():
        raise ConfigError(f"{what}: d holds a number that is not finite")


def check_pose(what: str, pose: Matrix) -> None:
    """Check that a 4x4 matrix is a rotation and a translation in m.

    Raises  ConfigError
    """
    if pose.shape != (4, 4) or not np.array_equal(pose[3], [0, 0, 0, 1]):
        raise ConfigError(f"{what} is not a 4x4 matrix with the last row 0 0 0 1: {_told(pose)}")
    _check_rotation(what, pose[:3, :3])
    distance_m = float(np.linalg.norm(pose[:3, 3]))
    if not distance_m <= _LARGEST_DISTANCE_M:
        raise ConfigError(
            f"{what}: the cameras are {distance_m:g} m apart, at most {_LARGEST_DISTANCE_M:g} m "
            "are possible. Give the translation in metres"
        )


def check_shape(what: str, array: NDArray[Any], expected: tuple[int, ...]) -> None:
    """Check the shape of an image.

    Raises  ConfigError
    """
    if array.shape != expected:
        raise ConfigError(f"{what} has the shape {array.shape}, its camera model needs {expected}")


def _check_matrix(what: str, k: Matrix) -> None:
    if not np.isfinite(k).all():
        raise ConfigError(f"{what} holds a number that is not finite")
    if not is_camera_matrix(k) or k[1, 0] != 0:
        raise ConfigError(
            f"{what} is not a camera matrix (fx 0 cx, 0 fy cy, 0 0 1): {_told(k)}. The camera is "
            "not calibrated"
        )


def _check_rotation(what: str, rotation: Matrix) -> None:
    if not np.isfinite(rotation).all():
        raise ConfigError(f"{what} holds a number that is not finite")
    with np.errstate(over="ignore", invalid="ignore"):
        deviation = rotation_error(rotation)
        determinant = float(np.linalg.det(rotation))
    if not deviation <= _ROTATION_TOLERANCE:
        raise ConfigError(
            f"{what} is not a rotation: R Rt differs by {deviation:.3g} from the identity, at most "
            f"{_ROTATION_TOLERANCE:g} is allowed"
        )
    if determinant < 0:
        raise ConfigError(
            f"{what} mirrors: its determinant is -1, that of a rotation is 1. Exchange no axes and "
            "change no signs"
        )


def _told(matrix: Matrix) -> str:
    """A matrix on one line, rounded."""
    return np.array2string(matrix, precision=4, separator=" ").replace("\n", "")[:200]
