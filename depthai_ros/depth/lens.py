"""Rays of pixels, and where the pixels of a rectified image lie in the raw image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..calibration.camera_model import CameraModel, Matrix

Pixels = NDArray[np.float32]


def is_ideal(model: CameraModel) -> bool:
    """True if the raw image is the rectified one: no distortion, no rotation, K as P."""
    is_rotated = not np.array_equal(model.r, np.eye(3))
    return not (model.d.any() or is_rotated) and np.array_equal(model.k, model.p[:, :3])


def rays(side: int, focal: float, center: float, decimation: int = 1) -> NDArray[np.float32]:
    """Slopes of the rays through the chosen pixel of each block along one side."""
    pixels = np.arange(side // decimation) * decimation + decimation // 2
    return ((pixels - center) / focal).astype(np.float32)


def nearest_pixels(x: Pixels, y: Pixels) -> NDArray[np.int32]:
    """Index of the pixel nearest to each place in an image of the same shape, -1 = outside."""
    height, width = x.shape
    columns, rows = np.rint(x), np.rint(y)
    is_inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    index = np.where(is_inside, rows, 0).astype(np.int32) * width
    index += np.where(is_inside, columns, 0).astype(np.int32)
    return np.where(is_inside, index, -1).astype(np.int32)


def raw_pixels(model: CameraModel) -> tuple[Pixels, Pixels]:
    """x and y in the raw image, (H, W) in px, of each pixel of the rectified image.

    NaN where the rectified pixel looks to the side or backwards. The model has to be checked.
    Source  OpenCV, initUndistortRectifyMap and fisheye::initUndistortRectifyMap
    """
    to_ray = np.linalg.inv(model.p[:, :3] @ model.r)
    columns = np.arange(model.width, dtype=np.float64)
    found = np.empty((2, model.height, model.width), np.float32)
    for row in range(model.height):
        ray = to_ray @ np.stack([columns, np.full_like(columns, row), np.ones_like(columns)])
        with np.errstate(all="ignore"):
            depth = np.where(ray[2] > 0, ray[2], np.nan)
            x, y = _distorted(model, ray[0] / depth, ray[1] / depth)
            found[0, row] = model.k[0, 0] * x + model.k[0, 2]
            found[1, row] = model.k[1, 1] * y + model.k[1, 2]
    return found[0], found[1]


def _distorted(model: CameraModel, x: Matrix, y: Matrix) -> tuple[Matrix, Matrix]:
    if model.distortion_model == "equidistant":
        return _equidistant(model.d, x, y)
    k1, k2, p1, p2, k3, k4, k5, k6 = np.concatenate([model.d, np.zeros(8 - model.d.size)])
    xx, yy, xy = x * x, y * y, 2 * x * y
    rr = xx + yy
    radial = (1 + ((k3 * rr + k2) * rr + k1) * rr) / (1 + ((k6 * rr + k5) * rr + k4) * rr)
    return (
        x * radial + p1 * xy + p2 * (rr + 2 * xx),
        y * radial + p1 * (rr + 2 * yy) + p2 * xy,
    )


def _equidistant(d: Matrix, x: Matrix, y: Matrix) -> tuple[Matrix, Matrix]:
    k1, k2, k3, k4 = d
    radius = np.hypot(x, y)
    angle = np.arctan(radius)
    tt = angle * angle
    bent = angle * (1 + tt * (k1 + tt * (k2 + tt * (k3 + tt * k4))))
    scale = np.divide(bent, radius, out=np.ones_like(radius), where=radius > 0)
    return x * scale, y * scale
