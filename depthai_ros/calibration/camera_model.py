"""The model of one camera, with the fields of sensor_msgs/CameraInfo."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

#: Limits of a focal length in px; fields of view of 1 to 179 degrees lie far inside.
_MIN_FOCAL_PX, _MAX_FOCAL_PX = 1.0, 1e6


@dataclass(frozen=True, slots=True, eq=False)
class CameraModel:
    """A pinhole camera with distortion, its rectification, and the rectified camera.

    Shape   k and r 3x3, p 3x4, d 5 or 8; all zero = not calibrated
    Units   px with pixel centres at integers; p[0, 3] is -fx times the baseline in metres
    """

    width: int
    height: int
    k: Matrix
    d: Matrix
    distortion_model: str
    r: Matrix
    p: Matrix

    def window(self, x0: int, y0: int, width: int, height: int) -> CameraModel:
        """The model of a crop of the image that begins at (x0, y0)."""
        return self._mapped(width, height, np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1.0]]))

    def resized(self, width: int, height: int) -> CameraModel:
        """The model of the scaled image; image edges map to image edges."""
        sx, sy = width / self.width, height / self.height
        to_new = np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1]])
        return self._mapped(width, height, to_new)

    def _mapped(self, width: int, height: int, to_new: Matrix) -> CameraModel:
        """The model after an affine map of the pixels; an all-zero model stays zero."""
        return CameraModel(
            width=width,
            height=height,
            k=to_new @ self.k,
            d=self.d,
            distortion_model=self.distortion_model,
            r=self.r,
            p=to_new @ self.p,
        )


def is_camera_matrix(k: Matrix) -> bool:
    """True if a 3x3 matrix can be the intrinsics of a camera."""
    fx, fy = k[0, 0], k[1, 1]
    plausible = min(fx, fy) >= _MIN_FOCAL_PX and max(fx, fy) <= _MAX_FOCAL_PX
    return bool(plausible and np.array_equal(k[2], [0, 0, 1]))


def rotation_error(matrix: Matrix) -> float:
    """Largest deviation of R Rt from the identity: 0 for a rotation, and for a mirrored one."""
    return float(np.abs(matrix @ matrix.T - np.eye(3)).max())


def uncalibrated(size: tuple[int, int]) -> CameraModel:
    """The model of a camera without calibration: all zeros."""
    k, p = np.zeros((3, 3)), np.zeros((3, 4))
    return CameraModel(*size, k, np.zeros(5), "plumb_bob", np.zeros((3, 3)), p)


def single_camera(size: tuple[int, int], k: Matrix, distortion: Matrix) -> CameraModel:
    """The model of a camera that is not part of a stereo pair."""
    model, d = reduce_distortion(distortion)
    return CameraModel(*size, k, d, model, np.eye(3), projection(k))


def projection(k: Matrix, tx: float = 0.0) -> Matrix:
    """P of a rectified camera with intrinsics k."""
    return np.hstack([k, [[tx], [0.0], [0.0]]])


def pinhole(size: tuple[int, int], fov_deg: float) -> Matrix:
    """Intrinsics of an ideal camera with this horizontal field of view."""
    width, height = size
    focal_px = width / (2 * math.tan(math.radians(fov_deg) / 2))
    return np.array([[focal_px, 0, (width - 1) / 2], [0, focal_px, (height - 1) / 2], [0, 0, 1.0]])


def reduce_distortion(coefficients: Matrix) -> tuple[str, Matrix]:
    """The shortest ROS model for OpenCV coefficients; thin-prism terms are dropped.

    Shape   (14,) k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4 tx ty -> (5,) or (8,)
    """
    if np.any(coefficients[5:8]):
        return "rational_polynomial", coefficients[:8].copy()
    return "plumb_bob", coefficients[:5].copy()


def has_thin_prism(coefficients: Matrix) -> bool:
    """True if `reduce_distortion` drops a term."""
    return bool(np.any(coefficients[8:]))
