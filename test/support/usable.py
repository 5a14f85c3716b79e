"""What every message has to be, whatever the device sent: finite, consistent, and serialisable."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message, serialize_message

#: Field that may be NaN -> the reason, from its message file.
MAY_BE_NAN = {
    **dict.fromkeys(("css_c", "mss_c", "upa0_c", "upa1_c"), "the device has not reported it"),
    "latency_ms": "no frame in the last second",
}
_PIXEL_BYTES = {"mono8": 1, "bgr8": 3, "16UC1": 2, "32FC1": 4}


def assert_usable(message: Any) -> None:
    """Every float is finite, every size agrees with its data, and it can be sent."""
    for name, value in floats(message):
        allowed = math.isnan(value) and name in MAY_BE_NAN
        assert allowed or math.isfinite(value), f"{name} is {value}"
    for part in parts(message):
        if (rule := RULES.get(type(part).__name__)) is not None:
            rule(part)
    deserialize_message(serialize_message(message), type(message))


def parts(message: Any) -> Iterator[Any]:
    """The message and every message inside it."""
    yield message
    for name in message.get_fields_and_field_types():
        value = getattr(message, name)
        for element in value if isinstance(value, list) else [value]:
            if hasattr(element, "get_fields_and_field_types"):
                yield from parts(element)


def floats(message: Any) -> Iterator[tuple[str, float]]:
    """Every float of a message, with the name of its field."""
    for part in parts(message):
        for name, kind in part.get_fields_and_field_types().items():
            value = getattr(part, name)
            if kind in ("float", "double"):
                yield name, value
            elif kind.startswith(("sequence<float", "sequence<double", "float[", "double[")):
                yield from ((name, element) for element in value)


def _image(image: Any) -> None:
    assert image.step == image.width * _PIXEL_BYTES[image.encoding]
    assert len(image.data) == image.step * image.height > 0


def _disparity(message: Any) -> None:
    pixels = np.frombuffer(bytes(message.image.data), np.float32)
    assert np.isfinite(pixels).all()


def _tensor(tensor: Any) -> None:
    size = math.prod(tensor.shape) * np.dtype(tensor.dtype).itemsize
    assert len(tensor.data) == size


def _status(status: Any) -> None:
    lengths = {len(getattr(status, name)) for name in ("fps", "expected_fps", "drops")}
    assert lengths == {len(status.stream_names)} == {len(status.latency_ms)}
    for name in ("css_c", "mss_c", "upa0_c", "upa1_c"):
        assert not abs(getattr(status, name)) > 200


def _box(box: Any) -> None:
    assert box.size_x >= 0
    assert box.size_y >= 0


def _box_3d(box: Any) -> None:
    assert min(box.size.x, box.size.y, box.size.z) >= 0
    centre = box.center.position
    assert centre.z > 0
    assert max(abs(centre.x), abs(centre.y), centre.z) <= 1000


def _hypothesis(found: Any) -> None:
    assert 0 <= found.score <= 1


def _tracklet(tracklet: Any) -> None:
    assert tracklet.has_position or tracklet.position.z == 0
    assert abs(tracklet.position.z) < 10_000


RULES = {
    "Image": _image,
    "DisparityImage": _disparity,
    "Tensor": _tensor,
    "DeviceStatus": _status,
    "BoundingBox2D": _box,
    "BoundingBox3D": _box_3d,
    "ObjectHypothesis": _hypothesis,
    "Tracklet": _tracklet,
}
