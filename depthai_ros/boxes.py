"""Compares boxes in an image."""

from __future__ import annotations

Box = tuple[float, float, float, float]  # left, top, right, bottom


def overlap(one: Box, other: Box) -> float:
    """Intersection over union (IoU) of two boxes, 0..1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (areas - shared)
