"""Packets of the Gen1 API: payload, metadata, and tracked objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import wire_formats
from .types import Opaque, integer

Bytes = NDArray[np.uint8]
#: Frame data -> a new array.
Reader = Callable[[Bytes], NDArray[Any]]

_NO_FRAME = wire_formats.FrameTrailer(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


class FrameMetadata(Opaque):
    """The device's metadata of one frame."""

    __slots__ = ("_frame",)
    _frame: wire_formats.FrameTrailer

    def __init__(self) -> None:
        self._frame = _NO_FRAME

    def getTimestamp(self) -> float:
        """Time of capture: seconds since boot, clock of the device."""
        return self._frame.timestamp_ns / 1e9

    def getFrameType(self) -> int:
        """Frame type: 15 grey, 21 bitstream, or another number of the device."""
        return self._frame.format

    def getFrameWidth(self) -> int:
        """Width in pixels."""
        return self._frame.width

    def getFrameHeight(self) -> int:
        """Height in pixels."""
        return self._frame.height

    def getFrameBytesPP(self) -> int:
        """Bytes per pixel."""
        return self._frame.bytes_per_pixel

    def getStride(self) -> int:
        """Bytes per row."""
        return self._frame.stride

    def getCategory(self) -> int:
        """0 for a frame of a continuous stream, 1 for a still image."""
        return self._frame.category

    def getInstanceNum(self) -> int:
        """Number of the camera: 0 rgb, 1 left, 2 right."""
        return self._frame.camera

    def getSequenceNum(self) -> int:
        """Number of the exposure; equal in all packets made from one exposure of a camera."""
        return self._frame.sequence

    def getCameraName(self) -> str:
        """`rgb`, `left` or `right`; `INVALID_instNo` for any other number."""
        return self._frame.camera_name


def make_metadata(frame: wire_formats.FrameTrailer | None) -> FrameMetadata | None:
    """A `FrameMetadata` for a trailer; None without one."""
    if frame is None:
        return None
    metadata = FrameMetadata()
    metadata._frame = frame
    return metadata


class Tracklet(Opaque):
    """One tracked object; its box is in pixels of the network's input."""

    __slots__ = ("_row",)
    _row: dict[str, int]

    def getId(self) -> int:
        """Id of the object, constant while it is tracked."""
        return self._row["id"]

    def getLabel(self) -> int:
        """Class number of the network."""
        return self._row["label"]

    def getStatus(self) -> str:
        """`NEW`, `TRACKED` or `LOST`. Raises IndexError for any other code."""
        code = self._row["status"]
        if not 0 <= code < len(wire_formats.TRACKLET_STATUS):
            raise IndexError(f"status of the tracklet is {code}, must be 0, 1 or 2")
        return wire_formats.TRACKLET_STATUS[code]

    def getLeftCoord(self) -> int:
        """Left edge of the box, pixels."""
        return self._row["left"]

    def getTopCoord(self) -> int:
        """Upper edge of the box, pixels."""
        return self._row["top"]

    def getRightCoord(self) -> int:
        """Right edge of the box, pixels."""
        return self._row["right"]

    def getBottomCoord(self) -> int:
        """Lower edge of the box, pixels."""
        return self._row["bottom"]


class ObjectTracker(Opaque):
    """The tracked objects of one exposure, at most 20."""

    __slots__ = ("_rows",)
    _rows: list[dict[str, int]]

    def __init__(self) -> None:
        self._rows = []

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Tracklet]:
        return (self.getTracklet(index) for index in range(len(self)))

    def getNrTracklets(self) -> int:
        """Number of objects."""
        return len(self._rows)

    def getTracklet(self, index: int, /) -> Tracklet:
        """One object. Raises IndexError if out of range, TypeError if not an integer."""
        number = integer("index", index)
        if not 0 <= number < len(self._rows):
            raise IndexError(f"tracklet {number} of {len(self._rows)}")
        tracklet = Tracklet.__new__(Tracklet)
        tracklet._row = self._rows[number]
        return tracklet


def read_tracker(payload: Bytes) -> ObjectTracker:
    """Decode a payload of tracked objects. Raises RuntimeError for any other payload."""
    if len(payload) != wire_formats.TRACKLETS_BYTES:
        raise RuntimeError(
            f"packet has {len(payload)} bytes, tracked objects have {wire_formats.TRACKLETS_BYTES}"
        )
    count = int(payload[:4].view("<i4")[0])
    if not 0 <= count <= wire_formats.MAX_TRACKLETS:
        raise RuntimeError(
            f"packet has {count} tracked objects, must be 0..{wire_formats.MAX_TRACKLETS}"
        )
    tracker = ObjectTracker()
    names = wire_formats.TRACKLET.names or ()
    rows = payload[8:].view(wire_formats.TRACKLET)[:count].tolist()
    tracker._rows = [dict(zip(names, row, strict=True)) for row in rows]
    return tracker


class DataPacket(Opaque):
    """One packet of any stream except `metaout`; valid after its pipeline and device are closed."""

    __slots__ = ("_data", "_frame", "_name", "_read", "_size")
    _name: str
    _data: Bytes
    _frame: wire_formats.FrameTrailer | None
    _read: Reader
    _size: int

    @property
    def stream_name(self) -> str:
        """Name of the stream as in the configuration."""
        return self._name

    def size(self) -> int:
        """Bytes of the payload, without metadata."""
        return self._size

    def getData(self) -> NDArray[Any]:
        """The data as a new array that the caller owns.

        Shape   left, right, rectified_*, disparity: (H, W) uint8; depth: (H, W) uint16, mm, 65535 =
                no depth; disparity_color: (H, W, 3) uint8, BGR; previewout: (3, h, w) uint8, planes
                B, G, R, or flat if no network is loaded; others: flat uint8
        """
        return self._read(self._data)

    def getDataAsStr(self) -> str:
        """The data up to the first zero byte as UTF-8 text; for `meta_d2h`."""
        return bytes(self._data).split(b"\0", 1)[0].decode()

    def getMetadata(self) -> FrameMetadata | None:
        """Metadata of the frame; None if the packet has none."""
        return make_metadata(self._frame)

    def getObjectTracker(self) -> ObjectTracker:
        """Tracked objects of an `object_tracker` packet. Raises RuntimeError for other streams."""
        return read_tracker(self._data)


def make_packet(
    name: str, data: Bytes, frame: wire_formats.FrameTrailer | None, read: Reader, size: int
) -> DataPacket:
    """A packet whose `getData` calls `read` with `data`."""
    packet = DataPacket.__new__(DataPacket)
    packet._name, packet._data, packet._frame = name, data, frame
    packet._read, packet._size = read, size
    return packet


class DataPacketList(list[DataPacket]):
    """List of packets, returned by `get_available_data_packets`."""
