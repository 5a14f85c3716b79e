"""Points, registered depth and rectified images against the scene, from a process of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pytest
from nodes import Listener, NodeProcess, StartNode
from numpy.typing import NDArray
from recordings import by_stamp, pixels
from scene_views import room, view
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from depthai_ros.virtual.scenes.eeprom import eeprom_document
from depthai_ros.virtual.scenes.plane import CARD_SHARE
from depthai_ros.virtual.scenes.scene import SyntheticScene
from depthai_ros.wire_formats import disparity_to_depth_table

FPS = 10
LEFT_TO_RIGHT_M, LEFT_TO_RGB_M = (
    eeprom_document(5)[f"left_to_{camera}_distance_m"] for camera in ("right", "rgb")
)
SETTINGS: dict[str, Any] = {
    "device.id": "virtual",
    "stream_list": ["depth", "color", "left", "right"],
    "camera.mono.fps": FPS,
    "camera.rgb.fps": FPS,
    "calibration.nominal": True,
    "points.color": "rgb",
    "points.max_rgb_age_ms": 1000.0 / FPS,
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
    scene = room()
    scene.configure(view())
    return scene


@pytest.fixture(scope="module")
def exposure(scene: SyntheticScene, tmp_path_factory: pytest.TempPathFactory) -> Exposure:
    """One exposure of which every topic has a message."""
    node, listener = NodeProcess(tmp_path_factory.mktemp("node"), SETTINGS), Listener()
    try:
        messages = together(listener, TOPICS)
    finally:
        listener.close()
        node.kill()
    return Exposure(messages, shown_s(scene, messages["depth/image_raw"]))


def together(listener: Listener, topics: dict[str, Any]) -> dict[str, Any]:
    """The newest messages of one stamp."""
    for topic, kind in topics.items():
        listener.subscribe(kind, topic)
    listener.wait_for(*topics, count=8)
    rows = {topic: by_stamp(listener.messages(topic)) for topic in topics}
    stamp = max(set.intersection(*map(set, rows.values())))
    return {topic: row[stamp] for topic, row in rows.items()}


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


def test_points_have_the_colour_of_the_rgb_pixel_that_shows_them(exposure: Exposure) -> None:
    points, image = points_of(exposure["points"]), pixels(exposure["rgb/image_raw"])
    there = ~np.isnan(points["z"])
    xyz = np.stack([points[axis][there] for axis in "xyz"]).astype(float)
    xyz[0] += LEFT_TO_RIGHT_M - LEFT_TO_RGB_M  # parallel axes, from the right camera to rgb
    seen = matrix(exposure["rgb/camera_info"]) @ xyz
    u, v = seen[0] / seen[2], seen[1] / seen[2]
    inside = (abs(u - 959.5) < 959) & (abs(v - 539.5) < 539)
    assert inside.mean() > 0.5
    bgr = image[np.rint(v[inside]).astype(int), np.rint(u[inside]).astype(int)].astype(np.uint32)
    packed = bgr[:, 0] | bgr[:, 1] << 8 | bgr[:, 2] << 16
    found = points["rgb"][there][inside]
    clear = np.maximum(abs(u % 1 - 0.5), abs(v % 1 - 0.5))[inside] < 0.49  # not between two pixels
    assert (found == packed)[clear].mean() > 0.99


def depth_step_m(depth_m: NDArray[Any], info: CameraInfo) -> NDArray[Any]:
    """How much one pixel of disparity changes a depth."""
    return np.asarray(depth_m**2 / (info.k[0] * LEFT_TO_RIGHT_M))


def far_from_edges(depth_m: NDArray[Any], reach: int) -> NDArray[np.bool_]:
    """Pixels whose neighbours lie on one surface."""
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    near, far = cv2.erode(depth_m, kernel), cv2.dilate(depth_m, kernel)
    return np.asarray(far - near < 0.1 * near)


def test_points_lie_within_a_step_of_disparity_of_the_surfaces(
    exposure: Exposure, scene: SyntheticScene
) -> None:
    true_m = scene.true_depth(exposure.time_s)[1::2, 1::2]
    z = points_of(exposure["points"])["z"]
    there = ~np.isnan(z)
    assert there.mean() > 0.7
    step_m = depth_step_m(true_m, exposure["depth/camera_info"])
    assert (np.abs(z - true_m) < step_m)[there].all()


def test_registered_depth_lies_on_the_pixels_of_the_objects(
    exposure: Exposure, scene: SyntheticScene
) -> None:
    registered, info = exposure["depth_registered/image_raw"], exposure["rgb/camera_info"]
    assert registered.header.frame_id == exposure["rgb/image_raw"].header.frame_id
    assert registered.header.stamp == exposure["depth/image_raw"].header.stamp
    own = exposure["depth_registered/camera_info"]
    assert (own.width, own.height) == (registered.width, registered.height) == (1280, 720)
    scale = own.width / info.width
    corner = matrix(own) @ np.linalg.inv(matrix(info)) @ [959.5, 539.5, 1]
    np.testing.assert_allclose(corner[:2], [639.5, 359.5])
    assert own.k[0] == pytest.approx(scale * info.k[0])
    size = (registered.width, registered.height)
    true_m = cv2.resize(
        scene.true_depth(exposure.time_s, "rgb"), size, interpolation=cv2.INTER_NEAREST
    )
    found_m = pixels(registered) / 1000
    inside = far_from_edges(true_m, 1) & (found_m > 0)
    assert inside.mean() > 0.6
    step_m = depth_step_m(true_m, exposure["depth/camera_info"])
    assert (np.abs(found_m - true_m) < step_m)[inside].mean() > 0.999


def corners(image: Image, info: CameraInfo, world: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the image shows points of the world, found around the pixels that P gives; NaN = not.

    Shape   (N, 3), m, axes of the rectified right camera -> (N, 2), px
    """
    shift_m = LEFT_TO_RIGHT_M if "left" in info.header.frame_id else 0.0
    seen = (world + [shift_m, 0, 0]) @ matrix(info).T
    expected = seen[:, :2] / seen[:, 2:]
    inside = ((expected > 12) & (expected < [info.width - 12, info.height - 12])).all(axis=1)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-3)
    start = expected[inside].astype(np.float32).reshape(-1, 1, 2)
    found = cv2.cornerSubPix(pixels(image), start, (3, 3), (-1, -1), criteria).reshape(-1, 2)
    assert np.linalg.norm(found - expected[inside], axis=1).max() < 0.2
    result = np.full_like(expected, np.nan)
    result[inside] = found
    return result


def test_host_removes_the_distortion_of_the_lenses_from_the_rectified_pair(
    scene: SyntheticScene, start_node: StartNode, listener: Listener
) -> None:
    start_node({**SETTINGS, "device.id": "virtual:synthetic?lens=1", "points.color": "none"})
    topics = {name: kind for name, kind in TOPICS.items() if name.startswith(("left", "right"))}
    shown = together(listener, topics)
    assert abs(shown["left/camera_info"].d[0]) > 0.01
    world = scene.landmarks()
    left, right = (
        corners(shown[f"{camera}/image_rect"], shown[f"{camera}/camera_info"], world)
        for camera in ("left", "right")
    )
    rows_apart = np.abs(left - right)[:, 1]
    assert np.count_nonzero(~np.isnan(rows_apart)) >= 40
    assert np.nanmax(rows_apart) < 0.1


def test_points_through_lenses_lie_on_the_surfaces_with_host_rectification(
    scene: SyntheticScene, start_node: StartNode, listener: Listener
) -> None:
    start_node(
        {
            **SETTINGS,
            "device.id": "virtual:plane=2.0?lens=1",
            "stream_list": ["depth", "rectified_right"],
            "points.color": "mono",
            "points.decimation": 1,
        }
    )
    topics = ("points", "depth/image_raw", "depth/camera_info")
    shown = together(listener, {topic: TOPICS[topic] for topic in topics})
    points, mm = points_of(shown["points"]), pixels(shown["depth/image_raw"])
    there = mm > 0
    np.testing.assert_allclose(points["z"][there], mm[there] / 1000, atol=1e-6)
    assert points["rgb"][there].any()
    z = points["z"][there]
    surfaces_m = np.array([2.0, 2.0 * CARD_SHARE])
    away_m = np.abs(z[:, None] - surfaces_m)
    step_m = depth_step_m(surfaces_m, shown["depth/camera_info"])
    assert (away_m < step_m).any(axis=1).mean() > 0.99
