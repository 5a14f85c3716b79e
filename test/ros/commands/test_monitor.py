"""The monitor against a node with known messages and known losses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PointStamped
from nodes import ROOT, wait_until
from rclpy.executors import SingleThreadedExecutor
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from depthai_ros.commands.monitor import Watch
from depthai_ros.msg import DeviceStatus

pytestmark = pytest.mark.distribution("rclpy's events executor")

Start = Callable[..., "subprocess.Popen[str]"]

CAMERA = ROOT / "test/support/made_up_camera.py"


def _camera(start: Start, *arguments: str) -> None:
    start(sys.executable, str(CAMERA), *arguments)


def _monitor(start: Start, *arguments: str) -> subprocess.Popen[str]:
    command = (sys.executable, "-m", "depthai_ros.monitor", *arguments)
    return start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_summary_says_what_was_published_and_what_was_lost(start: Start, tmp_path: Path) -> None:
    _camera(start, "--lost-every", "10")
    summary = tmp_path / "run.json"
    monitor = _monitor(start, "--duration", "1.5", "--summary", str(summary))
    output, errors = monitor.communicate(timeout=60)
    assert monitor.returncode == 0, errors
    document = json.loads(summary.read_text())
    assert set(document) == {"duration_s", "topics", "streams"}
    topics = document["topics"]
    assert set(topics) == {"/oak/left/image_raw", "/oak/left/camera_info", "/oak/device/status"}
    image = topics["/oak/left/image_raw"]
    assert (image["type"], image["expected_fps"]) == ("sensor_msgs/msg/Image", 50.0)
    assert abs(image["drops"] - image["count"] / 9) <= 1, "one of ten was left out"
    assert topics["/oak/left/camera_info"]["drops"] == 0
    assert topics["/oak/device/status"]["count"] == 1
    assert topics["/oak/device/status"]["expected_fps"] is None
    assert output.splitlines()[-1].startswith("3 topics in 1.5 s; ")


def test_monitor_runs_with_an_rclpy_without_events_executor(start: Start) -> None:
    older = "import sys; sys.modules['rclpy.experimental'] = None; import runpy; "
    older += "sys.argv[0] = 'monitor'; runpy.run_module('depthai_ros.monitor', run_name='__main__')"
    _camera(start)
    command = (sys.executable, "-c", older, "--duration", "0.5")
    monitor = start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = monitor.communicate(timeout=60)
    assert monitor.returncode == 0, errors
    assert output.splitlines()[-1].startswith("3 topics in 0.5 s; ")


def test_announced_topic_that_stays_silent_is_named(start: Start) -> None:
    _camera(start, "--silent")
    monitor = _monitor(start, "--duration", "2", "--wait", "4")
    _, errors = monitor.communicate(timeout=60)
    assert monitor.returncode == 1
    assert "1 of 4 topics of /oak delivered nothing: /oak/right/image_raw" in errors


def test_topic_that_falls_silent_while_it_is_measured_is_named(
    start: Start, tmp_path: Path
) -> None:
    summary = tmp_path / "run.json"
    monitor = _monitor(start, "--duration", "1", "--summary", str(summary))
    _camera(start, "--mute-after", "25")  # half a second: less than it takes to settle
    _, errors = monitor.communicate(timeout=60)
    assert monitor.returncode == 1
    assert "no messages during the measurement: /oak/left/camera_info" in errors
    assert json.loads(summary.read_text())["topics"]["/oak/left/camera_info"]["count"] == 0


def test_missing_node_is_an_error_that_names_it(start: Start) -> None:
    monitor = _monitor(start, "--node", "/nobody", "--wait", "1")
    _, errors = monitor.communicate(timeout=60)
    assert monitor.returncode == 1
    assert "node /nobody announced no topics" in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_measuring_ends_with_the_table(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    _camera(start)
    monitor = _monitor(start, "--summary", str(tmp_path / "run.json"))
    assert monitor.stdout is not None
    for _ in range(2):  # the message that it waits; the head of the first table, when it measures
        monitor.stdout.readline()
    monitor.send_signal(number)
    output, errors = monitor.communicate(timeout=20)
    assert monitor.returncode == 0, errors
    assert "no drops" in output.splitlines()[-1]
    assert json.loads((tmp_path / "run.json").read_text())["topics"]["/oak/left/image_raw"]["count"]


def test_signal_before_anything_arrived_ends_without_an_error(start: Start) -> None:
    monitor = _monitor(start, "--wait", "60", "--node", "/nobody")
    assert monitor.stdout is not None
    assert "waiting for" in monitor.stdout.readline()
    monitor.send_signal(signal.SIGINT)
    output, errors = monitor.communicate(timeout=20)
    assert monitor.returncode == 0, errors
    assert "error" not in errors
    assert "nothing was measured" in output


GOOD = serialize_message(
    DeviceStatus(
        state=DeviceStatus.STATE_STREAMING,
        stream_names=["left"],
        fps=[30.0],
        expected_fps=[30.0],
        drops=[0],
        latency_ms=[1.0],
    )
)
#: type of the messages on ~/device/status, serialised message
FOREIGN_STATUSES = {
    "another type": (String, serialize_message(String(data="state: streaming"))),
    "another type with a header": (PointStamped, serialize_message(PointStamped())),
    "nothing": (DeviceStatus, GOOD[:4]),
    "half": (DeviceStatus, GOOD[: len(GOOD) // 2]),
    "noise": (DeviceStatus, GOOD[:4] + bytes(range(256)) * 4),
    "endless lists": (DeviceStatus, GOOD[:4] + b"\xff" * 400),
    "lists of different lengths": (
        DeviceStatus,
        serialize_message(DeviceStatus(stream_names=["left", "right"], expected_fps=[30.0])),
    ),
    "impossible rates": (
        DeviceStatus,
        serialize_message(
            DeviceStatus(
                state=DeviceStatus.STATE_STREAMING,
                stream_names=["left", "right", "depth"],
                fps=[0.0] * 3,
                expected_fps=[float("nan"), float("inf"), -5.0],
                drops=[0] * 3,
                latency_ms=[0.0] * 3,
            )
        ),
    ),
}


@pytest.mark.parametrize("case", FOREIGN_STATUSES)
def test_status_that_is_not_of_this_driver_is_ignored(case: str) -> None:
    message_type, message = FOREIGN_STATUSES[case]
    driver, ros = rclpy.create_node("foreign"), rclpy.create_node("watching")
    executor = SingleThreadedExecutor()
    executor.add_node(ros)
    statuses = driver.create_publisher(message_type, "~/device/status", 1)
    points = driver.create_publisher(PointStamped, "~/left/image_raw", 1)
    watch = Watch(ros, "/foreign")

    def is_ready() -> bool:
        watch.discover()
        statuses.publish(message)
        points.publish(message[:6])  # shorter than the stamp that its type begins with
        executor.spin_once(timeout_sec=0.05)
        watch.update()
        return len(watch.topics) == 2 and watch.ready()

    try:
        wait_until(is_ready, watch.missing)
        for topic in watch.topics.values():
            assert topic.stats.expected_fps is None
            assert topic.figures(1.0).count
    finally:
        executor.shutdown()
        ros.destroy_node()
        driver.destroy_node()


@pytest.mark.parametrize(
    ("limit", "expected"),
    {"5": 5.0, "60": 30.0, "0": 30.0, "-1": 30.0, "nan": 30.0, "?": 30.0}.items(),
)
def test_rate_limit_of_a_topic_is_the_rate_that_is_expected(limit: str, expected: float) -> None:
    driver, ros = rclpy.create_node("foreign"), rclpy.create_node("watching")
    executor = SingleThreadedExecutor()
    executor.add_node(ros)
    statuses = driver.create_publisher(DeviceStatus, "~/device/status", 1)
    images = driver.create_publisher(Image, "~/left/image_raw", 1)
    reports = driver.create_publisher(DiagnosticArray, "/diagnostics", 1)
    row = DiagnosticStatus(name="foreign: stream left")
    row.values = [KeyValue(key="max_fps left/image_raw", value=limit)]
    watch = Watch(ros, "/foreign")

    def is_known() -> bool:
        watch.discover()
        reports.publish(DiagnosticArray(status=[row]))
        statuses.publish(GOOD)
        images.publish(Image())
        executor.spin_once(timeout_sec=0.05)
        watch.update()
        topic = watch.topics.get("/foreign/left/image_raw")
        return topic is not None and watch.reports > 1 and topic.stats.expected_fps == expected

    try:
        wait_until(is_known, lambda: f"{expected} Hz")
    finally:
        executor.shutdown()
        ros.destroy_node()
        driver.destroy_node()


_, jpeg = cv2.imencode(".jpg", np.zeros((48, 64), np.uint8))
CODED = CompressedImage(format="mono8; jpeg compressed mono8", data=jpeg.tobytes())
#: topic, below the node's name or not -> a message
PUBLISHED = {
    "~/left/image_raw": Image(),
    "~/left/camera_info": CameraInfo(width=64, height=48),
    "~/left/image_raw/compressed": CODED,
    "~/rgb/image_raw/compressed": CODED,
    "~/rgb/image_rect_color/compressed": CODED,
    "~/depth/image/compressedDepth": CompressedImage(format="?"),
    "~/depth_registered/image_raw": Image(),
    "/remapped/image": Image(),
}
FOUND = {"~/left/camera_info", "~/device/status"}
RAW = {"~/left/image_raw", "/remapped/image"}
#: --all, --compressed -> topics that are watched, when stream video runs
MODES = {
    (False, False): FOUND | RAW | {"~/rgb/image_raw/compressed"},
    (False, True): FOUND | {"~/left/image_raw/compressed", "~/rgb/image_raw/compressed"},
    (True, False): FOUND | PUBLISHED.keys(),
    (True, True): FOUND | PUBLISHED.keys() - RAW - {"~/depth_registered/image_raw"},
}


@pytest.fixture
def eye() -> Iterator[Callable[[], None]]:
    """A node with the topics of PUBLISHED and ~/left/point; a call publishes on each."""
    driver = rclpy.create_node("eye")
    statuses = driver.create_publisher(DeviceStatus, "~/device/status", 1)
    names = ["left", "video", "left/image_raw/compressed"]
    status = DeviceStatus(stream_names=names, expected_fps=[30.0, 30.0, 15.0])
    status.fps = status.latency_ms = [30.0, 30.0, 15.0]
    status.drops = [0, 0, 0]
    publishers = [(statuses, status), (driver.create_publisher(PointStamped, "~/left/point", 1), 0)]
    for name, message in PUBLISHED.items():
        publishers.append((driver.create_publisher(type(message), name, 5), message))

    def publish() -> None:
        for publisher, message in publishers:
            if message:
                publisher.publish(message)

    yield publish
    driver.destroy_node()


def test_compressed_topics_are_watched_in_place_of_raw_ones(
    eye: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ros, executor = rclpy.create_node("watching"), SingleThreadedExecutor()
    executor.add_node(ros)
    monkeypatch.setitem(sys.modules, "geometry_msgs.msg", None)  # its package is missing here
    watches = {mode: Watch(ros, "/eye", everything=mode[0], compressed=mode[1]) for mode in MODES}

    def found(watch: Watch) -> set[str]:
        return {name.replace("/eye/", "~/") for name in watch.topics}

    def is_ready() -> bool:
        eye()
        for watch in watches.values():
            watch.discover()
            watch.update()
        executor.spin_once(timeout_sec=0.01)
        return all(
            found(watch) == MODES[mode] and not watch.silent() for mode, watch in watches.items()
        )

    try:
        wait_until(is_ready, lambda: str({mode: found(each) for mode, each in watches.items()}))
        topics = watches[True, False].topics
        assert topics["/eye/left/image_raw/compressed"].raw_bytes == 64 * 48
        assert topics["/eye/left/image_raw/compressed"].stats.expected_fps == 15.0
        for name in ("left/image_raw", "depth/image/compressedDepth", "left/camera_info"):
            assert topics[f"/eye/{name}"].raw_bytes is None
        warning = "warning: /eye/left/point is not watched: messages of type geometry_msgs/msg/P"
        assert capsys.readouterr().err.count(warning) == len(MODES), "each watch says it once"
    finally:
        executor.shutdown()
        ros.destroy_node()
