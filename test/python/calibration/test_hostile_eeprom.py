"""Numbers of an EEPROM that no camera can have: ignored with a reason, never an exception."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from depthai_ros import config
from depthai_ros.calibration import calibration
from depthai_ros.calibration.board import board_geometry
from depthai_ros.errors import ConfigError
from depthai_ros.gen1.calibration import Gen1Calibration
from depthai_ros.virtual.scenes import eeprom

DEFAULTS = config.defaults()
#: Numbers of a matrix or vector of the EEPROM, for each of its calibration keys.
HOSTILE: list[Any] = [
    None, 7, "text", {}, [], [[]], ["a"], [None], [[1], [1, 2]], [10**400], [1.0], [1e300],
    [-1e300], [1e-300], [0.0], [float("nan")], [float("inf")],
]  # fmt: skip
VECTORS = [key for key in eeprom.eeprom_document(5) | eeprom.eeprom_document(4) if "calib" in key]


def repeated(value: Any, count: int) -> Any:
    """A list of one number as a list of `count`; all else as it is."""
    return value * count if isinstance(value, list) and len(value) == 1 else value


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("key", VECTORS)
def test_hostile_numbers_leave_finite_models(key: str, version: int) -> None:
    good = eeprom.eeprom_document(version)
    for value in HOSTILE:
        document = {**good, key: repeated(value, len(good.get(key, [])))}
        try:
            found = calibration.from_eeprom(document, DEFAULTS)
        except ConfigError:  # it contradicts the board's distance
            if key == "calib_T":
                continue
            raise
        for camera in ("left", "right", "rgb"):
            model = found.camera(camera, (1280, 720))
            for numbers in (model.k, model.d, model.r, model.p):
                assert np.isfinite(numbers).all(), (value, camera)
        assert all(np.isfinite(pose).all() for pose in found.poses().values())
        assert (found.source == "none") == any("is not used" in each for each in found.warnings)
        for matrix in gen1_matrices(document):
            assert np.isfinite(matrix).all(), value


def gen1_matrices(document: dict[str, Any]) -> list[Any]:
    """The results of all getters of the Gen1 API."""
    gen1 = Gen1Calibration(document)
    assert gen1.is_loaded in (True, False)
    getters = (
        gen1.left_intrinsic, gen1.right_intrinsic, gen1.left_homography, gen1.right_homography,
        gen1.rotation, gen1.translation_cm,
    )  # fmt: skip
    return [np.array(getter(), np.float32) for getter in getters]


@pytest.mark.parametrize(
    "value", [1e-30, 0, 179.5, 1e300, float("nan"), 10**400, True, "72", None, []]
)
def test_implausible_entry_of_the_board_is_replaced_by_the_settings(value: Any) -> None:
    for key in ("left_fov_deg", "rgb_fov_deg"):
        document = {**eeprom.eeprom_document(2), key: value}
        geometry = board_geometry(document, DEFAULTS)
        found = {"left_fov_deg": geometry.fov_deg, "rgb_fov_deg": geometry.rgb_fov_deg}[key]
        assert found == DEFAULTS[f"board_config.{key}"]
