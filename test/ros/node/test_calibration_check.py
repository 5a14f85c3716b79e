"""~/calibration_check measures what the calibration of the virtual device is known to be."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from contexts import make_test_context
from nodes import DEADLINE_S, Listener, NodeProcess, StartNode, wait_until
from parameter_clients import set_one
from scene_views import view
from sensor_msgs.msg import CameraInfo
from sensor_msgs.srv import SetCameraInfo
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from depthai_ros import config
from depthai_ros.calibration import board_check
from depthai_ros.calibration.calibration import Calibration, load
from depthai_ros.calibration.camera_model import CameraModel, pinhole, projection, single_camera
from depthai_ros.calibration.poses import rigid
from depthai_ros.errors import ConfigError
from depthai_ros.node import calibration_check
from depthai_ros.node.calibration_check import (
    CheckedFrames,
    CheckError,
    PoorCalibrationError,
    measure,
    verdict,
)
from depthai_ros.virtual.scenes import eeprom
from depthai_ros.virtual.scenes.scene import SyntheticScene
from depthai_ros.wire_formats import FrameSizes, disparity_to_depth_table

MONO, RGB = (640, 400), (1920, 1080)
NOMINAL = config.defaults().replace({"calibration.nominal": True})
FROM_DEPTH = rigid(np.eye(3), np.array([0.0375, 0.0, 0.0]))
GOOD = "verdict: the calibration is good"


@pytest.fixture(scope="module")
def frames() -> CheckedFrames:
    """The room as the virtual device sees it, and its true calibration."""
    scene = SyntheticScene(eeprom.eeprom_document(5))
    scene.configure(view(mono_size=MONO, rgb_size=RGB))
    images = {
        camera: scene.paint(stream, 0.0, 0).reshape(-1)[: size[0] * size[1]].reshape(size[::-1])
        for camera, stream, size in (
            ("left", "left", MONO),
            ("right", "right", MONO),
            ("rgb", "color", RGB),
        )
    }
    depth_of = disparity_to_depth_table(MONO[0], eeprom.MONO_FOV_DEG, eeprom.BASELINE_M)
    depth_mm = depth_of[scene.paint("disparity", 0.0, 0)].reshape(MONO[::-1])
    depth_mm = np.where(depth_mm == 65535, 0, depth_mm).astype(np.uint16)
    calibration = load(eeprom.eeprom_document(5), NOMINAL)
    return CheckedFrames(images, depth_mm, FrameSizes(MONO, RGB), calibration, (6, 4))


def changed(frames: CheckedFrames, **fields: Any) -> CheckedFrames:
    """Another calibration of the same images."""
    return replace(frames, calibration=replace(frames.calibration, **fields))


def model_of(frames: CheckedFrames, camera: str, *, shift: tuple[float, float]) -> dict[str, Any]:
    """A camera_info whose principal point is wrong by some px."""
    model = frames.model(camera)
    k = model.k + [[0, 0, shift[0]], [0, 0, shift[1]], [0, 0, 0]]
    return {"models": {camera: replace(model, k=k)}}


# -- measuring


def test_true_calibration_has_small_errors(frames: CheckedFrames) -> None:
    figures, notes = measure(frames)
    pair, rgb = figures
    assert notes == []
    assert pair.rms_px < 0.1
    assert rgb.rms_px < 0.6  # disparity has whole steps
    assert [(figure.boards, len(figure.errors)) for figure in figures] == [(3, 72)] * 2
    text = verdict(figures, notes)
    assert text.endswith(GOOD)
    assert len(text.splitlines()) == 3


def test_wrong_intrinsics_of_rgb_are_measured(frames: CheckedFrames) -> None:
    wrong = changed(frames, **model_of(frames, "rgb", shift=(-20.0, 8.0)))
    figures, notes = measure(wrong)
    np.testing.assert_allclose(figures[1].errors.mean(axis=0), [20.0, -8.0], atol=0.6)
    assert [figure.is_good for figure in figures] == [True, False]
    with pytest.raises(PoorCalibrationError, match=r"depth to rgb.* is not good: .*rgb_pose_file"):
        verdict(figures, notes)


def test_wrong_intrinsics_of_a_mono_camera_are_measured(frames: CheckedFrames) -> None:
    wrong = changed(frames, **model_of(frames, "right", shift=(0.0, 3.0)))
    figures, notes = measure(wrong)
    assert figures[0].errors.mean() == pytest.approx(-3.0, abs=0.1)
    assert [figure.is_good for figure in figures] == [False, True, True]
    with pytest.raises(PoorCalibrationError, match=r"by camera_info, .* is not good: calibrate"):
        verdict(figures, notes)


def test_wrong_pose_of_rgb_is_measured(frames: CheckedFrames) -> None:
    turned = FROM_DEPTH.copy()
    turned[:3, :3] = cv2.Rodrigues(np.array([0.0, np.radians(1.0), 0.0]))[0]
    figures, _ = measure(changed(frames, rgb_pose=turned))
    focal_px = frames.model("rgb").k[0, 0]
    across = figures[1].errors[:, 0].mean()
    assert -1.4 * focal_px * np.radians(1) < across < -focal_px * np.radians(1)
    assert not figures[1].is_good


def test_calibration_of_another_board_is_measured_on_the_device(frames: CheckedFrames) -> None:
    document = eeprom.eeprom_document(5)
    turned = cv2.Rodrigues(np.array([np.radians(0.5), 0.0, 0.0]))[0] @ eeprom.R1_LEFT
    document["calib_R1_L"] = turned.ravel().tolist()
    models = {camera: frames.model(camera) for camera in ("left", "right")}
    found = replace(load(document, NOMINAL), rgb_pose=FROM_DEPTH, models=models)
    figures, notes = measure(replace(frames, calibration=found))
    assert [figure.is_good for figure in figures] == [True, False, True]
    with pytest.raises(PoorCalibrationError, match=r"by the device's calibration.* is not good: t"):
        verdict(figures, notes)
    assert abs(figures[1].errors.mean()) == pytest.approx(441 * np.radians(0.5), rel=0.1)


def bent(image: np.ndarray, model: CameraModel) -> np.ndarray:
    """What the lens of a camera makes of an image."""
    straight = cv2.undistortPoints(pixels().reshape(-1, 1, 2), model.k, model.d, P=model.k)
    x, y = straight.astype(np.float32).T.reshape(2, *MONO[::-1])
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_CUBIC))


def pixels() -> np.ndarray:
    """Every pixel of a mono image, shape (N, 2)."""
    return np.mgrid[: MONO[1], : MONO[0]][::-1].reshape(2, -1).T.astype(np.float64)


def bent_depth(depth_mm: np.ndarray, calibration: Calibration) -> np.ndarray:
    """Depth from two images that the device turns by homographies and leaves bent."""
    models = [calibration.camera(camera, MONO) for camera in ("left", "right")]
    to_left, to_right = calibration.homographies(MONO)
    assert to_left is not None
    assert to_right is not None
    here = pixels()
    straight = board_check.rectified(board_check.moved(here, np.linalg.inv(to_right)), models[1])
    x, y = straight.astype(np.float32).T.reshape(2, *MONO[::-1])
    depth_m = cv2.remap(depth_mm, x, y, cv2.INTER_NEAREST).ravel() / 1e3
    focal_m = models[1].p[0, 0] * calibration.baseline_m
    disparity = np.where(depth_m > 0, focal_m / np.maximum(depth_m, 0.1), 0.0)
    in_left = straight + np.column_stack([disparity, np.zeros(len(disparity))])
    rays = board_check.points_of(in_left, np.ones(len(here)), models[0].p[:, :3]) @ models[0].r
    seen = board_check.moved(board_check.projected(rays, models[0]), to_left)
    found_mm = 1e3 * focal_m / np.maximum((seen - here)[:, 0], 0.1)
    return np.where(depth_m > 0, found_mm, 0).astype(np.uint16).reshape(MONO[::-1])


def test_lenses_that_the_device_does_not_correct_are_no_fault_of_the_calibration(
    frames: CheckedFrames,
) -> None:
    assert frames.depth_mm is not None
    document = eeprom.eeprom_document(5)
    document["calib_d1_L"] = [-0.08, 0.02] + [0.0] * 12
    document["calib_d2_R"] = [-0.05, 0.01] + [0.0] * 12
    calibration = load(document, NOMINAL)
    images = dict(frames.images)
    for camera in ("left", "right"):
        images[camera] = bent(images[camera], calibration.camera(camera, MONO))
    depth_mm = bent_depth(frames.depth_mm, calibration)
    seen = replace(frames, images=images, depth_mm=depth_mm, calibration=calibration)
    figures, notes = measure(seen)
    assert figures[0].rms_px < 0.15
    assert figures[1].rms_px < 0.8
    assert "which keeps the distortion of the lenses: rows differ by " in notes[0]
    assert "stereo.rectify host removes, moves depth by " in notes[1]
    assert verdict(figures, notes).endswith(GOOD)
    del images["left"]  # then the wrong disparity cannot be known
    (alone,), _ = measure(replace(seen, images=images))
    assert alone.rms_px > figures[1].rms_px + 0.3


def test_object_in_front_of_a_board_and_gaps_do_not_change_the_depth(frames: CheckedFrames) -> None:
    assert frames.depth_mm is not None
    depth_mm = frames.depth_mm.copy()
    depth_mm[:, ::5] = 0
    depth_mm[::4, :] = 700
    figures, _ = measure(replace(frames, depth_mm=depth_mm))
    assert figures[1].boards == 3
    assert figures[1].is_good


def test_boards_in_another_order_and_turned_are_matched(frames: CheckedFrames) -> None:
    boards = board_check.find_boards(frames.images["left"], (6, 4))
    other = [board[::-1] + [30.0, 2.0] for board in reversed(boards)]
    found = board_check.matched(boards, other, (6, 4), lambda px: px, lambda px: px)
    for first, second in zip(found.first, found.second, strict=True):
        np.testing.assert_allclose(second - first, [[30.0, 2.0]] * 24, atol=1e-9)
    assert board_check.matched(boards[:1], [boards[0] + 900.0], (6, 4), abs, abs).first == []


#: Missing part -> the note, and how many figures are left.
PARTS: list[tuple[dict[str, Any], str, int]] = [
    ({"left": None}, "mono pair: not measured: stream_list has no left", 1),
    ({"left": 0}, "mono pair: not measured: no checkerboard is in both images", 1),
    ({"rgb": None}, "depth to rgb: not measured: stream_list has no color", 1),
    ({"rgb": 0}, "no checkerboard of the right image is in the rgb image", 1),
    ({"depth": None}, "stream_list has no depth", 1),
    ({"depth": 0}, "depth is not measured on half of any checkerboard", 1),
    ({"nominal_rgb": False, "rgb": 1}, "the rgb camera is not calibrated: ", 1),
    ({"nominal_rgb": False, "models": {}}, "the pose of the rgb camera is not known: set calib", 1),
]


@pytest.mark.parametrize(("change", "note", "left"), PARTS, ids=[note for _, note, _ in PARTS])
def test_part_that_cannot_be_measured_is_named(
    change: dict[str, Any], note: str, left: int, frames: CheckedFrames
) -> None:
    images = dict(frames.images)
    for camera in {"left", "rgb"} & change.keys():
        if change[camera] is None:
            del images[camera]
        elif change[camera] == 0:
            images[camera] = np.zeros_like(images[camera])
    found = replace(frames, images=images)
    if "depth" in change:
        blank = None if change["depth"] is None else np.zeros(MONO[::-1], np.uint16)
        found = replace(found, depth_mm=blank)
    if "models" in change:
        found = changed(found, models={"rgb": frames.model("rgb")})
    if "nominal_rgb" in change:
        found = changed(found, nominal_rgb=False)
    figures, notes = measure(found)
    assert len(figures) == left
    assert len(notes) == 1
    assert note in notes[0]
    assert verdict(figures, notes).endswith(GOOD)


def test_without_a_board_or_a_calibration_there_is_no_figure(frames: CheckedFrames) -> None:
    with pytest.raises(CheckError, match="no checkerboard with 8x6 inner corners"):
        measure(replace(frames, corners=(8, 6)))
    blank = load({"version": -1}, config.defaults())
    with pytest.raises(CheckError, match="left and right are not calibrated"):
        verdict(*measure(replace(frames, calibration=blank)))


def test_missing_opencv_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ConfigError, match=r"install python3-opencv \(apt\)"):
        board_check.opencv()


#: Distortion model -> coefficients.
LENSES = {
    "plumb_bob": [-0.2, 0.05, 1e-3, -2e-3, 0.01],
    "rational_polynomial": [0.3, -0.1, 1e-3, 1e-3, 0.02, 0.5, 0.01, 0.005],
    "equidistant": [0.05, -0.01, 0.002, -0.001],
}


@pytest.mark.parametrize("name", LENSES)
def test_rectified_pixels_are_those_of_a_camera_without_distortion(name: str) -> None:
    k = pinhole(MONO, 70.0)
    plain = single_camera(MONO, k, np.zeros(14))
    bent = CameraModel(*MONO, k, np.array(LENSES[name]), name, eeprom.R1_LEFT, projection(k))
    points = np.mgrid[-0.4:0.4:5j, -0.3:0.3:4j, 1.0:2.0:2j].reshape(3, -1).T
    raw = board_check.projected(points, bent)
    expected = board_check.projected(points @ eeprom.R1_LEFT.T, plain)
    assert np.abs(raw - board_check.projected(points, plain)).max() > 1.0
    np.testing.assert_allclose(board_check.rectified(raw, bent), expected, atol=1e-2)


# -- the service


def check(listener: Listener) -> Any:
    """The answer of a check, which may need more than one call."""
    while True:
        answer = listener.call(Trigger, "calibration_check", Trigger.Request())
        if "the check is running" not in answer.message:
            return answer


def rgb_info(shift: float = 0.0) -> CameraInfo:
    k = pinhole(RGB, eeprom.RGB_FOV_DEG)
    k[0, 2] += shift
    return CameraInfo(
        width=RGB[0],
        height=RGB[1],
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=k.ravel(),
        r=np.eye(3).ravel(),
        p=projection(k).ravel(),
    )


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Listener, NodeProcess]]:
    """A node with the measured pose of rgb, not yet with its intrinsics."""
    folder = tmp_path_factory.mktemp("check")
    raw = FROM_DEPTH @ rigid(eeprom.R2_RIGHT, np.zeros(3))
    pose = {"frame_id": "rgb", "child_frame_id": "right", "matrix": raw.tolist()}
    (folder / "pose.yaml").write_text(yaml.safe_dump(pose))
    parameters = {
        "device.id": "virtual",
        "stream_list": ["left", "right", "depth", "color"],
        "camera.mono.resolution_h": MONO[1],
        "camera.mono.fps": 10.0,
        "camera.rgb.fps": 10.0,
        "calibration.camera_info_folder": str(folder),
        "calibration.rgb_pose_file": f"file://{folder}/pose.yaml",
    }
    node = NodeProcess(folder, parameters, name="checked")
    node.wait_for_output("streaming")
    listener = Listener("checked")
    listener.wait_until(lambda: listener.state() == "active", "the state active")
    yield listener, node
    listener.close()
    assert node.stop() == 0


def test_service_measures_the_running_device(checked: tuple[Listener, NodeProcess]) -> None:
    listener, node = checked
    maps = Path(f"/proc/{node.process.pid}/maps")
    assert "/cv2" not in maps.read_text()
    answer = check(listener)
    assert answer.success, answer.message
    assert "/cv2" in maps.read_text()
    assert "depth to rgb: not measured: the rgb camera is not calibrated" in answer.message
    for shift, words in ((0.0, GOOD), (-20.0, "is not good: calibrate the rgb camera again")):
        request = SetCameraInfo.Request(camera_info=rgb_info(shift))
        assert listener.call(SetCameraInfo, "rgb/set_camera_info", request).success
        answer = check(listener)
        assert answer.success == (shift == 0.0), answer.message
        assert words in answer.message
        assert "depth to rgb, reprojection error: " in answer.message
    assert not set_one(listener, "calibration.check_board", "8").successful
    assert set_one(listener, "calibration.check_board", "9x7").successful
    answer = check(listener)
    assert not answer.success
    assert "no checkerboard with 9x7 inner corners in the right image" in answer.message


def test_frames_follow_the_pose_file(checked: tuple[Listener, NodeProcess]) -> None:
    listener, _ = checked
    message = listener.first(TFMessage, "/tf_static", latched=True)
    (rgb,) = [row for row in message.transforms if row.child_frame_id == "checked_rgb_camera_frame"]
    (right,) = [
        row for row in message.transforms if row.child_frame_id == "checked_right_camera_frame"
    ]
    away = rgb.transform.translation.y - right.transform.translation.y
    assert away == pytest.approx(0.0375, abs=1e-6)


def test_check_names_the_stream_that_is_missing(start_node: StartNode, listener: Listener) -> None:
    node = start_node({"device.id": "virtual:pattern", "stream_list": ["left"]})
    node.wait_for_output("streaming")
    listener.wait_until(lambda: listener.state() == "active", "the state active")
    answer = check(listener)
    assert (answer.success, "stream_list has no right" in answer.message) == (False, True)
    assert node.stop() == 0


def test_check_that_takes_long_is_answered_at_once_and_ends_with_its_streams(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calibration_check, "_ANSWER_S", 0.01)
    context, calibration = make_test_context(), load(eeprom.eeprom_document(5), NOMINAL)
    settings = NOMINAL.replace({"stream_list": ["left", "right"]})
    supervisor: Any = SimpleNamespace(context=context, settings=settings)
    subject = calibration_check.CalibrationCheck(supervisor)
    with pytest.raises(CheckError, match="the check is running: call again"):
        subject.answer(context, calibration)
    supervisor.context = None
    wait_until(lambda: not context.latest.is_waited_for, lambda: "the end of the check")
    monkeypatch.setattr(calibration_check, "_ANSWER_S", DEADLINE_S)
    with pytest.raises(CheckError, match="no frames of one moment: right, left sent none"):
        subject.answer(context, calibration)
