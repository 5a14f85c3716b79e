"""camera_info and calibration files as the node uses them, and the reasons why it does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nodes import Listener, StartNode
from parameter_clients import QUIET
from sensor_msgs.msg import CameraInfo
from sensor_msgs.srv import SetCameraInfo

from depthai_ros.calibration import gen1_file
from depthai_ros.cameras import CALIBRATION_FIELDS
from depthai_ros.virtual.scenes import eeprom

GOOD_FILE = """\
image_width: 640
image_height: 400
camera_name: anything
camera_matrix: {rows: 3, cols: 3, data: [400, 0, 320, 0, 400, 200, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0, 0, 0, 0, 0.5]}
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [400, 0, 320, 0, 0, 400, 200, 0, 0, 0, 1, 0]}
"""
#: content of a camera_info file, the node's warning about it ("" = it is used)
FILES: list[tuple[str, str]] = [
    (GOOD_FILE, ""),
    (GOOD_FILE + "device_mx_id: 14442C10D1VIRTUAL0\n", ""),
    (GOOD_FILE + "device_mx_id: OTHER\n", "it is for the device OTHER"),
    (GOOD_FILE.replace("640", "1280"), "it is for 1280x400 pixels, the images are 640x400"),
    (GOOD_FILE.replace("plumb_bob", "[plumb_bob]"), "line 5: distortion_model is ['plumb_bob']"),
    ("", "not a camera_info file"),
]


@pytest.mark.parametrize("case", FILES, ids=lambda case: case[1] or "good")
def test_camera_info_file_is_used_if_device_and_image_size_match(
    case: tuple[str, str], start_node: StartNode, listener: Listener, tmp_path: Path
) -> None:
    content, complaint = case
    (tmp_path / "oak_left.yaml").write_text(content)
    node = start_node({**QUIET, "calibration.camera_info_folder": str(tmp_path)})
    info = listener.first(CameraInfo, "left/camera_info")
    assert (info.d[4] == 0.5) == (not complaint)
    assert info.k[0] > 0
    warnings = [line for line in node.output.splitlines() if "oak_left.yaml is not used" in line]
    assert len(warnings) == bool(complaint)
    assert all(complaint in line for line in warnings)
    assert node.stop() == 0


def test_url_comes_before_the_folder_and_is_written(
    start_node: StartNode, listener: Listener, tmp_path: Path
) -> None:
    (tmp_path / "oak_left.yaml").write_text(GOOD_FILE)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "oak_left.yaml").write_text(GOOD_FILE.replace("0.5]", "0.25]"))
    urls = {
        "left.camera_info_url": f"file://{mine}/${{NAME}}.yaml",
        "right.camera_info_url": "package://nowhere/right.yaml",
    }
    node = start_node({**QUIET, **urls, "calibration.camera_info_folder": f"file://{tmp_path}"})
    info = listener.first(CameraInfo, "left/camera_info")
    assert info.d[4] == 0.25
    assert "right.camera_info_url is not used: package://nowhere/right.yaml: not" in node.output
    assert "rgb camera" not in node.output  # no stream shows it
    info.d[4] = 2e-05
    request = SetCameraInfo.Request(camera_info=info)
    answer = listener.call(SetCameraInfo, "left/set_camera_info", request)
    assert answer.status_message == f"written to {mine}/oak_left.yaml"
    assert "2.0e-05" in (mine / "oak_left.yaml").read_text()
    assert (tmp_path / "oak_left.yaml").read_text() == GOOD_FILE
    assert node.stop() == 0


def test_rgb_calibration_that_cannot_be_true_is_told_in_log_and_diagnostics(
    start_node: StartNode, listener: Listener, tmp_path: Path
) -> None:
    fields = {name: np.zeros(shape) for name, shape in CALIBRATION_FIELDS.items()} | {
        "R1": eeprom.R1_LEFT, "R2": eeprom.R2_RIGHT, "M1": eeprom.M1_LEFT, "M2": eeprom.M2_RIGHT,
        "R": eeprom.ROTATION, "T": eeprom.TRANSLATION_CM, "M3": eeprom.M1_LEFT,
    }  # fmt: skip
    floats = np.concatenate([field.ravel() for field in fields.values()]).tolist()
    gen1_file.write(str(tmp_path / "x.calib"), floats, center_crop=True)
    values = {
        "stream_list": ["left", "color", "meta_d2h"],
        "device.id": "virtual:pattern?eeprom=-1",
        "depth.calibration_file": str(tmp_path / "x.calib"),
        "board_config.left_to_right_distance_cm": 7.5,
    }
    node = start_node({**QUIET, **values})
    reason = "the rgb camera is not calibrated: M3 is equal to M1 of the left camera"
    assert not listener.first(CameraInfo, "rgb/camera_info").k.any()
    assert node.output.count(reason) == 1
    listener.subscribe(DiagnosticArray, "/diagnostics")

    def calibration_status() -> DiagnosticStatus | None:
        rows = [row for found in listener.messages("/diagnostics") for row in found.status]
        return next((row for row in rows if row.name == "oak: calibration"), None)

    listener.wait_until(lambda: calibration_status() is not None, "the diagnostics")
    status = calibration_status()
    assert status is not None
    assert (status.level, reason in status.message) == (DiagnosticStatus.WARN, True)
    assert ("rgb", reason) in [(pair.key, pair.value) for pair in status.values]
    assert node.stop() == 0
