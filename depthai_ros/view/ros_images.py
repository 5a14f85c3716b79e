"""Converts messages with images and points to what the page shows.

The messages may come from any program: every size is checked before it is used. What does not fit
raises DecodeError.
"""

from __future__ import annotations

import math
import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image, PointCloud2, PointField

from ..bounded import clean_text
from ..errors import DecodeError
from .pixels import ColorScale, check_area, encoded_size
from .source import NO_COLOR, Cloud, ImageChoice, LatestImage

#: Bytes of one message, points of one cloud that is shown.
_MOST_BYTES, MOST_POINTS = 1 << 28, 100_000
#: Colours of points in a cloud without any: near is light.
_DISTANCES = ColorScale("m", 0.0, 8.0)
#: Encoding of an Image -> type and channels of a pixel. Source: sensor_msgs, image_encodings.hpp
_ENCODINGS: dict[str, tuple[str, int]] = {
    "mono8": ("u1", 1),
    "8UC1": ("u1", 1),
    "bgr8": ("u1", 3),
    "8UC3": ("u1", 3),
    "rgb8": ("u1", 3),
    "16UC1": ("u2", 1),
    "mono16": ("u2", 1),
    "32FC1": ("f4", 1),
}
#: Header of compressedDepth: int32, two float32; for RVL also columns and rows.
#: Source: compressed_depth_image_transport, rvl_codec.h and compression_common.h
_DEPTH, _RVL = struct.Struct("<iff"), struct.Struct("<12xII")
_MM_PER_M = np.float32(1000.0)
#: Most groups of 3 bits of one number in RVL: 16 bits and a sign, or a count of pixels.
_MOST_GROUPS = 10
#: Most bytes of a pixel in RVL: 6 groups of its depth, and a run of its own; two words at the end.
_RVL_PIXEL, _RVL_END = 4, 8
_NS_PER_S = 1_000_000_000


def read(raw: bytes, message_type: Any) -> Any:
    """The message in serialised bytes. Raises DecodeError."""
    if len(raw) > _MOST_BYTES:
        raise DecodeError(f"a message has {len(raw)} bytes, at most {_MOST_BYTES} are read")
    try:
        return deserialize_message(raw, message_type)
    except (RuntimeError, ValueError, MemoryError) as cause:  # rmw's error is a RuntimeError
        name = message_type.__name__
        raise DecodeError(f"{len(raw)} bytes are no {name} of this version") from cause


def serialized_text(text: str) -> bytes:
    """A whole string as it is in serialised bytes. Source: OMG DDSI-RTPS 2.3, section 10 (CDR)"""
    data = text.encode() + b"\0"
    return struct.pack("<I", len(data)) + data


def stamp_ns(header: Any) -> int:
    """The stamp of a header, ns."""
    return int(header.stamp.sec) * _NS_PER_S + int(header.stamp.nanosec)


# -- images


def image_of(raw: bytes, type_name: str, choice: ImageChoice) -> LatestImage:
    """The image in a serialised Image or CompressedImage. Raises DecodeError."""
    if type_name == "sensor_msgs/msg/Image":
        message = read(raw, Image)
        return LatestImage(stamp_ns(message.header), pixels=_measured(_pixels(message), choice))
    message = read(raw, CompressedImage)
    data, when = bytes(message.data), stamp_ns(message.header)
    if "compresseddepth" in message.format.lower():
        return LatestImage(when, pixels=_depth(data, message.format))
    if choice.unit:
        return LatestImage(when, pixels=_measured(_decoded(data), choice))
    encoded_size(data)
    return LatestImage(when, data=data)


def _pixels(message: Any) -> NDArray[Any]:
    """The pixels of an Image, (H, W) or (H, W, 3)."""
    kind, channels = _ENCODINGS.get(message.encoding, ("", 0))
    if not kind:
        raise DecodeError(f"image has the encoding {clean_text(message.encoding, 40)}")
    height, width, step = message.height, message.width, message.step
    row_bytes = width * channels * int(kind[1])
    check_area(width, height)
    if step < row_bytes or len(message.data) < step * height:
        raise DecodeError(
            f"image of {width}x{height} {message.encoding} has {len(message.data)} bytes, "
            f"rows of {step}"
        )
    rows = np.frombuffer(message.data, np.uint8, step * height).reshape(height, step)
    order = ">" if message.is_bigendian else "<"
    values = np.ascontiguousarray(rows[:, :row_bytes]).view(f"{order}{kind}")
    if channels == 1:
        return values
    values = values.reshape(height, width, channels)
    return np.ascontiguousarray(values[:, :, ::-1]) if message.encoding == "rgb8" else values


def _measured(values: NDArray[Any], choice: ImageChoice) -> NDArray[Any]:
    """Pixels in the unit of the choice, NaN = not measured; 8-bit pixels stay without a unit."""
    if values.ndim == 3 and choice.unit:
        raise DecodeError(f"{choice.name} has {values.shape[2]} channels, must have one")
    if values.dtype.itemsize == 4:
        return values.astype("<f4", copy=False)
    if values.dtype.itemsize == 2 or choice.unit:
        numbers = values.astype(np.float32)
        numbers[values == 0] = np.nan
        return numbers if choice.unit == "px" else numbers / _MM_PER_M
    return values


def _depth(data: bytes, form: str) -> NDArray[np.float32]:
    """Metres of an image of compressedDepth, PNG or RVL, of 16UC1 or 32FC1."""
    if len(data) < _DEPTH.size:
        raise DecodeError(f"compressedDepth has {len(data)} bytes, at least {_DEPTH.size}")
    is_rvl = form.lower().endswith("rvl")
    codes = rvl(data) if is_rvl else _decoded(data[_DEPTH.size :])
    if codes.ndim != 2 or codes.dtype != np.uint16:
        raise DecodeError(f"compressedDepth holds {codes.dtype} of the shape {codes.shape}")
    numbers = codes.astype(np.float32)
    numbers[codes == 0] = np.nan
    if form.startswith("16UC1"):
        return numbers / _MM_PER_M
    _, a, b = _DEPTH.unpack_from(data)
    with np.errstate(all="ignore"):
        metres = np.float32(a) / (numbers - np.float32(b))
    metres[~np.isfinite(metres)] = np.nan
    return metres


def _decoded(data: bytes) -> NDArray[Any]:
    """The pixels of a JPEG or PNG of one channel."""
    form = encoded_size(data).format
    flags = cv2.IMREAD_UNCHANGED if form == "png" else cv2.IMREAD_GRAYSCALE
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise DecodeError(f"{form} of {len(data)} bytes cannot be decoded")
    return np.asarray(pixels)


def rvl(data: bytes) -> NDArray[np.uint16]:
    """Depth in run length and variable length coding, behind the header of compressedDepth.

    Little-endian words hold eight groups of 4 bits, the highest first; a group has three bits of a
    number, the lowest first, and a bit that says that more follow. The numbers are how many pixels
    have no depth, how many have one, and their differences, each to the one before (zigzag).

    Source  Wilson, Fast lossless depth image compression (2017)
    """
    if len(data) < _RVL.size:
        raise DecodeError(f"RVL has {len(data)} bytes, at least {_RVL.size}")
    columns, rows = _RVL.unpack_from(data)
    check_area(columns, rows)
    most = _RVL.size + _RVL_PIXEL * columns * rows + _RVL_END
    if len(data) > most:
        raise DecodeError(f"RVL of {columns}x{rows} pixels has {len(data)} bytes, at most {most}")
    numbers = _rvl_numbers(data[_RVL.size :])
    is_code, is_measured = np.zeros(numbers.size, bool), np.zeros(rows * columns, bool)
    pixel = at = 0
    while pixel < is_measured.size and at + 2 <= numbers.size:
        empty, count = numbers.item(at), numbers.item(at + 1)
        at, pixel = at + 2, pixel + empty
        ends = at + count, pixel + count
        if ends[0] > numbers.size or ends[1] > is_measured.size or not (empty or count):
            raise DecodeError(f"RVL of {columns}x{rows} pixels has a run that does not fit")
        is_code[at : ends[0]] = is_measured[pixel : ends[1]] = True
        at, pixel = ends
    codes, depth = numbers[is_code], np.zeros(is_measured.size, np.uint16)
    depth[is_measured] = np.cumsum(codes >> 1 ^ -(codes & 1)).astype(np.uint16)
    return depth.reshape(rows, columns)


def _rvl_numbers(data: bytes) -> NDArray[np.int64]:
    words = np.frombuffer(data[: len(data) // 4 * 4], "<u4")
    groups = (words[:, None] >> np.arange(28, -4, -4, dtype="u4") & 15).ravel().astype(np.int64)
    ends = np.flatnonzero(groups < 8)
    if not ends.size:
        raise DecodeError("RVL has no number")
    starts = np.r_[0, ends[:-1] + 1]
    if int((ends - starts).max()) >= _MOST_GROUPS:
        raise DecodeError("RVL has a number that is too large")
    groups = groups[: ends[-1] + 1]
    place = np.arange(groups.size) - np.repeat(starts, ends - starts + 1)
    return np.asarray(np.add.reduceat((groups & 7) << 3 * place, starts), np.int64)


# -- points


def cloud(raw: bytes, most: int = MOST_POINTS) -> Cloud:
    """The measured points of a serialised PointCloud2, about `most` of them. Raises DecodeError."""
    message = read(raw, PointCloud2)
    rows = _records(message)
    height, width = rows.shape
    if height > 1:
        step = max(1, math.ceil(math.sqrt(rows.size / most)))
        rows = rows[step // 2 :: step, step // 2 :: step].ravel()
    else:
        rows = rows[0, :: max(1, math.ceil(width / most))]
    points = np.stack([rows[axis] for axis in "xyz"], axis=1).astype(np.float32, copy=False)
    is_measured = np.isfinite(points).all(1)
    points = points[is_measured]
    if "rgb" in (rows.dtype.names or ()):
        colors = np.full((len(points), 3), NO_COLOR, np.uint8)
        bits = rows["rgb"][is_measured]  # 0x00RRGGBB
        has_color = bits != 0  # black points are those for which no colour came
        for channel, shift in enumerate((16, 8, 0)):
            colors[has_color, channel] = bits[has_color] >> shift & 255
    else:
        with np.errstate(over="ignore"):
            distances = np.linalg.norm(points, axis=1)
        colors = _DISTANCES.paint(distances)[:, ::-1]
    frame_id = clean_text(message.header.frame_id)
    return Cloud(stamp_ns(message.header), frame_id, points, colors)


def _records(message: Any) -> NDArray[Any]:
    """The points as records with x, y, z and, if there are colours, rgb; (height, width)."""
    height, width = message.height, message.width
    step, row_bytes = message.point_step, message.row_step
    check_area(width, height, "cloud")
    if step < 12 or row_bytes < width * step or len(message.data) < row_bytes * height:
        raise DecodeError(
            f"cloud of {width}x{height} points of {step} bytes has {len(message.data)} bytes, "
            f"rows of {row_bytes}"
        )
    places: dict[str, int] = {}
    for field in message.fields:
        is_color = field.name in ("rgb", "rgba")
        types = (PointField.FLOAT32, PointField.UINT32) if is_color else (PointField.FLOAT32,)
        if field.datatype in types and field.offset + 4 <= step:
            places["rgb" if is_color else field.name] = field.offset
    if not {"x", "y", "z"} <= places.keys():
        raise DecodeError("cloud has no x, y and z of float32")
    order = ">" if message.is_bigendian else "<"
    names = [name for name in ("x", "y", "z", "rgb") if name in places]
    form = np.dtype(
        {
            "names": names,
            "formats": [f"{order}u4" if name == "rgb" else f"{order}f4" for name in names],
            "offsets": [places[name] for name in names],
            "itemsize": step,
        }
    )
    return np.ndarray((height, width), form, message.data, strides=(row_bytes, step))
