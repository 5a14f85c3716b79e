"""Calibration matrices for the getters of the Gen1 API: float32.

Those of the mono cameras are from the EEPROM. It holds none of the rgb camera: those are from the
calibration file that the pipeline uses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cameras import (
    CALIBRATION_FIELDS,
    INTRINSICS_LAYOUT,
    MONO_FULL_SIZE,
    MONO_WINDOWS,
    ROTATIONS_LAYOUT,
    calibration_fields,
)

Matrix = NDArray[np.float32]


class Gen1Calibration:
    """Results of the calibration getters; `lines` is the height of the mono images.

    `floats` are those of a calibration file, or none.

    They are computed from the stored calibration at each call. A missing matrix, or the inverse of
    a singular one, is an empty list.
    """

    def __init__(
        self,
        eeprom: Mapping[str, Any],
        lines: int = MONO_FULL_SIZE[1],
        floats: Sequence[float] = (),
    ) -> None:
        self._eeprom = eeprom
        self._file = calibration_fields(floats)
        self._version = int(eeprom.get("version", -1))
        self._scale, self._cut = MONO_WINDOWS[lines]

    @property
    def is_loaded(self) -> bool:
        """True if an intrinsic matrix came from the EEPROM."""
        stored = (self._stored("calib_M1_L"), self._stored("calib_M2_R"))
        return self._version >= INTRINSICS_LAYOUT and any(matrix.size for matrix in stored)

    def left_intrinsic(self) -> list[list[float]]:
        """3x3, pixels."""
        return _rows(self._checked()._intrinsic("calib_M1_L"))

    def right_intrinsic(self) -> list[list[float]]:
        """3x3, pixels."""
        return _rows(self._checked()._intrinsic("calib_M2_R"))

    def left_homography(self) -> list[list[float]]:
        """3x3, left image -> rectified left image."""
        return _rows(self._checked()._homography("calib_H1_L", "calib_R1_L", "calib_M1_L"))

    def right_homography(self) -> list[list[float]]:
        """3x3, right image -> rectified right image; old layouts: their only matrix."""
        if self._version < INTRINSICS_LAYOUT:
            return _rows(self._stored("calib_old_H"))
        return _rows(self._homography("calib_H2_R", "calib_R2_R", "calib_M2_R"))

    def rotation(self) -> list[list[float]]:
        """3x3, right camera with respect to the left."""
        return _rows(self._checked()._stored("calib_R"))

    def translation_cm(self) -> list[float]:
        """Right camera with respect to the left."""
        translation: list[float] = self._checked()._stored("calib_T", (3,)).tolist()
        return translation

    def intrinsic(self, camera: str) -> list[list[float]]:
        """3x3, pixels, of "LEFT", "RIGHT" or "RGB"; that of RGB is for the smallest image."""
        if camera == "RGB":
            return _rows(self._of_rgb("M3"))
        return self.left_intrinsic() if camera == "LEFT" else self.right_intrinsic()

    def distortion(self, camera: str) -> list[float]:
        """14 coefficients in the order of OpenCV, of "LEFT", "RIGHT" or "RGB"."""
        if camera == "RGB":
            self._of_rgb("M3")
            return list(map(float, self._file["d3"]))
        key = "calib_d1_L" if camera == "LEFT" else "calib_d2_R"
        coefficients: list[float] = (
            self._checked(ROTATIONS_LAYOUT)._stored(key, CALIBRATION_FIELDS["d1"]).tolist()
        )
        return coefficients

    def rgb_rotation(self) -> list[list[float]]:
        """3x3, rgb camera with respect to the right."""
        return _rows(self._of_rgb("R_rgb"))

    def rgb_translation_cm(self) -> list[float]:
        """The rgb camera with respect to the right."""
        self._of_rgb("R_rgb")
        return list(map(float, self._file["T_rgb"]))

    def _of_rgb(self, field: str) -> Matrix:
        """A matrix of the rgb camera; zeros stand for a missing one."""
        values = np.asarray(self._file[field], np.float32)
        if not values.any():
            raise RuntimeError(
                "the rgb camera is not calibrated: the EEPROM holds no calibration of it; set "
                "depth.calibration_file with board_config.override_eeprom to a file that does"
            )
        return _finite(values.reshape(CALIBRATION_FIELDS[field]))

    def _checked(self, layout: int = INTRINSICS_LAYOUT) -> Gen1Calibration:
        if self._version < layout:
            raise RuntimeError(
                f"the EEPROM's calibration has layout {self._version}, this needs "
                f"{layout} or later: calibrate the device anew"
            )
        return self

    def _stored(self, key: str, shape: tuple[int, ...] = (3, 3)) -> Matrix:
        try:
            values = np.asarray(self._eeprom.get(key, []), np.float64)
        except (TypeError, ValueError, OverflowError):
            return _NOTHING
        is_whole = values.size == np.prod(shape)
        return _finite(values.reshape(shape)) if is_whole else _NOTHING

    def _intrinsic(self, key: str) -> Matrix:
        matrix = self._stored(key).copy()
        if matrix.size and self._version >= ROTATIONS_LAYOUT:
            matrix[:2] *= np.float32(self._scale)
            matrix[1, 2] -= np.float32(self._cut / 2)
        return matrix

    def _homography(self, stored_key: str, rotation_key: str, intrinsic_key: str) -> Matrix:
        if self._version < ROTATIONS_LAYOUT:
            return _inverse(self._stored(stored_key))
        rotation, inverse = self._stored(rotation_key), _inverse(self._intrinsic(intrinsic_key))
        rectified = self._intrinsic("calib_M2_R")
        if not (rotation.size and inverse.size and rectified.size):
            return _NOTHING
        with np.errstate(all="ignore"):
            return _finite(rectified @ rotation @ inverse)


#: A matrix that is missing.
_NOTHING = np.empty(0, np.float32)


def _finite(matrix: NDArray[Any]) -> Matrix:
    """The matrix in single precision; empty if a number of it is not finite."""
    with np.errstate(all="ignore"):
        single: Matrix = np.asarray(matrix, np.float32)
    return single if np.isfinite(single).all() else _NOTHING


def _inverse(matrix: Matrix) -> Matrix:
    """Inverse of a matrix; empty if the matrix is empty or singular."""
    if not matrix.size:
        return matrix
    try:
        with np.errstate(all="ignore"):
            return _finite(np.linalg.inv(matrix))
    except np.linalg.LinAlgError:
        return _NOTHING


def _rows(matrix: Matrix) -> list[list[float]]:
    rows: list[list[float]] = matrix.tolist()
    return rows
