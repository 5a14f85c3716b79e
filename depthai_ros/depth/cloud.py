"""Point clouds from depth, written straight into the buffer of a message."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..bounded import describe, is_number, is_whole
from ..calibration.camera_model import CameraModel, Matrix
from ..errors import ConfigError
from .checks import check_pose, check_raw, check_rectified, check_shape
from .lens import is_ideal, nearest_pixels, raw_pixels, rays

#: The largest step between the pixels that become points.
MOST_DECIMATION = 16
#: 65535 mm stands for unknown.
_FARTHEST_MM = 65534


class ColorProjection:
    """Where the rgb camera sees the points of the depth's frame; made once for many clouds.

    `rgb_from_depth` is the pose of the depth's frame in the frame of the rgb camera, 4x4, m.
    Raises  ConfigError
    """

    def __init__(self, rgb_model: CameraModel, rgb_from_depth: Matrix) -> None:
        check_raw("rgb camera", rgb_model)
        check_pose("pose of rgb", rgb_from_depth)
        self.image_shape = (rgb_model.height, rgb_model.width, 3)
        matrix = rgb_model.p[:, :3] @ rgb_model.r @ rgb_from_depth[:3]
        self.matrix = np.ascontiguousarray(matrix, np.float32)
        self._model = rgb_model

    @cached_property
    def pixels(self) -> NDArray[np.int32] | None:
        """Pixel of the rectified image -> index of the raw pixel, -1 = outside; None = the same."""
        return None if is_ideal(self._model) else nearest_pixels(*raw_pixels(self._model))


class PointCloudMaker:
    """Makes clouds of depth images of one rectified camera.

    Of each block of `decimation` x `decimation` pixels the one at index decimation // 2 of both
    sides becomes a point: no depth is averaged, and `model` projects each point onto its pixel.
    Columns and rows that fill no whole block, at the right and at the bottom, give no point.
    Raises  ConfigError
    """

    def __init__(self, model: CameraModel, *, decimation: int, max_depth_m: float) -> None:
        check_rectified("depth camera", model)
        most = min(MOST_DECIMATION, model.width, model.height)
        if not is_whole(decimation, 1, most):
            raise ConfigError(f"decimation is {describe(decimation)}, must be from 1 to {most}")
        if not is_number(max_depth_m, 0.0) or max_depth_m == 0 or math.isinf(max_depth_m):
            raise ConfigError(f"max_depth_m is {describe(max_depth_m)}, must be more than 0")
        self._depth_shape = model.height, model.width
        self._decimation = decimation
        self._limit_mm = int(min(round(1000.0 * max_depth_m, 6), _FARTHEST_MM))
        self._columns = rays(model.width, model.p[0, 0], model.p[0, 2], decimation)
        self._rows = rays(model.height, model.p[1, 1], model.p[1, 2], decimation)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the clouds."""
        return self._rows.size, self._columns.size

    def make(
        self,
        depth: NDArray[np.uint16],
        destination: NDArray[Any],
        color: NDArray[np.uint8] | None = None,
        projection: ColorProjection | None = None,
    ) -> None:
        """Write the points, (*shape, 4) float32: x, y, z in m, and rgb as the bits 0x00RRGGBB.

        `color` is mono8 (H, W) that fits the depth pixel by pixel, or with `projection` bgr8
        (Hc, Wc, 3) as the rgb camera took it. x, y and z are NaN where nothing is measured; rgb is
        0 without `color` and for points that the rgb camera does not see.
        Raises  ConfigError for an image of another size than its camera's, ValueError
        """
        check_shape("depth", depth, self._depth_shape)
        if color is not None and projection is not None:
            check_shape("rgb image", color, projection.image_shape)
        _core.points(
            depth=depth,
            columns=self._columns,
            rows=self._rows,
            destination=destination,
            limit=self._limit_mm,
            decimation=self._decimation,
            image=color,
            projection=None if projection is None else projection.matrix,
            pixels=None if projection is None else projection.pixels,
        )
