"""Depth without the distortion of the lenses, which a Gen1 device leaves in its images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..calibration.camera_model import CameraModel, Matrix
from .checks import check_raw, check_shape
from .lens import nearest_pixels, raw_pixels

Columns = NDArray[np.float32]

#: Distance of the places at which the inverse of a lens is computed, px; linear between them.
_GRID_PX = 4
#: Steps of the inversion; each divides its error by about twenty.
_STEPS = 5


class DepthUndistortion:
    """Moves depth to the rectified right camera of its camera_info, and corrects its disparity.

    The device rectifies raw images by a homography alone: a pixel of its depth lies beside the
    ray of camera_info, and its disparity is the difference of two columns that the lenses have
    moved. `left` and `right` are the models of the cameras, `homographies` map their raw pixels to
    those of the device's rectified images.
    Raises  ConfigError
    """

    def __init__(
        self,
        left: CameraModel,
        right: CameraModel,
        homographies: tuple[Matrix, Matrix],
        *,
        measured: float,
        undistorted: float,
    ) -> None:
        """`measured`, `undistorted`: disparity (px) times depth (mm) of the device, and truly."""
        check_raw("left camera", left)
        check_raw("right camera", right)
        self._shape = right.height, right.width
        self._scales = measured, undistorted
        moved = [_moved(*row) for row in zip((left, right), homographies, strict=True)]
        self._left, shift = (_shift_back(*places) for places in moved)
        self._places = nearest_pixels(*moved[1])
        self._right = np.take(shift, self._places, mode="clip")

    def make(self, depth: NDArray[np.uint16], destination: NDArray[np.uint16]) -> None:
        """Write the depth without distortion, mm, 0 = not measured.

        Raises  ConfigError for depth of another size than the cameras', ValueError
        """
        check_shape("depth", depth, self._shape)
        _core.undistort_depth(
            depth=depth,
            places=self._places,
            left=self._left,
            right=self._right,
            destination=destination,
            measured=self._scales[0],
            undistorted=self._scales[1],
        )

    def image(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """An image that fits the device's depth, as it fits the depth without distortion.

        Shape   (H, W) uint8 -> (H, W) uint8; 0 where the device shows nothing
        """
        check_shape("image", pixels, self._shape)
        return np.where(self._places < 0, 0, np.take(pixels, self._places, mode="clip"))


def _moved(model: CameraModel, homography: Matrix) -> tuple[Columns, Columns]:
    """x and y in the device's rectified image of each pixel of the image without distortion."""
    x, y = raw_pixels(model)
    u, v, w = np.tensordot(homography, np.stack([x, y, np.ones_like(x)]), axes=1)
    with np.errstate(all="ignore"):
        return (u / w).astype(np.float32), (v / w).astype(np.float32)


def _shift_back(x: Columns, y: Columns) -> Columns:
    """Column without distortion minus column, of each pixel of the device's image.

    The inverse of the moved places, by a fixed point iteration on a grid.
    """
    height, width = x.shape
    across: Matrix = x.astype(np.float64) - np.arange(width)
    down: Matrix = y.astype(np.float64) - np.arange(height)[:, None]
    rows, columns = (np.linspace(0, side - 1, max(2, side // _GRID_PX)) for side in (height, width))
    v, u = np.meshgrid(rows, columns, indexing="ij")
    target_u, target_v = u.copy(), v.copy()
    for _ in range(_STEPS):
        here = _between(u, width), _between(v, height)
        u, v = target_u - _sampled(across, *here), target_v - _sampled(down, *here)
    coarse = u - target_u
    spread = _weights(rows, height) @ coarse @ _weights(columns, width).T
    return np.ascontiguousarray(spread, np.float32)


def _between(places: Matrix, side: int) -> tuple[NDArray[np.intp], Matrix]:
    """Index of the pixel before each place, and the part of the way to the next; clipped."""
    inside = np.clip(np.nan_to_num(places), 0, side - 1.001)
    whole = inside.astype(np.intp)
    return whole, inside - whole


def _sampled(
    values: Matrix, across: tuple[NDArray[np.intp], Matrix], down: tuple[NDArray[np.intp], Matrix]
) -> Matrix:
    """Bilinear."""
    (i, a), (j, b) = across, down
    top = values[j, i] * (1 - a) + values[j, i + 1] * a
    bottom = values[j + 1, i] * (1 - a) + values[j + 1, i + 1] * a
    return np.asarray(top * (1 - b) + bottom * b)


def _weights(places: Matrix, side: int) -> Matrix:
    """Linear interpolation from values at these places to every pixel, (side, len(places))."""
    per_px = 1.0 / float(places[1] - places[0])
    distance = np.abs(np.arange(side)[:, None] - places[None]) * per_px
    return np.asarray(np.maximum(0.0, 1.0 - distance), np.float64)
