"""The lenses of the virtual device, in OpenCV's model, and its rgb camera.

Used only with the option `lens`; without it all lenses are ideal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...cameras import RGB_4K_SIZE, RGB_CALIBRATED_SIZE, RGB_FULL_SIZE
from ...errors import ConfigError

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

#: k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4 tx ty; they draw the corners in by about 2.6 %. The left one
#: has the rational model, the right one the five-number model: hosts must handle both.
LEFT_DISTORTION = (-0.292, 0.083, 0.0002, -0.0003, 0.004, -0.25, 0.07, 0.002, *[0.0] * 6)
RIGHT_DISTORTION = (-0.046, 0.014, -0.0003, 0.0002, 0.0, *[0.0] * 9)
#: The rgb lens pushes the corners out by 1.6 %. Like the right one it has no k3: Kalibr knows none.
RGB_DISTORTION = (0.060, -0.055, -0.0006, 0.0009, 0.0, *[0.0] * 9)
#: Intrinsics of the rgb camera for 1920x1080; `rgb_matrix` has the other sizes.
RGB_MATRIX = np.array([[1398.7, 0, 966.4], [0, 1400.2, 532.9], [0, 0, 1]])
#: Rotation (axis times angle, rad) from the axes of the rectified right camera to those of the rgb
#: camera, and deviation of its place from the line between the mono cameras (m).
RGB_ROTATION = (0.0058, 0.0071, -0.0084)
RGB_OFFSET_M = (0.0, 0.0007, -0.0012)


def rgb_matrix(size: tuple[int, int]) -> Floats:
    """Intrinsics (3, 3) of the rgb camera for one of its image sizes (width, height)."""
    middle = RGB_4K_SIZE if size == RGB_FULL_SIZE else size
    scale = np.array([middle[0] / RGB_CALIBRATED_SIZE[0], middle[1] / RGB_CALIBRATED_SIZE[1], 1.0])
    matrix = np.asarray(np.diag(scale) @ RGB_MATRIX, np.float64)
    matrix[:2, 2] += 0.5 * scale[:2] - 0.5 + np.subtract(size, middle) / 2
    return matrix


def rgb_pose(left_to_rgb_m: float, baseline_m: float) -> Floats:
    """(4, 4): from the rectified right camera's axes to the rgb camera's, metres."""
    pose = np.eye(4)
    pose[:3, :3], _ = cv2.Rodrigues(np.array(RGB_ROTATION))
    place_m = np.array([left_to_rgb_m - baseline_m, 0.0, 0.0]) + RGB_OFFSET_M
    pose[:3, 3] = -pose[:3, :3] @ place_m
    return pose


#: Pixels between the nodes at which a map is computed; between them it is interpolated.
_STEP = 8
#: Rounds at most of the search for the ideal place of a pixel; errors at which it ends and that
#: may be left, px.
_ROUNDS, _EXACT_PX, _TOLERANCE_PX = 40, 1e-6, 0.01


@dataclass(frozen=True, eq=False)
class Lens:
    """A distortion in the image of a camera, raw or rectified by a homography.

    `to_px` (3, 3) maps rays of the raw camera to pixels of the image.
    """

    to_px: Floats
    coefficients: Floats  # (14,)

    def mapped(self, matrix: Floats) -> Lens:
        """The lens in an image whose pixels are mapped by a (3, 3) matrix."""
        return Lens(matrix @ self.to_px, self.coefficients)

    def distort(self, pixels: Floats) -> Floats:
        """Where the lens shows points that an ideal one shows at `pixels`; shape (N, 2)."""
        rays = np.column_stack([pixels, np.ones(len(pixels))]) @ np.linalg.inv(self.to_px).T
        zero, axes = np.zeros(3), np.eye(3)
        bent, _ = cv2.projectPoints(rays, zero, zero, axes, self.coefficients)
        image = np.column_stack([bent.reshape(-1, 2), np.ones(len(bent))]) @ self.to_px.T
        return np.asarray(image[:, :2] / image[:, 2:], np.float64)

    def undistort(self, pixels: Floats) -> Floats:
        """The inverse of `distort`, shape (N, 2).

        Raises  ConfigError if there is none
        """
        ideal = np.array(pixels, np.float64)
        with np.errstate(all="ignore"):
            for _ in range(_ROUNDS):
                ideal += (error := pixels - self.distort(ideal))
                if (worst := np.abs(error).max(initial=0.0)) < _EXACT_PX:
                    break
        if not worst < _TOLERANCE_PX:  # also if it is NaN
            shown = ", ".join(f"{number:g}" for number in self.coefficients)
            raise ConfigError(
                f"the distortion {shown} cannot be that of a lens: it folds the image"
            )
        return ideal


def spread(function: Callable[[Floats], Floats], size: tuple[int, int]) -> list[Floats32]:
    """A smooth function of the pixels of an image, computed at some and interpolated between.

    Shape   function (N, 2) px -> (N, C); size (width, height) -> C times (H, W)
    """
    columns, rows = (np.arange(0, side + _STEP, _STEP, dtype=float) for side in size)
    u, v = np.meshgrid(columns, rows)
    values = function(np.column_stack([u.ravel(), v.ravel()]))
    scale = np.array([[_STEP, 0, 0], [0, _STEP, 0]], float)
    return [
        np.asarray(cv2.warpAffine(one.reshape(u.shape).astype(np.float32), scale, size), np.float32)
        for one in values.T
    ]


def ideal_pixels(lens: Lens, size: tuple[int, int]) -> tuple[Floats32, Floats32]:
    """Column and row of each pixel in the ideal image, each (H, W)."""
    shift_u, shift_v = spread(lambda pixels: lens.undistort(pixels) - pixels, size)
    width, height = size
    shift_u += np.arange(width, dtype=np.float32)
    shift_v += np.arange(height, dtype=np.float32)[:, None]
    return shift_u, shift_v
