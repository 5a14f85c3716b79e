"""Rectification on the host: raw images into the rectified camera of their camera_info."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..calibration.camera_model import CameraModel
from .checks import check_raw
from .lens import raw_pixels


class Rectifier:
    """Removes the distortion of one camera (K, D) and rotates its image (R) into the camera P.

    The result has the size of the raw image; what the raw image does not show is 0. The first image
    makes the tables, which takes a tenth of a second at 1280x720: a start without subscribers does
    without them.
    Raises  ConfigError
    """

    def __init__(self, model: CameraModel) -> None:
        check_raw("camera", model)
        self._model = model

    @cached_property
    def _remap(self) -> _core.Remap:
        x, y = raw_pixels(self._model)
        return _core.Remap(x=x, y=y, width=self._model.width, height=self._model.height)

    def make(self, source: NDArray[np.uint8], destination: NDArray[np.uint8]) -> None:
        """Rectify mono8 (H, W) or bgr8 (H, W, 3), into an array of the same shape.

        Raises  ValueError for images of another size or type
        """
        self._remap.apply(source=source, destination=destination)
