"""Devices that come late, are lost, end, or lack something, as the page shows them without ROS."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
from device_views import DEADLINE_S, LEAST, SMALL, lines_with, pixels, until

from depthai_ros.device.device import OpenDevice
from depthai_ros.errors import ConfigError
from depthai_ros.view.device_source import DeviceSource
from depthai_ros.view.source import CLOUD


def test_an_unplugged_device_comes_back_with_its_settings() -> None:
    values = LEAST | {"reconnect.initial_delay_s": 1.0}  # long enough to be seen
    source = DeviceSource("virtual?fault=unplug:left:25", values=values)
    states = []
    try:
        source.want(frozenset({"left/image_raw"}), {})
        before = until(lambda: source.image("left/image_raw"), "an image", source)
        assert source.set("camera.left.exposure_us", 5000) == ""
        until(lambda: source.state().device == "recovering", "the loss", source)
        states.append(source.state())
        until(lambda: source.image("left/image_raw") is None, "the end of the old images", source)
        assert "the device is recovering" in source.act("autofocus_trigger")
        assert source.set("camera.left.ae_compensation", 2) == ""  # sent at the next start
        until(lambda: source.state().device == "streaming", "its return", source)
        later = until(lambda: source.image("left/image_raw"), "new images", source)
        assert later.stamp_ns > before.stamp_ns + 10**9
        log = until(lambda: lines_with(source, "3A 10 1 2"), "the commands", source)
    finally:
        source.close()
    assert states[0].level == "warn"
    assert states[0].last_error
    assert {row.level for row in states[0].streams} == {"stale"}
    assert "the device is lost" in "".join(log)
    sent = "".join(log).partition("3A 10 1 2")[2]
    assert "3A 5 1 5000" in sent, "each start sends all values, in the order of LIVE_COMMANDS"
    assert source.state().device == "disconnected"


def test_a_preset_that_comes_while_the_device_is_opened_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_made, open_device = threading.Event(), OpenDevice.open
    answers = []

    def opened(*words: Any, **options: Any) -> OpenDevice:
        device = open_device(*words, **options)
        assert is_made.wait(DEADLINE_S)
        answers.append(source.set("filters.preset", "navigation"))
        return device

    monkeypatch.setattr(OpenDevice, "open", opened)
    source = DeviceSource("virtual:plane=2", values=LEAST | {"stream_list": ("meta_d2h", "depth")})
    is_made.set()
    try:
        source.want(frozenset({"depth/image_raw"}), {})
        assert pixels(source, "depth/image_raw").shape == (200, 320)
    finally:
        source.close()
    assert answers == [""]


def test_a_device_that_is_not_there_is_looked_for_until_it_comes(tmp_path: Any) -> None:
    place = tmp_path / "device"
    source = DeviceSource(f"unix:{place}", values=LEAST)
    try:
        source.want(frozenset({"left/image_raw"}), {})
        until(lambda: source.state().last_error, "the first failure", source)
        assert (source.state().device, source.state().level) == ("disconnected", "error")
        assert source.cameras() == ()
        assert source.image("left/image_raw") is None
        assert "a running device" in source.act("autofocus_trigger")
        words = [sys.executable, "-m", "depthai_ros.virtual", "--listen", f"unix:{place}"]
        device = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: source.image("left/image_raw"), "an image", source)
        finally:
            source.close()
            device.terminate()
            device.wait(10)
    finally:
        source.close()


def test_a_reset_starts_the_device_again_and_read_only_changes_nothing() -> None:
    source = DeviceSource("virtual", read_only=True, values=LEAST)
    try:
        until(lambda: source.state().device == "streaming", "the device", source)
        for answer in (source.set("camera.left.exposure_us", 5000), source.act("reset_device")):
            assert "read-only" in answer
        assert {row.value for row in source.controls() if "exposure" in row.key} == {0}
        source._read_only = False
        assert "is reset" in source.act("reset_device")
        until(lambda: source.state().device == "recovering", "the reset", source)
        until(lambda: source.state().device == "streaming", "its return", source)
    finally:
        source.close()


@pytest.mark.parametrize(
    ("selector", "values", "text"),
    [
        ("bluetooth:7", {}, "must begin with one of usb, virtual"),
        ("virtual:nowhere", {}, "has no scene 'nowhere'"),
        ("virtual?fault=x", {}, "fault is 'x'"),
        ("virtual", {"camera.mono.resolution_h": 5}, "must be one of"),
        ("virtual", {"no.option": 5}, "no.option"),
    ],
)
def test_wrong_words_are_refused_at_once(selector: str, values: Any, text: str) -> None:
    before = threading.active_count()
    with pytest.raises(ConfigError, match=text):
        DeviceSource(selector, values=values)
    assert threading.active_count() == before


def test_without_a_calibrated_rgb_camera_points_have_grey_levels() -> None:
    values = {**SMALL, "calibration.nominal": False, "ai.blob_file": ""}
    source = DeviceSource("virtual:plane=2", values=values)
    try:
        source.want(frozenset({CLOUD}), {})
        until(source.cloud, "a cloud", source)
        assert not {"rgb/image_rect_color", "depth_registered/image_raw"} & {
            choice.name for choice in source.images()
        }
        assert any("depth_registered" in line for line in source.log())
    finally:
        source.close()


def test_cameras_that_are_not_connected_have_no_images() -> None:
    source = DeviceSource("virtual?absent=rgb", values=SMALL)
    try:
        source.want(frozenset({CLOUD}), {})
        cloud = until(source.cloud, "a cloud", source)
        assert {choice.camera for choice in source.images()} == {"left", "right"}
        assert {row.camera for row in source.cameras()} == {"left", "right"}
        until(lambda: np.ptp(source.cloud().colors) > 50, "grey levels", source)  # type: ignore[union-attr]
        assert (np.ptp(cloud.colors, axis=1) == 0).all()
        assert any("the device has no color" in line for line in source.log())
    finally:
        source.close()


_WITHOUT_ROS = """
import sys, threading, time
class NoRos:
    def find_spec(self, name, path=None, target=None):
        first = name.partition(".")[0]
        is_ros = first.startswith(("rcl", "rosidl")) or first.endswith(("_msgs", "_interfaces"))
        if is_ros or name in ("depthai_ros.msg", "depthai_ros.srv"):
            raise ImportError(name)
sys.meta_path.insert(0, NoRos())
from pathlib import Path
from depthai_ros.view import pixels
from depthai_ros.view.device_source import DeviceSource
source = DeviceSource("virtual", values={"camera.mono.resolution_h": 400})
source.want(frozenset({"left/image_raw", "points", "boxes"}), {})
end = time.monotonic() + 30
while not (source.image("left/image_raw") and source.cloud() and source.boxes()):
    assert time.monotonic() < end, source.log()
    time.sleep(0.01)
source.close()
source.close()
children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()
print([thread.name for thread in threading.enumerate()], children.split(), "rclpy" in sys.modules)
"""


def test_it_works_without_ros_and_leaves_no_thread_and_no_process() -> None:
    run = subprocess.run(
        [sys.executable, "-c", _WITHOUT_ROS], capture_output=True, text=True, timeout=60
    )
    assert (run.stdout.strip(), run.stderr) == ("['MainThread'] [] False", "")
