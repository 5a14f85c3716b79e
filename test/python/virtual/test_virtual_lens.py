"""Lenses of the virtual device: its images against OpenCV and the calibration that a host reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from scene_views import view
from stored_calibrations import DEFAULTS

from depthai_ros.calibration import calibration, camera_info_file
from depthai_ros.errors import ConfigError
from depthai_ros.virtual.__main__ import main
from depthai_ros.virtual.scenes import lenses
from depthai_ros.virtual.scenes.eeprom import BASELINE_M, LEFT_TO_RGB_M, R2_RIGHT, eeprom_document
from depthai_ros.virtual.scenes.room import THINGS
from depthai_ros.virtual.scenes.scene import SyntheticScene
from depthai_ros.virtual.scenes.source import Realism, make_source
from depthai_ros.virtual.session import make_eeprom
from depthai_ros.virtual.settings import parse_settings

SIZE = (1280, 720)
LENS = Realism(lens=True)
BOTTLE = 5


def scene(realism: Realism = LENS, version: int = 5, **changes: Any) -> SyntheticScene:
    source = make_source("synthetic", eeprom_document(version, lens=realism.lens), realism)
    source.configure(view(mirror_rectified=False, **changes))
    assert isinstance(source, SyntheticScene)
    return source


@pytest.fixture(scope="module")
def room() -> SyntheticScene:
    return scene()


@pytest.fixture(scope="module")
def stored() -> calibration.Calibration:
    """What a host reads from the EEPROM."""
    return calibration.from_eeprom(eeprom_document(5, lens=True), DEFAULTS)


def corners_in(image: Any, guess: Any) -> NDArray[np.float64]:
    """The chessboard corners near a guess, by OpenCV; NaN where the guess is outside."""
    height, width = image.shape[:2]
    inside = ((guess > 12) & (guess < [width - 12, height - 12])).all(axis=1)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
    start = (guess[inside] + [0.6, -0.5]).astype(np.float32)
    found = np.full(guess.shape, np.nan)
    found[inside] = cv2.cornerSubPix(image, start, (6, 6), (-1, -1), stop)
    return found


def pixels_of(points: Any, camera: Any, k: Any, d: Any) -> NDArray[np.float64]:
    """Raw pixels of world points by OpenCV; `camera` (4, 4) maps the world to the camera's axes."""
    turn, _ = cv2.Rodrigues(np.ascontiguousarray(camera[:3, :3]))
    return np.asarray(cv2.projectPoints(points, turn, camera[:3, 3], k, d)[0].reshape(-1, 2))


def mono_pose(stored: calibration.Calibration, name: str) -> Any:
    """(4, 4): from the rectified right camera's axes to the raw axes of a mono camera."""
    pose = np.eye(4)
    pose[:3, :3] = stored.camera(name, SIZE).r.T
    pose[:3, 3] = pose[:3, :3] @ [BASELINE_M if name == "left" else 0.0, 0, 0]
    return pose


def expected_corners(room: SyntheticScene, stored: calibration.Calibration, name: str) -> Any:
    if name == "rgb":
        pose = lenses.rgb_pose(LEFT_TO_RGB_M, BASELINE_M)
        k, d = lenses.RGB_MATRIX, np.array(lenses.RGB_DISTORTION)
        return pixels_of(room.landmarks(), pose, k, d)
    model = stored.camera(name, SIZE)
    return pixels_of(room.landmarks(), mono_pose(stored, name), model.k, model.d)


@pytest.mark.parametrize("name", ["left", "right", "rgb"])
def test_corners_are_where_the_stated_lens_shows_them(
    room: SyntheticScene, stored: calibration.Calibration, name: str
) -> None:
    expected = expected_corners(room, stored, name)
    image = room.paint("color" if name == "rgb" else name, 5.0, 0)
    image = image[:1080] if name == "rgb" else image
    errors = np.linalg.norm(corners_in(image, expected) - expected, axis=1)
    assert np.isfinite(errors).sum() >= 60
    assert np.nanmax(errors) < 0.12
    assert np.nanmean(errors) < 0.05
    ideal = scene(Realism()).camera(name).project(room.landmarks())
    assert np.linalg.norm(expected - ideal, axis=1).max() > 3, "an ideal lens would not pass"


def test_a_board_is_found_without_a_guess(
    room: SyntheticScene, stored: calibration.Calibration
) -> None:
    expected = expected_corners(room, stored, "left")[:24]
    (x0, y0), (x1, y1) = expected.min(axis=0) - 40, expected.max(axis=0) + 40
    part = room.paint("left", 5.0, 0)[int(y0) : int(y1), int(x0) : int(x1)].copy()
    shown, corners = cv2.findChessboardCorners(part, (6, 4))
    assert shown
    found = corners.reshape(-1, 2) + [int(x0), int(y0)]
    distances = np.linalg.norm(found[:, None] - expected, axis=2).min(axis=1)
    assert distances.max() < 0.5


def test_the_undistorted_pair_is_rectified(
    room: SyntheticScene, stored: calibration.Calibration
) -> None:
    places = {}
    for name in ("left", "right"):
        model = stored.camera(name, SIZE)
        new = model.p[:, :3]
        maps = cv2.initUndistortRectifyMap(model.k, model.d, model.r, new, SIZE, cv2.CV_32FC1)
        image = cv2.remap(room.paint(name, 5.0, 0), *maps, cv2.INTER_LINEAR)
        shift = [BASELINE_M if name == "left" else 0.0, 0.0, 0.0]
        rays = (room.landmarks() + shift) @ new.T
        places[name] = corners_in(image, rays[:, :2] / rays[:, 2:])
    across, down = (places["left"] - places["right"]).T
    assert np.isfinite(down).sum() >= 60
    assert np.nanmean(np.abs(down)) < 0.04
    assert np.nanmax(np.abs(down)) < 0.1
    truth = stored.camera("right", SIZE).p[0, 0] * BASELINE_M / room.landmarks()[:, 2]
    assert np.nanmax(np.abs(across - truth)) < 0.15


@pytest.mark.parametrize("name", ["left", "right"])
def test_the_device_rectifies_by_a_homography_and_leaves_the_distortion(
    room: SyntheticScene, stored: calibration.Calibration, name: str
) -> None:
    homography = stored.homographies(SIZE)[("left", "right").index(name)]
    assert homography is not None
    raw, rectified = room.paint(name, 4.0, 0), room.paint(f"rectified_{name}", 4.0, 0)
    warped = cv2.warpPerspective(raw, homography, SIZE)
    inner = np.s_[40:-40, 40:-40]
    expected = warped[inner].astype(float).ravel()
    assert np.corrcoef(rectified[inner].ravel(), expected)[0, 1] > 0.97
    ideal = scene(Realism()).paint(f"rectified_{name}", 4.0, 0)
    assert np.corrcoef(ideal[inner].ravel(), expected)[0, 1] < 0.75
    corners = cv2.perspectiveTransform(expected_corners(room, stored, name)[None], homography)[0]
    np.testing.assert_allclose(
        room.camera(f"rectified_{name}").project(room.landmarks()), corners, atol=1e-6
    )


def test_disparity_is_the_difference_of_the_distorted_columns(room: SyntheticScene) -> None:
    left, right = (room.camera(f"rectified_{name}") for name in ("left", "right"))
    true, depth = room.true_disparity(6.3), room.true_depth(6.3)
    random = np.random.default_rng(1)
    u, v = random.integers(0, 1280, 2000), random.integers(0, 720, 2000)
    rays = right.rays(np.column_stack([u, v]).astype(float))
    points = rays * depth[v, u, None]
    np.testing.assert_allclose(right.project(points), np.column_stack([u, v]), atol=1e-3)
    expected = left.project(points)[:, 0] - u
    assert np.abs(true[v, u] - expected).max() < 0.02
    painted = room.paint("disparity", 6.3, 0)[:, ::-1]
    assert np.abs(painted[v, u] - np.clip(true[v, u], 0, 95)).max() <= 0.501
    simple = right.projection[0, 0] * BASELINE_M / depth[v, u]
    assert np.abs(true[v, u] - simple).max() > 2, "the lenses differ"


def test_lens_and_ideal_depth_agree_on_the_same_ray(room: SyntheticScene) -> None:
    ideal = scene(Realism())
    camera, seen, truth = (
        room.camera("rectified_right"),
        room.true_depth(6.3),
        ideal.true_depth(6.3),
    )
    assert camera.lens is not None
    u, v = lenses.ideal_pixels(camera.lens, SIZE)
    expected = cv2.remap(truth, u, v, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    inside = (u > 0) & (v > 0) & (u < 1279) & (v < 719)
    wrong = np.abs(seen - expected)[inside] > 0.02 * seen[inside]
    assert wrong.mean() < 0.01, "but for silhouettes and oblique faces"


def test_boxes_enclose_what_the_lens_shows(room: SyntheticScene) -> None:
    bottle = next(thing for thing in THINGS if thing.label == BOTTLE)
    for name in ("rgb", "rectified_right", "left"):
        source = scene(nn_camera=name)
        for time_s in (0.0, 3.0):
            found = next(each for each in source.objects(time_s, 0) if each.label == BOTTLE)
            assert found.position_m[2] == bottle.front_at(time_s)[2]
            camera, (x0, y0, x1, y1) = source.camera("preview"), np.array(found.box) * 300
            v, u = np.mgrid[int(y0) - 9 : int(y1) + 9, int(x0) - 9 : int(x1) + 9]
            rays = camera.rays(np.column_stack([u.ravel(), v.ravel()]).astype(float))
            depth = source.true_depth(time_s, "preview")[v, u]
            points = camera.centre + rays * depth.reshape(-1, 1)
            width, height, deep = bottle.size_m
            place = (points - bottle.front_at(time_s)) / [width, height, deep]
            inside = ((place > [-0.51, -1.01, -0.01]) & (place < [0.51, 0.01, 1.01])).all(axis=1)
            pixels = np.column_stack([u.ravel(), v.ravel()])[inside]
            edges = [*pixels.min(axis=0), *pixels.max(axis=0) + 1]
            np.testing.assert_allclose([x0, y0, x1, y1], edges, atol=1.01)


def test_older_layouts_have_the_same_lenses_but_do_not_state_them(room: SyntheticScene) -> None:
    for version in (-1, 3, 4):
        assert "calib_d1_L" not in eeprom_document(version, lens=True)
    old = scene(version=4)
    np.testing.assert_array_equal(old.paint("left", 1.0, 0), room.paint("left", 1.0, 0))
    stated = eeprom_document(5, lens=True)
    assert stated["calib_d1_L"] == list(lenses.LEFT_DISTORTION)
    assert stated["calib_d2_R"] == list(lenses.RIGHT_DISTORTION)
    assert not any(eeprom_document(5)["calib_d1_L"])


def test_lens_and_noise_are_options_of_the_device() -> None:
    settings = parse_settings("synthetic?lens=1&noise=true")
    assert (settings.lens, settings.noise) == (True, True)
    assert (parse_settings("").lens, parse_settings("").noise) == (False, False)
    assert make_eeprom(settings).document == eeprom_document(5, lens=True)
    recorded = parse_settings("images=/tmp?eeprom=5&lens=1")
    assert make_eeprom(recorded).document == eeprom_document(5), "they were taken by others"
    with pytest.raises(ConfigError, match="lens is '2', must be 0 or 1"):
        parse_settings("synthetic?lens=2")


def test_rgb_calibration_is_printed_as_files_that_are_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for lines, width in ((1080, 1920), (3040, 4056)):
        assert main(["--rgb-camera-info", str(lines)]) == 0
        file = tmp_path / "rgb.yaml"
        file.write_text(capsys.readouterr().out)
        model = camera_info_file.read(file).model
        camera_info_file.check("rgb", model, (width, lines), BASELINE_M)
        np.testing.assert_array_equal(model.k, lenses.rgb_matrix((width, lines)))
        np.testing.assert_array_equal(model.d, lenses.RGB_DISTORTION[:5])
    assert main(["--rgb-camchain"]) == 0
    chain = yaml.safe_load(capsys.readouterr().out)
    pose = lenses.rgb_pose(LEFT_TO_RGB_M, BASELINE_M)
    to_rectified = np.eye(4)
    to_rectified[:3, :3] = R2_RIGHT
    np.testing.assert_allclose(chain["cam1"]["T_cn_cnm1"], pose @ to_rectified)
    assert chain["cam0"]["distortion_coeffs"] == list(lenses.RIGHT_DISTORTION[:4])


@pytest.mark.parametrize("numbers", [[-9.0], [1e30], [float("nan")]])
def test_numbers_that_no_lens_has_are_refused(numbers: list[float]) -> None:
    document = eeprom_document(5, lens=True) | {"calib_d1_L": numbers + [0.0] * 13}
    source = make_source("synthetic", document, LENS)
    source.configure(view())
    with pytest.raises(ConfigError, match="cannot be that of a lens"):
        source.paint("left", 0.0, 0)


def test_rgb_intrinsics_follow_the_modes_of_the_sensor() -> None:
    """The 2160-line image is the 1080-line one enlarged, and the middle of the 3040-line one."""
    points = np.array([[0.3, -0.2, 2.0], [-0.5, 0.1, 1.0]])
    small, large, full = (
        (points @ lenses.rgb_matrix(size).T)[:, :2] / points[:, 2:]
        for size in ((1920, 1080), (3840, 2160), (4056, 3040))
    )
    np.testing.assert_allclose(large + 0.5, (small + 0.5) * 2)
    np.testing.assert_allclose(full, large + [108, 440])


def test_distorted_images_repeat_and_moving_things_leave_no_trace(room: SyntheticScene) -> None:
    streams = ("left", "rectified_right", "color", "previewout", "disparity")
    fresh = scene()
    for stream in streams:
        for time_s in (1.0, 1.1, 4.0):
            room.paint(stream, time_s, 0)
        np.testing.assert_array_equal(room.paint(stream, 2.5, 0), fresh.paint(stream, 2.5, 0))
