"""Files with the pose of the rgb camera: the formats that users have, and wrong files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from stored_calibrations import BOARD, NOMINAL

from depthai_ros.calibration import rgb_pose_file
from depthai_ros.calibration.calibration import Calibration, from_eeprom, load
from depthai_ros.calibration.poses import inverted, optical_pose, rigid
from depthai_ros.errors import ConfigError
from depthai_ros.virtual.scenes import eeprom, optics
from depthai_ros.virtual.scenes.source import SceneView

#: The virtual board: maps points from the rectified right camera to rgb, and from the raw ones.
FROM_RECTIFIED = rigid(np.eye(3), np.array([0.0375, 0, 0]))
FROM_RIGHT = FROM_RECTIFIED @ rigid(eeprom.R2_RIGHT, np.zeros(3))
PAIR = rigid(eeprom.ROTATION, eeprom.TRANSLATION_CM / 100)
FROM_LEFT = FROM_RIGHT @ PAIR
LEFT, RIGHT, RGB = "/oak/left/image_raw", "/oak/right/image_raw", "/oak/rgb/image_raw"
NO_TURN = {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0}


def camchain(*cameras: tuple[str, np.ndarray | None]) -> dict[str, Any]:
    """A camchain of Kalibr: the topic of each camera, and the map from the one before."""
    chain: dict[str, Any] = {}
    for number, (topic, matrix) in enumerate(cameras):
        chain[f"cam{number}"] = {
            "cam_overlaps": [0],
            "camera_model": "pinhole",
            "distortion_coeffs": [0.1, -0.2, 0.0, 0.0],
            "distortion_model": "radtan",
            "intrinsics": [800.0, 800.0, 640.0, 360.0],
            "resolution": [1280, 720],
            "rostopic": topic,
        }
        if matrix is not None:
            chain[f"cam{number}"]["T_cn_cnm1"] = matrix.tolist()
    return chain


def stamped(parent: str, child: str, **fields: Any) -> dict[str, Any]:
    """A TransformStamped; `fields` replace its transform."""
    transform = {"translation": {"x": -0.0375, "y": 0.0, "z": 0.0}, "rotation": NO_TURN}
    header = {"stamp": {"sec": 0, "nanosec": 0}, "frame_id": parent}
    return {"header": header, "child_frame_id": child, **(fields or {"transform": transform})}


def quaternion(rotation: np.ndarray) -> list[float]:
    """x y z w of a small rotation."""
    w = np.sqrt(1 + np.trace(rotation)) / 2
    axis = [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0],
            rotation[1, 0] - rotation[0, 1]]  # fmt: skip
    return [float(number / (4 * w)) for number in axis] + [float(w)]


RIGHT_IN_RGB = {
    "translation": FROM_RIGHT[:3, 3].tolist(),
    "rotation": quaternion(FROM_RIGHT[:3, :3]),
}
BODY = {"translation": [0.0, 0.0375, 0.0], "rotation": [0.0, 0.0, 0.0, 1.0]}

#: Every form of the same pose.
SAME: dict[str, dict[str, Any]] = {
    "kalibr left right rgb": camchain((LEFT, None), (RIGHT, PAIR), (RGB, FROM_RIGHT)),
    "kalibr rgb first": camchain((RGB, None), (RIGHT, inverted(FROM_RIGHT))),
    "kalibr chain over left": camchain(
        ("/oak/color/image_raw", None), (LEFT, inverted(FROM_LEFT)), (RIGHT, PAIR)
    ),
    "kalibr without right": camchain((LEFT, None), (RGB, FROM_LEFT)),
    "kalibr rectified": camchain(("/oak/right/image_rect", None), (RGB, FROM_RECTIFIED)),
    "frames": stamped("oak_right_camera_optical_frame", "oak_rgb_camera_optical_frame"),
    "body frames": stamped("oak_right_camera_frame", "oak_rgb_camera_frame", transform=BODY),
    "raw frames": {**stamped("oak_rgb_camera_optical_frame", "oak_right_camera_optical_frame",
        transform=RIGHT_IN_RGB), "rectified": False},
    "cameras": {"frame_id": "rgb", "child_frame_id": "right", **RIGHT_IN_RGB},
    "4x4": {"frame_id": "rgb", "child_frame_id": "right", "matrix": FROM_RIGHT.tolist()},
    "3x4": {"frame_id": "rgb", "child_frame_id": "left", "matrix": FROM_LEFT[:3].tolist()},
    "flat": {"frame_id": "right", "child_frame_id": "rgb", "rectified": True,
        "matrix": inverted(FROM_RECTIFIED).ravel().tolist()},
    "opencv": {"frame_id": "rgb", "child_frame_id": "right",
        "matrix": {"rows": 3, "cols": 4, "dt": "d", "data": FROM_RIGHT[:3].ravel().tolist()}},
}  # fmt: skip


def loaded(path: Path, document: Any, **values: Any) -> Calibration:
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    settings = NOMINAL.replace({"calibration.rgb_pose_file": str(path), **values})
    return load(eeprom.eeprom_document(5), settings)


@pytest.mark.parametrize("document", SAME.values(), ids=SAME)
def test_every_form_of_a_pose_maps_depth_to_the_same_pixels(
    document: dict[str, Any], tmp_path: Path
) -> None:
    found = loaded(tmp_path / "pose.yaml", document)
    assert found.warnings == ()
    matrix = found.rgb_from_depth()
    np.testing.assert_allclose(matrix, FROM_RECTIFIED, atol=1e-6)
    poses = {camera: optical_pose(pose) for camera, pose in found.poses().items()}
    np.testing.assert_allclose(inverted(poses["rgb"]) @ poses["right"], matrix, atol=1e-9)


def test_points_of_depth_lie_on_the_pixels_that_the_virtual_rgb_camera_draws(
    tmp_path: Path,
) -> None:
    view = SceneView((1280, 720), (1920, 1080), (300, 300), True, "rgb", True, True)
    drawn = optics.make_cameras(optics.SceneOptics.from_eeprom(eeprom.eeprom_document(5)), view)
    found = loaded(tmp_path / "pose.yaml", SAME["kalibr left right rgb"])
    matrix, k = found.rgb_from_depth(), found.camera("rgb", (1920, 1080)).k
    assert matrix is not None
    points = np.mgrid[-0.5:0.5:5j, -0.3:0.3:4j, 1.0:4.0:3j].reshape(3, -1).T
    image = (points @ matrix[:3, :3].T + matrix[:3, 3]) @ k.T
    pixels = image[:, :2] / image[:, 2:]
    np.testing.assert_allclose(pixels, drawn["rgb"].project(points), atol=1e-3)


def test_without_a_file_the_pose_is_known_only_with_nominal() -> None:
    document = eeprom.eeprom_document(5)
    assert load(document, BOARD).rgb_from_depth() is None
    np.testing.assert_allclose(load(document, NOMINAL).rgb_from_depth(), FROM_RECTIFIED, atol=1e-9)


def test_tf_follows_the_file_and_not_the_eeprom(tmp_path: Path) -> None:
    turned = rigid(eeprom.R1_LEFT, np.array([0.04, 0.002, 0.001]))
    found = loaded(tmp_path / "pose.yaml", camchain(("right_rect", None), ("rgb", turned)))
    poses = {camera: optical_pose(pose) for camera, pose in found.poses().items()}
    np.testing.assert_allclose(inverted(poses["rgb"]) @ poses["right"], turned, atol=1e-9)
    without = from_eeprom(eeprom.eeprom_document(5), NOMINAL)
    for camera in ("left", "right"):
        np.testing.assert_allclose(found.poses()[camera], without.poses()[camera], atol=1e-12)


def scaled(factor: float) -> dict[str, Any]:
    return camchain((RIGHT, None), (RGB, rigid(np.eye(3), np.array([0.0375 * factor, 0, 0]))))


def with_matrix(matrix: Any) -> dict[str, Any]:
    return {"frame_id": "rgb", "child_frame_id": "right", "matrix": matrix}


#: Content -> words of the error, which starts with the path.
WRONG: list[tuple[Any, str]] = [
    ("", "it is None, must be a mapping"),
    ("[1, 2]", r"it is \[1, 2\], must be a mapping"),
    ("a: *b", "not YAML"),
    ("x: " + "y" * 200_000, "more than .* bytes"),
    ({"camera_matrix": {}}, "a camera_info file, which rgb.camera_info_url takes"),
    ({"M1": {}, "R": {}}, "a stereo calibration of OpenCV: write its R and T as 'matrix'"),
    ({"/**": {}}, "a parameter file"),
    (camchain((LEFT, None), (RIGHT, PAIR)), "none of them is the rgb camera. The rostopic of each"),
    (camchain((RGB, None), ("/cam1/image_raw", PAIR)), "none of them is the right"),
    (camchain((RGB, None), (RIGHT, PAIR), ("/b/rgb/x", PAIR)), "2 of them are the rgb camera"),
    (camchain((RGB, None), ("/left/right/image_raw", PAIR)), "none of them is the right"),
    ({"cam0": 1, "cam2": 2}, "it has cam0, cam2, must have cam0, cam1 and so on without gaps"),
    ({"cam0": 1}, "cam0 is 1, must be a mapping"),
    (camchain((RIGHT, None), (RGB, None)), "cam1.T_cn_cnm1 is None, must be a 4x4 or 3x4 matrix"),
    (with_matrix([[1, 2], [3, 4]]), "must be a 4x4 or 3x4 matrix"),
    (with_matrix([*range(11), "x"]), "matrix has 'x', must be finite numbers"),
    (with_matrix([1, 0, 0, 1e99] * 3), "must be finite numbers"),
    (with_matrix([1, 0, 0, float("nan")] * 3), "matrix has nan, must be finite numbers"),
    (with_matrix([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 2]]), "must be 0 0 0 1"),
    (with_matrix([[1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]), "deviate by 0.1 from square"),
    (with_matrix([[-1, 0, 0, 0.0375], [0, 1, 0, 0], [0, 0, 1, 0]]), "matrix is mirrored"),
    (with_matrix([[1, 0, 0, -0.0375], [0, 1, 0, 0], [0, 0, 1, 0]]), "the direction is wrong"),
    (with_matrix([[1, 0, 0, 0], [0, 1, 0, -0.0375], [0, 0, 1, 0]]), "Name the frames so"),
    (with_matrix([[-1, 0, 0, 0.0375], [0, -1, 0, 0], [0, 0, 1, 0]]), "turned by 180 degrees"),
    (stamped("base", "rgb"), "frame_id 'base', child_frame_id 'rgb'; one must be rgb and"),
    (stamped("right", "rgb", transform=1), "transform is 1, must be a mapping"),
    (stamped("right", "rgb", matrix=1), "matrix is 1, must be a 4x4"),
    (stamped("right", "rgb", x=1), "neither transform .* nor matrix"),
    ({**stamped("right", "rgb"), "rectified": 1}, "rectified is 1, must be true or false"),
    (stamped("right", "rgb", translation=[1, 2], rotation=[0, 0, 0, 1]), "must be x y z"),
    (stamped("right", "rgb", translation=[0.04, 0, 0], rotation=[0, 0, 0, 2]), "the length 2"),
    (scaled(100), "3.75 m .* expected 0.0375 m by the board entry: .* like centimetres"),
    (scaled(1000), "37.5 m .* like millimetres, must be metres"),
    (scaled(1 / 0.0254), "like inches"),
    (scaled(0.001), "it must be in metres; or correct board_config.left_to_rgb_distance_cm"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "words"), WRONG, ids=[words for _, words in WRONG])
def test_wrong_file_is_refused_with_its_name_and_a_remedy(
    content: Any, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "pose.yaml"
    with pytest.raises(ConfigError, match=words) as raised:
        loaded(path, content)
    assert str(raised.value).startswith(str(path))


def test_missing_file_and_a_pose_to_an_uncalibrated_left_camera_are_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.yaml: No such file"):
        rgb_pose_file.read(str(tmp_path / "nothing.yaml"))
    path = tmp_path / "pose.yaml"
    path.write_text(yaml.safe_dump(SAME["kalibr without right"]))
    settings = BOARD.replace({"calibration.rgb_pose_file": str(path)})
    with pytest.raises(ConfigError, match="the mono cameras are not calibrated"):
        load({"version": -1}, settings)


def test_position_beside_the_board_entry_is_used_with_a_warning(tmp_path: Path) -> None:
    away = rigid(np.eye(3), np.array([0.0375, 0.03, 0]))
    found = loaded(tmp_path / "pose.yaml", camchain(("right_rect", None), (RGB, away)))
    (warning,) = found.warnings
    assert re.search(r"at -38 -30 0 mm .* says -38 0 0\. The file is used", warning), warning
    np.testing.assert_allclose(found.rgb_from_depth(), away)


def test_urdf_that_differs_from_the_file_is_a_warning_with_the_difference(tmp_path: Path) -> None:
    path = tmp_path / "pose.yaml"
    urdf = {"tf.source": "urdf"}
    assert loaded(path, SAME["frames"], **urdf).warnings == ()
    away = rigid(np.eye(3), np.array([0.0400, 0, 0]))
    (warning,) = loaded(path, camchain(("right_rect", None), (RGB, away)), **urdf).warnings
    assert "tf.source is urdf" in warning
    assert "is 2.5 mm and 0.00 degrees from" in warning
    turned = rigid(eeprom.R1_LEFT, np.array([0.0375, 0, 0]))
    (warning,) = loaded(path, camchain(("right_rect", None), (RGB, turned)), **urdf).warnings
    assert re.search("is 0.5 mm and 0.8. degrees", warning), warning
