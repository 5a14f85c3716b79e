"""Camera models and poses against geometry that is computed independently."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from stored_calibrations import BOARD, DEFAULTS, NOMINAL, SIZES

from depthai_ros.calibration import calibration
from depthai_ros.errors import ConfigError
from depthai_ros.virtual.scenes import eeprom

#: Distortion of a wide lens: plumb bob, rational.
PLUMB_BOB = [-0.21, 0.11, 0.001, -0.0008, -0.02, *[0.0] * 9]
RATIONAL = [4.1, -12.9, 0.0004, -0.0003, 21.0, 4.0, -12.4, 20.1, *[0.0] * 6]


def document(version: int = 5, **changes: object) -> dict:
    """EEPROM of the virtual board with some keys changed."""
    return {**eeprom.eeprom_document(version), **changes}


def distorted(**changes: object) -> dict:
    return document(calib_d1_L=RATIONAL, calib_d2_R=PLUMB_BOB, **changes)


def points_in_left_camera() -> np.ndarray:
    """A grid before the left camera, optical axes, metres."""
    grid = np.mgrid[-0.5:0.5:9j, -0.3:0.3:7j, 1.0:1.2:2j].reshape(3, -1).T
    return np.ascontiguousarray(grid * [1, 1, 1.5])


# -- EEPROM layouts

#: Layout -> source, layout as understood, first warning.
LAYOUTS = [
    (-1, "none", -1, "the EEPROM is blank: the cameras are not calibrated"),
    (1, "none", 1, "the EEPROM has layout 1, which holds no camera model: calibrate again"),
    (2, "none", 2, "the EEPROM has layout 2, which holds no camera model: calibrate again"),
    (3, "none", 3, "the EEPROM has layout 3, which holds no camera model: calibrate again"),
    (4, "eeprom", 4, ""),
    (5, "eeprom", 5, ""),
]


@pytest.mark.parametrize(("version", "source", "understood", "warning"), LAYOUTS)
def test_only_layouts_4_and_5_hold_camera_models(version, source, understood, warning):
    found = calibration.from_eeprom(document(version), DEFAULTS)
    assert (found.source, found.version) == (source, understood)
    assert found.warnings == ((warning,) if warning else ())
    reason = "no numbers are stored for it"
    assert found.rgb_warning == f"the rgb camera is not calibrated: {reason}"
    assert not found.is_rgb_refused
    for name in ("left", "right"):
        model = found.camera(name, (1280, 720))
        assert model.k.any() == (source == "eeprom")
        if source == "none":
            assert not any(matrix.any() for matrix in (model.k, model.d, model.r, model.p))
            assert (model.distortion_model, len(model.d)) == ("plumb_bob", 5)
    assert found.rectified((1280, 720)).k.any() == (source == "eeprom")
    assert not found.camera("rgb", (1920, 1080)).k.any()


def test_later_layout_is_read_as_5_if_it_has_all_keys():
    found = calibration.from_eeprom({**document(5), "version": 6}, DEFAULTS)
    assert (found.source, found.version) == ("eeprom", 5)
    found = calibration.from_eeprom({"version": 7, "left_fov_deg": 70.0}, DEFAULTS)
    assert (found.source, found.version, found.geometry.fov_deg) == ("none", -1, 69.0)


def test_layout_4_gives_the_same_cameras_as_layout_5():
    old, new = (calibration.from_eeprom(document(version), DEFAULTS) for version in (4, 5))
    for name in ("left", "right"):
        before, after = old.camera(name, (1280, 720)), new.camera(name, (1280, 720))
        np.testing.assert_allclose(before.r, after.r, atol=1e-9)
        np.testing.assert_allclose(before.p, after.p, atol=1e-9)
        assert before.d.tolist() == [0.0] * 5


def test_layout_4_with_single_precision_and_any_scale_still_gives_rotations():
    inverse = np.array(document(4)["calib_H1_L"], np.float32) * np.float32(-3.0)
    found = calibration.from_eeprom(document(4, calib_H1_L=inverse.tolist()), DEFAULTS)
    r = found.camera("left", (1280, 800)).r
    np.testing.assert_allclose(r, eeprom.R1_LEFT, atol=1e-5)
    np.testing.assert_allclose(r @ r.T, np.eye(3), atol=1e-12)


#: Error in a layout 5 document -> reason in the warning.
UNUSABLE = [
    ({"calib_M1_L": [1.0] * 8}, "calib_M1_L has 8 numbers, must have 9"),
    ({"calib_M1_L": None}, "calib_M1_L is not a list of numbers"),
    ({"calib_M1_L": ["a"] * 9}, "calib_M1_L is not a list of numbers"),
    ({"calib_M1_L": [0.0] * 9}, "M1 is not a camera matrix"),
    ({"calib_M1_L": [1.0, 0, 0, 0, 1, 0, 0, 0, 1]}, "M1 is the identity"),
    (
        {"calib_M2_R": [440.0, 0, 320, 0, 440, 200, 0, 0, 1]},
        "M2 has cx 320, the middle of the image is at 639.5",
    ),
    (
        {"calib_M1_L": [880.0, 0, 640, 0, 880, 799, 0, 0, 1]},
        "M1 has cy 799, the middle of the image is at 399.5",
    ),
    ({"calib_T": [float("nan"), 0, 0]}, "calib_T holds a number that is not finite"),
    ({"calib_T": [0.0, 0, 0]}, "T is 0 m long, must be between 0.0001 and 10"),
    ({"calib_R1_L": [0.0] * 9}, "R1 is not a rotation"),
    ({"calib_R": [-1.0, 0, 0, 0, 1, 0, 0, 0, 1]}, "R is not a rotation"),
]


@pytest.mark.parametrize(("changes", "reason"), UNUSABLE)
def test_unusable_calibration_is_ignored_with_a_reason(changes, reason):
    found = calibration.from_eeprom(document(5, **changes), DEFAULTS)
    assert (found.source, found.intrinsics((1280, 800))) == ("none", None)
    assert found.warnings[0] == f"the EEPROM's calibration (layout 5) is not used: {reason}"


def test_missing_or_singular_numbers_of_layout_4_make_it_unusable():
    incomplete = document(4)
    del incomplete["calib_H2_R"]
    found = calibration.from_eeprom(incomplete, DEFAULTS)
    assert found.warnings[0].endswith("is not used: calib_H2_R is missing")
    found = calibration.from_eeprom(document(4, calib_H1_L=[0.0] * 9), DEFAULTS)
    assert found.warnings[0].endswith("is not used: H1 is singular")
    sheared = (np.linalg.inv(np.diag([1, 2, 1.0])) @ np.eye(3)).ravel().tolist()
    found = calibration.from_eeprom(document(4, calib_H1_L=sheared), DEFAULTS)
    assert found.warnings[0].endswith("is not used: calib_H1_L is not a rectifying rotation")


# -- camera models


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.complaint(8)
def test_undistorted_and_rectified_pixels_equal_the_projection(size):
    """K, D project a point to its raw pixel; R, P map that pixel to where P projects the point."""
    found = calibration.from_eeprom(distorted(), DEFAULTS)
    in_left = points_in_left_camera()
    in_right = in_left @ found.stereo.rotation.T + found.stereo.translation_m
    for name, points in (("left", in_left), ("right", in_right)):
        model = found.camera(name, size)
        raw, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), model.k, model.d)
        there = cv2.undistortPointsIter(
            raw, model.k, model.d, model.r, model.p[:, :3], (cv2.TERM_CRITERIA_COUNT, 100, 0)
        )[:, 0]
        # P of both cameras takes points of the rectified LEFT camera: Tx is in it.
        rectified = in_left @ found.camera("left", size).r.T
        image = np.hstack([rectified, np.ones((len(points), 1))]) @ model.p.T
        np.testing.assert_allclose(there, image[:, :2] / image[:, 2:], atol=0.1)


@pytest.mark.parametrize("size", SIZES)
def test_rectified_pair_is_row_aligned_with_positive_disparity(size):
    found = calibration.from_eeprom(distorted(), DEFAULTS)
    left, right = found.camera("left", size), found.camera("right", size)
    np.testing.assert_array_equal(left.p[:, :3], right.p[:, :3])
    assert left.p[:, 3].tolist() == [0, 0, 0]
    assert right.p[:, 3].tolist() == [pytest.approx(-right.p[0, 0] * 0.075), 0, 0]


def test_each_raw_camera_has_its_own_numbers():
    found = calibration.from_eeprom(distorted(), DEFAULTS)
    expected = {
        "left": (eeprom.M1_LEFT, RATIONAL[:8], eeprom.R1_LEFT),
        "right": (eeprom.M2_RIGHT, PLUMB_BOB[:5], eeprom.R2_RIGHT),
    }
    for name, (k, d, r) in expected.items():
        model = found.camera(name, (1280, 800))
        np.testing.assert_array_equal(model.k, k)
        np.testing.assert_array_equal(model.r, r)
        assert model.d.tolist() == d


@pytest.mark.complaint(8)
def test_baseline_is_in_metres():
    right = calibration.from_eeprom(document(), DEFAULTS).camera("right", (1280, 720))
    assert right.p[0, 0] == pytest.approx(883.15, abs=0.01)
    assert right.p[0, 3] == pytest.approx(-66.236, abs=0.01)


#: Size, centre crop -> change of M of 1280x800: factor, reduction of cy.
MODES = [
    ((1280, 800), True, 1.0, 0),
    ((1280, 800), False, 1.0, 0),
    ((1280, 720), True, 1.0, 40),
    ((1280, 720), False, 1.0, 0),
    ((640, 400), True, 0.5, 0),
]


@pytest.mark.parametrize(("size", "center_crop", "factor", "lost"), MODES)
def test_intrinsics_follow_the_resolution(size, center_crop, factor, lost):
    found = calibration.from_eeprom(document(stereo_center_crop=center_crop), DEFAULTS)
    expected = np.diag([factor, factor, 1]) @ eeprom.M1_LEFT - [[0, 0, 0], [0, 0, lost], [0, 0, 0]]
    np.testing.assert_allclose(found.camera("left", size).k, expected, atol=1e-9)
    assert found.intrinsics(size)[0].tolist() == found.camera("left", size).k.tolist()
    model = found.camera("left", size)
    assert (model.width, model.height) == size


def test_models_of_one_size_do_not_depend_on_those_asked_for_before():
    found = calibration.from_eeprom(document(), DEFAULTS)
    first = found.camera("left", (1280, 720)).k.copy()
    found.camera("left", (640, 400)).k[...] = 0
    np.testing.assert_array_equal(found.camera("left", (1280, 720)).k, first)


def test_crop_belongs_to_eeprom_then_to_settings():
    wanted = DEFAULTS.replace({"board_config.stereo_center_crop": True})
    assert (
        calibration.from_eeprom(document(5, stereo_center_crop=False), wanted).geometry.center_crop
        is False
    )
    assert calibration.from_eeprom(document(2), wanted).geometry.center_crop is True
    assert calibration.from_eeprom(document(-1), wanted).geometry.center_crop is True


#: Fourteen stored coefficients -> model, those published, warning.
DISTORTIONS = [
    ([0.0] * 14, "plumb_bob", [0.0] * 5, False),
    (PLUMB_BOB, "plumb_bob", PLUMB_BOB[:5], False),
    (RATIONAL, "rational_polynomial", RATIONAL[:8], False),
    ([*RATIONAL[:8], 0.001, *[0.0] * 5], "rational_polynomial", RATIONAL[:8], True),
    ([*PLUMB_BOB[:8], *[0.0] * 5, 0.02], "plumb_bob", PLUMB_BOB[:5], True),
]


@pytest.mark.parametrize(("stored", "name", "published", "warned"), DISTORTIONS)
def test_distortion_is_reduced_to_a_ros_model(stored, name, published, warned):
    found = calibration.from_eeprom(document(calib_d1_L=stored), DEFAULTS)
    model = found.camera("left", (1280, 800))
    assert (model.distortion_model, model.d.tolist()) == (name, published)
    assert ("thin-prism distortion of the left camera is ignored" in found.warnings) == warned


@pytest.mark.parametrize("size", SIZES)
def test_depth_camera_has_neither_distortion_nor_baseline(size):
    found = calibration.from_eeprom(distorted(), DEFAULTS)
    model, right = found.rectified(size), found.camera("right", size)
    np.testing.assert_array_equal(model.k, right.p[:, :3])
    np.testing.assert_array_equal(model.p, np.hstack([model.k, np.zeros((3, 1))]))
    assert (model.d.tolist(), model.r.tolist()) == ([0.0] * 5, np.eye(3).tolist())


@pytest.mark.complaint(8)
def test_window_and_resize_move_the_baseline_along():
    right = calibration.from_eeprom(document(), DEFAULTS).camera("right", (1280, 720))
    part = right.window(100, 50, 640, 360).resized(1280, 360)
    assert part.p[0, 3] == pytest.approx(2 * right.p[0, 3])
    assert part.p[0, 3] / part.p[0, 0] == pytest.approx(-0.075)
    assert (part.width, part.height) == (1280, 360)


# -- preview

#: Camera, size, preview size, crop -> visible part of the image: x, y, width, height.
PREVIEWS = [
    ("rgb", (1920, 1080), (300, 300), True, (420, 0, 1080, 1080)),
    ("rgb", (1920, 1080), (300, 300), False, (0, 0, 1920, 1080)),
    ("rgb", (4056, 3040), (544, 320), True, (0, 327, 4056, 2385)),
    ("left", (1280, 720), (300, 300), True, (280, 0, 720, 720)),
    ("right", (640, 400), (416, 416), True, (120, 0, 400, 400)),
    ("rectified_right", (1280, 800), (300, 300), True, (240, 0, 800, 800)),
    ("rectified_left", (1280, 720), (256, 456), False, (0, 0, 1280, 720)),
]


@pytest.mark.parametrize(("camera", "size", "preview_size", "keep", "part"), PREVIEWS)
def test_preview_model_follows_crop_and_scale(camera, size, preview_size, keep, part):
    found = calibration.from_eeprom(distorted(), NOMINAL)
    model = found.preview(camera, size, preview_size, keep)
    assert (model.width, model.height) == preview_size
    rectified = camera.startswith("rectified")
    whole = found.rectified(size) if rectified else found.camera(camera, size)
    x0, y0, width, height = part
    # Images whose values are the coordinates, cropped and scaled by OpenCV, show the mapping.
    rows, columns = np.mgrid[: size[1], : size[0]].astype(np.float64)
    for axis, image in enumerate((columns, rows)):
        seen = cv2.resize(image[y0 : y0 + height, x0 : x0 + width], preview_size)
        middle = seen[preview_size[1] // 2, preview_size[0] // 2]
        pixel = np.array(preview_size) // 2
        ray = (pixel[axis] - model.k[axis, 2]) / model.k[axis, axis]
        expected = (middle - whole.k[axis, 2]) / whole.k[axis, axis]
        assert ray == pytest.approx(expected, abs=1e-6)
    np.testing.assert_array_equal(model.d, whole.d)


# -- missing calibration


def test_nominal_models_come_from_the_field_of_view_with_a_warning():
    found = calibration.from_eeprom(document(-1), BOARD.replace({"calibration.nominal": True}))
    assert found.source == "nominal"
    focal_px = 640 / np.tan(np.radians(71.86 / 2))
    right = found.camera("right", (1280, 720))
    assert right.k[0, 0] == pytest.approx(focal_px)
    assert right.p[0, 3] == pytest.approx(-focal_px * 0.075)
    rgb = found.camera("rgb", (3840, 2160))
    assert rgb.k[0, 0] == pytest.approx(1920 / np.tan(np.radians(68.7938 / 2)))
    assert rgb.k[:2, 2].tolist() == [1919.5, 1079.5]
    assert found.warnings == (
        "the EEPROM is blank: the cameras are not calibrated",
        (
            "calibration.nominal: the mono camera models are not calibrated, "
            "but computed from 71.86 degrees and 0.075 m"
        ),
    )
    assert found.rgb_warning == (
        "calibration.nominal: the rgb camera is not calibrated (no numbers are stored for it), its "
        "model is computed from 68.7938 degrees"
    )


def test_nominal_fills_only_what_is_missing():
    found = calibration.from_eeprom(document(5), NOMINAL)
    assert found.source == "eeprom"
    np.testing.assert_array_equal(found.camera("left", (1280, 800)).k, eeprom.M1_LEFT)
    assert found.camera("rgb", (1920, 1080)).k.any()


def test_no_nominal_model_without_the_option():
    found = calibration.from_eeprom(document(-1), BOARD)
    assert not found.preview("rgb", (1920, 1080), (300, 300), True).k.any()
    assert found.stereo is None


# -- the board

#: Stored values -> distance in the error.
CONTRADICTIONS = [
    ({"left_to_right_distance_m": 0.035}, "0.075", "0.035"),
    ({"left_to_right_distance_m": 0.0651}, "0.075", "0.0651"),
    ({"calib_T": (-eeprom.TRANSLATION_CM).tolist()}, "-0.075", "0.075"),
    ({"calib_T": (eeprom.TRANSLATION_CM / 100).tolist()}, "0.00075", "0.075"),
]


@pytest.mark.parametrize(("changes", "found", "expected"), CONTRADICTIONS)
@pytest.mark.complaint(8)
def test_baseline_of_wrong_sign_or_unit_is_an_error(changes, found, expected):
    with pytest.raises(ConfigError) as caught:
        calibration.from_eeprom(document(5, **changes), DEFAULTS)
    assert str(caught.value) == (
        f"calibration: right camera is {found} m right of the left one, the board entry says "
        f"{expected} m; they may differ by 10 %. Correct board_config.left_to_right_distance_cm, "
        "or use board_config.override_eeprom"
    )


@pytest.mark.parametrize("board_m", [0.075, 0.0690, 0.0825, 0, "x", None])
def test_baseline_near_the_boards_or_without_one_is_fine(board_m):
    changes = {"left_to_right_distance_m": board_m}
    settings = BOARD if isinstance(board_m, (str, type(None))) else DEFAULTS
    found = calibration.from_eeprom(document(5, **changes), settings)
    assert found.baseline_m == pytest.approx(0.075)


def test_rotations_that_contradict_each_other_are_announced():
    turned = cv2.Rodrigues(np.radians([0, 0, 2.0]))[0] @ eeprom.R1_LEFT
    found = calibration.from_eeprom(document(5, calib_R1_L=turned.ravel().tolist()), DEFAULTS)
    assert "the rectified cameras are rotated by 2.0 degrees, expected 0" in found.warnings


def test_field_of_view_that_is_not_the_boards_is_announced():
    found = calibration.from_eeprom(document(5, left_fov_deg=110.0), DEFAULTS)
    sentence = "gives a field of view of 72 degrees, board entry left_fov_deg is 110"
    assert f"the matrix of the left camera {sentence}" in found.warnings
    assert f"the matrix of the right camera {sentence}" in found.warnings


def test_programmed_eeprom_overrides_board_settings():
    found = calibration.from_eeprom(document(1, rgb_fov_deg=0, left_fov_deg=72), DEFAULTS)
    assert (found.geometry.fov_deg, found.geometry.baseline_m, found.geometry.swap) == (
        72.0,
        0.075,
        True,
    )
    assert found.geometry.rgb_fov_deg == 69.0
    assert calibration.from_eeprom(document(5), DEFAULTS).board == "BW1098OBC R0M0E0"
    assert calibration.from_eeprom(document(-1), BOARD).board == "BW1098OBC R0M0E0"


# -- values for Gen1 programs


def test_homographies_take_raw_pixels_to_rectified_pixels():
    found = calibration.from_eeprom(document(5), DEFAULTS)
    for size in SIZES:
        for name, homography in zip(("left", "right"), found.homographies(size), strict=True):
            model = found.camera(name, size)
            raw = np.array([200.0, 150.0, 1.0])
            rectified = model.p[:, :3] @ model.r @ np.linalg.solve(model.k, raw)
            there = homography @ raw
            np.testing.assert_allclose(there / there[2], rectified / rectified[2], atol=1e-9)


def test_homographies_of_older_layouts_are_those_stored():
    left, right = calibration.from_eeprom(document(4), DEFAULTS).homographies((640, 400))
    stored = np.array(document(4)["calib_H1_L"]).reshape(3, 3)
    np.testing.assert_allclose(left @ stored, np.eye(3), atol=1e-9)
    left, right = calibration.from_eeprom(document(3), DEFAULTS).homographies((640, 400))
    assert left is None
    assert right.ravel().tolist() == document(3)["calib_old_H"]
    assert calibration.from_eeprom(document(-1), DEFAULTS).homographies((640, 400)) == (None, None)
