"""Images and clouds of any program become what the page shows; broken ones are errors."""

from __future__ import annotations

import math
import struct
from typing import Any

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header

from depthai_ros.errors import DecodeError
from depthai_ros.messages.image_codecs import CodecSettings, encode
from depthai_ros.view.ros_images import cloud, image_of
from depthai_ros.view.ros_topics import (
    COMPRESSED_IMAGE,
    IMAGE,
)
from depthai_ros.view.source import ImageChoice

HEADER = Header(stamp=Time(sec=7, nanosec=5), frame_id="eye")
STAMP_NS = 7_000_000_005
COLOR, DEPTH = ImageChoice("rgb/image_raw", "bgr8", "rgb"), ImageChoice("d", "16UC1", "right", "m")
METRES = ImageChoice("depth/image", "32FC1", "right", "m")
DISPARITY = ImageChoice("disparity/image_raw", "mono8", "right", "px")

Pixels = NDArray[Any]


# -- images


def compressed(pixels: Pixels, encoding: str, form: str) -> bytes:
    """A serialised CompressedImage, as the node makes it."""
    coded = encode(pixels, encoding, CodecSettings(form))
    data = np.frombuffer(coded.buffer, np.uint8)[: coded.size].tobytes()
    return serialized(data, coded.format)


def serialized(data: bytes, form: str) -> bytes:
    return bytes(serialize_message(CompressedImage(header=HEADER, format=form, data=data)))


def raw_image(pixels: Pixels, encoding: str, pad: int = 0, **fields: Any) -> bytes:
    """A serialised Image, with unused bytes at the end of each row."""
    rows = pixels.reshape(len(pixels), -1).view(np.uint8)
    data = np.pad(rows, ((0, 0), (0, pad)))
    message = Image(
        header=HEADER,
        height=len(pixels),
        width=pixels.shape[1],
        encoding=encoding,
        step=data.shape[1],
        data=data.tobytes(),
    )
    for name, value in fields.items():
        setattr(message, name, value)
    return bytes(serialize_message(message))


def test_jpeg_and_png_pass_as_they_came() -> None:
    pixels = np.full((4, 6, 3), 90, np.uint8)
    for form, begin in (("jpeg", b"\xff\xd8\xff"), ("png", b"\x89PNG")):
        shown = image_of(compressed(pixels, "bgr8", form), COMPRESSED_IMAGE, COLOR)
        assert shown.data.startswith(begin)
        assert (shown.pixels, shown.stamp_ns) == (None, STAMP_NS)


@pytest.mark.parametrize("form", ["png", "rvl"])
def test_compressed_depth_is_metres_and_nan(form: str) -> None:
    mm = np.random.default_rng(3).integers(0, 9000, (31, 47), np.uint16)
    mm[5:20, 7:40] = 0
    mm[25] = 2500
    shown = image_of(compressed(mm, "16UC1", form), COMPRESSED_IMAGE, DEPTH).pixels
    assert shown is not None
    assert shown.dtype == np.float32
    assert (np.isnan(shown) == (mm == 0)).all()
    np.testing.assert_allclose(shown[mm > 0], mm[mm > 0] / 1000, rtol=1e-6)
    metres = np.where(mm > 0, mm / np.float32(1000), np.nan).astype(np.float32)
    shown = image_of(compressed(metres, "32FC1", form), COMPRESSED_IMAGE, METRES).pixels
    assert shown is not None
    close = np.isfinite(metres) & (metres > 1) & (metres < 5)
    np.testing.assert_allclose(shown[close], metres[close], rtol=0.05)


def test_disparity_is_pixels_and_nan() -> None:
    codes = np.arange(60, dtype=np.uint8).reshape(6, 10)
    for raw, kind in (
        (compressed(codes, "mono8", "png"), COMPRESSED_IMAGE),
        (raw_image(codes, "mono8"), IMAGE),
    ):
        shown = image_of(raw, kind, DISPARITY).pixels
        assert shown is not None
        assert math.isnan(shown[0, 0])
        assert (shown.ravel()[1:] == codes.ravel()[1:]).all()


def test_raw_images_of_every_encoding_arrive() -> None:
    color = np.random.default_rng(1).integers(0, 255, (5, 7, 3), np.uint8)
    shown = image_of(raw_image(color, "bgr8", pad=3), IMAGE, COLOR).pixels
    assert shown is not None
    assert (shown == color).all()
    shown = image_of(raw_image(color, "rgb8"), IMAGE, COLOR).pixels
    assert shown is not None
    assert (shown == color[:, :, ::-1]).all()
    mm = np.array([[0, 1500], [2000, 65535]], np.uint16)
    for pixels, big in ((mm, 0), (mm.byteswap(), 1)):
        shown = image_of(raw_image(pixels, "16UC1", is_bigendian=big), IMAGE, DEPTH).pixels
        assert shown is not None
        np.testing.assert_allclose(shown, [[np.nan, 1.5], [2.0, 65.535]])
    metres = np.array([[np.nan, 1.25]], np.float32)
    shown = image_of(raw_image(metres, "32FC1"), IMAGE, METRES).pixels
    np.testing.assert_array_equal(shown, metres)


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header lies about the size."""
    data = bytearray(cv2.imencode(".png", np.zeros((2, 2), np.uint16))[1].tobytes())
    data[16:24] = struct.pack(">II", width, height)
    return bytes(data)


def jpeg_of(width: int, height: int) -> bytes:
    """A JPEG whose header lies about the size."""
    data = bytearray(cv2.imencode(".jpg", np.zeros((8, 8), np.uint8))[1].tobytes())
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


MM = np.ones((2, 2), np.uint16)
DEPTH_HEAD = struct.pack("<iff", 0, 1.0, 0.0)
PNG_DEPTH, RVL_DEPTH = "16UC1; compressedDepth png", "16UC1; compressedDepth rvl"
SMALL = DEPTH_HEAD + struct.pack("<II", 2, 2)  # of RVL
BROKEN_RAW: dict[str, tuple[bytes, ImageChoice]] = {
    "no bytes": (b"", COLOR),
    "cut": (raw_image(MM, "16UC1")[:40], DEPTH),
    "too few pixels": (raw_image(MM, "16UC1", height=3), DEPTH),
    "wrong step": (raw_image(MM, "16UC1", step=1), DEPTH),
    "no size": (raw_image(MM, "16UC1", width=0), DEPTH),
    "huge": (raw_image(MM, "16UC1", width=1 << 31, height=1 << 31), DEPTH),
    "unknown encoding": (raw_image(MM, "bayer_rggb8"), COLOR),
    "colours as depth": (raw_image(np.ones((2, 2, 3), np.uint8), "bgr8"), DEPTH),
}
BROKEN_CODED: dict[str, tuple[bytes, str, ImageChoice]] = {
    "text": (b"<svg onload=alert(1)>", "bgr8; jpeg compressed bgr8", COLOR),
    "a JPEG that ends": (b"\xff\xd8\xff\xe0", "mono8; jpeg compressed mono8", DISPARITY),
    "a JPEG of 30 million pixels": (jpeg_of(30_000, 1000), "mono8; jpeg", DISPARITY),
    "no header": (b"123", PNG_DEPTH, DEPTH),
    "no PNG": (DEPTH_HEAD + b"?" * 40, PNG_DEPTH, DEPTH),
    "a PNG of a terabyte": (DEPTH_HEAD + png_of(1 << 20, 1 << 20), PNG_DEPTH, DEPTH),
    "an 8-bit PNG": (
        DEPTH_HEAD + cv2.imencode(".png", np.ones((2, 2, 3), np.uint8))[1].tobytes(),
        PNG_DEPTH,
        DEPTH,
    ),
    "RVL without pixels": (DEPTH_HEAD, RVL_DEPTH, DEPTH),
    "RVL without numbers": (SMALL, RVL_DEPTH, DEPTH),
    "RVL of a terabyte": (DEPTH_HEAD + struct.pack("<II", 1 << 30, 1 << 30), RVL_DEPTH, DEPTH),
    "RVL with a run too long": (SMALL + b"\0\0\0\x77", RVL_DEPTH, DEPTH),
    "RVL with more bytes than its pixels take": (SMALL + bytes(1 << 16), RVL_DEPTH, DEPTH),
    "RVL with runs of no pixel": (SMALL + bytes(8), RVL_DEPTH, DEPTH),
    "RVL with an endless number": (SMALL + b"\xff" * 400, RVL_DEPTH, DEPTH),
    "RVL with a huge number": (SMALL + b"\xff" * 40 + b"\0" * 8, RVL_DEPTH, DEPTH),
}


@pytest.mark.parametrize("case", [*BROKEN_RAW, *BROKEN_CODED])
def test_broken_image_is_an_error_with_a_sentence(case: str) -> None:
    if case in BROKEN_RAW:
        raw, choice = BROKEN_RAW[case]
        kind = IMAGE
    else:
        data, form, choice = BROKEN_CODED[case]
        raw, kind = serialized(data, form), COMPRESSED_IMAGE
    with pytest.raises(DecodeError, match=r"\w+ \w+") as refusal:
        image_of(raw, kind, choice)
    assert "cloud" not in str(refusal.value)


@pytest.mark.parametrize("form", [".tiff", ".bmp", ".pgm"])
def test_files_of_other_kinds_are_not_decoded(form: str) -> None:
    data = DEPTH_HEAD + cv2.imencode(form, np.ones((2, 2), np.uint8))[1].tobytes()
    with pytest.raises(DecodeError, match="are no image"):
        image_of(serialized(data, PNG_DEPTH), COMPRESSED_IMAGE, DEPTH)


# -- points

FIELDS = {"x": (0, 7), "y": (4, 7), "z": (8, 7), "rgb": (12, 7)}


def points(
    shape: tuple[int, int],
    records: Pixels,
    layout: dict[str, tuple[int, int]] | None = None,
    **changes: Any,
) -> bytes:
    """A serialised PointCloud2 of rows of bytes."""
    height, width = shape
    data = records.reshape(height * width, -1).view(np.uint8)
    message = PointCloud2(
        header=HEADER,
        height=height,
        width=width,
        fields=[
            PointField(name=name, offset=offset, datatype=kind, count=1)
            for name, (offset, kind) in (FIELDS if layout is None else layout).items()
        ],
        point_step=data.shape[1],
        row_step=data.shape[1] * width,
        data=data.tobytes(),
    )
    for name, value in changes.items():
        setattr(message, name, value)
    return bytes(serialize_message(message))


def records_of(count: int, color: int = 0x00102030) -> Pixels:
    rows = np.zeros((count, 4), np.float32)
    rows[:, :3] = np.arange(count * 3).reshape(count, 3)
    rows[:, 3] = np.array([color], np.uint32).view(np.float32)
    return rows


def test_cloud_has_measured_points_and_their_colours() -> None:
    rows = records_of(6)
    rows[2, 0] = np.nan
    found = cloud(points((2, 3), rows))
    assert (found.stamp_ns, found.frame_id) == (STAMP_NS, "eye")
    assert (found.points == np.delete(rows[:, :3], 2, 0)).all()
    assert found.colors.tolist() == [[0x10, 0x20, 0x30]] * 5
    assert cloud(points((2, 3), records_of(6, color=0))).colors.min() > 0  # no colour came
    without = {name: FIELDS[name] for name in "xyz"}
    by_distance = cloud(points((2, 3), rows, without)).colors.sum(1, dtype=int)  # near is light
    assert by_distance[0] > by_distance[1] > by_distance[2] == by_distance[4]


@pytest.mark.parametrize("shape", [(40, 50), (1, 2000)])
def test_cloud_is_decimated_evenly_to_a_bound(shape: tuple[int, int]) -> None:
    rows = records_of(2000)
    found = cloud(points(shape, rows), most=130)
    assert 60 <= len(found.points) <= 130
    x = np.sort(found.points[:, 0])
    assert np.diff(x).max() < x[-1] / 4  # from everywhere


def test_cloud_of_another_node_with_its_own_layout_arrives() -> None:
    own = np.dtype([("q", "u1"), ("z", ">f4"), ("y", ">f4"), ("x", ">f4"), ("pad", "u1", 3)])
    rows = np.zeros(2, own)
    rows["x"], rows["y"], rows["z"] = (1, 2), (3, 4), (5, 6)
    fields = {"q": (0, 2), "z": (1, 7), "y": (5, 7), "x": (9, 7)}
    found = cloud(points((1, 2), rows.view(np.uint8), fields, is_bigendian=True))
    assert found.points.tolist() == [[1, 3, 5], [2, 4, 6]]


@pytest.mark.parametrize(
    "changes",
    [
        {"height": 3},
        {"width": 1 << 31, "height": 1 << 31},
        {"width": 0},
        {"point_step": 4},
        {"row_step": 1},
        {"row_step": 1 << 31},
        {"data": b""},
        {"fields": []},
        {"fields": [PointField(name=axis, offset=14, datatype=7) for axis in "xyz"]},
        {"fields": [PointField(name=axis, offset=0, datatype=8) for axis in "xyz"]},
        {"fields": [PointField(name=axis, offset=(1 << 32) - 1, datatype=7) for axis in "xyz"]},
    ],
    ids=str,
)
def test_broken_cloud_is_an_error(changes: dict[str, Any]) -> None:
    with pytest.raises(DecodeError, match="cloud"):
        cloud(points((2, 3), records_of(6), **changes))
