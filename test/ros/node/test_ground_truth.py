"""The messages of `make run` agree with the scene.

The scene's geometry is known exactly, so that boxes, positions, distances and camera models are
compared with the truth and not with what the driver makes of it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from recordings import (
    COLOR,
    ENOUGH,
    MONO,
    PREVIEW,
    RGB,
    RIGHT,
    Recording,
    by_stamp,
    pixels,
    stamp_ns,
    transforms,
)
from scene_views import room, view
from sensor_msgs.msg import CameraInfo

from depthai_ros.virtual.scenes.scene import SyntheticScene


@pytest.fixture(scope="module")
def scene() -> SyntheticScene:
    scene = room()
    scene.configure(view(mono_size=MONO, rgb_size=COLOR, preview_size=PREVIEW))
    return scene


def projected(
    info: CameraInfo, points: NDArray[np.float64], *, rectified: bool = False
) -> NDArray[np.float64]:
    """Pixels of points in the optical axes of the info's frame, by the rules of CameraInfo."""
    k = np.reshape(info.p, (3, 4))[:, :3] if rectified else np.reshape(info.k, (3, 3))
    raw_axes = points if rectified else points @ np.reshape(info.r, (3, 3))
    pixel, _ = cv2.projectPoints(raw_axes, np.zeros(3), np.zeros(3), k, np.array(info.d))
    return np.asarray(pixel.reshape(-1, 2), np.float64)


#: Grey levels between the squares of a chessboard, at least; a flat place has none.
_CORNER_CONTRAST = 40


def corner_contrast(
    grey: NDArray[Any], places: NDArray[np.float64], reach: int
) -> NDArray[np.float64]:
    """How much the squares on one diagonal through each place differ from those on the other."""
    x, y = np.rint(places).astype(int).T
    diagonals = [
        grey[y + reach, x + sign * reach].astype(float) + grey[y - reach, x - sign * reach]
        for sign in (1, -1)
    ]
    return np.asarray(np.abs(diagonals[0] - diagonals[1]) / 2)


#: image, its info, least number of landmarks in it, window of the search in px
SEEN = [
    ("left/image_raw", "left/camera_info", 40, 3),
    ("right/image_raw", "right/camera_info", 40, 3),
    ("rgb/image_raw", "rgb/camera_info", 40, 5),
]


@pytest.mark.parametrize(("topic", "info_topic", "least", "window"), SEEN)
def test_landmarks_are_where_camera_info_and_tf_say(
    topic: str,
    info_topic: str,
    least: int,
    window: int,
    scene: SyntheticScene,
    recording: Recording,
) -> None:
    image, info = recording[topic][-1], recording[info_topic][-1]
    tree = transforms(recording)
    to_camera = np.linalg.inv(tree[image.header.frame_id]) @ tree[RIGHT]
    world = scene.landmarks()
    expected = projected(info, world @ to_camera[:3, :3].T + to_camera[:3, 3])
    margin = 3 * window
    inside = ((expected > margin) & (expected < [info.width - margin, info.height - margin])).all(1)
    expected = expected[inside]
    assert len(expected) >= least
    grey = pixels(image)
    if grey.ndim == 3:
        grey = cv2.cvtColor(grey, cv2.COLOR_BGR2GRAY)
    assert (corner_contrast(grey, expected, window) > _CORNER_CONTRAST).all()
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-3)
    start = expected.astype(np.float32).reshape(-1, 1, 2)
    found = cv2.cornerSubPix(grey, start, (window, window), (-1, -1), criteria).reshape(-1, 2)
    assert np.linalg.norm(found - expected, axis=1).max() < 0.1


def test_depth_of_the_landmarks_is_their_distance(
    scene: SyntheticScene, recording: Recording
) -> None:
    info, depth_m = (
        recording["depth/camera_info"][-1],
        pixels(recording["depth/image_raw"][-1]) / 1e3,
    )
    world = scene.landmarks()
    places = np.rint(projected(info, world, rectified=True)).astype(int)
    inside = ((places >= 0) & (places < MONO)).all(1)
    assert inside.sum() >= 40
    (x, y), z = places[inside].T, world[inside, 2]
    step_m = z**2 / (info.k[0] * 0.075)
    assert (np.abs(depth_m[y, x] - z) < step_m).all()
    assert info.p[3] == 0.0


# -- results


def objects_at(scene: SyntheticScene, time_s: float, threshold: float) -> list[Any]:
    found = [thing for thing in scene.objects(time_s, 0) if thing.confidence >= threshold]
    return sorted(found, key=lambda thing: (thing.label, thing.box))


def edges_px(row: Any) -> NDArray[np.float64]:
    x, y = row.bbox.center.position.x, row.bbox.center.position.y
    half_x, half_y = row.bbox.size_x / 2, row.bbox.size_y / 2
    return np.array([x - half_x, y - half_y, x + half_x, y + half_y])


def sorted_rows(message: Any, numbers: dict[str, int]) -> list[Any]:
    def order(row: Any) -> tuple[int, list[float]]:
        return numbers[row.results[0].hypothesis.class_id], edges_px(row).tolist()

    return sorted(message.detections, key=order)


def labels(recording: Recording) -> tuple[dict[str, int], float]:
    info = recording["nn/label_info"][0]
    return {row.class_name: row.class_id for row in info.class_map}, info.threshold


def misfit_px(scene: SyntheticScene, time_s: float, message: Any, recording: Recording) -> float:
    """How far boxes are from those of the scene at that time, at most; inf for other classes."""
    numbers, threshold = labels(recording)
    things, rows = objects_at(scene, time_s, threshold), sorted_rows(message, numbers)
    classes = [numbers[row.results[0].hypothesis.class_id] for row in rows]
    if classes != [thing.label for thing in things]:
        return float("inf")
    boxes = np.array([thing.box for thing in things]) * PREVIEW[0]
    return float(np.abs(boxes - [edges_px(row) for row in rows]).max())


def scene_time_s(
    scene: SyntheticScene, message: Any, recording: Recording, around_s: float, span_s: float
) -> float:
    """Time of the scene that this message shows."""
    step_s = 0.05
    while step_s > 1e-5:
        times = np.arange(max(0.0, around_s - span_s), around_s + span_s, step_s)
        around_s = float(min(times, key=lambda t: misfit_px(scene, t, message, recording)))
        span_s, step_s = 2 * step_s, step_s / 10
    return around_s


@pytest.mark.complaint(21)
def test_detections_are_the_objects_of_the_scene_in_pixels_and_metres(
    scene: SyntheticScene, recording: Recording
) -> None:
    _, threshold = labels(recording)
    spatial = by_stamp(recording["nn/spatial_detections"])
    flat = [row for row in recording["nn/detections"] if stamp_ns(row) in spatial]
    times = [scene_time_s(scene, flat[0], recording, 30.0, 30.0)]
    for before, message in pairwise(flat):
        later_s = (stamp_ns(message) - stamp_ns(before)) / 1e9
        times.append(scene_time_s(scene, message, recording, times[-1] + later_s, 0.2))
    assert len(times) >= ENOUGH // 2
    for time_s, message in zip(times, flat, strict=True):
        assert misfit_px(scene, time_s, message, recording) < 0.01
        rows = [row.bbox.center.position for row in spatial[stamp_ns(message)].detections]
        found = sorted((row.x, row.y, row.z) for row in rows)
        things = objects_at(scene, time_s, threshold)
        np.testing.assert_allclose(found, sorted(row.position_m for row in things), atol=1e-3)


def test_size_of_a_spatial_detection_is_metric(recording: Recording) -> None:
    sizes = {
        row.results[0].hypothesis.class_id: row.bbox.size
        for message in recording["nn/spatial_detections"]
        for row in message.detections
    }
    # A bottle of 0.13 m x 0.36 m; its box also contains the visible sides.
    assert 0.10 < sizes["bottle"].x < 0.20
    assert 0.30 < sizes["bottle"].y < 0.45


def test_spatial_detection_lies_on_its_box_in_the_preview_image(recording: Recording) -> None:
    info = recording["rgb/preview/camera_info"][-1]
    tree = transforms(recording)
    to_rgb = np.linalg.inv(tree[RGB]) @ tree[RIGHT]
    flat = by_stamp(recording["nn/detections"])
    for message in recording["nn/spatial_detections"]:
        if stamp_ns(message) not in flat:
            continue
        boxes = [edges_px(row) for row in flat[stamp_ns(message)].detections]
        for row, box in zip(message.detections, boxes, strict=True):
            p = row.results[0].pose.pose.position
            point = (to_rgb @ [p.x, p.y, p.z, 1])[None, :3]
            (u, v) = projected(info, point)[0]
            assert box[0] < u < box[2]
            assert box[1] < v < box[3]


def test_tracklets_are_the_detections_with_an_identity_and_a_place(recording: Recording) -> None:
    flat, spatial, tracked = (
        by_stamp(recording[topic])
        for topic in ("nn/detections", "nn/spatial_detections", "nn/tracked_detections")
    )
    tree = transforms(recording)
    to_rgb = np.linalg.inv(tree[RGB]) @ tree[RIGHT]
    compared = 0
    for message in recording["tracklets"]:
        stamp = stamp_ns(message)
        assert (message.image_width, message.image_height) == PREVIEW
        if not (stamp in flat and stamp in spatial and stamp in tracked):
            continue
        boxes = {edges_px(row).round().tobytes(): row for row in flat[stamp].detections}
        assert len(boxes) == len(flat[stamp].detections)
        positions = [row.bbox.center.position for row in spatial[stamp].detections]
        places = [(to_rgb @ [p.x, p.y, p.z, 1])[:3] for p in positions]
        for row in message.tracklets:
            if row.status not in (row.STATUS_NEW, row.STATUS_TRACKED):
                continue
            nearest = min(
                np.abs(edges_px(row) - edges_px(box)).max() for box in flat[stamp].detections
            )
            assert nearest <= 1.0
            assert row.has_position
            place = [row.position.x, row.position.y, row.position.z]
            assert min(np.abs(place - other).max() for other in places) < 1e-4
            compared += 1
        ids = {row.id for row in tracked[stamp].detections}
        assert ids == {str(row.id) for row in message.tracklets if row.status <= row.STATUS_TRACKED}
    assert compared > ENOUGH


def test_ids_of_tracklets_stay_with_their_objects(recording: Recording) -> None:
    classes: dict[int, set[str]] = {}
    for message in recording["tracklets"]:
        for row in message.tracklets:
            classes.setdefault(row.id, set()).add(row.class_id)
    assert len(classes) >= 3
    assert all(len(names) == 1 for names in classes.values())
    first, last = recording["tracklets"][0], recording["tracklets"][-1]
    ages = [{row.id: row.age for row in message.tracklets} for message in (first, last)]
    both = set(ages[0]) & set(ages[1])
    assert both
    assert all(ages[1][number] > ages[0][number] for number in both)
