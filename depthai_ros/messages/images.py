"""Converts the pixels of one packet to the encoding of a topic, in a buffer ready to publish.

Pixels that need no conversion stay in the packet's buffer. All others are written in one pass into
the buffer of the outgoing message; table `CONVERSIONS` lists how.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..calibration.calibration import Calibration
from ..config.settings import Settings
from ..errors import DecodeError
from ..streams import STREAMS, Stream
from ..wire_formats import (
    DEPTH_UNKNOWN,
    FrameSizes,
    FrameTrailer,
    depth_to_disparity_table,
    disparity_color_table,
    disparity_to_depth_table,
)
from .access_units import AccessUnit
from .stream_stats import Passage

#: Pixel value of a DisparityImage where there is no disparity.
NO_DISPARITY = -1.0

#: Contents from the stereo engine, which belong to the right camera.
STEREO_CONTENTS = ("disparity", "depth")
#: Fields of the points of a cloud without and with colours, float32 each.
POINT_FIELDS = {"xyz": ("x", "y", "z"), "xyzrgb": ("x", "y", "z", "rgb")}


class ImageBuffer(NamedTuple):
    """Pixels inside a buffer that can be published; `array` starts at the start of `buffer`."""

    buffer: _core.Buffer
    array: NDArray[Any]

    @classmethod
    def blank(cls, shape: tuple[int, ...], dtype: Any) -> ImageBuffer:
        """Uninitialised pixels from the pool."""
        buffer = _core.Buffer(size=math.prod(shape) * np.dtype(dtype).itemsize)
        return cls(buffer, np.frombuffer(memoryview(buffer), dtype).reshape(shape))


@dataclass(frozen=True, slots=True)
class StereoTables:
    """Look-up tables between disparity (px) and depth (mm).

    Keys are (layout on the wire, target encoding); the index is the value on the wire.
    """

    tables: Mapping[tuple[str, str], NDArray[Any]]
    farthest_mm: int  # depth beyond it is treated as unknown

    @classmethod
    def make(cls, width: int, fov_deg: float, baseline_m: float, limit_m: float) -> StereoTables:
        """Tables for mono frames of `width`, without depth beyond `limit_m`.

        Source  docs/wire_format.md#depth
        """
        depth_mm = disparity_to_depth_table(width, fov_deg, baseline_m)
        disparity = depth_to_disparity_table(width, fov_deg, baseline_m)
        every_mm = np.arange(DEPTH_UNKNOWN + 1, dtype=np.uint16)
        farthest_mm = min(int(1000.0 * limit_m), DEPTH_UNKNOWN - 1)
        tables: dict[tuple[str, str], NDArray[Any]] = {("depth16", "mono8"): disparity}
        for layout, mm, px in (
            ("mono8", depth_mm, np.arange(256)),
            ("depth16", every_mm, disparity),
        ):
            measured = (mm > 0) & (mm <= farthest_mm)
            tables[layout, "disparity"] = np.where(measured & (px > 0), px, NO_DISPARITY).astype(
                np.float32
            )
        return cls(tables, farthest_mm)


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """Settings of all images of one pipeline."""

    sizes: FrameSizes
    mirrored: frozenset[str]  # streams that the device sends mirrored
    stereo: StereoTables


def sees_rectified(settings: Settings) -> bool:
    """True if the network's input is rectified, and may be mirrored."""
    return str(settings["ai.camera_input"]).startswith("rectified_")


def image_settings(
    settings: Settings, calibration: Calibration, sizes: FrameSizes
) -> ImageSettings:
    """The settings of the images of a pipeline with these sizes."""
    if settings["depth.warp_rectify.mirror_frame"]:
        is_rectified = sees_rectified(settings)
        mirrored = {
            row.name
            for row in STREAMS.values()
            if row.content == "rectified" or (row.layout == "planar8" and is_rectified)
        }
    else:
        mirrored = {row.name for row in STREAMS.values() if row.content in STEREO_CONTENTS}
    stereo = StereoTables.make(
        sizes.mono[0],
        calibration.geometry.fov_deg,
        calibration.geometry.baseline_m,
        settings["depth.depth_limit_m"],
    )
    return ImageSettings(sizes, frozenset(mirrored), stereo)


@dataclass(slots=True, eq=False)
class StampedPacket:
    """One packet with its ROS stamp; the frame data is at the start of `buffer`."""

    stream: Stream
    data: NDArray[np.uint8]
    buffer: _core.Buffer
    metadata: FrameTrailer | None
    stamp_ns: int
    received_ns: int  # host's monotonic clock
    settings: ImageSettings
    serial: int = 0  # number of the packet in its stream on the link
    beside: StampedPacket | None = None  # of another stream, for messages made from both
    image_format: str = ""  # of compressed bytes that the node made, see CompressedImage.format
    is_made: bool = False  # the node has made the pixels, the packet had others
    units: tuple[AccessUnit, ...] = ()  # of video: the frames that it completes
    _converted: dict[str, ImageBuffer] = field(default_factory=dict)
    _converting: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_mirrored(self) -> bool:
        """True if the device mirrors this stream; each conversion turns it back."""
        return self.stream.name in self.settings.mirrored

    @property
    def exposure_ns(self) -> int:
        """Time of the exposure by the device's clock; the stamp if that is not known."""
        return self.metadata.timestamp_ns if self.metadata is not None else self.stamp_ns

    @property
    def sent(self) -> ImageBuffer:
        """The pixels as received, in the layout of the wire.

        Raises  DecodeError if the packet does not have the size of its stream
        """
        pixels = self.settings.sizes.as_image(self.data, self.stream.layout)
        return ImageBuffer(self.buffer, pixels)

    def converted(self, encoding: str) -> ImageBuffer:
        """The pixels in the `encoding` of an Image, or as "disparity"; converted once.

        Raises  DecodeError if the packet does not have the size of its stream
        """
        with self._converting:
            image = self._converted.get(encoding)
            if image is None:
                image = CONVERSIONS[self.stream.layout, encoding](self)
                self._converted[encoding] = image
            return image

    def showing(self, image: ImageBuffer, encoding: str, settings: ImageSettings) -> StampedPacket:
        """A packet of the same exposure with other pixels, which are already in `encoding`."""
        data = image.array.reshape(-1).view(np.uint8)
        return replace(
            self,
            data=data,
            buffer=image.buffer,
            settings=settings,
            is_made=True,
            _converted={encoding: image},
            _converting=threading.Lock(),
        )

    def compressed(self, buffer: _core.Buffer, size: int, image_format: str) -> StampedPacket:
        """A packet of the same exposure with these compressed bytes."""
        data = np.frombuffer(memoryview(buffer), np.uint8, size)
        return replace(self, data=data, buffer=buffer, image_format=image_format)

    def points(self) -> tuple[ImageBuffer, tuple[str, ...]]:
        """The points of a cloud, and the names of their fields."""
        ((fields, image),) = self._converted.items()
        return image, POINT_FIELDS[fields]

    def passage(self, fate: str) -> Passage:
        """The packet for the statistics of its stream."""
        metadata = self.metadata
        return Passage(
            metadata.sequence if metadata is not None else None,
            self.serial,
            len(self.data),
            self.received_ns,
            time.time_ns() - self.stamp_ns,
            fate,
        )

    def looked_up(self, encoding: str) -> ImageBuffer:
        """The pixels converted by the stereo table of this encoding."""
        source = self.sent.array
        table = self.settings.stereo.tables[self.stream.layout, encoding]
        image = ImageBuffer.blank(source.shape, table.dtype)
        _core.map_table(
            source=source, table=table, destination=image.array, mirrored=self.is_mirrored
        )
        return image


def _upright(packet: StampedPacket) -> ImageBuffer:
    sent = packet.sent
    if not packet.is_mirrored:
        return sent
    image = ImageBuffer.blank(sent.array.shape, sent.array.dtype)
    _core.mirror(source=sent.array, destination=image.array)
    return image


def _through_table(encoding: str) -> Callable[[StampedPacket], ImageBuffer]:
    return lambda packet: packet.looked_up(encoding)


def _depth_in_place(packet: StampedPacket) -> ImageBuffer:
    """Set unknown and too distant pixels to 0, in place; disparity must be computed before."""
    depth, mirrored = packet.sent, packet.is_mirrored
    image = ImageBuffer.blank(depth.array.shape, np.uint16) if mirrored else depth
    limit_mm = packet.settings.stereo.farthest_mm
    _core.zero_above(source=depth.array, limit=limit_mm, destination=image.array, mirrored=mirrored)
    return image


def _metres(packet: StampedPacket) -> ImageBuffer:
    depth = packet.sent.array
    image = ImageBuffer.blank(depth.shape, np.float32)
    limit_mm = packet.settings.stereo.farthest_mm
    _core.metres(source=depth, limit=limit_mm, destination=image.array, mirrored=packet.is_mirrored)
    return image


def _colored(disparity: NDArray[np.uint8], *, mirrored: bool = False) -> ImageBuffer:
    image = ImageBuffer.blank((*disparity.shape, 3), np.uint8)
    _core.colorize(source=disparity, table=_COLORS, destination=image.array, mirrored=mirrored)
    return image


def _interleaved(packet: StampedPacket) -> ImageBuffer:
    planes = packet.sent.array
    if len(planes) != 3:
        raise DecodeError(f"the network's input has {len(planes)} channels, an image needs 3")
    image = ImageBuffer.blank((*planes.shape[1:], planes.shape[0]), np.uint8)
    _core.interleave(source=planes, destination=image.array, mirrored=packet.is_mirrored)
    return image


def _bgr_from_i420(packet: StampedPacket) -> ImageBuffer:
    planes = packet.sent.array
    image = ImageBuffer.blank((planes.shape[0] * 2 // 3, planes.shape[1], 3), np.uint8)
    _core.bgr_from_i420(source=planes, destination=image.array)
    return image


_COLORS = disparity_color_table()

#: (layout on the wire, target encoding) -> conversion.
CONVERSIONS: dict[tuple[str, str], Callable[[StampedPacket], ImageBuffer]] = {
    ("mono8", "mono8"): _upright,
    ("mono8", "disparity"): _through_table("disparity"),
    ("mono8", "bgr8"): lambda packet: _colored(packet.sent.array, mirrored=packet.is_mirrored),
    ("depth16", "mono8"): _through_table("mono8"),
    ("depth16", "16UC1"): _depth_in_place,
    ("depth16", "32FC1"): _metres,
    ("depth16", "disparity"): _through_table("disparity"),
    ("depth16", "bgr8"): lambda packet: _colored(packet.looked_up("mono8").array),
    ("planar8", "bgr8"): _interleaved,
    ("i420", "bgr8"): _bgr_from_i420,
}


def check_jpeg(data: NDArray[np.uint8]) -> None:
    """Check that encoded bytes are one complete JPEG image; the encoder may append padding.

    Raises  DecodeError if they do not begin and end as JPEG does
    Source  ITU-T T.81, table B.1
    """
    start, end = bytes(data[:2]), bytes(data[-64:])
    if start != b"\xff\xd8" or b"\xff\xd9" not in end:
        raise DecodeError(
            f"{len(data)} bytes begin with {start.hex(' ')} and end with {end[-2:].hex(' ')}; "
            "a JPEG image begins with ff d8 and ends with ff d9"
        )
