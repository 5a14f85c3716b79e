"""Decodes and encodes the payloads of the streams.

The wire structures are defined only here, as `struct` formats and numpy dtypes; the host decodes
with them and the virtual device encodes with them. This module does no I/O.
"""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bounded import shown
from .errors import DecodeError

#: Frame trailer, little-endian. Source: docs/wire_format.md#frame-trailer
#: type, height, width, stride, bytes per pixel, category, camera, sequence, seconds, nanoseconds,
#: frame size, magic. Height comes before width.
TRAILER = struct.Struct("<iIIIIIIiQQII")
TRAILER_MAGIC = 0xCAFEF00D
#: Limit of the uptime, so that it fits ROS time, which has 31 bits of seconds.
_MAX_SECONDS = 1 << 31
#: Latest time of a host's clock: a day before the end, because stamps have to increase.
_LATEST_NS = (_MAX_SECONDS - 86_400) * 1_000_000_000

#: One detection of the decoded ("detection") NN layout. Source: docs/wire_format.md#detections
DETECTION = np.dtype(
    [
        ("label", "<u4"),
        ("confidence", "<f4"),
        ("x_min", "<f4"),  # box: 0..1 of the NN input
        ("y_min", "<f4"),
        ("x_max", "<f4"),
        ("y_max", "<f4"),
        ("x_m", "<f4"),  # position: metres, rectified right camera, optical axes
        ("y_m", "<f4"),
        ("z_m", "<f4"),
    ]
)
MAX_DETECTIONS = 100
DETECTIONS_BYTES = 4 + MAX_DETECTIONS * DETECTION.itemsize

#: One tracklet. Source: docs/wire_format.md#tracklets
TRACKLET = np.dtype(
    [
        ("left", "<i4"),  # box: pixels of the NN input
        ("top", "<i4"),
        ("right", "<i4"),
        ("bottom", "<i4"),
        ("id", "<i8"),
        ("label", "<i4"),
        ("status", "<i4"),
    ]
)
MAX_TRACKLETS = 20
TRACKLET_STATUS = ("NEW", "TRACKED", "LOST")
TRACKLETS_BYTES = 8 + MAX_TRACKLETS * TRACKLET.itemsize

#: Layout of pixels -> trailer `type`: yuv420p, bgr888p, raw16, gray8; all other layouts are
#: bitstreams. Source: docs/wire_format.md#frame-trailer
FRAME_FORMATS = {"i420": 2, "planar8": 7, "depth16": 11, "mono8": 15}
BITSTREAM_FORMAT = 21
#: Trailer `category`.
CATEGORY_REGULAR, CATEGORY_STILL = 0, 1
#: Trailer camera number -> name.
CAMERAS = ("rgb", "left", "right")


@dataclass(frozen=True, slots=True)
class FrameTrailer:
    """The metadata of one frame: its decoded trailer.

    Units   pixels, bytes; `timestamp_ns` is the device's uptime clock at capture
    Source  docs/wire_format.md#frame-trailer
    """

    format: int
    height: int
    width: int
    stride: int
    bytes_per_pixel: int
    category: int
    camera: int
    sequence: int
    timestamp_ns: int
    frame_size: int

    @property
    def camera_name(self) -> str:
        """Name of the source camera; "INVALID_instNo" for an unknown number, as in Gen1."""
        return CAMERAS[self.camera] if self.camera < len(CAMERAS) else "INVALID_instNo"

    def pack(self) -> bytes:
        """Write the 56-byte trailer."""
        seconds, nanoseconds = divmod(self.timestamp_ns, 1_000_000_000)
        return TRAILER.pack(
            self.format,
            self.height,
            self.width,
            self.stride,
            self.bytes_per_pixel,
            self.category,
            self.camera,
            self.sequence,
            seconds,
            nanoseconds,
            self.frame_size,
            TRAILER_MAGIC,
        )


def in_ros_range(stamp_ns: int) -> int:
    """The nearest time that a message can hold; a host's clock may be set to any year."""
    return min(max(stamp_ns, 0), _LATEST_NS)


def split_packet(packet: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], FrameTrailer | None]:
    """Split one packet into frame data and metadata.

    Shape   (n,) uint8 -> (frame_size,) uint8 view; without a trailer the whole packet and None
    Raises  DecodeError if a trailer claims more frame data than the packet holds
    Source  docs/wire_format.md#packets
    """
    end = len(packet) - TRAILER.size
    if end < 0:
        return packet, None
    fields = TRAILER.unpack_from(packet.data, end)
    if fields[-1] != TRAILER_MAGIC:
        return packet, None
    frame_size = fields[10]
    if frame_size > end:
        raise DecodeError(
            f"trailer claims {frame_size} bytes of frame data, the packet holds {end} before it"
        )
    if fields[9] >= 1_000_000_000:
        raise DecodeError(f"trailer time stamp has {fields[9]} nanoseconds, must be below 10^9")
    if fields[8] >= _MAX_SECONDS:
        raise DecodeError(f"trailer time stamp has {fields[8]} seconds, must be below 2^31")
    timestamp_ns = fields[8] * 1_000_000_000 + fields[9]
    return packet[:frame_size], FrameTrailer(*(*fields[:8], timestamp_ns, frame_size))


def as_image(data: NDArray[np.uint8], shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """View frame data as an array.

    Shape   (n,) uint8 -> `shape` of `dtype`, a view, not a copy
    Raises  DecodeError if the number of bytes differs
    """
    expected = math.prod(shape) * np.dtype(dtype).itemsize
    if len(data) != expected:
        raise DecodeError(f"frame has {len(data)} bytes, expected {expected} for shape {shape}")
    image: NDArray[Any] = data.view(dtype).reshape(shape)
    return image


@dataclass(frozen=True, slots=True)
class FrameSizes:
    """Sizes of one pipeline's frames.

    Units   px; `mono` and `rgb` are (width, height), `preview_chw` is the network's input shape
    """

    mono: tuple[int, int]
    rgb: tuple[int, int]
    preview_chw: tuple[int, int, int] = (3, 300, 300)

    @property
    def preview(self) -> tuple[int, int]:
        """(width, height) of the preview."""
        return self.preview_chw[2], self.preview_chw[1]

    def shape(self, layout: str) -> tuple[int, ...]:
        """Shape of the frame data of a layout in FRAME_FORMATS."""
        (mono_w, mono_h), (rgb_w, rgb_h) = self.mono, self.rgb
        shapes: dict[str, tuple[int, ...]] = {
            "mono8": (mono_h, mono_w),
            "depth16": (mono_h, mono_w),
            "i420": (rgb_h * 3 // 2, rgb_w),
            "planar8": self.preview_chw,
        }
        return shapes[layout]

    def as_image(self, data: NDArray[np.uint8], layout: str) -> NDArray[Any]:
        """View frame data of a layout in FRAME_FORMATS as an array.

        Raises  DecodeError if the number of bytes differs
        """
        return as_image(data, self.shape(layout), np.uint16 if layout == "depth16" else np.uint8)


def decode_detections(data: NDArray[np.uint8]) -> NDArray[Any]:
    """View the decoded NN layout as detections.

    Shape   (>= 3604,) uint8 -> (count,) DETECTION, a view
    Raises  DecodeError if the block is too short or its count is not 0..100
    Source  docs/wire_format.md#detections
    """
    if len(data) < DETECTIONS_BYTES:
        raise DecodeError(f"detection block has {len(data)} bytes, expected {DETECTIONS_BYTES}")
    count = int(data[:4].view("<i4")[0])
    if not 0 <= count <= MAX_DETECTIONS:
        raise DecodeError(f"detection count is {count}, must be 0..{MAX_DETECTIONS}")
    return data[4:DETECTIONS_BYTES].view(DETECTION)[:count]


def encode_detections(detections: NDArray[Any]) -> bytes:
    """Write (count,) DETECTION as the fixed 3604-byte block, unused slots zero."""
    block = np.zeros(MAX_DETECTIONS, DETECTION)
    block[: len(detections)] = detections
    return struct.pack("<i", len(detections)) + block.tobytes()


def decode_tracklets(data: NDArray[np.uint8]) -> NDArray[Any]:
    """View the tracker's payload as tracklets.

    Shape   (648,) uint8 -> (count,) TRACKLET, a view
    Raises  DecodeError if the size is wrong, the count is not 0..20, or a status is unknown
    Source  docs/wire_format.md#tracklets
    """
    if len(data) != TRACKLETS_BYTES:
        raise DecodeError(f"tracklet block has {len(data)} bytes, expected {TRACKLETS_BYTES}")
    count = int(data[:4].view("<i4")[0])
    if not 0 <= count <= MAX_TRACKLETS:
        raise DecodeError(f"tracklet count is {count}, must be 0..{MAX_TRACKLETS}")
    tracklets = data[8:].view(TRACKLET)[:count]
    unknown = set(tracklets["status"].tolist()) - set(range(len(TRACKLET_STATUS)))
    if unknown:
        raise DecodeError(f"tracklet status is {sorted(unknown)}, must be one of 0, 1, 2")
    return tracklets


def encode_tracklets(tracklets: NDArray[Any]) -> bytes:
    """Write (count,) TRACKLET as the fixed 648-byte block."""
    block = np.zeros(MAX_TRACKLETS, TRACKLET)
    block[: len(tracklets)] = tracklets
    return struct.pack("<i4x", len(tracklets)) + block.tobytes()


def depth_scale(width: int, fov_deg: float, baseline_m: float) -> np.float32:
    """Depth (m) times disparity (px); single precision, as the device calculates."""
    with np.errstate(all="ignore"):  # Gen1 programs may choose any field of view, also 0
        half_angle = np.float32(fov_deg) / np.float32(2) * np.float32(np.pi / 180)
        focal_px = np.float32(width) / (np.float32(2) * np.tan(half_angle))
        scale = np.nan_to_num(focal_px * np.float32(baseline_m))
    return np.float32(np.clip(scale, -_LARGEST_SCALE, _LARGEST_SCALE))


def disparity_to_depth_table(width: int, fov_deg: float, baseline_m: float) -> NDArray[np.uint16]:
    """Depth of each disparity byte, the same table as on the device.

    Shape   (256,) uint16; index px, value mm; 0 -> 65535 (unknown), 96..255 -> 0
    Source  docs/wire_format.md#depth
    """
    table = np.zeros(256, np.uint16)
    table[0] = DEPTH_UNKNOWN
    disparity = np.arange(1, MAX_DISPARITY + 1, dtype=np.float32)
    depth_mm = depth_scale(width, fov_deg, baseline_m) / disparity * np.float32(1000)
    table[1 : MAX_DISPARITY + 1] = np.clip(depth_mm, 0, DEPTH_UNKNOWN).astype(np.uint16)
    return table


def depth_to_disparity_table(width: int, fov_deg: float, baseline_m: float) -> NDArray[np.uint8]:
    """Disparity of each depth, the inverse of `disparity_to_depth_table`.

    Shape   (65536,) uint8; index mm, value the nearest disparity in px; 0 where there is none:
            no depth (0, 65535), or nearer than the largest disparity reaches
    Source  docs/wire_format.md#depth
    """
    depth_mm = np.arange(1, DEPTH_UNKNOWN, dtype=np.float64)
    nearest = np.rint(depth_scale(width, fov_deg, baseline_m) * 1000.0 / depth_mm)
    table = np.zeros(DEPTH_UNKNOWN + 1, np.uint8)
    table[1:DEPTH_UNKNOWN] = np.where((nearest >= 0) & (nearest <= MAX_DISPARITY), nearest, 0)
    # The device truncates to whole millimetres; its values must convert back exactly.
    levels = np.arange(1, MAX_DISPARITY + 1)
    table[disparity_to_depth_table(width, fov_deg, baseline_m)[levels]] = levels
    table[[0, DEPTH_UNKNOWN]] = 0
    return table


def disparity_color_table() -> NDArray[np.uint8]:
    """Colour of each disparity byte in `disparity_color`.

    Shape   (256, 3) uint8, blue green red; black where there is no disparity (0, 96..255)
    Source  docs/wire_format.md#disparity-color
    """
    table = np.zeros((256, 3), np.uint8)
    ramp = np.arange(26, dtype=np.int64)[:, None] * 10
    table[1:16] = np.array([100, 0, 0]) + ramp[1:16] * [1, 0, 0]
    table[16:43] = np.minimum([255, 0, 0] + np.append(ramp, [[260]], 0) * [0, 1, 0], 255)
    table[43:68] = [255, 255, 0] + ramp[1:26] * [-1, 0, 1]
    table[68:93] = [0, 245, 255] + ramp[:25] * [0, -1, 0]
    table[93:96] = [0, 0, 245] + ramp[:3] * [0, 0, -1]
    return table


#: Depth value that means "not measured", mm.
DEPTH_UNKNOWN = 65535
#: Largest disparity of the 96-level search, px.
MAX_DISPARITY = 95
#: Bound of depth times disparity, with which single precision calculates further.
_LARGEST_SCALE = 1e30


def tensor_view(data: NDArray[np.uint8], tensor: Mapping[str, Any]) -> NDArray[Any]:
    """View one raw output tensor inside a `metaout` payload.

    Shape   that of `tensor`, an entry of outBlob's `output_layers`, with its offset and strides
    Raises  DecodeError if the tensor does not lie inside the payload
    Source  docs/wire_format.md#tensors
    """
    dtype, offset, dimensions, strides = _tensor_layout(tensor)
    last = sum((size - 1) * stride for size, stride in zip(dimensions, strides, strict=True))
    end = offset + last + dtype.itemsize
    if min((offset, *strides)) < 0 or min(dimensions, default=1) < 1 or end > len(data):
        raise DecodeError(
            f"tensor {shown(tensor['name'])} ends at byte {end}, the payload has {len(data)} bytes"
        )
    try:
        return np.ndarray(dimensions, dtype, data, offset, strides)
    except (ValueError, OverflowError) as cause:
        raise DecodeError(
            f"tensor {shown(tensor['name'])} has more axes or elements than an array can have"
        ) from cause


def _tensor_layout(
    tensor: Mapping[str, Any],
) -> tuple[np.dtype[Any], int, tuple[int, ...], tuple[int, ...]]:
    """Type, byte offset, dimensions and byte strides of an outBlob layer."""
    try:
        str(tensor["name"])
        shape, offset = tensor["shape"], operator.index(tensor["offset"])
        dtype = np.dtype(dict(enumerate(TENSOR_DTYPES))[shape["data_type"]])
        dimensions, strides = (
            tuple(map(operator.index, shape[key])) for key in ("dimensions", "strides")
        )
    except (KeyError, TypeError) as cause:
        raise DecodeError(
            f"tensor {shown(tensor)}: name, offset or shape is missing or of a wrong type"
        ) from cause
    if len(dimensions) != len(strides):
        raise DecodeError(
            f"tensor {shown(tensor['name'])} has {len(dimensions)} dimensions and "
            f"{len(strides)} strides"
        )
    return dtype, offset, dimensions, strides


#: outBlob `data_type` code -> numpy dtype. Source: docs/wire_format.md#tensors
TENSOR_DTYPES = ("<f2", "u1", "<i4", "<f4", "i1")
