"""Depth as the rgb camera would see it: registered pixel by pixel to its rectified image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..bounded import describe, is_whole
from ..calibration.camera_model import CameraModel, Matrix, single_camera
from ..errors import ConfigError
from .checks import check_pose, check_raw, check_rectified, check_shape
from .lens import rays

#: The most pixels of the target, along one side, that a pixel of the depth may cover at a distance
#: that is large compared with that of the cameras.
_LARGEST_SCALE = 64.0
_MM_PER_M = 1000.0


class Registration:
    """Warps depth of one rectified camera into the rectified rgb camera, the nearest wins.

    `rgb_from_depth` is the pose of the depth's frame in the frame of the rgb camera, 4x4, m. The
    result has the aspect of the rgb image and is at most `width` px wide. Each object keeps its own
    memory: one thread at a time.
    Raises  ConfigError
    """

    def __init__(
        self,
        depth_model: CameraModel,
        rgb_model: CameraModel,
        rgb_from_depth: Matrix,
        *,
        width: int,
    ) -> None:
        check_rectified("depth camera", depth_model)
        check_raw("rgb camera", rgb_model)
        check_pose("pose of rgb", rgb_from_depth)
        if not is_whole(width, 1):
            raise ConfigError(f"width is {describe(width)}, must be an integer above 0")
        self._model = _target(rgb_model, width)
        p = depth_model.p
        scale = max(self._model.k[axis, axis] / p[axis, axis] for axis in (0, 1))
        if scale > _LARGEST_SCALE:
            raise ConfigError(
                f"a pixel of the depth is {scale:.0f} pixels of the rgb camera wide, at most "
                f"{_LARGEST_SCALE:.0f} are possible. Compare p of both cameras"
            )
        self._depth_shape = depth_model.height, depth_model.width
        self._columns = rays(depth_model.width, p[0, 0], p[0, 2])
        self._rows = rays(depth_model.height, p[1, 1], p[1, 2])
        pose = rgb_from_depth[:3] * [1, 1, 1, _MM_PER_M]
        self._projection = (self._model.k @ rgb_model.r @ pose).astype(np.float32)
        self._scratch = np.empty(10 * depth_model.width, np.float32)

    @property
    def model(self) -> CameraModel:
        """The camera of the result: rectified, without distortion."""
        return self._model

    def make(self, depth: NDArray[np.uint16], destination: NDArray[np.uint16]) -> None:
        """Write the registered depth, (height, width) of `model` in mm, 0 = not measured.

        Raises  ConfigError for depth of another size than its camera's, ValueError
        """
        check_shape("depth", depth, self._depth_shape)
        check_shape("registered depth", destination, (self._model.height, self._model.width))
        _core.register_depth(
            depth=depth,
            columns=self._columns,
            rows=self._rows,
            projection=self._projection,
            scratch=self._scratch,
            destination=destination,
        )


def _target(rgb: CameraModel, width: int) -> CameraModel:
    """The rectified camera, scaled to at most `width`."""
    size = rgb.width, rgb.height
    if width < rgb.width:
        size = width, max(1, round(rgb.height * width / rgb.width))
    return single_camera(size, rgb.resized(*size).p[:, :3], np.zeros(14))
