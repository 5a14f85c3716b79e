"""The values that a message may hold. A packet with any other value is rejected as a whole.

A NaN or an impossible size means that the payload is not what it should be, so that nothing else in
it can be trusted either. Positions are the exception: one that is not finite, or too far away, is
"not measured" (`detected_boxes.is_measured`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bounded import number
from ..errors import DecodeError

Limits = Mapping[str, tuple[float, float]]

#: Of a detection: edges in widths and heights of the image, later clipped to it.
DETECTION_LIMITS: Limits = {
    "confidence": (0.0, 1.01),  # of half precision, rounded up
    **dict.fromkeys(("x_min", "y_min", "x_max", "y_max"), (-100.0, 100.0)),
}
#: Of a tracklet: edges in px, later clipped to the image.
TRACKLET_LIMITS: Limits = dict.fromkeys(("left", "top", "right", "bottom"), (-1e6, 1e6))
#: Of a chip, °C.
TEMPERATURE_LIMITS_C = (-100.0, 200.0)
#: Largest coordinate of a measured position; depth ends at 65 m.
FARTHEST_M = 1000.0

#: Fields of a box: the first may not exceed the second.
_EDGES = (("x_min", "x_max"), ("y_min", "y_max"), ("left", "right"), ("top", "bottom"))


def check_records(what: str, rows: NDArray[Any], limits: Limits) -> NDArray[Any]:
    """The rows of a structured array, unchanged.

    Shape   (count,) wire_formats.DETECTION or TRACKLET
    Raises  DecodeError for a value outside the limits, NaN included, and for an inverted box
    """
    for name, (low, high) in limits.items():
        for row in np.flatnonzero(~((rows[name] >= low) & (rows[name] <= high))):
            number(rows[name][row].item(), f"{what} {row}: {name}", low, high)
    for low_edge, high_edge in _EDGES:
        if low_edge not in limits:
            continue
        for row in np.flatnonzero(rows[low_edge] > rows[high_edge]):
            raise DecodeError(
                f"{what} {row}: {low_edge} is {rows[low_edge][row]:g}, must not exceed "
                f"{high_edge}, which is {rows[high_edge][row]:g}"
            )
    return rows
