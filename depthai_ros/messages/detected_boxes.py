"""What the records of detections and tracklets mean: boxes in the preview, positions, sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..boxes import Box
from .value_limits import FARTHEST_M


def device_xyz_to_optical(row: Any) -> NDArray[np.float64]:
    """Position of one detection; Gen1 devices measure in optical axes.

    Shape   (3,): x right, y down, z forward
    Units   m
    Source  docs/wire_format.md#detections
    """
    with np.errstate(invalid="ignore"):  # a signalling NaN; the caller checks for NaN
        return np.array([row["x_m"], row["y_m"], row["z_m"]], np.float64)


def is_measured(position: NDArray[np.float64]) -> bool:
    """False if the device had no depth in the box, or reports an impossible position."""
    return bool((np.abs(position) <= FARTHEST_M).all() and position[2] > 0.0)  # False for NaN


def pixel_box(row: Any, size: tuple[int, int]) -> Box:
    """Box of one detection in px, clipped to the image, not rounded."""
    width, height = size
    edges = [min(max(float(row[edge]), 0.0), 1.0) for edge in _EDGES]
    return edges[0] * width, edges[1] * height, edges[2] * width, edges[3] * height


_EDGES = ("x_min", "y_min", "x_max", "y_max")


def unmirrored(boxes: NDArray[Any]) -> NDArray[Any]:
    """Detections in the upright image, converted from the mirrored one.

    Shape   (count,) wire_formats.DETECTION -> the same, a copy
    """
    turned = boxes.copy()
    turned["x_min"], turned["x_max"] = 1 - boxes["x_max"], 1 - boxes["x_min"]
    return turned


def unmirrored_tracklets(rows: NDArray[Any], width: int) -> NDArray[Any]:
    """Tracklets in the upright image of `width`, converted from the mirrored one.

    Shape   (count,) wire_formats.TRACKLET -> the same, a copy
    """
    turned = rows.copy()
    turned["left"], turned["right"] = width - rows["right"], width - rows["left"]
    return turned


def has_area(box: Box) -> bool:
    """True if the box has an area."""
    return box[2] > box[0] and box[3] > box[1]


def metric_size(
    box: Box, depth_m: float, focal_px: tuple[float, float]
) -> tuple[float, float, float]:
    """Size of a box in metres; zero if the preview's focal length is not known.

    The extent along z is unknown, and the smaller of the two others.
    """
    if min(focal_px) <= 0.0:
        return 0.0, 0.0, 0.0
    width = (box[2] - box[0]) * depth_m / focal_px[0]
    height = (box[3] - box[1]) * depth_m / focal_px[1]
    return width, height, min(width, height)
