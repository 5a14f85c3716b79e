"""The calibration in the EEPROM of the virtual device."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...cameras import CALIBRATION_FIELDS, MONO_FULL_SIZE
from ...errors import ConfigError
from .lenses import LEFT_DISTORTION, RIGHT_DISTORTION

VERSIONS = (-1, 1, 2, 3, 4, 5)

BOARD_NAME, BOARD_REVISION = "BW1098OBC", "R0M0E0"
#: Board parameters of an OAK-D. Source: docs/wire_format.md#session
BASELINE_M = 0.075
LEFT_TO_RGB_M = 0.0375
MONO_FOV_DEG = 71.86
RGB_FOV_DEG = 68.7938


def _rotation(pitch_deg: float, yaw_deg: float, roll_deg: float) -> NDArray[np.float64]:
    """Rotation about x, then y, then z."""
    (sx, cx), (sy, cy), (sz, cz) = (
        (math.sin(math.radians(angle)), math.cos(math.radians(angle)))
        for angle in (pitch_deg, yaw_deg, roll_deg)
    )
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1.0]])
    return np.asarray(about_z @ about_y @ about_x, np.float64)


#: Focal length that the device computes from the field of view. The right camera has the same one,
#: so depth from the field of view equals depth from the intrinsics.
FOCAL_PX = MONO_FULL_SIZE[0] / (2 * math.tan(math.radians(MONO_FOV_DEG) / 2))
#: Intrinsics for 1280x800. The two cameras differ, like real ones.
M1_LEFT = np.array([[879.62, 0, 636.4], [0, 880.17, 396.9], [0, 0, 1]])
M2_RIGHT = np.array([[FOCAL_PX, 0, 643.1], [0, FOCAL_PX, 401.7], [0, 0, 1]])
#: Raw camera axes -> rectified axes.
R1_LEFT = _rotation(0.42, -0.61, 0.35)
R2_RIGHT = _rotation(-0.27, 0.48, -0.31)
#: Left camera -> right camera: X_right = R X_left + T.
ROTATION = R2_RIGHT.T @ R1_LEFT
TRANSLATION_CM = R2_RIGHT.T @ np.array([-BASELINE_M, 0, 0]) * 100

_H1_LEFT = M2_RIGHT @ R1_LEFT @ np.linalg.inv(M1_LEFT)
_H2_RIGHT = M2_RIGHT @ R2_RIGHT @ np.linalg.inv(M2_RIGHT)
#: Old boards: homography from right image to left image; the left image is not rectified.
_OLD_HOMOGRAPHY = M1_LEFT @ ROTATION.T @ np.linalg.inv(M2_RIGHT)


def _floats(matrix: NDArray[np.floating[Any]]) -> list[float]:
    return [float(value) for value in matrix.ravel()]


_NO_DISTORTION = [0.0] * math.prod(CALIBRATION_FIELDS["d1"])

#: Key of the document, versions that contain it, value. Source: docs/wire_format.md#session
_KEYS: tuple[tuple[str, range, Any], ...] = (
    ("left_fov_deg", range(1, 6), MONO_FOV_DEG),
    ("left_to_right_distance_m", range(1, 6), BASELINE_M),
    ("left_to_rgb_distance_m", range(1, 6), LEFT_TO_RGB_M),
    ("swap_left_and_right_cameras", range(1, 6), True),
    ("board_name", range(2, 6), BOARD_NAME),
    ("board_rev", range(2, 6), BOARD_REVISION),
    ("rgb_fov_deg", range(2, 6), RGB_FOV_DEG),
    ("stereo_center_crop", range(3, 6), True),
    ("calib_old_H", range(1, 4), _floats(_OLD_HOMOGRAPHY)),
    ("calib_H1_L", range(4, 5), _floats(np.linalg.inv(_H1_LEFT))),  # the host inverts them
    ("calib_H2_R", range(4, 5), _floats(np.linalg.inv(_H2_RIGHT))),
    ("calib_R1_L", range(5, 6), _floats(R1_LEFT)),
    ("calib_R2_R", range(5, 6), _floats(R2_RIGHT)),
    ("calib_M1_L", range(4, 6), _floats(M1_LEFT)),
    ("calib_M2_R", range(4, 6), _floats(M2_RIGHT)),
    ("calib_R", range(4, 6), _floats(ROTATION)),
    ("calib_T", range(4, 6), _floats(TRANSLATION_CM)),  # centimetres
    ("calib_d1_L", range(5, 6), _NO_DISTORTION),
    ("calib_d2_R", range(5, 6), _NO_DISTORTION),
)


#: The same with lenses; older layouts do not state them.
_LENS_KEYS = {"calib_d1_L": LEFT_DISTORTION, "calib_d2_R": RIGHT_DISTORTION}


def eeprom_document(version: int, *, lens: bool = False) -> dict[str, Any]:
    """The `eeprom` object of `config_d2h`; -1 is a blank EEPROM. `lens`: with distortion.

    Raises  ConfigError if there is no such layout
    Source  docs/wire_format.md#session
    """
    if version not in VERSIONS:
        raise ConfigError(f"EEPROM version is {version}, must be one of {VERSIONS}")
    document: dict[str, Any] = {"version": version}
    for key, versions, value in _KEYS:
        if version in versions:
            document[key] = list(value) if isinstance(value, list) else value
            if lens and key in _LENS_KEYS:
                document[key] = list(_LENS_KEYS[key])
    return document
