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
from scene_views import room, view
from sensor_msgs.msg import CameraInfo
from sensor_msgs.srv import SetCameraInfo
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from depthai_ros import config
from depthai_ros.calibration import board_check
from depthai_ros.calibration.calibration import load
from depthai_ros.calibration.camera_model import CameraModel, pinhole, projection, single_camera
from depthai_ros.calibration.poses import rigid
from depthai_ros.errors import ConfigError
from depthai_ros.node import calibration_check
from depthai_ros.node.calibration_check import (
    CheckError,
    Exposure,
    PoorCalibrationError,
    measure,
    verdict,
)
from depthai_ros.virtual.scenes import eeprom
from depthai_ros.wire_formats import FrameSizes, disparity_to_depth_table

MONO, RGB = (640, 400), (1920, 1080)
NOMINAL = config.defaults().replace({"calibration.nominal": True})
FROM_DEPTH = rigid(np.eye(3), np.array([0.0375, 0.0, 0.0]))
GOOD = "verdict: the calibration is good"


@pytest.fixture(scope="module")
def exposure() -> Exposure:
    """The room as the virtual device sees it, and its true calibration."""
    scene = room()
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
    return Exposure(images, depth_mm, FrameSizes(MONO, RGB), calibration, (6, 4))


def changed(exposure: Exposure, **fields: Any) -> Exposure:
    """Another calibration of the same images."""
    return replace(exposure, calibration=replace(exposure.calibration, **fields))


def model_of(exposure: Exposure, camera: str, *, shift: tuple[float, float]) -> dict[str, Any]:
    """A camera_info whose principal point is wrong by some px."""
    model = exposure.model(camera)
    k = model.k + [[0, 0, shift[0]], [0, 0, shift[1]], [0, 0, 0]]
    return {"models": {camera: replace(model, k=k)}}


# -- measuring


def test_true_calibration_has_small_errors(exposure: Exposure) -> None:
    figures, notes = measure(exposure)
    by_info, on_device, rgb = figures
    assert notes == []
    assert by_info.rms_px < 0.1
    assert on_device.rms_px < 0.1
    assert rgb.rms_px < 0.6  # disparity has whole steps
    assert [(figure.boards, len(figure.errors)) for figure in figures] == [(3, 72)] * 3
    text = verdict(figures, notes)
    assert text.endswith(GOOD)
    assert len(text.splitlines()) == 4


def test_wrong_intrinsics_of_rgb_are_measured(exposure: Exposure) -> None:
    wrong = changed(exposure, **model_of(exposure, "rgb", shift=(-20.0, 8.0)))
    figures, notes = measure(wrong)
    np.testing.assert_allclose(figures[2].errors.mean(axis=0), [20.0, -8.0], atol=0.6)
    assert [figure.is_good for figure in figures] == [True, True, False]
    with pytest.raises(PoorCalibrationError, match=r"depth to rgb.* is not good: .*rgb_pose_file"):
        verdict(figures, notes)


def test_wrong_intrinsics_of_a_mono_camera_are_measured(exposure: Exposure) -> None:
    wrong = changed(exposure, **model_of(exposure, "right", shift=(0.0, 3.0)))
    figures, notes = measure(wrong)
    assert figures[0].errors.mean() == pytest.approx(-3.0, abs=0.1)
    assert [figure.is_good for figure in figures] == [False, True, True]
    with pytest.raises(PoorCalibrationError, match=r"by camera_info, .* is not good: calibrate"):
        verdict(figures, notes)


def test_wrong_pose_of_rgb_is_measured(exposure: Exposure) -> None:
    turned = FROM_DEPTH.copy()
    turned[:3, :3] = cv2.Rodrigues(np.array([0.0, np.radians(1.0), 0.0]))[0]
    figures, _ = measure(changed(exposure, rgb_pose=turned))
    focal_px = exposure.model("rgb").k[0, 0]
    across = figures[2].errors[:, 0].mean()
    assert -1.4 * focal_px * np.radians(1) < across < -focal_px * np.radians(1)
    assert not figures[2].is_good


def test_calibration_of_another_board_is_measured_on_the_device(exposure: Exposure) -> None:
    document = eeprom.eeprom_document(5)
    turned = cv2.Rodrigues(np.array([np.radians(0.5), 0.0, 0.0]))[0] @ eeprom.R1_LEFT
    document["calib_R1_L"] = turned.ravel().tolist()
    found = replace(load(document, NOMINAL), rgb_pose=FROM_DEPTH)
    figures, _ = measure(replace(exposure, calibration=found))
    assert [figure.is_good for figure in figures] == [False, False, True]
    assert abs(figures[1].errors.mean()) == pytest.approx(441 * np.radians(0.5), rel=0.1)


def test_object_in_front_of_a_board_and_gaps_do_not_change_the_depth(exposure: Exposure) -> None:
    assert exposure.depth_mm is not None
    depth_mm = exposure.depth_mm.copy()
    depth_mm[:, ::5] = 0
    depth_mm[::4, :] = 700
    figures, _ = measure(replace(exposure, depth_mm=depth_mm))
    assert figures[2].boards == 3
    assert figures[2].is_good


def test_boards_in_another_order_and_turned_are_matched(exposure: Exposure) -> None:
    boards = board_check.find_boards(exposure.images["left"], (6, 4))
    other = [board[::-1] + [30.0, 2.0] for board in reversed(boards)]
    found = board_check.matched(boards, other, (6, 4), lambda px: px, lambda px: px)
    for first, second in zip(found.first, found.second, strict=True):
        np.testing.assert_allclose(second - first, [[30.0, 2.0]] * 24, atol=1e-9)
    assert board_check.matched(boards[:1], [boards[0] + 900.0], (6, 4), abs, abs).first == []


#: Missing part -> the note, and how many figures are left.
PARTS: list[tuple[dict[str, Any], str, int]] = [
    ({"left": None}, "mono pair: not measured: stream_list has no left", 1),
    ({"left": 0}, "mono pair: not measured: no checkerboard is in both images", 1),
    ({"rgb": None}, "depth to rgb: not measured: stream_list has no color", 2),
    ({"rgb": 0}, "no checkerboard of the right image is in the rgb image", 2),
    ({"depth": None}, "stream_list has no depth", 2),
    ({"depth": 0}, "depth is not measured on half of any checkerboard", 2),
    ({"nominal_rgb": False, "rgb": 1}, "the rgb camera is not calibrated: ", 2),
    ({"nominal_rgb": False, "models": {}}, "the pose of the rgb camera is not known: set calib", 2),
]


@pytest.mark.parametrize(("change", "note", "left"), PARTS, ids=[note for _, note, _ in PARTS])
def test_part_that_cannot_be_measured_is_named(
    change: dict[str, Any], note: str, left: int, exposure: Exposure
) -> None:
    images = dict(exposure.images)
    for camera in {"left", "rgb"} & change.keys():
        if change[camera] is None:
            del images[camera]
        elif change[camera] == 0:
            images[camera] = np.zeros_like(images[camera])
    found = replace(exposure, images=images)
    if "depth" in change:
        blank = None if change["depth"] is None else np.zeros(MONO[::-1], np.uint16)
        found = replace(found, depth_mm=blank)
    if "models" in change:
        found = changed(found, models={"rgb": exposure.model("rgb")})
    if "nominal_rgb" in change:
        found = changed(found, nominal_rgb=False)
    figures, notes = measure(found)
    assert len(figures) == left
    assert len(notes) == 1
    assert note in notes[0]
    assert verdict(figures, notes).endswith(GOOD)


def test_without_a_board_or_a_calibration_there_is_no_figure(exposure: Exposure) -> None:
    with pytest.raises(CheckError, match="no checkerboard with 8x6 inner corners"):
        measure(replace(exposure, corners=(8, 6)))
    blank = load({"version": -1}, config.defaults())
    with pytest.raises(CheckError, match="left and right are not calibrated"):
        verdict(*measure(replace(exposure, calibration=blank)))


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
