"""Writes the bytes around the pixels of a serialised ROS message.

A large message is published as `prefix + pixels + suffix` in CDR, the encoding of DDS, so that the
pixels are not copied. Prefix and suffix are cached; only the stamp is written for each frame.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from .. import _core

#: Encapsulation header of plain little-endian CDR. Source: OMG DDSI-RTPS 2.3, section 10.5
_LITTLE_ENDIAN = b"\x00\x01\x00\x00"
_STAMP = struct.Struct("<iI")
#: End of a FFMPEGPacket before its data: pts, flags, is_bigendian, number of bytes.
_FFMPEG_END = struct.Struct("<QB?xxI")
_NS_PER_S = 1_000_000_000
#: Numbers of one point of a cloud: x y z and a colour, float32.
POINT_FLOATS = 4
_FLOAT32 = 7  # sensor_msgs/PointField.FLOAT32
_NOT_DENSE = b"\x00"


class Serialized(NamedTuple):
    """One serialised message: `prefix + buffer[:size] + suffix`."""

    buffer: _core.Buffer
    size: int
    prefix: bytes
    suffix: bytes = b""


@dataclass(frozen=True, slots=True)
class DisparityEnds:
    """The fields of a DisparityImage besides its pixels.

    Units   focal length, disparities and window in px, baseline in m
    """

    focal_px: float
    baseline_m: float
    window: tuple[int, int, int, int]  # x_offset, y_offset, width, height
    min_px: float
    max_px: float
    step_px: float


class _Writer:
    """Appends fields, each aligned to its size; the encapsulation header does not count."""

    def __init__(self) -> None:
        self.bytes = bytearray(_LITTLE_ENDIAN)

    def put(self, code: str, *values: Any) -> _Writer:
        for value in values:
            size = struct.calcsize(f"<{code}")
            self.bytes += bytes((len(_LITTLE_ENDIAN) - len(self.bytes)) % size)
            self.bytes += struct.pack(f"<{code}", value)
        return self

    def text(self, value: str) -> _Writer:
        encoded = value.encode() + b"\0"
        self.put("I", len(encoded))
        self.bytes += encoded
        return self

    def header(self, frame_id: str) -> _Writer:
        """A std_msgs/Header with stamp 0."""
        return self.put("i", 0).put("I", 0).text(frame_id)

    def image(
        self, frame_id: str, height: int, width: int, encoding: str, step: int, size: int
    ) -> _Writer:
        """A sensor_msgs/Image up to its first pixel; always little-endian."""
        self.header(frame_id).put("I", height, width).text(encoding)
        return self.put("B", 0).put("I", step, size)


def image_prefix(
    stamp_ns: int, frame_id: str, height: int, width: int, encoding: str, step: int
) -> bytes:
    """Everything of a sensor_msgs/Image before its `height * step` bytes of data."""
    return restamped(_image_template(frame_id, height, width, encoding, step), stamp_ns)


def compressed_image_prefix(stamp_ns: int, frame_id: str, image_format: str, size: int) -> bytes:
    """Everything of a sensor_msgs/CompressedImage before its `size` bytes of data."""
    start = _compressed_template(frame_id, image_format)
    return restamped(start + struct.pack("<I", size), stamp_ns)


def ffmpeg_packet_prefix(
    stamp_ns: int, frame_id: str, width: int, height: int, encoding: str, *, is_key: bool, size: int
) -> bytes:
    """Everything of a ffmpeg_image_transport_msgs/FFMPEGPacket before its `size` bytes of data.

    Its pts is the stamp in nanoseconds, its flags are 1 for a key frame and 0 for others.
    """
    start = _ffmpeg_template(frame_id, width, height, encoding)
    return restamped(start + _FFMPEG_END.pack(stamp_ns, is_key, False, size), stamp_ns)


def compressed_video_ends(
    stamp_ns: int, frame_id: str, video_format: str, size: int
) -> tuple[bytes, bytes]:
    """The bytes before and after the `size` bytes of data of a foxglove_msgs/CompressedVideo."""
    prefix = restamped(_video_template(frame_id) + struct.pack("<I", size), stamp_ns)
    return prefix, bytes(-size % 4) + bytes(_Writer().text(video_format).bytes[4:])


def disparity_image_ends(
    stamp_ns: int, frame_id: str, height: int, width: int, ends: DisparityEnds
) -> tuple[bytes, bytes]:
    """The bytes before and after the float32 pixels of a stereo_msgs/DisparityImage."""
    outer, inner = _disparity_template(frame_id, height, width)
    stamp = _STAMP.pack(*divmod(stamp_ns, _NS_PER_S))
    return restamped(outer, stamp_ns) + stamp + inner, _disparity_suffix(ends)


def point_cloud_ends(
    stamp_ns: int, frame_id: str, height: int, width: int, fields: Sequence[str]
) -> tuple[bytes, bytes]:
    """The bytes before and after the points of a PointCloud2: a float32 for each field.

    A point has POINT_FLOATS; those without a field are padding.
    """
    return restamped(_cloud_template(frame_id, height, width, tuple(fields)), stamp_ns), _NOT_DENSE


def tensors_prefix(stamp_ns: int, frame_id: str, count: int) -> bytes:
    """Everything of a depthai_ros/NNTensors before its `count` tensors.

    Each tensor begins at a multiple of four.
    """
    return restamped(_tensors_template(frame_id, count), stamp_ns)


def tensor_fields(name: str, dtype: str, axes: str, shape: Sequence[int], size: int) -> bytes:
    """Everything of a depthai_ros/Tensor before its `size` bytes of data."""
    writer = _Writer().text(name).text(dtype).text(axes)
    writer.put("I", len(shape), *shape, size)
    return bytes(writer.bytes[len(_LITTLE_ENDIAN) :])


def restamped(message: bytes, stamp_ns: int) -> bytes:
    """Copy a serialised message that begins with a header, with another stamp."""
    return b"".join(
        (_LITTLE_ENDIAN, _STAMP.pack(*divmod(stamp_ns, _NS_PER_S)), message[4 + _STAMP.size :])
    )


@lru_cache(maxsize=256)
def _image_template(frame_id: str, height: int, width: int, encoding: str, step: int) -> bytes:
    writer = _Writer().image(frame_id, height, width, encoding, step, height * step)
    return bytes(writer.bytes)


@lru_cache(maxsize=64)
def _cloud_template(frame_id: str, height: int, width: int, fields: tuple[str, ...]) -> bytes:
    writer = _Writer().header(frame_id).put("I", height, width, len(fields))
    for place, name in enumerate(fields):
        writer.text(name).put("I", 4 * place).put("B", _FLOAT32).put("I", 1)
    point_step = 4 * POINT_FLOATS
    row_step = width * point_step
    writer.put("B", 0).put("I", point_step, row_step, height * row_step)
    return bytes(writer.bytes)


@lru_cache(maxsize=64)
def _compressed_template(frame_id: str, image_format: str) -> bytes:
    """The prefix up to, but without, the number of data bytes; padded."""
    written = _Writer().header(frame_id).text(image_format).put("I", 0).bytes
    return bytes(written[:-4])


@lru_cache(maxsize=64)
def _ffmpeg_template(frame_id: str, width: int, height: int, encoding: str) -> bytes:
    """The prefix up to, but without, the pts; padded."""
    written = _Writer().header(frame_id).put("i", width, height).text(encoding).put("Q", 0).bytes
    return bytes(written[:-8])


@lru_cache(maxsize=64)
def _video_template(frame_id: str) -> bytes:
    """The prefix up to, but without, the number of data bytes; padded."""
    return bytes(_Writer().header(frame_id).put("I", 0).bytes[:-4])


@lru_cache(maxsize=64)
def _tensors_template(frame_id: str, count: int) -> bytes:
    return bytes(_Writer().header(frame_id).put("I", count).bytes)


@lru_cache(maxsize=64)
def _disparity_template(frame_id: str, height: int, width: int) -> tuple[bytes, bytes]:
    """The bytes before the image's own stamp, and those between that stamp and the pixels."""
    outer = _Writer().header(frame_id).put("i", 0).bytes[:-4]
    whole = _Writer().header(frame_id)
    whole.image(frame_id, height, width, "32FC1", 4 * width, 4 * width * height)
    return bytes(outer), bytes(whole.bytes[len(outer) + _STAMP.size :])


@lru_cache(maxsize=8)
def _disparity_suffix(ends: DisparityEnds) -> bytes:
    """Aligned as at the start of a message, because the pixels end at a multiple of four."""
    x, y, width, height = ends.window
    writer = _Writer().put("f", ends.focal_px, ends.baseline_m).put("I", x, y, height, width)
    writer.put("B", 0).put("f", ends.min_px, ends.max_px, ends.step_px)
    return bytes(writer.bytes[len(_LITTLE_ENDIAN) :])
