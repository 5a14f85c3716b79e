"""Poses of the cameras, and the images of the virtual device, which draws them by itself."""

from __future__ import annotations

import numpy as np
import pytest
from stored_calibrations import BOARD, DEFAULTS, NOMINAL, SIZES

from depthai_ros.calibration import calibration
from depthai_ros.calibration.poses import OPTICAL_TO_BODY
from depthai_ros.virtual.scenes import eeprom, optics
from depthai_ros.virtual.scenes.source import SceneView


def document(version: int, **changes: object) -> dict:
    """EEPROM of the virtual board with some keys changed."""
    return {**eeprom.eeprom_document(version), **changes}


def optical(pose: np.ndarray) -> np.ndarray:
    """Pose of the optical frame of a camera whose body frame has this pose (REP 103)."""
    turned = pose.copy()
    turned[:3, :3] = pose[:3, :3] @ np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    return turned


#: Layout and settings.
POSED = [
    (document(5), DEFAULTS),
    (document(4), DEFAULTS),
    (document(3), DEFAULTS),
    (document(-1), BOARD),
    (document(-1), BOARD.replace({"calibration.nominal": True})),
]


@pytest.mark.parametrize(("stored", "settings"), POSED, ids=["5", "4", "3", "board", "nominal"])
def test_point_ahead_in_each_optical_frame_is_ahead_of_the_base(stored, settings):
    poses = calibration.from_eeprom(stored, settings).poses()
    positions = {"left": (0, 0.0375, 0), "right": (0, -0.0375, 0), "rgb": (0, 0, 0)}
    assert set(poses) == set(positions)
    for name, position in positions.items():
        ahead = optical(poses[name]) @ [0, 0, 1, 1]
        np.testing.assert_allclose(ahead[:3], np.add([1, 0, 0], position), atol=1e-9)
        right_of = optical(poses[name]) @ [1, 0, 0, 1]
        np.testing.assert_allclose(right_of[:3], np.add([0, -1, 0], position), atol=1e-9)
    right_in_left = np.linalg.inv(optical(poses["left"])) @ optical(poses["right"])
    np.testing.assert_allclose(right_in_left[:3, 3], [0.075, 0, 0], atol=1e-9)


def test_frames_agree_with_the_projection_of_the_right_camera():
    """A point seen through TF and P of the right camera lies where Tx puts it."""
    found = calibration.from_eeprom(document(5), DEFAULTS)
    poses, right = found.poses(), found.camera("right", (1280, 720))
    in_left = np.array([0.2, -0.1, 2.0, 1.0])
    in_right = np.linalg.inv(optical(poses["right"])) @ optical(poses["left"]) @ in_left
    by_frames, by_baseline = right.p[:, :3] @ in_right[:3], right.p @ in_left
    np.testing.assert_allclose(by_frames, by_baseline, atol=1e-9)


#: Left to right, left to rgb (m) -> y of left, right and rgb.
BOARDS = [
    (0.075, 0.0375, (0.0375, -0.0375, 0.0)),
    (0.09, 0.02, (0.045, -0.045, 0.025)),
    (0.04, 0.01, (0.02, -0.02, 0.01)),
    (0.0, 0.01, (0.0, 0.0, -0.01)),
]


@pytest.mark.parametrize(("baseline_m", "rgb_m", "expected"), BOARDS)
def test_lens_positions_follow_the_board(baseline_m, rgb_m, expected):
    stored = document(3, left_to_right_distance_m=baseline_m, left_to_rgb_distance_m=rgb_m)
    poses = calibration.from_eeprom(stored, DEFAULTS).poses()
    found = tuple(poses[name][1, 3] for name in ("left", "right", "rgb"))
    assert found == pytest.approx(expected)


def test_optical_axes_turn_as_rep_103_says():
    assert (OPTICAL_TO_BODY @ [0, 0, 1]).tolist() == [1, 0, 0]
    assert (OPTICAL_TO_BODY @ [1, 0, 0]).tolist() == [0, -1, 0]
    assert (OPTICAL_TO_BODY @ [0, 1, 0]).tolist() == [0, 0, -1]


# -- images of the virtual device, which draws them without this module


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("keep_aspect", [True, False])
def test_models_and_frames_fit_the_images_of_the_virtual_device(size, keep_aspect):
    view = SceneView(
        mono_size=size,
        rgb_size=(1920, 1080),
        preview_size=(544, 320),
        keep_aspect_ratio=keep_aspect,
        nn_camera="rgb",
        mirror_rectified=True,
        center_crop=True,
    )
    drawn = optics.make_cameras(optics.SceneOptics.from_eeprom(document(5)), view)
    found = calibration.from_eeprom(document(5), NOMINAL)
    frames = {name: optical(pose) for name, pose in found.poses().items()}
    grid = np.mgrid[-0.5:0.5:9j, -0.3:0.3:7j, 1.0:1.2:2j].reshape(3, -1).T
    world = grid * [1, 1, 1.5]  # rectified right camera, optical axes, metres
    base = np.hstack([world, np.ones((len(world), 1))]) @ frames["right"].T
    models = {
        "left": found.camera("left", size),
        "right": found.camera("right", size),
        "rgb": found.camera("rgb", (1920, 1080)),
        "preview": found.preview("rgb", (1920, 1080), (544, 320), keep_aspect),
    }
    for name, model in models.items():
        frame = frames["rgb" if name == "preview" else name]
        in_frame = (base @ np.linalg.inv(frame).T)[:, :3]
        image = in_frame @ model.r @ model.k.T
        np.testing.assert_allclose(
            image[:, :2] / image[:, 2:], drawn[name].project(world), atol=1e-6, err_msg=name
        )
