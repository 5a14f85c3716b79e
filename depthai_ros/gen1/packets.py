"""Packets of the Gen1 API: frames with their metadata, and tracked objects."""

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
    """What the device says about one frame."""

    __slots__ = ("_frame",)
    _frame: wire_formats.FrameTrailer

    def __init__(self) -> None:
        self._frame = _NO_FRAME

    def getTimestamp(self) -> float:
        """Time of capture: seconds, clock of the device since it booted."""
        return self._frame.timestamp_ns / 1e9

    def getFrameType(self) -> int:
        """Kind of picture: 15 grey, 21 bitstream; others are the device's own."""
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
        """Bytes per line."""
        return self._frame.stride

    def getCategory(self) -> int:
        """0 for a frame of the running video, 1 for a still picture."""
        return self._frame.category

    def getInstanceNum(self) -> int:
        """Number of the camera: 0 rgb, 1 left, 2 right."""
        return self._frame.camera

    def getSequenceNum(self) -> int:
        """Counts the exposures of a camera; the same for everything made from one exposure."""
        return self._frame.sequence

    def getCameraName(self) -> str:
        """`rgb`, `left` or `right`; `INVALID_instNo` for any other number."""
        return self._frame.camera_name


def make_metadata(frame: wire_formats.FrameTrailer | None) -> FrameMetadata | None:
    """The public face of a trailer."""
    if frame is None:
        return None
    metadata = FrameMetadata()
    metadata._frame = frame
    return metadata


class Tracklet(Opaque):
    """One tracked object; its box is in pixels of the network's input picture."""

    __slots__ = ("_row",)
    _row: dict[str, int]

    def getId(self) -> int:
        """Number of the object, the same as long as it is tracked."""
        return self._row["id"]

    def getLabel(self) -> int:
        """Class of the object, as the network numbers them."""
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
    """The objects that are tracked at one moment, at most 20."""

    __slots__ = ("_rows",)
    _rows: list[dict[str, int]]

    def __init__(self) -> None:
        self._rows = []

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Tracklet]:
        return (self.getTracklet(index) for index in range(len(self)))

    def getNrTracklets(self) -> int:
        """How many objects there are."""
        return len(self._rows)

    def getTracklet(self, index: int, /) -> Tracklet:
        """One of them. Raises IndexError if there are fewer, TypeError if it is no integer."""
        number = integer("index", index)
        if not 0 <= number < len(self._rows):
            raise IndexError(f"tracklet {number} of {len(self._rows)}")
        tracklet = Tracklet.__new__(Tracklet)
        tracklet._row = self._rows[number]
        return tracklet


def read_tracker(payload: Bytes) -> ObjectTracker:
    """Tracked objects from their wire form. Raises RuntimeError if it is something else."""
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
    """One packet of any stream but `metaout`. It outlives the pipeline and the device."""

    __slots__ = ("_data", "_frame", "_name", "_read", "_size")
    _name: str
    _data: Bytes
    _frame: wire_formats.FrameTrailer | None
    _read: Reader
    _size: int

    @property
    def stream_name(self) -> str:
        """The stream, under the name by which it was asked for."""
        return self._name

    def size(self) -> int:
        """Bytes of data, without the metadata."""
        return self._size

    def getData(self) -> NDArray[Any]:
        """The data as a new array, which belongs to the caller.

        Shape   left, right, rectified_*, disparity: (H, W) uint8; depth: (H, W) uint16, mm, 65535
                where there is none; disparity_color: (H, W, 3) uint8, BGR; previewout: (3, h, w)
                uint8, planes B, G, R, or flat if no network is loaded; others: flat uint8
        """
        return self._read(self._data)

    def getDataAsStr(self) -> str:
        """The data up to the first zero byte, as UTF-8 text; meant for `meta_d2h`."""
        return bytes(self._data).split(b"\0", 1)[0].decode()

    def getMetadata(self) -> FrameMetadata | None:
        """What the device says about the frame, None if it said nothing."""
        return make_metadata(self._frame)

    def getObjectTracker(self) -> ObjectTracker:
        """Tracked objects of a packet of `object_tracker`. Raises RuntimeError on any other."""
        return read_tracker(self._data)


def make_packet(
    name: str, data: Bytes, frame: wire_formats.FrameTrailer | None, read: Reader, size: int
) -> DataPacket:
    """A packet that reads `data` with `read` each time it is asked for an array."""
    packet = DataPacket.__new__(DataPacket)
    packet._name, packet._data, packet._frame = name, data, frame
    packet._read, packet._size = read, size
    return packet


class DataPacketList(list[DataPacket]):
    """What `get_available_data_packets` returns: a list."""
