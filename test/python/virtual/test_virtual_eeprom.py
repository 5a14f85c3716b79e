"""The EEPROM documents: keys of every layout, and consistent matrices."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from depthai_ros.errors import ConfigError
from depthai_ros.virtual.scenes.eeprom import eeprom_document

FIRST = {
    "left_fov_deg",
    "left_to_right_distance_m",
    "left_to_rgb_distance_m",
    "swap_left_and_right_cameras",
}
BOARD = {"board_name", "board_rev", "rgb_fov_deg"}
BOTH_CAMERAS = {"calib_M1_L", "calib_M2_R", "calib_R", "calib_T"}
KEYS = {
    -1: set(),
    1: FIRST | {"calib_old_H"},
    2: FIRST | BOARD | {"calib_old_H"},
    3: FIRST | BOARD | {"calib_old_H", "stereo_center_crop"},
    4: FIRST | BOARD | BOTH_CAMERAS | {"stereo_center_crop", "calib_H1_L", "calib_H2_R"},
    5: FIRST
    | BOARD
    | BOTH_CAMERAS
    | {"stereo_center_crop", "calib_R1_L", "calib_R2_R", "calib_d1_L", "calib_d2_R"},
}
LENGTHS = {"calib_T": 3, "calib_d1_L": 14, "calib_d2_R": 14}


def matrix(document: dict[str, Any], key: str) -> Any:
    return np.array(document[key]).reshape(3, 3)


@pytest.mark.parametrize("version", KEYS)
def test_document_has_the_keys_of_its_version(version: int) -> None:
    document = eeprom_document(version)
    assert set(document) == KEYS[version] | {"version"}
    assert document["version"] == version
    assert json.loads(json.dumps(document)) == document
    for key, value in document.items():
        if key.startswith("calib_"):
            assert len(value) == LENGTHS.get(key, 9), key


@pytest.mark.parametrize("version", [0, 6, -2])
def test_unknown_version_is_refused(version: int) -> None:
    with pytest.raises(ConfigError, match=f"version is {version}, must be one of"):
        eeprom_document(version)


def test_documents_do_not_share_lists() -> None:
    eeprom_document(5)["calib_R"][0] = 99.0
    assert eeprom_document(5)["calib_R"][0] < 1


def test_focal_length_agrees_with_field_of_view() -> None:
    document = eeprom_document(5)
    focal_px = 1280 / (2 * math.tan(math.radians(document["left_fov_deg"]) / 2))
    m2 = matrix(document, "calib_M2_R")
    assert m2[0, 0] == pytest.approx(focal_px, rel=1e-12)
    assert m2[1, 1] == m2[0, 0]


def test_rectification_aligns_the_baseline_with_the_x_axis() -> None:
    document = eeprom_document(5)
    r1, r2 = matrix(document, "calib_R1_L"), matrix(document, "calib_R2_R")
    rotation, translation_cm = matrix(document, "calib_R"), np.array(document["calib_T"])
    for r in (r1, r2, rotation):
        np.testing.assert_allclose(r @ r.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(r) == pytest.approx(1)
    # After rectification both cameras have the same orientation and differ in x only.
    np.testing.assert_allclose(r2 @ rotation, r1, atol=1e-12)
    np.testing.assert_allclose(r2 @ translation_cm, [-7.5, 0, 0], atol=1e-12)
    assert translation_cm[0] == pytest.approx(-7.5, abs=0.01)


def test_stored_homographies_are_the_inverse_of_the_rectification() -> None:
    old, new = eeprom_document(4), eeprom_document(5)
    m1, m2 = matrix(new, "calib_M1_L"), matrix(new, "calib_M2_R")
    for stored, r, m in (("calib_H1_L", "calib_R1_L", m1), ("calib_H2_R", "calib_R2_R", m2)):
        rectification = m2 @ matrix(new, r) @ np.linalg.inv(m)
        np.testing.assert_allclose(matrix(old, stored) @ rectification, np.eye(3), atol=1e-9)


def test_oldest_layout_maps_far_right_pixels_to_left_ones() -> None:
    document = eeprom_document(5)
    direction = np.array([0.2, -0.1, 1.0])  # of a far point, in the right camera
    left = matrix(document, "calib_M1_L") @ matrix(document, "calib_R").T @ direction
    mapped = matrix(eeprom_document(1), "calib_old_H") @ matrix(document, "calib_M2_R") @ direction
    np.testing.assert_allclose(mapped / mapped[2], left / left[2], atol=1e-9)
