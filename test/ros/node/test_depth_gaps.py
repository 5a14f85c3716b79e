"""What is published when calibration, colours or depth are missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from nodes import Listener, StartNode
from sensor_msgs.msg import PointCloud2

NODE: dict[str, Any] = {
    "device.id": "virtual",
    "stream_list": ["depth", "color", "rectified_right"],
    "camera.mono.resolution_h": 400,
}
#: points.color -> outputs that need the rgb camera
NEEDING_RGB = {
    "none": {"depth_registered/image_raw", "rgb/image_rect_color"},
    "rgb": {"depth_registered/image_raw", "rgb/image_rect_color", "points"},
}


def announced(listener: Listener) -> set[str]:
    names = dict(listener.node.get_topic_names_and_types())
    return {name.removeprefix("/oak/") for name in names if listener.node.count_publishers(name)}


@pytest.mark.parametrize("color", NEEDING_RGB)
def test_without_rgb_calibration_what_needs_it_is_not_announced(
    start_node: StartNode, listener: Listener, color: str
) -> None:
    node = start_node({**NODE, "points.color": color})
    node.wait_for_output("streaming ")
    missing = NEEDING_RGB[color]
    expected = {*NEEDING_RGB["rgb"], "depth/image_raw", "rgb/image_raw"} - missing
    listener.wait_until(lambda: expected <= announced(listener), "the topics")
    listener.wait_until(lambda: not missing & announced(listener), "topics to go")
    for topic in missing:
        sentence = f"{topic} is not published: the rgb camera is not calibrated"
        assert node.output.count(sentence) == 1
    assert "calibration.nominal" in node.output
    listener.subscribe(DiagnosticArray, "/diagnostics")
    listener.wait_for("/diagnostics")
    statuses = {row.name for row in listener.messages("/diagnostics")[-1].status}
    assert "oak: stream depth" in statuses
    assert "oak: stream depth_registered" not in statuses


def test_cloud_without_colours_in_time_is_published_and_counted(
    start_node: StartNode, listener: Listener
) -> None:
    start_node(
        {
            **NODE,
            "device.id": "virtual:synthetic?fault=drop:color:3",
            "calibration.nominal": True,
            "points.color": "rgb",
            "points.max_rgb_age_ms": 15.0,
        }
    )
    listener.subscribe(PointCloud2, "points")
    listener.subscribe(DiagnosticArray, "/diagnostics")

    def colored() -> set[bool]:
        clouds = (np.frombuffer(each.data, np.uint32) for each in listener.messages("points"))
        return {bool(points[3::4].any()) for points in clouds}

    listener.wait_until(lambda: colored() == {True, False}, "clouds with and without colours")
    assert {len(message.fields) for message in listener.messages("points")} == {4}

    def counted() -> int:
        values = {
            row.key: row.value
            for message in listener.messages("/diagnostics")
            for status in message.status
            if status.name == "oak: stream points"
            for row in status.values
        }
        return int(values.get("without_color", 0))

    listener.wait_until(lambda: counted() >= 3, "the count in /diagnostics")
