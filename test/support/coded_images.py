"""Decodes depth as image_transport's plugins send it; written from their formats."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

#: int32 0, float32 A, float32 B of compressed_depth_image_transport.
HEADER = struct.Struct("<iff")


def decoded_depth(data: bytes, encoding: str, form: str) -> NDArray[Any]:
    """(H, W) uint16 mm of 16UC1, or float32 m of 32FC1 with NaN = not measured."""
    kind, a, b = HEADER.unpack_from(data)
    assert kind == 0
    body = data[HEADER.size :]
    if form == "compressedDepth rvl":
        values = decoded_rvl(body)
    else:
        assert form == "compressedDepth png"
        values = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED)
    assert values.dtype == np.uint16
    if encoding == "16UC1":
        return values
    inverse = values.astype(np.float32) - np.float32(b)
    return np.where(values > 0, np.float32(a) / inverse, np.float32(np.nan))


def decoded_rvl(data: bytes) -> NDArray[np.uint16]:
    """(H, W) uint16.

    Source  A. D. Wilson, "Fast Lossless Depth Image Compression", 2017
    """
    width, height = struct.unpack_from("<II", data)
    nibbles = _nibbles(data[8:])

    def number() -> int:
        value = shift = 0
        while True:
            nibble = next(nibbles)
            value |= (nibble & 7) << shift
            shift += 3
            if not nibble & 8:
                return value

    pixels = np.zeros(width * height, np.uint16)
    place, last = 0, 0
    while place < len(pixels):
        place += number()  # zeros
        for _ in range(number()):
            code = number()
            last += (code >> 1) ^ -(code & 1)
            pixels[place] = last
            place += 1
    return pixels.reshape(height, width)


def _nibbles(data: bytes) -> Iterator[int]:
    """From the highest of each 32-bit word to its lowest."""
    for word in np.frombuffer(data[: len(data) // 4 * 4], "<u4").tolist():
        for shift in range(28, -1, -4):
            yield word >> shift & 15
