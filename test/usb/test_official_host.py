"""The official Gen1 host with the virtual device, which must behave like a real one for it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lengths import IN_FULL
from official_host import SERIES, Host
from usb_rig import ROOT, Bench, ends_with_us

from depthai_ros.device import firmware

FRAMES = int(os.environ.get("DEPTHAI_ROS_OFFICIAL_FRAMES", "20"))
SESSIONS = int(os.environ.get("DEPTHAI_ROS_OFFICIAL_SESSIONS", "1"))

MODELS = ROOT / "config/models"
NETWORK = {
    "blob_file": str(MODELS / "virtual_ssd.blob"),
    "blob_file_config": str(MODELS / "mobilenet_ssd.json"),
}
CAMERAS = {
    "rgb": {"resolution_h": 1080, "fps": 10.0},
    "mono": {"resolution_h": 720, "fps": 10.0},
}
STREAMS = [
    "left",
    "right",
    "rectified_left",
    "rectified_right",
    "depth",
    "color",
    "metaout",
    "previewout",
    "object_tracker",
    "video",
]


@pytest.fixture
def host(official_python: str, bench: Bench, tmp_path: Path) -> Host:
    return Host(official_python, bench.rig({}), tmp_path)


def config(streams: list[str], **groups: Any) -> dict[str, Any]:
    return {"streams": streams, "camera": CAMERAS, "ai": NETWORK, **groups}


def sha1(pixels: Any) -> str:
    return hashlib.sha1(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def ramp(width: int, height: int, step: int) -> Any:
    """Image of the pattern scene."""
    y, x = np.mgrid[0:height, 0:width]
    return ((x + 2 * y + step) % 256).astype(np.uint8)


def expected_image(stream: str, sequence: int) -> Any:
    step = 3 * sequence
    if stream == "color":
        return np.vstack([ramp(1920, 1080, step), np.full((540, 1920), 128, np.uint8)])
    if stream == "previewout":
        return np.stack([ramp(300, 300, step + 64 * channel) for channel in range(3)])
    return ramp(1280, 720, step + (64 if stream.endswith("right") else 0))


IMAGES = ["left", "right", "rectified_left", "rectified_right", "color", "previewout"]


@pytest.fixture(params=["idle machine", *(["busy machine"] if IN_FULL else [])])
def load(request: pytest.FixtureRequest) -> Iterator[str]:
    """An idle machine, or one with a busy process per core."""
    cores = os.cpu_count() or 1 if request.param == "busy machine" else 0
    words = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(words, preexec_fn=ends_with_us) for _ in range(cores)]
    yield request.param
    for process in busy:
        process.kill()
        process.wait()


@pytest.mark.parametrize("session", range(SESSIONS))
def test_every_frame_of_every_stream_arrives_at_the_official_host(
    official_python: str, bench: Bench, tmp_path: Path, load: str, session: int
) -> None:
    """With pace=receiver the device drops no exposure, so a missing frame is a lost one."""
    far_end = bench.far_end("pattern?pace=receiver")
    host = Host(official_python, bench.rig({"socket": far_end.socket}), tmp_path)
    wanted = dict.fromkeys(STREAMS, FRAMES) | {"jpegout": 1, "meta_d2h": 2}
    with SERIES.session(load) as series:
        result = host.run(
            config=config(list(wanted), ai={**NETWORK, "calc_dist_to_bb": True}),
            wanted=wanted,
            commands=True,
        )
        for stream in STREAMS:
            sequences = result["sequences"][stream]
            assert sequences == sorted(set(sequences)), stream
            series.frames += len(sequences)
            missing = sorted(set(range(sequences[0], sequences[-1])) - set(sequences))
            series.lost[stream] = len(missing)
            assert not missing, f"{stream}: {missing} between {sequences[0]} and {sequences[-1]}"
    assert {name: count for name, count in result["count"].items() if count < wanted[name]} == {}
    for stream in IMAGES:
        for packet in result["packets"][stream]:
            sequence = packet["metadata"]["sequence"]
            assert packet["sha1"] == sha1(expected_image(stream, sequence)), stream
    depth = result["packets"]["depth"][0]
    assert (depth["shape"], depth["dtype"]) == ([720, 1280], "uint16")
    assert result["packets"]["metaout"][0]["detections"][0]["label"] == 15
    assert result["packets"]["object_tracker"][0]["tracklets"][0][1] == 15
    logs = "".join(packet["text"] for packet in result["packets"]["meta_d2h"])
    assert "disparity confidence threshold 180" in logs
    assert "camera control 3A 3 0 120" in logs
    assert "Failed" not in host.output  # no failed transfer, even at the end


def test_official_host_reads_the_properties_of_the_device(host: Host) -> None:
    """Also covers the reset without a pipeline."""
    result = host.run()["device"]
    assert result["mx_id"] == "14442C10C14790D000"
    assert result["is_usb3"] is True
    assert result["is_eeprom_loaded"] is True
    assert result["cameras"] == [True, True, True]
    assert "previewout" in result["streams"]
    assert result["right_intrinsic"][2] == [0, 0, 1]
    assert abs(result["translation"][0]) == pytest.approx(7.5, abs=0.01)
    host.rig.wait_for("1.3 rom", count=2)


@pytest.mark.parametrize("usb2", [False, True])
def test_extracted_firmware_equals_that_of_the_official_host(
    official_python: str, bench: Bench, tmp_path: Path, usb2: bool
) -> None:
    sent = tmp_path / "sent.cmd"
    Host(official_python, bench.rig({"image": sent}), tmp_path).run(usb2=usb2)
    (extension,) = Path(official_python).parents[1].glob("lib/python3.*/site-packages/depthai.*.so")
    assert firmware.extract(extension, usb2=usb2) == sent.read_bytes()


def test_official_host_on_usb_2(official_python: str, bench: Bench, tmp_path: Path) -> None:
    host = Host(official_python, bench.rig({"speed": "high"}), tmp_path)
    result = host.run(usb2=True, config=config(["left"]), wanted={"left": 3})
    assert result["device"]["is_usb3"] is False
    assert result["count"]["left"] >= 3


@pytest.mark.parametrize("version", [-1, 5])
def test_official_host_accepts_a_blank_and_a_current_eeprom(
    official_python: str, bench: Bench, tmp_path: Path, version: int
) -> None:
    far_end = bench.far_end(f"pattern?eeprom={version}")
    host = Host(official_python, bench.rig({"socket": far_end.socket}), tmp_path)
    result = host.run(no_matrices=version < 4, config=config(["left"]), wanted={"left": 1})
    assert result["device"]["is_eeprom_loaded"] is (version >= 4)


def test_official_host_colorizes_the_disparity(host: Host) -> None:
    streams = {"disparity_color": 3, "left": 1}
    result = host.run(config=config(list(streams)), wanted=streams)
    assert result["packets"]["disparity_color"][0]["shape"] == [720, 1280, 3]


def test_official_host_writes_the_eeprom(host: Host) -> None:
    board = {
        "clear-eeprom": False,
        "store-to-eeprom": True,
        "override-eeprom": False,
        "swap-left-and-right-cameras": True,
        "left_fov_deg": 71.86,
        "rgb_fov_deg": 68.7938,
        "left_to_right_distance_m": 0.075,
        "left_to_rgb_distance_m": 0.0375,
        "name": "TEST",
        "stereo_center_crop": True,
        "revision": "R0",
    }
    data = {"calib_data": [0.5] * 111, "mesh_left": [0.0], "mesh_right": [0.0]}
    result = host.run(
        config=config(["left", "meta_d2h"]),
        eeprom={"board": board, "_board": data},
        wanted={"left": 5, "meta_d2h": 3},
    )
    assert "EEPROM write OK" in "".join(p["text"] for p in result["packets"]["meta_d2h"])


def test_watchdog_of_the_official_host_recovers_a_hung_device(host: Host) -> None:
    """It resets, boots and configures the device again after 5 to 10 s without packets."""

    def hang_device() -> None:
        host.rig.wait_for("1.3 booted")
        threading.Event().wait(1.5)
        host.rig.tell("1.3 hang")

    fault = threading.Thread(target=hang_device)
    fault.start()
    result = host.run(config=config(["left"]), wanted={"left": 60})
    fault.join()
    host.rig.wait_for("1.3 booted", count=2)
    assert result["device_changed"]
    assert result["count"]["left"] >= 60
