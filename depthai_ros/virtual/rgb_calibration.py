"""The rgb camera of a virtual device with lenses, as the files with which hosts calibrate one.

A Gen1 EEPROM does not describe the rgb camera: a user calibrates it, and gives the result to the
driver. Here the result is known.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cameras import MONO_FULL_SIZE, RGB_WIDTHS
from .scenes import eeprom, lenses

#: k1 k2 p1 p2 k3 are all that the lens has.
_COEFFICIENTS = 5


def camera_info(lines: int) -> str:
    """The YAML file of camera_calibration_parsers for images with 1080, 2160 or 3040 lines."""
    size = RGB_WIDTHS[lines], lines
    k = lenses.rgb_matrix(size)
    matrices: dict[str, NDArray[Any]] = {
        "camera_matrix": k,
        "distortion_coefficients": np.array([lenses.RGB_DISTORTION[:_COEFFICIENTS]]),
        "rectification_matrix": np.eye(3),
        "projection_matrix": np.hstack([k, np.zeros((3, 1))]),
    }
    text = f"image_width: {size[0]}\nimage_height: {size[1]}\ncamera_name: rgb\n"
    text += "distortion_model: plumb_bob\n"
    for name, matrix in matrices.items():
        rows, columns = matrix.shape
        text += f"{name}:\n  rows: {rows}\n  cols: {columns}\n  data: {_list(matrix)}\n"
    return text


def camchain() -> str:
    """A Kalibr camchain: cam0 is the raw right camera, cam1 the rgb camera, T_cn_cnm1 the pose.

    Source  https://github.com/ethz-asl/kalibr/wiki/yaml-formats
    """
    pose = lenses.rgb_pose(eeprom.LEFT_TO_RGB_M, eeprom.BASELINE_M)
    pose[:3, :3] = pose[:3, :3] @ eeprom.R2_RIGHT  # from the raw right camera's axes
    rows = "".join(f"  - {_list(row)}\n" for row in pose)
    size = RGB_WIDTHS[1080], 1080
    right = _camera("cam0", eeprom.M2_RIGHT, lenses.RIGHT_DISTORTION, MONO_FULL_SIZE, "right")
    rgb = _camera("cam1", lenses.rgb_matrix(size), lenses.RGB_DISTORTION, size, "rgb")
    return f"{right}{rgb}  T_cn_cnm1:\n{rows}"


def _camera(
    name: str,
    k: NDArray[Any],
    distortion: tuple[float, ...],
    size: tuple[int, int],
    topic: str,
) -> str:
    intrinsics = np.array([k[0, 0], k[1, 1], k[0, 2], k[1, 2]])
    return (
        f"{name}:\n  camera_model: pinhole\n  intrinsics: {_list(intrinsics)}\n"
        f"  distortion_model: radtan\n  distortion_coeffs: {_list(np.array(distortion[:4]))}\n"
        f"  resolution: {list(size)}\n  rostopic: /oak/{topic}/image_raw\n"
    )


def _list(numbers: NDArray[Any]) -> str:
    return str([float(number) for number in numbers.ravel()])
