"""The Gen1 device in this process: construction, results, commands, calibration."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gen1_devices import BLOB, DETECTION, logs_of, packets_of, start

from depthai_ros import depthai
from depthai_ros.cameras import CALIBRATION_FLOATS
from depthai_ros.streams import WIRE_STREAMS
from depthai_ros.virtual.scenes.eeprom import M1_LEFT, M2_RIGHT, ROTATION, TRANSLATION_CM

pytestmark = pytest.mark.usefixtures("virtual_by_default")


# -- construction


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("", False),
        ("1.2", True),
        ("", None),
        ("", 0),
        ("", 2.5),
        ("", np.True_),
        ("/x.cmd", ""),
        (Path("/x.cmd"), "1"),
    ],
)
def test_device_has_three_forms_of_arguments(arguments: tuple[Any, ...]) -> None:
    device = depthai.Device(*arguments)
    assert device
    assert device.get_mx_id().startswith("14442C10")
    device._close()


@pytest.mark.parametrize(
    "arguments", [("",), ("", []), (None, False), (1, 2), ("", False, 1), (Path("/x"), True)]
)
def test_other_arguments_are_a_type_error(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="incompatible arguments"):
        depthai.Device(*arguments)
    with pytest.raises(TypeError):
        depthai.Device(usb_device="")  # type: ignore[call-arg]


def test_missing_device_raises_only_in_the_form_with_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DEPTHAI_DEVICE", f"unix:{tmp_path}/nobody")
    with pytest.raises(RuntimeError, match="cannot initialise device"):
        depthai.Device("/x.cmd", "")
    device = depthai.Device("", False)
    assert "nobody" in caplog.text
    assert device.create_pipeline({"streams": ["left"]}) is None
    assert device.get_available_streams() == []
    assert set(device.get_nn_to_depth_bbox_mapping().values()) == {0}
    device.request_jpeg()
    for call in ("is_rgb_connected", "get_mx_id", "get_left_intrinsic", "is_usb3", "get_pipeline"):
        with pytest.raises(RuntimeError):
            getattr(device, call)()


def test_selector_in_the_first_argument_has_priority() -> None:
    device = depthai.Device("virtual:pattern?mx_id=CHOSEN", False)
    assert device.get_mx_id() == "CHOSEN"
    device._close()


def test_properties_of_the_device(device: depthai.Device) -> None:
    assert device.is_usb3() is True
    assert device.is_eeprom_loaded() is True
    assert device.is_rgb_connected()
    assert device.is_left_connected()
    assert device.is_right_connected()
    assert device.get_available_streams() == list(WIRE_STREAMS)
    assert device.is_device_changed() is True
    device.reset_device_changed()
    assert device.is_device_changed() is False


# -- commands


def test_commands_reach_the_device_in_their_documented_form(device: depthai.Device) -> None:
    pipeline = start(device, streams=["meta_d2h", "jpegout"])
    control = depthai.CameraControl
    device.request_af_mode(depthai.AutofocusMode.AF_MODE_MACRO)
    device.request_af_trigger()
    device.request_jpeg()
    device.send_disparity_confidence_threshold(np.uint8(150))  # type: ignore[arg-type]
    device.send_camera_control(control.CamId.RGB, control.Command.MOVE_LENS, "120")
    device.send_camera_control(
        camera_id=control.CamId.LEFT,
        command_id=control.Command.EXPOSURE_COMPENSATION,
        extra_args="-2",
    )
    device.send_camera_control(control.CamId.RIGHT, control.Command.AE_AUTO, "")
    logs_of(
        pipeline,
        "capture command 3 argument 1",
        "capture command 2",
        "capture command 1",
        "disparity confidence threshold 150",
        "camera control 3A 3 0 120",
        "camera control 3A 10 1 -2",
        "camera control 3A 6 2",
    )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("request_af_mode", (1,)),
        ("request_af_mode", ()),
        ("request_af_mode", (depthai.CameraControl.CamId.LEFT,)),
        ("send_disparity_confidence_threshold", (256,)),
        ("send_disparity_confidence_threshold", (-1,)),
        ("send_disparity_confidence_threshold", (3.0,)),
        ("send_disparity_confidence_threshold", (None,)),
        ("send_camera_control", (0, depthai.CameraControl.Command.AE_AUTO, "")),
        ("send_camera_control", (depthai.CameraControl.CamId.RGB, 6, "")),
        (
            "send_camera_control",
            (depthai.CameraControl.CamId.RGB, depthai.CameraControl.Command.AE_AUTO),
        ),
        ("write_eeprom_data", ([],)),
        ("create_pipeline", ([],)),
    ],
)
def test_wrong_arguments_are_a_type_error_even_without_a_device(
    name: str, arguments: tuple[Any, ...]
) -> None:
    nobody = depthai.Device.__new__(depthai.Device)
    nobody._session = None
    with pytest.raises(TypeError):
        getattr(nobody, name)(*arguments)


# -- EEPROM and calibration


@pytest.mark.parametrize("version", [4, 5])
def test_matrices_come_from_the_eeprom(version: int) -> None:
    device = depthai.Device(f"virtual:pattern?eeprom={version}", False)
    assert device.is_eeprom_loaded()
    assert np.allclose(device.get_left_intrinsic(), M1_LEFT, rtol=1e-6)
    assert np.allclose(device.get_right_intrinsic(), M2_RIGHT, rtol=1e-6)
    assert np.allclose(device.get_rotation(), ROTATION, atol=1e-6)
    assert np.allclose(device.get_translation(), TRANSLATION_CM, atol=1e-5)
    stored = device._session.device.eeprom  # type: ignore[union-attr]
    homographies = {"1_L": device.get_left_homography(), "2_R": device.get_right_homography()}
    for side, found in homographies.items():
        if version == 4:
            expected = np.linalg.inv(np.reshape(stored[f"calib_H{side}"], (3, 3)))
        else:
            rotation = np.reshape(stored[f"calib_R{side}"], (3, 3))
            own = M1_LEFT if side == "1_L" else M2_RIGHT
            expected = M2_RIGHT @ rotation @ np.linalg.inv(own)
        assert type(found[0][0]) is float
        assert np.allclose(found, expected, rtol=1e-3, atol=1e-3)
    device._close()


def calibration_file(folder: Path) -> str:
    """A calibration file that counts from 0."""
    path = folder / "board.calib"
    path.write_bytes(np.arange(CALIBRATION_FLOATS, dtype="<f4").tobytes())
    return str(path)


def test_calibration_of_each_camera(tmp_path: Path) -> None:
    device, cameras = depthai.Device("virtual:pattern", False), depthai.CameraControl.CamId
    assert device.get_intrinsic(cameras.LEFT) == device.get_left_intrinsic()
    assert device.get_intrinsic(cameras.RIGHT) == device.get_right_intrinsic()
    stored = device._session.device.eeprom  # type: ignore[union-attr]
    for camera, key in ((cameras.LEFT, "calib_d1_L"), (cameras.RIGHT, "calib_d2_R")):
        assert np.allclose(device.get_distortion_coeffs(camera), stored[key], rtol=1e-6)
    of_rgb = (
        lambda: device.get_intrinsic(cameras.RGB),
        lambda: device.get_distortion_coeffs(cameras.RGB),
        device.get_rgb_rotation,
        device.get_rgb_translation,
    )
    for getter in of_rgb:
        with pytest.raises(RuntimeError, match=r"rgb camera is not calibrated.*calibration_file"):
            getter()
    with pytest.raises(TypeError, match="camera_id is 0"):
        device.get_intrinsic(0)  # type: ignore[arg-type]
    board = {"override_eeprom": True}
    depth = {"calibration_file": calibration_file(tmp_path)}
    assert device.create_pipeline({"streams": ["left"], "board_config": board, "depth": depth})
    places = (48, 3, 3), (97, 14), (57, 3, 3), (66, 3)
    for getter, (place, *shape) in zip(of_rgb, places, strict=True):
        expected = np.arange(place, place + np.prod(shape), dtype=float).reshape(shape)
        assert getter() == expected.tolist()
    device._close()


@pytest.mark.parametrize("version", [1, 4])
def test_distortion_that_is_not_stored_raises(version: int) -> None:
    device = depthai.Device(f"virtual?eeprom={version}", False)
    with pytest.raises(RuntimeError, match=f"layout {version}, this needs 5"):
        device.get_distortion_coeffs(depthai.CameraControl.CamId.LEFT)
    device._close()


def test_errors_have_the_words_of_a_program(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    device = depthai.Device("virtual:pattern", False)
    assert device.create_pipeline({"streams": ["previewot"]}) is None
    assert "streams has 'previewot'" in caplog.text
    device._close()
    monkeypatch.delenv("DEPTHAI_FIRMWARE", raising=False)
    monkeypatch.setenv("DEPTHAI_DEVICE", "usb")
    for arguments in (("", False), ("/no/such.cmd", "")):
        with contextlib.suppress(RuntimeError):
            depthai.Device(*arguments)
    assert "no firmware is given" in caplog.text
    assert "cmd_file /no/such.cmd does not exist" in caplog.text
    assert "set DEPTHAI_FIRMWARE" in caplog.text
    assert "--device virtual" in caplog.text
    for words in ("stream_list", "device.firmware", "usb.force_usb2"):
        assert words not in caplog.text


@pytest.mark.parametrize("version", [-1, 1, 3])
def test_old_calibration_raises_instead_of_ending_the_process(version: int) -> None:
    device = depthai.Device(f"virtual:pattern?eeprom={version}", False)
    assert not device.is_eeprom_loaded()
    for name in ("left_intrinsic", "right_intrinsic", "left_homography", "rotation", "translation"):
        with pytest.raises(RuntimeError, match="calibrate"):
            getattr(device, f"get_{name}")()
    assert len(device.get_right_homography()) == (0 if version == -1 else 3)
    device._close()


BOARD = {
    "clear-eeprom": False,
    "store-to-eeprom": True,
    "override-eeprom": False,
    "swap-left-and-right-cameras": True,
    "left_fov_deg": 71.86,
    "rgb_fov_deg": 68.7938,
    "left_to_right_distance_m": 0.09,
    "left_to_rgb_distance_m": 0.02,
    "name": "X",
    "stereo_center_crop": True,
    "revision": "R1",
}


def test_eeprom_is_written_while_streaming() -> None:
    device = depthai.Device("virtual:pattern", False)  # not shared with other tests
    with pytest.raises(RuntimeError, match="no pipeline"):
        device.write_eeprom_data({"board": BOARD})
    pipeline = start(device, streams=["meta_d2h"])
    floats = np.arange(111, dtype=np.float32)
    device.write_eeprom_data(
        {"board": BOARD, "_board": {"calib_data": floats, "mesh_left": (0.0,)}}
    )
    logs_of(pipeline, "EEPROM write OK")
    link = device._session.device  # type: ignore[union-attr]
    stored = link._read_document("config_d2h", 102_400)["eeprom"]
    assert (stored["version"], stored["board_name"], stored["calib_T"]) == (5, "X", [45, 46, 47])
    device.write_eeprom_data({"board": BOARD, "_board": {"calib_data": [1.0]}})
    logs_of(pipeline, "EEPROM write FAILED")
    device.write_eeprom_data({"board": {"clear-eeprom": True}})
    logs_of(pipeline, "EEPROM cleared")
    with pytest.raises(RuntimeError):
        device.write_eeprom_data({"board": object()})
    with pytest.raises(RuntimeError, match="not finite"):
        device.write_eeprom_data({"board": {"left_fov_deg": float("nan")}})
    start(device, streams=["meta_d2h"], app={"enable_reconfig": False})
    with pytest.raises(RuntimeError, match="enable_reconfig"):
        device.write_eeprom_data({"board": BOARD})
    device._close()


@pytest.mark.parametrize(
    ("version", "flag", "outcome"),
    [
        (5, "store_to_eeprom", "pipeline"),
        (4, "store_to_eeprom", "error"),
        (4, "override_eeprom", "pipeline"),
        (5, "swap_left_and_right_cameras", "pipeline"),
    ],
)
def test_calibration_file_that_is_too_short(
    tmp_path: Path, version: int, flag: str, outcome: str
) -> None:
    path = tmp_path / "short.calib"
    path.write_bytes(bytes(100))
    device = depthai.Device(f"virtual:pattern?eeprom={version}", False)
    config = {"board_config": {flag: True}, "depth": {"calibration_file": str(path)}}
    if outcome == "error":
        with pytest.raises(RuntimeError, match="444"):
            device.create_pipeline(config)
    else:
        assert device.create_pipeline(config) is not None
    device._close()


def test_network_compiled_for_more_shaves_runs_with_a_warning(
    device: depthai.Device, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blob = tmp_path / "large.blob"
    blob.write_text(json.dumps({**json.loads(Path(BLOB).read_text()), "shaves": 12}))
    ai = {**DETECTION, "blob_file": str(blob), "blob_file2": BLOB}
    pipeline = start(device, streams=["metaout"], ai=ai)
    assert "compiled for ai.shaves 12" in caplog.text
    assert packets_of(pipeline, "metaout")["metaout"].getTensorsSize() == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("absent", "requested", "used"),
    [("rgb", "rgb", "right"), ("left", "right", "rgb"), ("right", "left_right", "rgb")],
)
def test_missing_camera_of_the_network_is_replaced(
    absent: str, requested: str, used: str, caplog: pytest.LogCaptureFixture
) -> None:
    device = depthai.Device(f"virtual:pattern?absent={absent}", False)
    connected = {
        "rgb": device.is_rgb_connected(),
        "left": device.is_left_connected(),
        "right": device.is_right_connected(),
    }
    assert [name for name, is_there in connected.items() if not is_there] == [absent]
    ai = {**DETECTION, "camera_input": requested}
    result = packets_of(start(device, streams=["metaout", "left"], ai=ai), "metaout")["metaout"]
    assert result.getMetadata().getCameraName() == used  # type: ignore[union-attr]
    assert ("the left camera is not connected" in caplog.text) == (absent == "left")
    device._close()


def test_empty_blob_gives_no_pipeline(
    device: depthai.Device, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blob = tmp_path / "empty.blob"
    blob.touch()
    assert device.create_pipeline({"streams": ["metaout"], "ai": {"blob_file": blob}}) is None
    assert "is empty" in caplog.text


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"strems": []}, "strems is not known and ignored, the nearest is streams"),
        (
            {"ai": {"blob_fiel": ""}},
            "ai.blob_fiel is not known and ignored, the nearest is ai.blob_",
        ),
        ({"camera": {"rgb": {"resolution_h": 1080, "fps": 30, "fsp": 1}}}, "camera.rgb.fsp is not"),
        ({"imu": 1}, "imu is not known and ignored"),
    ],
)
def test_unknown_key_is_ignored_and_the_nearest_known_one_named(
    device: depthai.Device, caplog: pytest.LogCaptureFixture, config: dict[str, Any], words: str
) -> None:
    assert device.create_pipeline(config) is not None
    assert words in caplog.text


# -- module functions


def test_module_functions_use_one_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert depthai.create_pipeline({"streams": ["left"]}) is None
    assert depthai.get_available_steams() == depthai.get_available_streams() == []
    depthai.request_jpeg()
    depthai.request_af_mode(depthai.AutofocusMode.AF_MODE_AUTO)
    assert depthai.deinit_device() is True
    assert depthai.init_device(cmd_file_path="/no/such.cmd") is True
    assert depthai.init_device(cmd_file="/no/such.cmd") is False  # the connection stays
    assert len(depthai.get_available_steams()) == 13
    pipeline = depthai.create_pipeline(config={"streams": ["left", "meta_d2h"], "ai": DETECTION})
    assert isinstance(pipeline, depthai.CNNPipeline)
    packets_of(pipeline, "left")
    assert depthai.get_nn_to_depth_bbox_mapping()["max_w"] > 0
    depthai.request_jpeg()
    depthai.request_af_trigger()
    depthai.request_af_mode(depthai.AutofocusMode.AF_MODE_AUTO)
    depthai.send_DisparityConfidenceThreshold(3)
    depthai.send_disparity_confidence_threshold(4)
    logs_of(pipeline, "command 1", "command 2", "command 3", "threshold 3", "threshold 4")
    depthai.reboot_device(0)
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert pipeline.get_available_data_packets(True) == []
    assert depthai.init_device("", "") is True
    assert depthai.deinit_device() is True
    assert depthai.deinit_device() is True
    for wrong in (1, None):
        with pytest.raises(TypeError):
            depthai.init_device(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        depthai.create_pipeline([1])  # type: ignore[arg-type]


def test_blob_server_is_gone() -> None:
    assert depthai.download_blob("mobilenet-ssd", 7, 7, 1, "/x") != 0
    with pytest.raises(TypeError):
        depthai.download_blob("mobilenet-ssd", 7, 7, nr_NCEs=1, output_folder_path="")  # type: ignore[call-arg]
