"""Rectification on the host against OpenCV."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from depth_cameras import BAD_LENSES, LENSES, camera, turned

from depthai_ros import _core
from depthai_ros.calibration.camera_model import CameraModel, projection
from depthai_ros.depth.lens import is_ideal, raw_pixels
from depthai_ros.depth.rectification import Rectifier
from depthai_ros.errors import ConfigError

RANDOM = np.random.default_rng(18)
SIZES = [(4, 4), (5, 7), (257, 31), (640, 400)]


def random_image(shape: tuple[int, ...]) -> Any:
    """Noise, the worst case for interpolation."""
    return RANDOM.integers(0, 256, shape, np.uint8)


def opencv_pixels(model: CameraModel) -> Any:
    """x and y of OpenCV."""
    make = cv2.initUndistortRectifyMap
    if model.distortion_model == "equidistant":
        make = cv2.fisheye.initUndistortRectifyMap
    size = model.width, model.height
    return make(model.k, model.d, model.r, model.p[:, :3], size, cv2.CV_32FC1)


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("fov_deg", [30.0, 70.0, 110.0])
def test_pixels_are_those_of_opencv(lens: str, fov_deg: float) -> None:
    model = camera((640, 400), fov_deg, lens)
    for found, expected in zip(raw_pixels(model), opencv_pixels(model), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-3)


def test_pixels_of_rays_to_the_side_or_backwards_are_none() -> None:
    for degrees, share in ((90, 0.5), (180, 1.0)):
        model = camera((64, 40), 70.0, "plumb_bob", r=turned(0, degrees, 0))
        x, y = raw_pixels(model)
        assert np.isnan(x).mean() == pytest.approx(share, abs=0.06)
        assert np.array_equal(np.isnan(x), np.isnan(y))


def test_ideal_camera_has_its_own_pixels() -> None:
    model = camera((64, 40))
    assert is_ideal(model)
    for other in (
        camera((64, 40), lens="plumb_bob"),
        replace(model, r=turned(0, 0, 1)),
        replace(model, p=projection(model.k * [[1.01], [1], [1]])),
    ):
        assert not is_ideal(other)
    for shape in ((40, 64), (40, 64, 3)):
        image, result = random_image(shape), np.empty(shape, np.uint8)
        Rectifier(model).make(image, result)
        assert np.array_equal(image, result)


def remapped(x: Any, y: Any, image: Any) -> tuple[Any, Any]:
    """Our result and OpenCV's, with the same fixed-point maps."""
    height, width = image.shape[:2]
    result = np.full(x.shape + image.shape[2:], 99, np.uint8)
    _core.Remap(x=x, y=y, width=width, height=height).apply(source=image, destination=result)
    fixed = cv2.convertMaps(x, y, cv2.CV_16SC2)
    return result, cv2.remap(image, *fixed, cv2.INTER_LINEAR)


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("target", [(1, 1), (300, 13)])
def test_result_is_that_of_opencv_within_one_level(
    channels: tuple[int, ...], size: tuple[int, int], target: tuple[int, int]
) -> None:
    """Places all over the image, its border, and outside."""
    x, y = ((RANDOM.random(target) * (side + 8) - 4).astype(np.float32) for side in size)
    ours, expected = remapped(x, y, random_image(size[::-1] + channels))
    assert np.abs(ours.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("channels", [(), (3,)])
def test_border_and_corners_are_those_of_opencv(channels: tuple[int, ...]) -> None:
    """Every 1/32 px around the last pixels, where half of a place is outside."""
    image = random_image((9, 11, *channels))
    steps = np.arange(-48, 49, dtype=np.float32) / 32
    for x0 in (0, 10):
        for y0 in (0, 8):
            x, y = np.meshgrid(steps + x0, steps + y0)
            ours, expected = remapped(x, y, image)
            assert np.abs(ours.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("channels", [(), (3,)])
def test_rectified_image_is_that_of_opencv(lens: str, channels: tuple[int, ...]) -> None:
    """A smooth image: 1/32 px more or less, from rounding, is less than a level."""
    model = camera((320, 200), 80.0, lens)
    image = cv2.GaussianBlur(random_image((200, 320, *channels)), (0, 0), 12)
    result = np.full_like(image, 99)
    Rectifier(model).make(image, result)
    expected = cv2.remap(image, *opencv_pixels(model), cv2.INTER_LINEAR)
    assert np.abs(result.astype(int) - expected).max() <= 1


def test_places_that_are_none_are_outside() -> None:
    image = np.full((8, 8), 255, np.uint8)
    for value in (np.nan, np.inf, -np.inf, 1e30, -1e30, -1.0, 8.0):
        bad, good = np.full((3, 40), value, np.float32), np.ones((3, 40), np.float32)
        for x, y in ((bad, good), (good, bad), (bad, bad)):
            result = np.full((3, 40), 9, np.uint8)
            _core.Remap(x=x, y=y, width=8, height=8).apply(source=image, destination=result)
            assert not result.any()


@pytest.mark.parametrize(("changes", "words"), BAD_LENSES)
def test_camera_that_is_not_calibrated_is_refused(changes: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=f"camera: .*{words}"):
        Rectifier(replace(camera((64, 40)), **changes))


def test_images_of_another_size_or_type_are_refused() -> None:
    rectifier = Rectifier(camera((64, 40), lens="plumb_bob"))
    image = np.zeros((40, 64), np.uint8)
    rectifier.make(image, image.copy())
    for source, destination in (
        (image, image),
        (image[1:], image.copy()),
        (image, image[1:].copy()),
        (image, np.zeros((40, 64, 3), np.uint8)),
        (np.zeros((40, 64, 4), np.uint8), np.zeros((40, 64, 4), np.uint8)),
        (np.zeros((40, 64, 1), np.uint8), np.zeros((40, 64, 1), np.uint8)),
        (image.astype(np.int8), image.copy()),
        (image[:, ::-1], image.copy()),
    ):
        with pytest.raises((ValueError, BufferError)):
            rectifier.make(source, destination)


def test_tables_of_another_shape_or_type_are_refused() -> None:
    x = np.zeros((4, 6), np.float32)
    for columns, rows, width, height in (
        (x, x[1:], 8, 8),
        (x, x.astype(np.float64), 8, 8),
        (x.ravel(), x.ravel(), 8, 8),
        (x, x, 3, 8),
        (x, x, 8, 0),
        (x, x, 1 << 20, 1 << 20),
    ):
        with pytest.raises(ValueError, match="Remap: "):
            _core.Remap(x=columns, y=rows, width=width, height=height)
