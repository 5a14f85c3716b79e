"""Size of the raw image, from the compressed bytes that reference encoders write."""

from __future__ import annotations

import struct
from array import array
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from depthai_ros.commands.raw_sizes import raw_bytes

WIDTH, HEIGHT = 641, 401
DEPTH = struct.pack("<iff", 0, 10100.0, -99.0)
RVL = DEPTH + struct.pack("<II", WIDTH, HEIGHT) + bytes(40)


def _coded(kind: str, pixels: Any, *options: int) -> bytes:
    return bytes(cv2.imencode(kind, pixels, options)[1])


def _message(text: str, data: bytes) -> SimpleNamespace:
    return SimpleNamespace(format=text, data=array("B", data))


GREY = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH), np.uint8)
COLOR = np.repeat(GREY[..., None], 3, axis=-1)
MM = GREY.astype(np.uint16) * 40
JPEG, PNG = _coded(".jpg", COLOR), _coded(".png", MM)
#: format, bytes of the message -> bytes of a raw pixel
CODED = {
    ("bgr8; jpeg compressed bgr8", JPEG): 3,
    ("bgr8; jpeg compressed bgr8", _coded(".jpg", COLOR, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)): 3,
    ("mono8; jpeg compressed mono8", _coded(".jpg", GREY, cv2.IMWRITE_JPEG_RST_INTERVAL, 2)): 1,
    ("mono8; png compressed ", _coded(".png", GREY)): 1,
    ("bgr8; png compressed bgr8", _coded(".png", COLOR)): 3,
    ("16UC1; compressedDepth png", DEPTH + PNG): 2,
    ("32FC1; compressedDepth png", DEPTH + PNG): 4,
    ("16UC1; compressedDepth rvl", RVL): 2,
    ("32FC1; compressedDepth rvl", RVL): 4,
}


@pytest.mark.parametrize(("text", "data"), CODED, ids=lambda value: str(value)[:26])
def test_size_is_that_of_the_raw_image(text: str, data: bytes) -> None:
    expected = CODED[text, data] * WIDTH * HEIGHT
    assert raw_bytes(_message(text, data), "", None) == expected
    # Whatever is cut off or changed: never an error, and no size beyond what a header can say.
    changed = np.random.default_rng(2).integers(0, 255, (200, 40), np.uint8)
    for end in range(min(len(data), 700)):
        assert raw_bytes(_message(text, data[:end]), "", None) in (None, expected)
    for noise in changed:
        found = raw_bytes(_message(text, data[:8] + bytes(noise)), "", None)
        assert found is None or 0 < found <= 4 << 32


PACKET = SimpleNamespace(encoding="h264", width=1920, height=1080, data=array("B", bytes(9)))
VIDEO = _message("h264", bytes(9))
#: message, encoding of the raw topic, size in camera_info -> bytes
OTHERS: list[tuple[Any, str, tuple[int, int] | None, int | None]] = [
    (PACKET, "bgr8", None, 1920 * 1080 * 3),
    (PACKET, "", (1920, 1080), None),
    (VIDEO, "bgr8", (1920, 1080), 1920 * 1080 * 3),
    (VIDEO, "bgr8", None, None),
    (VIDEO, "bgr8", (0, 0), None),
    (_message("jpeg", JPEG), "", None, None),
    (_message("jpeg", JPEG), "bgr8", None, 3 * WIDTH * HEIGHT),
    (_message("rgba16; jpeg compressed bgr8", JPEG), "bgr8", None, None),
    (_message("bgr8; jpeg compressed bgr8", PNG), "bgr8", None, None),
    (_message("", b""), "", None, None),
]


@pytest.mark.parametrize(("message", "encoding", "camera_info", "size"), OTHERS)
def test_size_is_known_only_from_what_says_it(
    message: Any, encoding: str, camera_info: tuple[int, int] | None, size: int | None
) -> None:
    assert raw_bytes(message, encoding, camera_info) == size
