"""Computes the size of the raw image that a compressed message shows.

Width and height are read from the header of the compressed image itself. The bytes may be of any
program, so whatever is no such header has no size.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from ..transports import PIXEL_BYTES

#: Width and height of an image, pixels; None if they are not known.
Size = tuple[int, int] | None

#: Signature, length and name of the first chunk, width, height. Source: PNG (ISO 15948), 11.2.2
_PNG = struct.Struct(">8sI4sII")
_PNG_START = (b"\x89PNG\r\n\x1a\n", 13, b"IHDR")
#: Marker and length of a segment; of a frame header also bits, height, width.
#: Source: JPEG (ITU-T T.81), B.1.1.4 and B.2.2
_SEGMENT, _FRAME = struct.Struct(">BBH"), struct.Struct(">BBHBHH")
_FRAME_MARKERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_MOST_SEGMENTS = 100
#: Header of compressedDepth: int32 and two float32; for RVL also columns and rows.
#: Source: compressed_depth_image_transport, rvl_codec.h and compression_common.h
_DEPTH_BYTES, _RVL = 12, struct.Struct("<12xII")
#: Headers are within the first bytes of an image.
_HEADERS_BYTES = 1 << 16
#: Largest width and height that are believed.
_MOST_PIXELS = 1 << 16


def _png_size(data: bytes) -> Size:
    if len(data) < _PNG.size:
        return None
    *start, width, height = _PNG.unpack_from(data)
    return (width, height) if tuple(start) == _PNG_START else None


def _jpeg_size(data: bytes) -> Size:
    """From the frame header, which tables and comments may precede."""
    at = 2 if data.startswith(b"\xff\xd8") else len(data)
    for _ in range(_MOST_SEGMENTS):
        if at + _FRAME.size > len(data):
            break
        start, marker, length = _SEGMENT.unpack_from(data, at)
        if start != 0xFF or length < 2:
            break
        if marker in _FRAME_MARKERS:
            *_, height, width = _FRAME.unpack_from(data, at)
            return width, height
        at += 2 + length
    return None


def _rvl_size(data: bytes) -> Size:
    return _RVL.unpack_from(data) if len(data) >= _RVL.size else None


#: Word in CompressedImage.format -> how the size is found; the first that matches.
#: Source: image_transport_plugins, compressed_publisher.cpp and compressed_depth codec.cpp
_FORMATS: tuple[tuple[str, Callable[[bytes], Size]], ...] = (
    ("compresseddepth rvl", _rvl_size),
    ("compresseddepth", lambda data: _png_size(data[_DEPTH_BYTES:])),
    ("jpeg", _jpeg_size),
    ("png", _png_size),
)


def raw_bytes(message: Any, encoding: str, camera_info: Size) -> int | None:
    """Bytes of the raw image of a CompressedImage, FFMPEGPacket or CompressedVideo; None = unknown.

    `encoding` is that of the raw topic, "" = not known; what the message says is preferred.
    `camera_info` is the size of the camera's images, for video without one.
    """
    if hasattr(message, "width"):
        size: Size = (message.width, message.height)
    else:
        said, is_said, words = message.format.rpartition(";")
        encoding = said if is_said else encoding
        size = _coded_size(words.lower(), message.data, camera_info)
    pixel = PIXEL_BYTES.get(encoding)
    if pixel is None or size is None or not all(0 < side <= _MOST_PIXELS for side in size):
        return None
    return pixel * size[0] * size[1]


def _coded_size(words: str, data: Any, camera_info: Size) -> Size:
    for word, found in _FORMATS:
        if word in words:
            return found(bytes(data[:_HEADERS_BYTES]))
    return camera_info
