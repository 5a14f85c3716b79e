"""Services work, or answer why not and what they need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from boards import Board
from lifecycle_msgs.msg import Transition
from nodes import ROOT, Listener, NodeProcess, StartNode, wait_until
from parameter_clients import QUIET, set_one
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from sensor_msgs.srv import SetCameraInfo
from std_srvs.srv import Trigger

import depthai_ros
from depthai_ros.calibration import gen1_file
from depthai_ros.srv import DeviceInfo, SaveCalibration

pytestmark = pytest.mark.distribution("rclpy's services and executors")

CAMERAS = ("left", "right", "rgb")
SERVICES = {
    "capture_still": Trigger,
    "autofocus_trigger": Trigger,
    "reset_device": Trigger,
    "calibration_check": Trigger,
    "device_info": DeviceInfo,
    "save_calibration": SaveCalibration,
    **{f"{camera}/set_camera_info": SetCameraInfo for camera in CAMERAS},
}
#: Cameras that the virtual device knows in its EEPROM, at 640x400.
FX, BASELINE_M = 400.0, 0.075


def call(listener: Listener, name: str, **fields: Any) -> Any:
    service_type = SERVICES[name]
    return listener.call(service_type, name, service_type.Request(**fields))


def message(answer: Any) -> str:
    return str(getattr(answer, "message", "") or getattr(answer, "status_message", ""))


def succeed(listener: Listener, name: str, **fields: Any) -> Any:
    answer = call(listener, name, **fields)
    assert answer.success, message(answer)
    return answer


def fail(listener: Listener, name: str, *words: str, **fields: Any) -> None:
    answer = call(listener, name, **fields)
    assert not answer.success
    for word in words:
        assert word in message(answer)


def camera_info(camera: str, **changes: Any) -> CameraInfo:
    """A plausible calibration of one camera at 640x400 (rgb 1920x1080)."""
    width, height = (1920, 1080) if camera == "rgb" else (640, 400)
    tx = -FX * BASELINE_M if camera == "right" else 0.0
    fields: dict[str, Any] = {
        "width": width,
        "height": height,
        "distortion_model": "plumb_bob",
        "d": [0.1, -0.2, 2e-05, -6e-07, 0.05],
        "k": [FX, 0.0, width / 2, 0.0, FX + 1, height / 2, 0.0, 0.0, 1.0],
        "r": np.eye(3).ravel().tolist(),
        "p": [FX, 0.0, width / 2, tx, 0.0, FX, height / 2, 0.0, 0.0, 0.0, 1.0, 0.0],
    }
    return CameraInfo(**{**fields, **changes})


# -- states


def test_every_service_names_the_state_it_needs(
    start_node: StartNode, listener: Listener, tmp_path: Path
) -> None:
    folder = str(tmp_path / "infos")
    node = start_node({**QUIET, "autostart": False, "calibration.camera_info_folder": folder})
    for name in SERVICES:
        fail(listener, name, "the node is unconfigured, it has to be ", "active")
    assert listener.change_state(Transition.TRANSITION_CONFIGURE)
    for name in ("capture_still", "autofocus_trigger", "reset_device", "calibration_check"):
        fail(listener, name, "the node is inactive, it has to be active")
    assert succeed(listener, "device_info").running_streams == []
    succeed(listener, "left/set_camera_info", camera_info=camera_info("left"))
    assert listener.change_state(Transition.TRANSITION_ACTIVATE)
    succeed(listener, "autofocus_trigger")
    node.wait_for_output("device: capture command 2 argument 0")
    assert listener.change_state(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    for name in SERVICES:
        fail(listener, name, "the node is finalized")
    assert "Traceback" not in node.output
    assert node.stop() == 0


def test_services_report_a_lost_device(
    board: Board, start_node: StartNode, listener: Listener, tmp_path: Path
) -> None:
    board.plug()
    folder = {"calibration.camera_info_folder": str(tmp_path)}
    node = start_node({**QUIET, **folder, "device.id": board.selector})
    node.wait_for_output("streaming")
    listener.wait_until(lambda: listener.state() == "active", "the state active")
    board.unplug()
    node.wait_for_output("the device is lost: ")
    for name in ("capture_still", "autofocus_trigger", "calibration_check"):
        fail(listener, name, "the device is not streaming: ")
    fail(listener, "device_info", "no device is connected: ")
    assert call(listener, "device_info").selector == board.selector
    # Its calibration is still known.
    succeed(listener, "save_calibration", path=str(tmp_path / "saved.calib"))
    succeed(listener, "left/set_camera_info", camera_info=camera_info("left"))
    succeed(listener, "reset_device")
    board.plug()
    node.wait_for_output("the device is back")
    assert list(succeed(listener, "device_info").set_cameras) == ["left"]
    # Another board with the same memory is another camera.
    board.unplug()
    board.plug("pattern?mx_id=OTHER")
    node.wait_for_output("oak_left.yaml is not used: it is for the device 14442C10D1VIRTUAL0")
    wait_until(lambda: call(listener, "device_info").mx_id == "OTHER", lambda: node.output)
    assert list(succeed(listener, "device_info").set_cameras) == []
    assert node.stop() == 0


# -- commands


def test_still_comes_after_each_request(start_node: StartNode, listener: Listener) -> None:
    node = start_node({**QUIET, "stream_list": ["left", "jpegout"]})
    topic = "rgb/still/image_raw/compressed"
    listener.subscribe(CompressedImage, topic, latched=True)
    listener.first(Image, "left/image_raw")
    assert not listener.raw(topic)
    for count in (1, 2):
        answer = succeed(listener, "capture_still")
        assert f"/oak/{topic}" in answer.message
        listener.wait_for(topic, count=count)
    assert bytes(listener.messages(topic)[0].data[:2]) == b"\xff\xd8"
    assert set_one(listener, "stream.jpegout.publish", False).successful
    fail(listener, "capture_still", "stream.jpegout.publish is false")
    assert node.stop() == 0


def test_refused_command_names_the_setting(start_node: StartNode, listener: Listener) -> None:
    node = start_node({**QUIET, "camera.rgb.lens_position": 90})
    node.wait_for_output("streaming")
    listener.wait_until(lambda: listener.state() == "active", "the state active")
    fail(listener, "capture_still", "stream_list has no jpegout", "while the node is unconfigured")
    fail(listener, "autofocus_trigger", "camera.rgb.lens_position is 90", "-1")
    assert set_one(listener, "camera.rgb.lens_position", -1).successful
    succeed(listener, "autofocus_trigger")
    assert node.stop() == 0


@pytest.mark.complaint(1)
def test_reset_brings_the_device_back_with_its_values(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node(QUIET)
    node.wait_for_output("streaming")
    listener.wait_until(lambda: listener.state() == "active", "the state active")
    assert set_one(listener, "camera.left.ae_lock", True).successful
    lines = "device: camera control 3A 12 1 1 (AE_LOCK of left)\n"
    node.wait_for_output(lines)
    before = node.children()
    succeed(listener, "reset_device")
    node.wait_for_output("~/reset_device was called")
    node.wait_for_output("the device is back")
    assert before != node.children()
    listener.first(Image, "left/image_raw")
    wait_until(lambda: node.output.count(lines) == 2, lambda: node.output)
    assert listener.state() == "active"
    assert node.stop() == 0


# -- device information


def test_device_info_has_the_devices_description(start_node: StartNode, listener: Listener) -> None:
    node = start_node({**QUIET, "device.id": "virtual:pattern?absent=rgb"})
    node.wait_for_output("streaming")
    listener.wait_until(lambda: listener.state() == "active", "the state active")
    info = succeed(listener, "device_info")
    assert info.driver_version == depthai_ros.__version__
    assert info.selector == "virtual:pattern?absent=rgb"
    assert info.mx_id == "14442C10D1VIRTUAL0"
    assert (info.product, info.board_revision) == ("BW1098OBC", "R0M0E0")
    assert info.firmware_version
    assert (info.usb_path, info.usb_speed) == ("", "")
    assert set(info.cameras) == {"left", "right"}
    assert {"left", "depth", "meta_d2h"} <= set(info.available_streams)
    assert set(info.running_streams) == {"left", "meta_d2h"}
    assert (info.eeprom_version, info.calibration_source) == (5, "eeprom")
    assert info.baseline_m == pytest.approx(0.075)
    assert list(info.set_cameras) == []
    assert node.stop() == 0


# -- calibration


def test_saved_calibration_is_the_one_that_is_in_use(
    start_node: StartNode, listener: Listener, tmp_path: Path
) -> None:
    file = tmp_path / "folder" / "mine.calib"
    node = start_node(QUIET)
    before = listener.first(CameraInfo, "left/camera_info")
    assert succeed(listener, "save_calibration", path=str(file)).path == str(file)
    assert len(file.read_bytes()) == 445
    assert gen1_file.read(str(file)).center_crop
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert node.stop() == 0
    values = {"depth.calibration_file": str(file), "calibration.camera_info_folder": str(tmp_path)}
    other = start_node(
        {
            **QUIET,
            **values,
            "device.id": "virtual:pattern?eeprom=-1",
            "board_config.left_to_right_distance_cm": 7.5,
        }
    )
    after = listener.first(CameraInfo, "left/camera_info")
    for field in ("k", "d", "r", "p"):
        np.testing.assert_allclose(getattr(after, field), getattr(before, field), atol=1e-4)
    # Without a path the file is written to the camera_info folder.
    answer = succeed(listener, "save_calibration")
    assert answer.path == str(tmp_path / "14442C10D1VIRTUAL0.calib")
    assert Path(answer.path).read_bytes()[:444] == file.read_bytes()[:444]
    assert other.stop() == 0


def test_failed_save_of_a_calibration_is_reported(
    start_node: StartNode, listener: Listener, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    node = start_node(QUIET)
    node.wait_for_output("streaming")
    listener.wait_until(lambda: listener.state() == "active", "the state active")
    fail(listener, "save_calibration", "exists", path=str(tmp_path / "file" / "x.calib"))
    fail(listener, "save_calibration", "directory", path=str(tmp_path))
    fail(listener, "save_calibration", "directory", path="/")
    fail(listener, "save_calibration", "no home folder of ~nosuchuser", path="~nosuchuser/x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    fail(listener, "save_calibration", "must be a regular file", path=str(tmp_path / "link"))
    (tmp_path / "link").unlink()
    assert node.stop() == 0
    node = start_node({**QUIET, "device.id": "virtual:pattern?eeprom=-1"})
    node.wait_for_output("streaming")
    listener.wait_until(lambda: listener.state() == "active", "the state active")
    fail(listener, "save_calibration", "there is no calibration to save, its source is none")
    assert node.stop() == 0
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


#: camera, wrong fields, words of the answer
BAD_INFOS: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("left", {"width": 641}, ("it is for 641x400 pixels, the images are 640x400",)),
    ("rgb", {"height": 0}, ("it is for 1920x0 pixels, the images are 1920x1080",)),
    ("left", {"distortion_model": "fisheye"}, ("'fisheye'", "must be one of plumb_bob")),
    ("left", {"d": [0.1] * 9}, ("d has 9 numbers, plumb_bob has 5", "thin-prism")),
    ("left", {"d": [0.1] * 4 + [np.nan]}, ("d holds a number that is not finite",)),
    ("left", {"k": [0.0] * 9}, ("must be positive: it is not calibrated",)),
    ("left", {"k": [-1.0, 0, 1, 0, 1, 1, 0, 0, 1]}, ("k has fx -1",)),
    ("left", {"k": [1.0, 0, 1, 0, 1, 1, 0, 0, 2]}, ("k is not a camera matrix",)),
    ("left", {"k": [np.inf, 0, 1, 0, 1, 1, 0, 0, 1]}, ("k holds a number that is not finite",)),
    ("left", {"r": [2.0, 0, 0, 0, 2, 0, 0, 0, 2]}, ("r is not a rotation",)),
    ("left", {"r": [-1.0, 0, 0, 0, 1, 0, 0, 0, 1]}, ("r is not a rotation",)),
    ("left", {"p": [0.0] * 12}, ("p has fx' 0",)),
    ("left", {"p": [1.0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1]}, ("p is not the projection",)),
    ("left", {"p": [FX, 0, 1, -30, 0, FX, 1, 0, 0, 0, 1, 0]}, ("p[3] is -30, must be 0",)),
    ("right", {"p": [FX, 0, 1, 0, 0, FX, 1, 0, 0, 0, 1, 0]}, ("p[3] is 0", "as a pair")),
    ("right", {"p": [FX, 0, 1, 30, 0, FX, 1, 0, 0, 0, 1, 0]}, ("-0.075 m right of", "0.075 m")),
    ("right", {"p": [FX, 0, 1, -3000, 0, FX, 1, 0, 0, 0, 1, 0]}, ("7.5 m right of", "in metres")),
    ("left", {"binning_x": 2}, ("binning is set",)),
]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Listener, Path]]:
    """A listener to a node that streams, and the folder of its camera_info files."""
    folder = tmp_path_factory.mktemp("infos")
    parameters = {**QUIET, "calibration.camera_info_folder": str(folder)}
    node = NodeProcess(tmp_path_factory.mktemp("node"), parameters, name="pair")
    node.wait_for_output("streaming")
    listener = Listener("pair")
    listener.wait_until(lambda: listener.state() == "active", "the state active")
    yield listener, folder
    listener.close()
    assert node.stop() == 0


@pytest.mark.parametrize("case", BAD_INFOS, ids=lambda case: f"{case[0]} {case[2][0]}")
def test_wrong_camera_info_is_refused(
    case: tuple[str, dict[str, Any], tuple[str, ...]], pair: tuple[Listener, Path]
) -> None:
    camera, changes, words = case
    if set(changes) & {"k", "r", "p"}:
        changes = {key: [float(number) for number in value] for key, value in changes.items()}
    listener, folder = pair
    info = camera_info(camera, **changes)
    fail(listener, f"{camera}/set_camera_info", *words, camera_info=info)
    assert not list(folder.iterdir())
    assert list(succeed(listener, "device_info").set_cameras) == []


def test_every_service_that_the_node_offers_is_in_the_table_and_in_the_document(
    pair: tuple[Listener, Path],
) -> None:
    listener, _ = pair
    listener.wait_until(lambda: listener.services().keys() >= SERVICES.keys(), "the services")
    foreign = ("rcl_interfaces/", "lifecycle_msgs/", "type_description_interfaces/")
    offered = {
        name: kind for name, kind in listener.services().items() if not kind.startswith(foreign)
    }
    packages = {kind: kind.__module__.partition(".")[0] for kind in SERVICES.values()}
    assert offered == {
        name: f"{packages[kind]}/srv/{kind.__name__}" for name, kind in SERVICES.items()
    }
    text = (ROOT / "docs" / "services.md").read_text("utf-8")
    for name, kind in offered.items():
        assert f"| `~/{name}` | `{kind}` |" in text


SIX = {**QUIET, "stream_list": ["left", "right", "color", "depth", "meta_d2h"]}


def numbers_of(info: CameraInfo) -> dict[str, Any]:
    fields = ("width", "height", "distortion_model", "d", "k", "r", "p")
    return {
        field: value if isinstance(value := getattr(info, field), (int, str)) else list(value)
        for field in fields
    }


@pytest.mark.complaint(8)
def test_set_camera_info_takes_effect_with_the_next_frame_and_after_a_restart(
    start_node: StartNode, listener: Listener, tmp_path: Path
) -> None:
    folder = {"calibration.camera_info_folder": str(tmp_path)}
    node = start_node({**SIX, **folder})
    depth = listener.first(CameraInfo, "depth/camera_info")
    for camera in CAMERAS:
        topic = f"{camera}/camera_info"
        listener.subscribe(CameraInfo, topic)
        listener.wait_for(topic)
        wanted = camera_info(camera)
        answer = succeed(listener, f"{camera}/set_camera_info", camera_info=wanted)
        assert answer.status_message == f"written to {tmp_path}/oak_{camera}.yaml"
        listener.forget()
        listener.wait_for(topic, count=2)
        assert numbers_of(listener.messages(topic)[-1]) == numbers_of(wanted)
        assert listener.messages(topic)[-1].header.frame_id.startswith(f"oak_{camera}_")
        listener.unsubscribe(topic)
    assert list(succeed(listener, "device_info").set_cameras) == sorted(CAMERAS)
    # The device still rectifies with its own calibration, on which depth is based.
    assert numbers_of(listener.first(CameraInfo, "depth/camera_info")) == numbers_of(depth)
    assert node.stop() == 0
    node = start_node({**SIX, **folder})
    for camera in CAMERAS:
        info = listener.first(CameraInfo, f"{camera}/camera_info")
        assert numbers_of(info) == numbers_of(camera_info(camera))
    assert "not calibrated" not in node.output
    assert node.stop() == 0


def test_camera_info_file_has_the_format_of_camera_calibration_parsers(
    pair: tuple[Listener, Path],
) -> None:
    listener, folder = pair
    info = camera_info("left", distortion_model="rational_polynomial", d=[0.1] * 8)
    succeed(listener, "left/set_camera_info", camera_info=info)
    document = yaml.safe_load((folder / "pair_left.yaml").read_text())
    assert document == {
        "image_width": 640,
        "image_height": 400,
        "camera_name": "pair_left",
        "device_mx_id": "14442C10D1VIRTUAL0",
        "distortion_model": "rational_polynomial",
        "camera_matrix": {"rows": 3, "cols": 3, "data": list(info.k)},
        "distortion_coefficients": {"rows": 1, "cols": 8, "data": list(info.d)},
        "rectification_matrix": {"rows": 3, "cols": 3, "data": list(info.r)},
        "projection_matrix": {"rows": 3, "cols": 4, "data": list(info.p)},
    }
    assert [path.name for path in folder.iterdir()] == ["pair_left.yaml"]


def test_coefficients_of_opencv_are_taken_and_changes_are_told(
    pair: tuple[Listener, Path],
) -> None:
    listener, folder = pair
    with_tail = camera_info("left", d=[0.1, -0.2, 2e-05, 0.0, 0.3, *[0.0] * 9])
    answer = succeed(listener, "left/set_camera_info", camera_info=with_tail)
    assert answer.status_message == f"written to {folder}/pair_left.yaml"
    document = yaml.safe_load((folder / "pair_left.yaml").read_text())
    assert document["distortion_coefficients"]["data"] == [0.1, -0.2, 2e-05, 0.0, 0.3]
    rational = camera_info("left", d=[0.1] * 8)
    answer = succeed(listener, "left/set_camera_info", camera_info=rational)
    assert answer.status_message.endswith("read as rational_polynomial, plumb_bob has 5")
    assert "distortion_model: rational_polynomial" in (folder / "pair_left.yaml").read_text()


def test_inconsistent_pair_is_reported(pair: tuple[Listener, Path]) -> None:
    listener, _ = pair
    succeed(listener, "left/set_camera_info", camera_info=camera_info("left"))
    p = [FX, 0.0, 320.0, -FX * BASELINE_M, 0.0, FX, 201.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    answer = succeed(listener, "right/set_camera_info", camera_info=camera_info("right", p=p))
    assert "cy' in p differ between left and right" in answer.status_message
    answer = succeed(listener, "right/set_camera_info", camera_info=camera_info("right"))
    assert "differ" not in answer.status_message
