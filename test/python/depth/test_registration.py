"""Registered depth against a slow z-buffer, and against planes and boxes whose place is known."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from depth_cameras import BAD_LENSES, BAD_MODELS, BAD_POSES, camera, posed, turned

from depthai_ros import _core
from depthai_ros.calibration.camera_model import CameraModel
from depthai_ros.depth.registration import Registration
from depthai_ros.errors import ConfigError

RANDOM = np.random.default_rng(17)
IDENTITY = np.eye(4)
#: About that of the board: 3.75 cm beside the right camera, not quite parallel.
RGB_FROM_DEPTH = posed(turned(0.4, -0.7, 0.3), 0.0375, 0.002, 0.003)
BASELINE_MM = 75.0


def registered(registration: Registration, depth: Any) -> Any:
    """The result, in memory that held something else."""
    result = np.full((registration.model.height, registration.model.width), 777, np.uint16)
    registration.make(depth, result)
    return result


def rays_of(model: CameraModel, u: Any, v: Any) -> Any:
    """Directions with z = 1 of rectified pixels."""
    p = model.p
    return np.stack([(u - p[0, 2]) / p[0, 0], (v - p[1, 2]) / p[1, 1], np.ones_like(u)], axis=-1)


def slow_registration(depth: Any, source: CameraModel, target: CameraModel, pose: Any) -> Any:
    """Each pixel as 11 x 11 points at its depth; of those at middles the nearest wins."""
    result = np.full((target.height, target.width), 1 << 16)
    v, u = np.nonzero(depth)
    z = depth[v, u].astype(np.float64)
    spacing = np.linspace(-0.5, 0.5, 11)
    reach = 0.6 * (spacing[1] - spacing[0]) * target.p[0, 0] / source.p[0, 0]
    for dy, dx in product(spacing, spacing):
        points = rays_of(source, u + dx, v + dy) * z[:, None]
        x, y, far = (points @ pose[:3, :3].T + 1000 * pose[:3, 3]).T
        x, y, far = (values[far > 0.5] for values in (x, y, far))
        column = target.p[0, 0] * x / far + target.p[0, 2]
        row = target.p[1, 1] * y / far + target.p[1, 2]
        at = np.rint(np.stack([row, column])).astype(int)
        found = (np.abs(at - [row, column]) < reach).all(axis=0)
        found &= (at >= 0).all(axis=0) & (at[0] < target.height) & (at[1] < target.width)
        np.minimum.at(result, tuple(at[:, found]), np.rint(far[found]).astype(int))
    return np.where(result > 65534, 0, result)


def away(values: Any, image: Any, reach: int) -> Any:
    """Smallest difference of each value to the pixels of an image that are within `reach`."""
    height, width = image.shape
    padded = np.pad(image.astype(int), reach, mode="edge")
    side = range(2 * reach + 1)
    near = [padded[y : y + height, x : x + width] for y, x in product(side, side)]
    return np.abs(np.stack(near) - values).min(axis=0)


def blocks(size: tuple[int, int]) -> Any:
    """Patches at depths from 0.4 to 6 m, some not measured."""
    coarse = RANDOM.integers(400, 6000, (size[1] // 6 + 1, size[0] // 8 + 1))
    coarse[RANDOM.random(coarse.shape) < 0.1] = 0
    return np.kron(coarse, np.ones((6, 8), int))[: size[1], : size[0]].astype(np.uint16)


@pytest.mark.parametrize("rgb_size", [(96, 54), (150, 90), (40, 24)])
@pytest.mark.parametrize("degrees", [(0.0, 0.0, 0.0), (0.4, -0.7, 0.3), (2.0, 4.0, -6.0)])
@pytest.mark.parametrize("x_m", [0.04, -0.04])
def test_result_is_that_of_a_slow_z_buffer_within_a_pixel(
    rgb_size: tuple[int, int], degrees: tuple[float, float, float], x_m: float
) -> None:
    depth_model, rgb = camera((96, 60), 72.0), camera(rgb_size, 60.0)
    pose = posed(turned(*degrees), x_m, -0.01, 0.005)
    depth = blocks((96, 60))
    found = registered(Registration(depth_model, rgb, pose, width=1280), depth).astype(int)
    slow = slow_registration(depth, depth_model, rgb, pose)
    slope_mm = 9  # of a patch, between the middle and the corner of a pixel
    assert (np.abs(found - slow) <= slope_mm).mean() > 0.94
    # Corners of patches, where gaps are closed in two directions, make the rest.
    assert (away(found, slow, 2) > slope_mm).mean() < 0.01
    assert (away(slow, found, 1) > slope_mm)[slow > 0].mean() < 0.015


@pytest.mark.parametrize("size", [(2, 2), (37, 21), (290, 5)])
def test_same_camera_gives_the_same_depth(size: tuple[int, int]) -> None:
    model = camera((300, 200)).window(3, 5, *size)
    depth = RANDOM.integers(0, 65536, size[::-1]).astype(np.uint16)
    expected = np.where(depth > 65534, 0, depth)
    assert np.array_equal(
        registered(Registration(model, model, IDENTITY, width=1280), depth), expected
    )


def plane_depth(model: CameraModel, normal: Any, distance_mm: float, *, step: bool) -> Any:
    """Depth of the plane normal * point = distance, with whole disparities if `step`."""
    v, u = np.indices((model.height, model.width))
    z = distance_mm / (rays_of(model, u, v) @ normal)
    if step:
        scale = model.p[0, 0] * BASELINE_MM
        z = scale / np.rint(scale / z)
    return np.rint(z).astype(np.uint16)


@pytest.mark.parametrize("size", [(640, 400), (320, 200)])
@pytest.mark.parametrize("x_m", [0.0375, -0.0375])
def test_slanted_plane_has_no_comb_and_no_hole(size: tuple[int, int], x_m: float) -> None:
    """With the integer disparities of the device, and more pixels in the target."""
    depth_model, rgb = camera(size, 71.9), camera((1280, 720), 50.0)
    pose = posed(turned(0.4, -0.7, 0.3), x_m, 0.012, 0.003)
    normal = np.array([0.35, 0.5, 0.8])
    depth = plane_depth(depth_model, normal, 1500.0, step=True)
    registration = Registration(depth_model, rgb, pose, width=1280)
    found = registered(registration, depth)[20:-20, 40:-40].astype(int)
    assert (found > 0).all()
    normal_rgb = pose[:3, :3] @ normal
    distance_mm = 1500.0 + 1000 * normal_rgb @ pose[:3, 3]
    expected = plane_depth(registration.model, normal_rgb, distance_mm, step=False)[20:-20, 40:-40]
    px = registration.model.p[0, 0] / depth_model.p[0, 0]
    disparity_step = expected.astype(int) ** 2 / (depth_model.p[0, 0] * BASELINE_MM)
    slope = 2 * px * np.abs(np.gradient(expected.astype(float))).sum(axis=0)
    assert (np.abs(found - expected) <= disparity_step + slope + 2).all()


@pytest.mark.parametrize("size", [(1280, 720), (640, 360)])
def test_edges_of_a_box_are_within_a_pixel_of_where_rgb_sees_them(size: tuple[int, int]) -> None:
    depth_model, rgb = camera(size, 71.9), camera((1920, 1080), 68.8)
    v, u = np.indices((depth_model.height, depth_model.width))
    left, top, right, bottom = (side * size[0] // 1280 for side in (300, 200, 700, 500))
    in_box = (u >= left) & (u < right) & (v >= top) & (v < bottom)
    depth = np.where(in_box, 800, 3000).astype(np.uint16)
    registration = Registration(depth_model, rgb, posed(np.eye(3), 0.0375, 0.0, 0.0), width=1280)
    near = registered(registration, depth)
    p = registration.model.p
    for axis, edges in ((0, (left, right)), (1, (top, bottom))):
        found = np.flatnonzero((near == 800).any(axis=axis))
        for edge, at in ((found[0] - 0.5, edges[0]), (found[-1] + 0.5, edges[1])):
            ray = rays_of(depth_model, np.array(at - 0.5), np.array(at - 0.5))[axis]
            expected = p[axis, axis] * (ray + (37.5 / 800 if axis == 0 else 0)) + p[axis, 2]
            assert abs(edge - expected) <= 1.0
    shadow = (near[300, 100:-100] == 0).sum()  # at the left of the box, where it hid the wall
    assert shadow == pytest.approx(p[0, 0] * 37.5 * (1 / 800 - 1 / 3000), abs=1.5)


def test_nearest_wins_and_points_behind_or_outside_are_dropped() -> None:
    model = camera((64, 48))
    depth = np.full((48, 64), 3000, np.uint16)
    depth[:, 20:30] = 500
    for pose in (
        posed(turned(0, 180, 0)),
        posed(np.eye(3), 0, 0, -3.0),
        posed(np.eye(3), 9.9, 0, 0),
        posed(turned(0, 0, 0), 0, 0, -9.0),
    ):
        assert not registered(Registration(model, model, pose, width=64), depth).any()
    half = registered(Registration(model, model, posed(np.eye(3), 0.05, 0, 0), width=64), depth)
    assert (half[:, 25:34] == 500).all()  # over the wall behind it
    far = registered(
        Registration(model, model, posed(np.eye(3), 0, 0, 9.0), width=64), depth + 60000
    )
    assert not far.any()  # 65.5 m and more is no depth
    assert not registered(Registration(model, model, IDENTITY, width=64), depth * 0).any()


@pytest.mark.parametrize("degrees", [(0, 0, 90), (0, 90, 0), (0, 89.9, 180), (45, 45, 45)])
def test_any_depth_with_any_pose_stays_within_the_image(degrees: tuple[float, ...]) -> None:
    """Sanitizers and pages without access see the same in test/fuzz."""
    depth = RANDOM.integers(0, 65536, (30, 41)).astype(np.uint16)
    for distance in (0.0, 0.3, -5.0):
        pose = posed(turned(*degrees), distance, distance, -distance)
        registration = Registration(camera((41, 30)), camera((70, 50)), pose, width=50)
        registered(registration, depth)


def test_numbers_that_are_none_give_no_depth() -> None:
    """The core trusts no number of its arrays."""
    size = 8
    destination = np.ones((size, size), np.uint16)
    for value in (np.nan, np.inf, 1e38, -1e38, 0.0):
        rays = np.full(size, value, np.float32)
        _core.register_depth(
            depth=np.full((size, size), 65535, np.uint16), columns=rays, rows=rays,
            projection=np.full((3, 4), value, np.float32),
            scratch=np.empty(10 * size, np.float32), destination=destination,
        )  # fmt: skip
        assert not destination.any()


def test_result_has_the_aspect_of_rgb_and_the_camera_of_its_pixels() -> None:
    rgb = camera((1920, 1080), lens="plumb_bob")
    for width, size in (
        (1280, (1280, 720)),
        (4000, (1920, 1080)),
        (1000, (1000, 562)),
        (1, (1, 1)),
    ):
        model = Registration(camera((640, 400)), rgb, IDENTITY, width=width).model
        assert (model.width, model.height) == size
        assert np.array_equal(model.p, rgb.resized(*size).p)
        assert np.array_equal(model.p[:, :3], model.k)
        assert not model.d.any()
        assert np.array_equal(model.r, np.eye(3))


@pytest.mark.parametrize("bad", [0, -1, 1280.0, True, "1280"])
def test_width_that_is_none_is_refused(bad: Any) -> None:
    with pytest.raises(ConfigError, match="width is"):
        Registration(camera((64, 40)), camera((64, 40)), IDENTITY, width=bad)


@pytest.mark.parametrize(("changes", "words"), BAD_MODELS)
def test_depth_camera_without_a_usable_projection_is_refused(changes: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=f"depth camera: .*{words}"):
        Registration(replace(camera((64, 40)), **changes), camera((64, 40)), IDENTITY, width=64)


@pytest.mark.parametrize(("changes", "words"), BAD_LENSES)
def test_rgb_camera_that_is_not_calibrated_is_refused(changes: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=f"rgb camera: .*{words}"):
        Registration(camera((64, 40)), replace(camera((64, 40)), **changes), IDENTITY, width=64)


@pytest.mark.parametrize(("pose", "words"), BAD_POSES)
def test_pose_that_is_none_is_refused(pose: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=f"pose of rgb.*{words}"):
        Registration(camera((64, 40)), camera((64, 40)), pose, width=64)


def test_focal_lengths_that_cannot_belong_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="pixels of the rgb camera wide"):
        Registration(camera((64, 40), 170.0), camera((1280, 720), 5.0), IDENTITY, width=1280)


def test_images_of_another_size_or_type_are_refused() -> None:
    registration = Registration(camera((64, 40)), camera((32, 20)), IDENTITY, width=640)
    depth, result = np.zeros((40, 64), np.uint16), np.zeros((20, 32), np.uint16)
    registration.make(depth, result)
    for wrong_depth, wrong_result in (
        (depth[1:], result),
        (depth, result[1:]),
        (depth.astype(np.int16), result),
        (depth, result.astype(np.float32)),
        (depth[:, ::-1], result),
        (depth, result[:, ::-1]),
    ):
        with pytest.raises((ValueError, BufferError)):
            registration.make(wrong_depth, wrong_result)
