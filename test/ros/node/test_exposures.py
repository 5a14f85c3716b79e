"""With sync.enable the images of one exposure are published together, or not at all."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from loops import Running
from nodes import Listener, StartNode, wait_until
from sensor_msgs.msg import CameraInfo, Image
from stereo_msgs.msg import DisparityImage

#: Topics of one exposure, derived ones too.
TOPICS: dict[str, Any] = {
    "left/image_raw": Image,
    "left/image_rect": Image,
    "right/image_raw": Image,
    "right/camera_info": CameraInfo,
    "depth/image_raw": Image,
    "disparity": DisparityImage,
}
ENOUGH = 12
#: Every fourth frame of right is lost.
LOSSY = "virtual:pattern?fault=drop:right:4"
SYNCED: dict[str, Any] = {
    "device.id": LOSSY,
    "stream_list": ["left", "rectified_left", "right", "depth", "disparity", "color"],
    "camera.mono.resolution_h": 400,
    "camera.mono.fps": 10.0,
    "camera.rgb.fps": 10.0,
    "sync.enable": True,
    "sync.timeout_ms": 5000.0,  # never reached: only known gaps end a set here
    "publish.queue_depth": 50,
    "diagnostics.period_s": 0.2,
}


def wait_for_sets(listener: Listener, *topics: str) -> None:
    """Messages of each topic, from the time when the node knows all subscribers."""
    listener.wait_for(*topics, count=3)
    listener.forget()
    listener.wait_for(*topics, count=ENOUGH)


def stamps(listener: Listener, *topics: str) -> dict[str, set[int]]:
    """By topic, of the time in which all topics had messages."""
    found = {
        topic: [row.header.stamp.sec * 10**9 + row.header.stamp.nanosec for row in rows]
        for topic, rows in ((topic, listener.messages(topic)) for topic in topics)
    }
    first = max(min(row) for row in found.values())
    last = min(max(row) for row in found.values())
    return {topic: {ns for ns in row if first <= ns <= last} for topic, row in found.items()}


def diagnoses(listener: Listener, name: str) -> list[DiagnosticStatus]:
    rows = [row for array in listener.messages("/diagnostics") for row in array.status]
    return [row for row in rows if row.name == f"oak: {name}"]


def diagnosed(listener: Listener, name: str) -> DiagnosticStatus | None:
    return next(reversed(diagnoses(listener, name)), None)


def counts(status: DiagnosticStatus) -> dict[str, int]:
    return {pair.key: int(pair.value) for pair in status.values}


def missing_rows(status: DiagnosticStatus) -> Counter[str]:
    """Gaps by stream."""
    suffix = "_missing"
    rows = counts(status)
    return Counter({key.removesuffix(suffix): rows[key] for key in rows if key.endswith(suffix)})


@pytest.mark.complaint(17)
def test_exposure_with_a_lost_frame_is_dropped_from_every_topic(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node(SYNCED)
    for topic, message_type in TOPICS.items():
        listener.subscribe(message_type, topic)
    listener.subscribe(DiagnosticArray, "/diagnostics")
    wait_for_sets(listener, *TOPICS)
    found = stamps(listener, *TOPICS)
    assert len(set(map(frozenset, found.values()))) == 1, found
    assert len(found["left/image_raw"]) >= ENOUGH // 2

    listener.wait_until(lambda: diagnosed(listener, "sync") is not None, "the diagnosis")
    status = diagnosed(listener, "sync")
    assert status is not None
    tallies = counts(status)
    assert tallies["right_missing"] >= 2
    assert tallies["left_incomplete"] >= 2
    assert tallies["left_complete"] >= ENOUGH // 2
    assert set(tallies) == {
        f"{stream}_{what}"
        for stream in ("left", "rectified_left", "right", "depth")
        for what in ("complete", "incomplete", "missing")
    }
    # Each report covers the time since the last: here one or two exposures.
    # Another stream than right may be missing while the subscriptions come one by one.
    named = []
    for before, report in pairwise(diagnoses(listener, "sync")):
        if report.level == DiagnosticStatus.WARN:
            ((worst, _),) = (missing_rows(report) - missing_rows(before)).most_common(1)
            assert f"{worst} is missing most often" in report.message
            named.append(worst)
    assert named[-1] == "right"
    assert node.stop() == 0
    assert "Traceback" not in node.output


def test_incomplete_exposures_are_published_if_configured(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node({**SYNCED, "sync.incomplete": "publish"})
    topics = ("left/image_raw", "right/image_raw", "depth/image_raw")
    for topic in topics:
        listener.subscribe(Image, topic)
    wait_for_sets(listener, *topics)
    found = stamps(listener, *topics)
    assert found["left/image_raw"] == found["depth/image_raw"]
    assert found["right/image_raw"] < found["left/image_raw"]
    assert node.stop() == 0


def test_exposure_does_not_wait_for_streams_without_subscribers(
    start_node: StartNode, listener: Listener
) -> None:
    """Without a subscriber to right its gaps have no effect; color is not synchronised."""
    node = start_node({**SYNCED, "sync.timeout_ms": 10_000.0})
    for topic in ("left/image_raw", "depth/image_raw", "rgb/image_raw"):
        listener.subscribe(Image, topic)
    listener.subscribe(DiagnosticArray, "/diagnostics")
    listener.wait_for("left/image_raw", "depth/image_raw", "rgb/image_raw", count=ENOUGH)
    status = diagnosed(listener, "sync")
    assert status is not None
    tallies = counts(status)
    assert (tallies["right_missing"], tallies["right_incomplete"]) == (0, 0)
    assert tallies["left_incomplete"] <= 2  # while the subscriptions came one by one
    assert node.stop() == 0


def test_last_packet_before_a_silence_does_not_wait_for_the_next() -> None:
    """The device falls silent in the middle of an exposure."""
    node = rclpy.create_node("silence")
    values = {**SYNCED, "stream_list": ["left", "right"], "sync.timeout_ms": 50.0}
    del values["device.id"]
    selector = "virtual:pattern?fault=mute:right:20"
    running = Running(node, {**values, "sync.incomplete": "publish"}, selector)
    for topic in ("left/image_raw", "right/image_raw"):
        node.create_subscription(Image, f"~/{topic}", lambda raw: None, 1, raw=True)
    passed = running.publishers.passed

    def all_have_left() -> bool:
        arrived = running.data_packets()
        return passed["left"] == passed["right"] + 1 and passed.total() == arrived

    wait_until(all_have_left, lambda: f"{running.data_packets()} packets to leave, {passed} did")
    running.close()
    node.destroy_node()


def test_without_sync_enable_nothing_is_held_or_reported(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node({**SYNCED, "sync.enable": False})
    topics = ("left/image_raw", "right/image_raw")
    for topic in topics:
        listener.subscribe(Image, topic)
    listener.subscribe(DiagnosticArray, "/diagnostics")
    listener.wait_for(*topics, count=ENOUGH)
    found = stamps(listener, *topics)
    assert found["right/image_raw"] < found["left/image_raw"]
    assert diagnosed(listener, "sync") is None
    assert node.stop() == 0
