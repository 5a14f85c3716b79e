"""Point clouds against the formulas in numpy and OpenCV."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from depth_cameras import BAD_LENSES, BAD_MODELS, BAD_POSES, LENSES, camera, posed, turned

from depthai_ros import _core
from depthai_ros.calibration.camera_model import CameraModel, uncalibrated
from depthai_ros.depth.cloud import ColorProjection, PointCloudMaker
from depthai_ros.errors import ConfigError

RANDOM = np.random.default_rng(16)
SIZES = [(2, 2), (3, 2), (37, 21), (600, 9)]
IDENTITY = np.eye(4)


def random_depth(size: tuple[int, int], highest: int = 65535) -> Any:
    """A third of it is not measured."""
    depth = RANDOM.integers(1, highest + 1, size[::-1])
    return np.where(RANDOM.random(size[::-1]) < 1 / 3, 0, depth).astype(np.uint16)


def cloud_of(maker: PointCloudMaker, depth: Any, *color: Any) -> Any:
    """The points, in memory that held something else."""
    points = np.full((*maker.shape, 4), 7.0, np.float32)
    maker.make(depth, points, *color)
    return points


def chosen(image: Any, n: int) -> Any:
    """The pixel of each whole block."""
    height, width = (side // n for side in image.shape[:2])
    return image[n // 2 :: n, n // 2 :: n][:height, :width]


def colors_of(points: Any) -> Any:
    """(H, W, 3) blue, green, red."""
    bits = points[..., 3].copy().view(np.uint32)
    assert not (bits >> 24).any()
    return np.stack([bits >> shift & 255 for shift in (0, 8, 16)], axis=-1).astype(np.uint8)


def ray_points(model: CameraModel, depth: Any) -> Any:
    """Every pixel's point, by the formula."""
    v, u = np.indices(depth.shape)
    z = np.where(depth > 0, depth / 1000.0, np.nan)
    p = model.p
    return np.stack([(u - p[0, 2]) / p[0, 0] * z, (v - p[1, 2]) / p[1, 1] * z, z], axis=-1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_points_lie_on_the_rays_of_their_pixels(size: tuple[int, int], n: int) -> None:
    model = camera(size, lens="plumb_bob")
    if n > min(size):
        with pytest.raises(ConfigError, match=f"decimation is {n} "):
            PointCloudMaker(model, decimation=n, max_depth_m=10.0)
        return
    depth = random_depth(size)
    maker = PointCloudMaker(model, decimation=n, max_depth_m=100.0)
    assert maker.shape == (size[1] // n, size[0] // n)
    points = cloud_of(maker, depth)
    expected = chosen(ray_points(model, np.where(depth > 65534, 0, depth)), n)
    np.testing.assert_allclose(points[..., :3], expected, rtol=1e-6, atol=1e-6)
    assert not points[..., 3].view(np.uint32).any()


def test_camera_info_projects_each_point_onto_its_pixel() -> None:
    model = camera((641, 401))
    points = cloud_of(
        PointCloudMaker(model, decimation=2, max_depth_m=65.0), np.full((401, 641), 65000, "u2")
    )
    u = model.p[0, 0] * points[..., 0] / points[..., 2] + model.p[0, 2]
    v = model.p[1, 1] * points[..., 1] / points[..., 2] + model.p[1, 2]
    rows, columns = np.indices(points.shape[:2])
    assert np.abs(u - (2 * columns + 1)).max() < 1e-3
    assert np.abs(v - (2 * rows + 1)).max() < 1e-3


def test_depth_that_is_not_measured_or_too_far_is_nan_in_all_three() -> None:
    depth = np.array([[0, 1, 2299, 2300, 2301, 65535, 0, 0, 9]], np.uint16)
    maker = PointCloudMaker(camera((9, 1)), decimation=1, max_depth_m=2.3)
    missing = np.isnan(cloud_of(maker, depth)[0, :, :3])
    expected = [True, False, False, False, True, True, True, True, False]
    assert missing.tolist() == [[value] * 3 for value in expected]
    assert np.isnan(cloud_of(maker, np.zeros_like(depth))[..., :3]).all()
    deep = PointCloudMaker(camera((9, 1)), decimation=1, max_depth_m=1e9)
    assert np.isnan(cloud_of(deep, depth)[0, 5, 2])  # 65535 is no distance


@pytest.mark.parametrize("n", [1, 2, 5])
def test_mono_image_gives_each_point_the_level_of_its_pixel(n: int) -> None:
    depth, mono = random_depth((601, 23)), RANDOM.integers(0, 256, (23, 601), np.uint8)
    maker = PointCloudMaker(camera((601, 23)), decimation=n, max_depth_m=9.0)
    points = cloud_of(maker, depth, mono)
    assert np.array_equal(colors_of(points), np.repeat(chosen(mono, n)[..., None], 3, axis=-1))
    assert np.array_equal(points[..., :3], cloud_of(maker, depth)[..., :3], equal_nan=True)


def seen_by(rgb: CameraModel, points: Any, rgb_from_depth: Any) -> Any:
    """Raw pixel (x, y) of each point, by OpenCV; NaN behind the camera."""
    inside = points.reshape(-1, 3) @ rgb_from_depth[:3, :3].T + rgb_from_depth[:3, 3]
    project = cv2.fisheye.projectPoints if rgb.distortion_model == "equidistant" else None
    zero = np.zeros(3)
    found = (
        project(inside[:, None], zero, zero, rgb.k, rgb.d)[0]
        if project
        else cv2.projectPoints(inside, zero, zero, rgb.k, rgb.d)[0]
    ).reshape(points.shape[:-1] + (2,))
    return np.where(inside[:, 2].reshape(points.shape[:-1] + (1,)) > 0, found, np.nan)


@pytest.mark.parametrize("lens", ["", *LENSES])
def test_rgb_image_colours_each_point_as_its_lens_sees_it(lens: str) -> None:
    """The image's colours are its own pixel coordinates; the table has whole pixels."""
    rgb = camera((190, 170), 60.0, lens)
    pose = posed(turned(1, -2, 3), 0.04, -0.01, 0.02)
    maker = PointCloudMaker(camera((80, 60), 80.0), decimation=1, max_depth_m=9.0)
    depth = RANDOM.integers(200, 4000, (60, 80), np.uint16)
    rows, columns = np.indices((170, 190))
    image = np.stack([columns, rows, np.full_like(rows, 200)], axis=-1).astype(np.uint8)
    points = cloud_of(maker, depth, image, ColorProjection(rgb, pose))
    colors = colors_of(points).astype(int)
    expected = seen_by(rgb, points[..., :3].astype(np.float64), pose)
    is_colored = colors[..., 2] == 200
    assert np.abs(colors[..., :2] - expected)[is_colored].max() < (1.3 if lens else 0.51)
    rectified = points[..., :3] @ (rgb.p[:, :3] @ rgb.r @ pose[:3, :3]).T
    rectified += rgb.p[:, :3] @ rgb.r @ pose[:3, 3]
    both = np.concatenate([expected, rectified[..., :2] / rectified[..., 2:]], axis=-1)
    most, margin = np.array([189, 169, 189, 169]), 1.3 if lens else 0.51
    inside = ((both > margin) & (both < most - margin)).all(axis=-1)
    outside = ((both < -margin) | (both > most + margin)).any(axis=-1)
    assert is_colored[inside].all()
    assert not colors[outside].any()
    assert min(inside.mean(), outside.mean()) > 0.3


def test_points_that_the_rgb_camera_cannot_see_have_no_colour() -> None:
    image = np.full((40, 60, 3), 255, np.uint8)
    depth = np.full((40, 60), 1000, np.uint16)
    depth[0, 0] = 0
    maker = PointCloudMaker(camera((60, 40)), decimation=1, max_depth_m=9.0)
    for pose, share in (
        (IDENTITY, 1 - 1 / depth.size),
        (posed(turned(0, 180, 0)), 0.0),  # behind
        (posed(np.eye(3), 0, 0, -1.0), 0.0),  # in its plane
        (posed(np.eye(3), 9.0, 0, 0), 0.0),  # to the side
    ):
        points = cloud_of(maker, depth, image, ColorProjection(camera((60, 40)), pose))
        assert (colors_of(points) == 255).all(axis=-1).mean() == pytest.approx(share)


@pytest.mark.parametrize("bad", [0, -1, 17, 2.0, True, "2", 10**30])
def test_decimation_that_is_none_is_refused(bad: Any) -> None:
    with pytest.raises(ConfigError, match=r"decimation is .*, must be from 1 to 16"):
        PointCloudMaker(camera((640, 400)), decimation=bad, max_depth_m=5.0)


@pytest.mark.parametrize("bad", [0, -1.0, float("nan"), float("inf"), True, "5"])
def test_limit_that_is_no_distance_is_refused(bad: Any) -> None:
    with pytest.raises(ConfigError, match="max_depth_m is"):
        PointCloudMaker(camera((640, 400)), decimation=1, max_depth_m=bad)


@pytest.mark.parametrize(("changes", "words"), BAD_MODELS)
def test_camera_without_a_usable_projection_is_refused(changes: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=f"depth camera: .*{words}"):
        PointCloudMaker(replace(camera((64, 40)), **changes), decimation=1, max_depth_m=5.0)
    with pytest.raises(ConfigError, match="not calibrated"):
        PointCloudMaker(uncalibrated((64, 40)), decimation=1, max_depth_m=5.0)


@pytest.mark.parametrize(("changes", "words"), BAD_LENSES)
def test_rgb_camera_that_is_not_calibrated_is_refused(changes: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=f"rgb camera: .*{words}"):
        ColorProjection(replace(camera((64, 40)), **changes), IDENTITY)


@pytest.mark.parametrize(("pose", "words"), BAD_POSES)
def test_pose_that_is_none_is_refused(pose: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=f"pose of rgb.*{words}"):
        ColorProjection(camera((64, 40)), pose)


def test_images_of_another_size_are_refused() -> None:
    maker = PointCloudMaker(camera((64, 40)), decimation=3, max_depth_m=5.0)
    points = np.zeros((*maker.shape, 4), np.float32)
    depth, projection = np.zeros((40, 64), np.uint16), ColorProjection(camera((32, 20)), IDENTITY)
    maker.make(depth, points)
    with pytest.raises(ConfigError, match="depth has the shape"):
        maker.make(np.zeros((41, 65), np.uint16), points)
    with pytest.raises(ConfigError, match="rgb image has the shape"):
        maker.make(depth, points, np.zeros((40, 64, 3), np.uint8), projection)
    for color in (np.zeros((20, 32), np.uint8), np.zeros((40, 64, 3), np.uint8)):
        with pytest.raises(ValueError, match="of the size of the depth"):
            maker.make(depth, points, color)


def test_arrays_that_are_not_contiguous_or_of_another_type_are_refused() -> None:
    maker = PointCloudMaker(camera((64, 40)), decimation=1, max_depth_m=5.0)
    depth, points = np.zeros((40, 64), np.uint16), np.zeros((40, 64, 4), np.float32)
    for wrong_depth, wrong_points in (
        (depth[:, ::-1], points),
        (depth.astype(np.int16), points),
        (depth, points[:, ::-1]),
        (depth, points.astype(np.float64)),
        (depth, points[..., :3].copy()),
        (depth, np.zeros((40, 65, 4), np.float32)),
    ):
        with pytest.raises((ValueError, BufferError)):
            maker.make(wrong_depth, wrong_points)


def test_table_of_pixels_may_hold_anything() -> None:
    """The core checks each index."""
    table = np.array([[-1, -(2**31), 2**31 - 1], [6, 5, 0]], np.int32)
    image = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    points = np.empty((2, 3, 4), np.float32)
    _core.points(
        depth=np.full((2, 3), 1000, np.uint16), columns=np.arange(3, dtype=np.float32),
        rows=np.arange(2, dtype=np.float32), destination=points, limit=9000, image=image,
        projection=np.eye(3, 4, dtype=np.float32), pixels=table,
    )  # fmt: skip
    assert colors_of(points).reshape(-1, 3).tolist() == [[0] * 3] * 4 + [[15, 16, 17], [0, 1, 2]]
