"""Decodes depth as image_transport's plugins send it; written from their formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

#: Before the pixels; of compressed_depth_image_transport.
HEADER = np.dtype([("format", "<i4"), ("a", "<f4"), ("b", "<f4")])
Bytes = NDArray[np.uint8]
Pixels = NDArray[Any]


def decoded_depth(data: Bytes, form: str) -> Pixels:
    """(H, W) uint16 mm of 16UC1, or float32 m of 32FC1, NaN = not measured.

    `form` is CompressedImage.format.
    """
    header, codes = depth_codes(data, form.rpartition(" ")[2])
    if form.startswith("16UC1;"):
        return codes
    with np.errstate(divide="ignore"):
        metres = header["a"] / (codes.astype(np.float32) - header["b"])
    return np.where(codes > 0, metres, np.float32(np.nan))


def depth_codes(data: Bytes, codec: str) -> tuple[Any, Pixels]:
    """The header, and the numbers behind it, (H, W) uint16."""
    (header,) = np.frombuffer(data[: HEADER.itemsize].tobytes(), HEADER)
    return header, DEPTH_CODECS[codec](data[HEADER.itemsize :])


def _numbers(coded: Bytes) -> Iterator[int]:
    """Numbers of an RVL stream, as in the paper's DecodeVLE."""
    words = np.frombuffer(coded.tobytes(), "<u4")
    nibbles = (words[:, None] >> np.arange(28, -1, -4, dtype=np.uint32)) & 15
    value = bits = 0
    for nibble in nibbles.ravel().tolist():
        value |= (nibble & 7) << bits
        bits += 3
        if nibble < 8:
            yield value
            value = bits = 0


def _of_rvl(coded: Bytes) -> Pixels:
    """As in the paper's DecompressRVL; behind the last pixel there are only zeros.

    Source  A. D. Wilson, "Fast Lossless Depth Image Compression", 2017
    """
    columns, rows = np.frombuffer(coded[:8].tobytes(), "<u4").tolist()
    stream, previous = _numbers(coded[8:][: len(coded) // 4 * 4 - 8]), 0
    pixels: list[int] = []
    while len(pixels) < rows * columns:
        pixels += [0] * next(stream)
        for _ in range(next(stream)):
            positive = next(stream)
            previous += (positive >> 1) ^ -(positive & 1)
            pixels.append(previous)
    assert not any(stream)
    return np.array(pixels, np.uint16).reshape(rows, columns)


def _of_png(coded: Bytes) -> Pixels:
    image = cv2.imdecode(coded, cv2.IMREAD_UNCHANGED)
    assert image is not None
    assert image.dtype == np.uint16
    return image


DEPTH_CODECS = {"png": _of_png, "rvl": _of_rvl}
