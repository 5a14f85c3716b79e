"""The aloe pair of Debian's opencv-doc: disparity of real images, with ground truth.

The pair has no intrinsics: depth is only a way to carry disparity through the filters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from depthai_ros.calibration.camera_model import CameraModel, single_camera
from depthai_ros.depth.filters import DepthFilters
from depthai_ros.virtual.scenes.stereo import match_right

Depth = NDArray[np.uint16]

SAMPLES = Path("/usr/share/doc/opencv-doc/examples/data")
#: The images are used at this share of their size: then the disparities are less than 96 px.
_SHARE = 0.5
#: Disparity times depth; so large that depth in whole mm changes disparity by at most 0.03 px.
_FOCAL_PX, _BASELINE_M = 1000.0, 0.15
_SCALE = _FOCAL_PX * _BASELINE_M * 1000
#: A larger error is a wrong match, px.
_WRONG_PX = 2.0


@dataclass(frozen=True)
class AloeFigures:
    """Disparity against ground truth."""

    rmse_px: float  # without wrong matches
    wrong: float  # wrong matches, percent of what is measured
    fill: float  # percent of the pixels

    def texts(self) -> dict[str, str]:
        """For a table."""
        return {name: f"{value:.2f}" for name, value in vars(self).items()}


def _image(name: str, flags: int) -> NDArray[np.uint8]:
    image = cv2.imread(str(SAMPLES / name), flags)
    if image is None:
        raise SystemExit(f"cannot read {SAMPLES / name}")
    return np.asarray(image, np.uint8)


@cache
def _measured() -> Depth:
    """Depth of the right image by the virtual device's matcher."""
    left, right = (
        cv2.resize(
            _image(name, cv2.IMREAD_GRAYSCALE), None, fx=_SHARE, fy=_SHARE,
            interpolation=cv2.INTER_AREA,
        )
        for name in ("aloeL.jpg", "aloeR.jpg")
    )  # fmt: skip
    disparity = match_right(np.asarray(left, np.uint8), np.asarray(right, np.uint8))
    depth = np.where(disparity > 2, np.round(_SCALE / np.maximum(disparity, 1)), 0)
    return depth.astype(np.uint16)


def _filtered(settings: Mapping[str, Any]) -> tuple[CameraModel, Depth]:
    depth = _measured()
    height, width = depth.shape
    k = np.array([[_FOCAL_PX, 0, width / 2], [0, _FOCAL_PX, height / 2], [0, 0, 1]])
    model = single_camera((width, height), k, np.zeros(14))
    model.p[0, 3] = -_FOCAL_PX * _BASELINE_M
    chain = DepthFilters(settings, model)
    return chain.model, chain.apply(depth, np.empty(chain.shape, np.uint16), 0)


def aloe_depth(settings: Mapping[str, Any]) -> Depth:
    """The filtered depth, scaled to metres that look like a room's."""
    depth = _filtered(settings)[1]
    return (depth / 2).astype(np.uint16)


def aloe_figures(settings: Mapping[str, Any]) -> AloeFigures:
    """Compare with the ground truth, which belongs to the left image."""
    model, depth = _filtered(settings)
    size = _measured().shape[1] // model.width
    truth = _image("aloeGT.png", cv2.IMREAD_GRAYSCALE)
    rows, columns = np.nonzero(depth)
    disparity = _SCALE / depth[rows, columns]
    # The match of a pixel lies as far right in the left image as its disparity says.
    left = ((columns + 0.5) * size + disparity) / _SHARE - 0.5
    above = (rows + 0.5) * size / _SHARE - 0.5
    inside = (left < truth.shape[1] - 1) & (above < truth.shape[0] - 1)
    found = truth[np.rint(above[inside]).astype(int), np.rint(left[inside]).astype(int)] * _SHARE
    errors = (disparity[inside] - found)[found > 0]
    is_wrong = np.abs(errors) > _WRONG_PX
    return AloeFigures(
        rmse_px=float(np.sqrt((errors[~is_wrong] ** 2).mean())),
        wrong=100 * float(is_wrong.mean()),
        fill=100 * float((depth > 0).mean()),
    )
