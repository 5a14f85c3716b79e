"""Compares boxes in an image."""

from __future__ import annotations

from collections.abc import Iterable

Box = tuple[float, float, float, float]  # left, top, right, bottom

#: Two boxes of one object share at least this much.
SAME_OBJECT_IOU = 0.3


def overlap(one: Box, other: Box) -> float:
    """Intersection over union (IoU) of two boxes, 0..1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    both = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - shared
    return shared / both if both > 0 else 0.0  # an area may be too small for a float


def same_object(box: Box, others: Iterable[tuple[Box, str]]) -> str:
    """Name of the box that shares most with this one; "" if none is of the same object."""
    shared, name = max(((overlap(box, other), name) for other, name in others), default=(0.0, ""))
    return name if shared >= SAME_OBJECT_IOU else ""
