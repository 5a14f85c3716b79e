"""The calibrated geometry of the mono pair, built from the values that devices store.

All matrices belong to the full 1280x800 image and to optical axes (x right, y down, z forward).
Both rectified cameras have the intrinsics of the right one, because the device rectifies so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from ..cameras import MONO_FULL_SIZE, MONO_WINDOWS
from ..config.limits import between
from .camera_model import Matrix, is_camera_matrix, pinhole, rotation_error
from .plausibility import matrix_problem

_CM_PER_M = 100.0
#: Largest deviation of a stored rotation from an orthogonal matrix.
_ROTATION_TOLERANCE = 0.01
#: Largest number in a calibration; products of three of them stay finite.
_LARGEST_NUMBER = 1e9
#: Distances of the mono cameras: wide, because a wrong unit is found by comparing with the board.
_BASELINES_M = between(0.0001, 10.0)


class UnusableError(Exception):
    """The stored numbers are not a calibration."""


@dataclass(frozen=True, slots=True, eq=False)
class StereoModel:
    """The mono pair. `rotation` and `translation_m` transform from the left to the right camera."""

    m1: Matrix
    m2: Matrix
    d1: Matrix
    d2: Matrix
    r1: Matrix
    r2: Matrix
    rotation: Matrix
    translation_m: Matrix

    @property
    def baseline_m(self) -> float:
        """Distance of the cameras."""
        return float(np.linalg.norm(self.translation_m))

    @property
    def left_to_right(self) -> tuple[Matrix, Matrix]:
        """Rotation and translation (m) between the rectified cameras: about I and (-B, 0, 0)."""
        rotation: Matrix = self.r2 @ self.rotation @ self.r1.T
        return rotation, self.r2 @ self.translation_m

    def floats(self, rgb: tuple[Matrix, Matrix] | None) -> list[float]:
        """The values of a calibration file, in the order of `CALIBRATION_FIELDS`.

        `rgb` are intrinsics and distortion of the rgb camera; its pose is not used.
        """
        m3, d3 = rgb or (np.zeros((3, 3)), np.zeros(14))
        parts = (
            *(self.r1, self.r2, self.m1, self.m2, self.rotation, self.translation_m * _CM_PER_M),
            *(m3, np.zeros((3, 3)), np.zeros(3), self.d1, self.d2, d3),
        )
        return [float(number) for part in parts for number in part.ravel()]

    def intrinsics(self, size: tuple[int, int], *, center_crop: bool) -> tuple[Matrix, Matrix]:
        """Intrinsics of left and right for a mono image of this size."""
        return adapt(self.m1, size, center_crop), adapt(self.m2, size, center_crop)


def adapt(intrinsics: Matrix, size: tuple[int, int], center_crop: bool) -> Matrix:
    """Convert intrinsics for 1280x800 to another mono mode, as Gen1 does."""
    scale, cut = MONO_WINDOWS[size[1]]
    adapted: Matrix = intrinsics.copy()
    adapted[:2] *= scale
    if center_crop:
        adapted[1, 2] -= cut / 2
    return adapted


def nominal(fov_deg: float, baseline_m: float) -> StereoModel:
    """Two ideal, parallel cameras."""
    k = pinhole(MONO_FULL_SIZE, fov_deg)
    return StereoModel(
        m1=k,
        m2=k,
        d1=np.zeros(14),
        d2=np.zeros(14),
        r1=np.eye(3),
        r2=np.eye(3),
        rotation=np.eye(3),
        translation_m=np.array([-baseline_m, 0.0, 0.0]),
    )


def from_rotations(fields: Mapping[str, Matrix]) -> StereoModel:
    """The pair from R1, R2, M1, M2, R, T (cm), d1 and d2: EEPROM layout 5 and files.

    Raises  UnusableError
    """
    return _checked(
        StereoModel(
            m1=fields["M1"],
            m2=fields["M2"],
            d1=fields["d1"],
            d2=fields["d2"],
            r1=fields["R1"],
            r2=fields["R2"],
            rotation=fields["R"],
            translation_m=fields["T"] / _CM_PER_M,
        )
    )


def from_homographies(fields: Mapping[str, Matrix]) -> StereoModel:
    """The pair from H1, H2 (raw -> rectified), M1, M2, R and T (cm): EEPROM layout 4.

    Raises  UnusableError
    """
    m1, m2 = fields["M1"], fields["M2"]
    to_rays = inverse("calib_M2_R", m2)
    return _checked(
        StereoModel(
            m1=m1,
            m2=m2,
            d1=np.zeros(14),
            d2=np.zeros(14),
            r1=_nearest_rotation("calib_H1_L", to_rays @ fields["H1"] @ m1),
            r2=_nearest_rotation("calib_H2_R", to_rays @ fields["H2"] @ m2),
            rotation=fields["R"],
            translation_m=fields["T"] / _CM_PER_M,
        )
    )


def from_early_file(fields: Mapping[str, Matrix]) -> StereoModel:
    """The pair from H1, H2, M1, M2, R and T (cm) of an early calibration file.

    It is not known whether its homographies are raw -> rectified, or the inverse, as an EEPROM has
    them: those are used whose rectified cameras are rotated least with respect to each other.
    Raises  UnusableError
    """
    inverted = {name: inverse(name, fields[name]) for name in ("H1", "H2")}
    found = []
    for homographies in ({}, inverted):
        with suppress(UnusableError):
            found.append(from_homographies({**fields, **homographies}))
    if not found:
        return from_homographies(fields)
    return min(found, key=lambda model: angle_deg(model.left_to_right[0]))


def inverse(name: str, matrix: Matrix) -> Matrix:
    """Inverse of a stored 3x3 matrix. Raises UnusableError if there is none."""
    if abs(np.linalg.det(matrix)) < 1e-12:
        raise UnusableError(f"{name} is singular")
    return np.asarray(np.linalg.inv(matrix), np.float64)


def check_numbers(name: str, numbers: Matrix) -> None:
    """Raises UnusableError if stored numbers are not finite, or implausibly large."""
    if not np.isfinite(numbers).all():
        raise UnusableError(f"{name} holds a number that is not finite")
    if np.abs(numbers).max(initial=0.0) > _LARGEST_NUMBER:
        raise UnusableError(f"{name} holds a number above {_LARGEST_NUMBER:g}")


def angle_deg(rotation: Matrix) -> float:
    """The angle of a rotation matrix."""
    return math.degrees(math.acos(float(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))


def _nearest_rotation(name: str, matrix: Matrix) -> Matrix:
    """The rotation nearest to a matrix that has an unknown factor and single precision."""
    u, sizes, vt = np.linalg.svd(matrix)
    if sizes[2] <= 0 or sizes[0] > (1 + 10 * _ROTATION_TOLERANCE) * sizes[2]:
        raise UnusableError(f"{name} is not a rectifying rotation")
    rotation = u @ vt
    return np.asarray(rotation if np.linalg.det(rotation) > 0 else -rotation, np.float64)


def _checked(model: StereoModel) -> StereoModel:
    for name, k in (("M1", model.m1), ("M2", model.m2)):
        if not is_camera_matrix(k):
            raise UnusableError(f"{name} is not a camera matrix")
        if problem := matrix_problem(k, MONO_FULL_SIZE):
            raise UnusableError(f"{name} {problem}")
        inverse(name, k)
    for name, rotation in (("R1", model.r1), ("R2", model.r2), ("R", model.rotation)):
        deviation = rotation_error(rotation)
        if deviation > _ROTATION_TOLERANCE or np.linalg.det(rotation) < 0:
            raise UnusableError(f"{name} is not a rotation")
    if not _BASELINES_M.allows(model.baseline_m):
        raise UnusableError(f"T is {model.baseline_m:g} m long, must be {_BASELINES_M}")
    return model
