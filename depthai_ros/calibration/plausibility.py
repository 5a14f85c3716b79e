"""Finds stored camera matrices that cannot be those of the cameras, and says why."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from .camera_model import Matrix, is_camera_matrix

#: Why a camera without stored numbers is not calibrated.
NOT_STORED = "no numbers are stored for it"
#: Largest distance of the principal point from the middle, as a share of the image's side.
_OFF_CENTRE = 0.2
#: Largest difference of a field of view from the board's; focus and crop change it by up to 5.
_FOV_TOLERANCE_DEG = 15.0


def matrix_problem(k: Matrix, size: tuple[int, int]) -> str:
    """Why a camera matrix cannot be that of images of this size (width, height), or "".

    Only of a matrix that is one; see `is_camera_matrix`.
    """
    if np.array_equal(k, np.eye(3)):
        return "is the identity"
    for name, found, side in (("cx", k[0, 2], size[0]), ("cy", k[1, 2], size[1])):
        middle = (side - 1) / 2
        if not abs(found - middle) <= _OFF_CENTRE * side:
            return f"has {name} {found:g}, the middle of the image is at {middle:g}"
    return ""


def fov_problem(k: Matrix, width: int, key: str, board_deg: float) -> str:
    """Why the horizontal field of view of a matrix is not the board's, or ""."""
    found_deg = 2 * math.degrees(math.atan(width / (2 * float(k[0, 0]))))
    if abs(found_deg - board_deg) <= _FOV_TOLERANCE_DEG:
        return ""
    return f"gives a field of view of {found_deg:.0f} degrees, board entry {key} is {board_deg:g}"


def rgb_problem(fields: Mapping[str, Matrix], size: tuple[int, int], board_deg: float) -> str:
    """Why M3 of these fields is no calibration of the rgb camera, or ""."""
    m3 = fields.get("M3")
    if m3 is None or "d3" not in fields or not m3.any():
        return NOT_STORED
    if not is_camera_matrix(m3):
        return "M3 is not a camera matrix"
    for name, camera in (("M1", "left"), ("M2", "right")):
        if name in fields and np.allclose(m3, fields[name], rtol=1e-6, atol=0):
            return f"M3 is equal to {name} of the {camera} camera"
    problem = matrix_problem(m3, size) or fov_problem(m3, size[0], "rgb_fov_deg", board_deg)
    return f"M3 {problem}" if problem else ""
