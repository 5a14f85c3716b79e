"""Points, registered depth and rectified images against the scene, from a process of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from nodes import Listener, NodeProcess
from numpy.typing import NDArray
from recordings import by_stamp, pixels
from scene_views import view
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from depthai_ros.virtual.scenes.eeprom import eeprom_document
from depthai_ros.virtual.scenes.scene import SyntheticScene
from depthai_ros.wire_formats import disparity_to_depth_table

FPS = 10
SETTINGS: dict[str, Any] = {
    "device.id": "virtual",
    "stream_list": ["depth", "color", "left", "right"],
    "camera.mono.fps": FPS,
    "camera.rgb.fps": FPS,
    "calibration.nominal": True,
    "points.color": "rgb",
    "stereo.rectify": "host",
}
TOPICS: dict[str, Any] = {
    "points": PointCloud2,
    "depth/image_raw": Image,
    "depth_registered/image_raw": Image,
    "left/image_rect": Image,
    "right/image_rect": Image,
    "rgb/image_rect_color": Image,
    "rgb/image_raw": Image,
    "depth/camera_info": CameraInfo,
    "depth_registered/camera_info": CameraInfo,
    "left/camera_info": CameraInfo,
    "right/camera_info": CameraInfo,
    "rgb/camera_info": CameraInfo,
}
POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4")])


@dataclass
class Exposure:
    """The messages of one exposure, and the scene that it shows."""

    messages: dict[str, Any]
    time_s: float

    def __getitem__(self, topic: str) -> Any:
        return self.messages[topic]


def points_of(message: PointCloud2) -> NDArray[Any]:
    """(H, W) POINT."""
    return np.frombuffer(message.data, POINT).reshape(message.height, message.width)


def matrix(info: CameraInfo) -> NDArray[np.float64]:
    return np.reshape(info.p, (3, 4))[:, :3]


@pytest.fixture(scope="module")
def scene() -> SyntheticScene:
    scene = SyntheticScene(eeprom_document(5))
    scene.configure(view())
    return scene


@pytest.fixture(scope="module")
def exposure(
    scene: SyntheticScene, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Exposure]:
    """One exposure of which every topic has a message."""
    node, listener = NodeProcess(tmp_path_factory.mktemp("node"), SETTINGS), Listener(keep=10)
    try:
        for topic, kind in TOPICS.items():
            listener.subscribe(kind, topic)
        listener.wait_for(*TOPICS, count=5)
        rows = {topic: by_stamp(listener.messages(topic)) for topic in TOPICS}
        stamp = max(set.intersection(*(set(row) for row in rows.values())))
        messages = {topic: row[stamp] for topic, row in rows.items()}
        yield Exposure(messages, shown_s(scene, messages["depth/image_raw"]))
    finally:
        listener.close()
        node.kill()


def shown_s(scene: SyntheticScene, depth: Image) -> float:
    """The time of the scene that a depth image shows: the scene moves with the exposures."""
    depth_mm = pixels(depth)[::4, ::4]
    table = disparity_to_depth_table(depth.width, 71.86, 0.075)

    def differing(time_s: float) -> int:
        disparity = scene.paint("disparity", time_s, 0)
        return int(np.count_nonzero(table[disparity[::4, ::4]] != depth_mm))

    times = [number / FPS for number in range(200)]
    best = min(times, key=differing)
    assert differing(best) < 0.01 * depth_mm.size, (best, differing(best))
    return best


def test_points_are_the_measured_pixels(exposure: Exposure) -> None:
    cloud, depth, info = (
        exposure[topic] for topic in ("points", "depth/image_raw", "depth/camera_info")
    )
    assert (cloud.height, cloud.width) == (depth.height // 2, depth.width // 2)
    assert [(field.name, field.offset) for field in cloud.fields] == [
        ("x", 0),
        ("y", 4),
        ("z", 8),
        ("rgb", 12),
    ]
    assert (cloud.point_step, cloud.row_step) == (16, 16 * cloud.width)
    assert (cloud.header, cloud.is_dense) == (depth.header, False)
    points, mm = points_of(cloud), pixels(depth)[1::2, 1::2]
    np.testing.assert_array_equal(np.isnan(points["z"]), mm == 0)
    there = mm > 0
    np.testing.assert_allclose(points["z"][there], mm[there] / 1000, atol=1e-6)
    v, u = np.mgrid[1 : depth.height : 2, 1 : depth.width : 2]
    rays = np.stack([points[axis][there] for axis in "xyz"]).astype(float)
    seen = matrix(info) @ rays
    np.testing.assert_allclose(seen[0] / seen[2], u[there], atol=1e-3)
    np.testing.assert_allclose(seen[1] / seen[2], v[there], atol=1e-3)
