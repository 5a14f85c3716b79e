"""Payloads: golden bytes from the documents, and malformed bytes."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from depthai_ros import wire_formats
from depthai_ros.errors import DecodeError
from depthai_ros.wire_formats import DETECTION, TRACKLET, FrameTrailer

#: 1280x720 grey, left camera, sequence 30, 1.016667 s. Source: docs/wire_format.md#frame-trailer
GOLDEN_TRAILER = bytes.fromhex(
    "0f000000 d0020000 00050000 00050000"
    "01000000 00000000 01000000 1e000000"
    "01000000 00000000 7851fe00 00000000"
    "00100e00 0df0feca"
)
GOLDEN_METADATA = FrameTrailer(
    format=15,
    height=720,
    width=1280,
    stride=1280,
    bytes_per_pixel=1,
    category=0,
    camera=1,
    sequence=30,
    timestamp_ns=1_016_667_000,
    frame_size=921_600,
)
#: One detection: label 15, 0.75, box, position. Source: docs/wire_format.md#detections
GOLDEN_DETECTION = bytes.fromhex(
    "010000000f0000000000403f0000803e0000003e0000003f0000603fcdcccc3dcdcc4cbd0000a03f"
)


def short(value: object) -> str:
    """Name of a case: bytes by their number, other values as text."""
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


def array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8).copy()


def trailer(**changes: int) -> bytes:
    """A trailer for 4 bytes of frame data with some fields changed, also to invalid values."""
    fields = {
        "format": 15,
        "height": 1,
        "width": 4,
        "stride": 4,
        "bytes_per_pixel": 1,
        "category": 0,
        "camera": 1,
        "sequence": 7,
        "seconds": 2,
        "nanoseconds": 3,
        "frame_size": 4,
        "magic": wire_formats.TRAILER_MAGIC,
    }
    return wire_formats.TRAILER.pack(*{**fields, **changes}.values())


# -- packets


def test_golden_trailer_is_read_and_written_back():
    data, metadata = wire_formats.split_packet(array(bytes(921_600) + GOLDEN_TRAILER))
    assert metadata == GOLDEN_METADATA
    assert len(data) == 921_600
    assert GOLDEN_METADATA.pack() == GOLDEN_TRAILER
    assert GOLDEN_METADATA.camera_name == "left"


def test_gap_between_data_and_trailer_is_left_out():
    data, metadata = wire_formats.split_packet(array(b"abcd" + bytes(200) + trailer()))
    assert data.tobytes() == b"abcd"
    assert metadata is not None
    assert metadata.timestamp_ns == 2_000_000_003


def test_data_is_a_writable_view_of_the_packet():
    packet = array(b"abcd" + trailer())
    data, _ = wire_formats.split_packet(packet)
    data[0] = 0
    assert packet[0] == 0


#: Packets without a valid trailer are all data.
WITHOUT_TRAILER = [b"", b"{}\0", bytes(55), bytes(56), trailer(magic=0)]


@pytest.mark.parametrize("packet", WITHOUT_TRAILER, ids=len)
def test_packet_without_trailer_is_all_data(packet):
    data, metadata = wire_formats.split_packet(array(packet))
    assert (data.tobytes(), metadata) == (packet, None)


#: Packet -> error.
LYING_PACKETS = [
    (trailer(), "trailer claims 4 bytes of frame data, the packet holds 0 before it"),
    (b"abc" + trailer(), "trailer claims 4 bytes of frame data, the packet holds 3 before it"),
    (
        b"abcd" + trailer(frame_size=0xFFFFFFFF),
        "trailer claims 4294967295 bytes of frame data, the packet holds 4 before it",
    ),
    (
        b"abcd" + trailer(nanoseconds=1_000_000_000),
        "trailer time stamp has 1000000000 nanoseconds, must be below 10^9",
    ),
    (
        b"abcd" + trailer(seconds=1 << 31),
        "trailer time stamp has 2147483648 seconds, must be below 2^31",
    ),
    (
        b"abcd" + trailer(seconds=(1 << 64) - 1),
        "trailer time stamp has 18446744073709551615 seconds, must be below 2^31",
    ),
]


@pytest.mark.parametrize(("packet", "complaint"), LYING_PACKETS, ids=short)
def test_malformed_trailer_is_refused(packet, complaint):
    with pytest.raises(DecodeError) as caught:
        wire_formats.split_packet(array(packet))
    assert str(caught.value) == complaint


def test_unknown_camera_number_has_a_name_of_its_own():
    _, metadata = wire_formats.split_packet(array(b"abcd" + trailer(camera=3)))
    assert metadata is not None
    assert metadata.camera_name == "INVALID_instNo"


# -- images


def test_image_is_a_view_with_the_given_shape():
    data = array(bytes(range(24)))
    image = wire_formats.as_image(data, (3, 4), np.uint16)
    assert (image.shape, image.dtype) == ((3, 4), np.dtype("<u2"))
    assert image[0, 1] == 0x0302
    assert np.shares_memory(image, data)


#: Bytes present, shape, type -> error.
BAD_PICTURES = [
    (11, (3, 4), np.uint8, "frame has 11 bytes, expected 12 for shape (3, 4)"),
    (13, (3, 4), np.uint8, "frame has 13 bytes, expected 12 for shape (3, 4)"),
    (12, (3, 4), np.uint16, "frame has 12 bytes, expected 24 for shape (3, 4)"),
    (0, (1 << 32, 1 << 32), np.uint8,
     "frame has 0 bytes, expected 18446744073709551616 for shape (4294967296, 4294967296)"),
]  # fmt: skip


@pytest.mark.parametrize(("count", "shape", "dtype", "complaint"), BAD_PICTURES)
def test_image_of_another_size_is_refused(count, shape, dtype, complaint):
    with pytest.raises(DecodeError) as caught:
        wire_formats.as_image(array(bytes(count)), shape, dtype)
    assert str(caught.value) == complaint


# -- detections


def test_golden_detection_is_read_and_written_back():
    block = GOLDEN_DETECTION.ljust(3604, b"\0")
    rows = wire_formats.decode_detections(array(block + bytes(500)))
    assert rows.tolist() == [
        pytest.approx((15, 0.75, 0.25, 0.125, 0.5, 0.875, 0.1, -0.05, 1.25), abs=1e-6)
    ]
    assert wire_formats.encode_detections(rows) == block


def test_full_and_empty_detection_blocks_survive():
    rows = np.zeros(100, DETECTION)
    rows["label"] = np.arange(100)
    assert (
        wire_formats.decode_detections(array(wire_formats.encode_detections(rows))).tolist()
        == rows.tolist()
    )
    assert len(wire_formats.decode_detections(array(wire_formats.encode_detections(rows[:0])))) == 0


#: Block -> error.
BAD_DETECTIONS = [
    (b"", "detection block has 0 bytes, expected 3604"),
    (bytes(3603), "detection block has 3603 bytes, expected 3604"),
    (struct.pack("<i", 101).ljust(3604, b"\0"), "detection count is 101, must be 0..100"),
    (struct.pack("<i", -1).ljust(3604, b"\0"), "detection count is -1, must be 0..100"),
]


@pytest.mark.parametrize(("block", "complaint"), BAD_DETECTIONS, ids=short)
def test_bad_detection_block_is_refused(block, complaint):
    with pytest.raises(DecodeError) as caught:
        wire_formats.decode_detections(array(block))
    assert str(caught.value) == complaint


# -- tracklets


def tracklets(count: int, status: int = 1) -> bytes:
    return (
        struct.pack("<i4x", count) + struct.pack("<iiiiqii", 1, 2, 3, 4, 1 << 40, 15, status) * 20
    )


def test_tracklets_lie_behind_four_bytes_of_padding():
    rows = wire_formats.decode_tracklets(array(tracklets(2)))
    assert rows.tolist() == [(1, 2, 3, 4, 1 << 40, 15, 1)] * 2
    written = wire_formats.encode_tracklets(rows)
    assert (len(written), written[:72]) == (648, tracklets(2)[:72])
    assert TRACKLET.itemsize == 32


#: Block -> error.
BAD_TRACKLETS = [
    (b"", "tracklet block has 0 bytes, expected 648"),
    (tracklets(1) + b"\0", "tracklet block has 649 bytes, expected 648"),
    (tracklets(21), "tracklet count is 21, must be 0..20"),
    (tracklets(-1), "tracklet count is -1, must be 0..20"),
    (tracklets(1, status=3), "tracklet status is [3], must be one of 0, 1, 2"),
    (tracklets(1, status=-1), "tracklet status is [-1], must be one of 0, 1, 2"),
]


@pytest.mark.parametrize(("block", "complaint"), BAD_TRACKLETS, ids=short)
def test_bad_tracklet_block_is_refused(block, complaint):
    with pytest.raises(DecodeError) as caught:
        wire_formats.decode_tracklets(array(block))
    assert str(caught.value) == complaint


def test_status_of_unused_tracklets_does_not_matter():
    assert len(wire_formats.decode_tracklets(array(tracklets(0, status=9)))) == 0


# -- tensors


def tensor(dimensions, strides, offset=0, data_type=1):
    shape = {"data_type": data_type, "dimensions": dimensions, "strides": strides}
    return {"name": "out", "offset": offset, "shape": shape}


def test_raw_tensor_honours_offset_and_strides():
    payload = array(bytes(range(64)))
    view = wire_formats.tensor_view(payload, tensor([2, 3], [16, 2], offset=8))
    assert view.tolist() == [[8, 10, 12], [24, 26, 28]]
    assert np.shares_memory(view, payload)


#: Type code, bytes -> value.
TENSOR_TYPES = [
    (0, "003c", 1.0),
    (1, "ff", 255),
    (2, "feffffff", -2),
    (3, "0000003f", 0.5),
    (4, "ff", -1),
]


@pytest.mark.parametrize(("code", "data", "value"), TENSOR_TYPES)
def test_every_tensor_type_is_read(code, data, value):
    payload = array(bytes.fromhex(data))
    assert wire_formats.tensor_view(payload, tensor([1], [1], data_type=code)).tolist() == [value]


def test_ssd_tensor_fills_its_payload_exactly():
    ssd = tensor([1, 1, 100, 7], [1400, 1400, 14, 2], data_type=0)
    assert wire_formats.tensor_view(array(bytes(1400)), ssd).shape == (1, 1, 100, 7)
    with pytest.raises(DecodeError, match="tensor 'out' ends at byte 1400, the payload has 1399"):
        wire_formats.tensor_view(array(bytes(1399)), ssd)


#: Tensor that does not fit into 64 bytes, or is malformed.
BAD_TENSORS = [
    tensor([65], [1]),
    tensor([64], [1], offset=1),
    tensor([2], [64]),
    tensor([1 << 62], [1 << 62]),
    tensor([1], [1], offset=-1),
    tensor([2], [-1], offset=8),
    tensor([0], [1]),
    tensor([-1], [1]),
    tensor([2, 2], [2]),
    tensor([1], [1], data_type=5),
    tensor([1], [1], data_type=-1),
    tensor(["1"], [1]),
    tensor([1], [1], offset=None),
    {"name": "out"},
    {},
]


@pytest.mark.parametrize("layer", BAD_TENSORS)
def test_tensor_outside_its_payload_is_refused(layer):
    with pytest.raises(DecodeError, match=r"^tensor "):
        wire_formats.tensor_view(array(bytes(64)), layer)


# -- depth

#: Width, field of view, baseline, disparity -> mm. Source: docs/wire_format.md#depth
DEPTHS = [
    (1280, 71.86, 0.075, 2, 33118),
    (1280, 71.86, 0.075, 60, 1103),
    (1280, 71.86, 0.075, 95, 697),
    (640, 71.86, 0.075, 60, 551),
    (640, 71.86, 0.075, 95, 348),
    (1280, 71.86, 0.075, 1, 65535),
    (1280, 71.86, 0.075, 0, 65535),
    (1280, 71.86, 0.075, 96, 0),
    (1280, 71.86, 0.075, 255, 0),
]


@pytest.mark.parametrize(("width", "fov_deg", "baseline_m", "disparity", "depth_mm"), DEPTHS)
def test_depth_table_has_the_devices_values(width, fov_deg, baseline_m, disparity, depth_mm):
    assert wire_formats.disparity_to_depth_table(width, fov_deg, baseline_m)[disparity] == depth_mm


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("fov_deg", [0.0, 1e-300, 180.0, 300.0, -71.86, 1e300, float("inf")])
@pytest.mark.parametrize("baseline_m", [0.0, 0.075, -0.075, 1e300])
def test_no_field_of_view_divides_by_zero(fov_deg, baseline_m):
    there = wire_formats.disparity_to_depth_table(1280, fov_deg, baseline_m)
    assert (there[0], there[96]) == (wire_formats.DEPTH_UNKNOWN, 0)
    back = wire_formats.depth_to_disparity_table(1280, fov_deg, baseline_m)
    assert back.max() <= wire_formats.MAX_DISPARITY


@pytest.mark.parametrize(("width", "baseline_m"), [(1280, 0.075), (640, 0.075), (640, 0.04)])
def test_every_disparity_comes_back_from_its_depth(width, baseline_m):
    there = wire_formats.disparity_to_depth_table(width, 71.86, baseline_m)
    back = wire_formats.depth_to_disparity_table(width, 71.86, baseline_m)
    known = [d for d in range(96) if there[d] != wire_formats.DEPTH_UNKNOWN]
    assert back[there[known]].tolist() == known
    assert back[0] == back[wire_formats.DEPTH_UNKNOWN] == 0


def test_disparity_colours_are_those_of_the_table():
    table = wire_formats.disparity_color_table()
    expected = {
        0: (0, 0, 0),
        1: (110, 0, 0),
        15: (250, 0, 0),
        16: (255, 0, 0),
        42: (255, 255, 0),
        43: (245, 255, 10),
        67: (5, 255, 250),
        68: (0, 245, 255),
        92: (0, 5, 255),
        93: (0, 0, 245),
        95: (0, 0, 225),
        96: (0, 0, 0),
        255: (0, 0, 0),
    }
    assert {index: tuple(table[index].tolist()) for index in expected} == expected
