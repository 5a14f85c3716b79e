"""Images on topics have the pixels of the packets."""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np
import pytest
from contexts import PREVIEW_SIZE, STAMP_NS, TOPICS, build_message, make_picture, make_test_context
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image
from stereo_msgs.msg import DisparityImage

from depthai_ros.errors import DecodeError
from depthai_ros.messages.builders import BUILDERS, Builder, ros_time
from depthai_ros.messages.images import CONVERSIONS
from depthai_ros.streams import STREAMS, WORKER_OUTPUTS
from depthai_ros.wire_formats import (
    DETECTION,
    TRACKLET,
    disparity_color_table,
    disparity_to_depth_table,
    encode_detections,
    encode_tracklets,
)

#: Device's own table for 640 px, 71.86 degrees, 0.075 m.
DEPTH_MM = disparity_to_depth_table(640, 71.86, 0.075)


def pixels(message: Image) -> NDArray[Any]:
    dtype, channels = {
        "mono8": (np.uint8, 1),
        "bgr8": (np.uint8, 3),
        "16UC1": (np.uint16, 1),
        "32FC1": (np.float32, 1),
    }[message.encoding]
    shape = (message.height, message.width, channels)
    assert message.step == message.width * channels * np.dtype(dtype).itemsize
    assert message.is_bigendian == 0
    return np.frombuffer(message.data, dtype).reshape(shape).squeeze()


def noise(shape: tuple[int, ...], high: int = 256) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, high, shape).astype(np.uint8)


def test_every_message_kind_of_the_stream_table_has_a_builder() -> None:
    rows = (*STREAMS.values(), *WORKER_OUTPUTS.values())
    assert {topic.message for row in rows for topic in row.topics} == set(BUILDERS)


def test_every_image_topic_has_a_conversion_from_its_stream() -> None:
    for row in STREAMS.values():
        for topic in row.topics:
            if topic.message == "image":
                assert (row.layout, topic.encoding) in CONVERSIONS, topic.name


# -- images


GREY = noise((400, 640))
BYTES_96 = noise((400, 640), 96)
DEPTH = DEPTH_MM[BYTES_96]
PLANES = noise((3, *PREVIEW_SIZE[::-1]))
I420 = noise((1080 * 3 // 2, 1920))
MEASURED = np.where(DEPTH <= 10_000, DEPTH, 0)

#: wire stream, topic, pixels from the device, pixels on the topic, camera of its frame
IMAGES = [
    ("left", "left/image_raw", GREY, GREY, "left"),
    ("right", "right/image_raw", GREY, GREY, "right"),
    ("rectified_left", "left/image_rect", GREY, GREY[:, ::-1], "left"),
    ("rectified_right", "right/image_rect", GREY, GREY[:, ::-1], "right"),
    ("disparity", "disparity/image_raw", BYTES_96, BYTES_96, "right"),
    ("disparity", "disparity_color/image_raw", GREY, disparity_color_table()[GREY], "right"),
    ("depth", "depth/image_raw", DEPTH, MEASURED, "right"),
    (
        "depth",
        "depth/image",
        DEPTH,
        np.where(MEASURED > 0, MEASURED / 1000, np.nan).astype(np.float32),
        "right",
    ),
    ("depth", "disparity/image_raw", DEPTH, BYTES_96, "right"),
    ("depth", "disparity_color/image_raw", DEPTH, disparity_color_table()[BYTES_96], "right"),
    ("previewout", "rgb/preview/image_raw", PLANES, np.moveaxis(PLANES, 0, 2), "rgb"),
    ("color", "rgb/image_raw", I420, cv2.cvtColor(I420, cv2.COLOR_YUV2BGR_I420), "rgb"),
]


@pytest.mark.parametrize("case", IMAGES, ids=lambda case: f"{case[0]} to {case[1]}")
def test_image_on_topic_has_the_pixels_of_the_packet(case: Any) -> None:
    stream, topic, sent, expected, camera = case
    context = make_test_context()
    message = build_message(context, topic, make_picture(context, stream, sent))
    rounding = 1 if stream == "color" else 0  # against OpenCV's: test_core_kernels.py
    np.testing.assert_allclose(pixels(message), expected, rtol=0, atol=rounding)
    assert message.encoding == TOPICS[topic].encoding
    assert message.header.frame_id == f"oak_{camera}_camera_optical_frame"
    assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == STAMP_NS


@pytest.mark.parametrize("mirror_frame", [True, False])
@pytest.mark.parametrize(
    ("stream", "topic", "mirrored_if"),
    [
        ("rectified_left", "left/image_rect", True),
        ("rectified_right", "right/image_rect", True),
        ("disparity", "disparity/image_raw", False),
        ("depth", "depth/image_raw", False),
        ("depth", "disparity/image_raw", False),
        ("left", "left/image_raw", None),
    ],
)
def test_every_image_is_upright_whichever_stream_the_device_mirrors(
    stream: str, topic: str, mirrored_if: bool | None, mirror_frame: bool
) -> None:
    context = make_test_context({"depth.warp_rectify.mirror_frame": mirror_frame})
    upright = DEPTH if stream == "depth" else BYTES_96
    sent = upright[:, ::-1] if mirrored_if == mirror_frame else upright
    expected = {"depth/image_raw": MEASURED}.get(topic, BYTES_96)
    packet = make_picture(context, stream, np.ascontiguousarray(sent))
    np.testing.assert_array_equal(pixels(build_message(context, topic, packet)), expected)


@pytest.mark.parametrize(
    ("camera_input", "mirror_frame", "mirrored"),
    [
        ("rectified_left", True, True),
        ("rectified_left_right", True, True),
        ("rectified_right", False, False),
        ("left", True, False),
        ("rgb", True, False),
    ],
)
def test_preview_is_upright_also_if_the_network_input_is_mirrored(
    camera_input: str, mirror_frame: bool, mirrored: bool
) -> None:
    values = {"ai.camera_input": camera_input, "depth.warp_rectify.mirror_frame": mirror_frame}
    context = make_test_context(values)
    sent = PLANES[..., ::-1] if mirrored else PLANES
    message = build_message(
        context, "rgb/preview/image_raw", make_picture(context, "previewout", sent)
    )
    np.testing.assert_array_equal(pixels(message), np.moveaxis(PLANES, 0, 2))


@pytest.mark.parametrize("stream", ["left", "right", "disparity"])
@pytest.mark.complaint(5)
def test_grey_image_stays_in_the_buffer_of_its_packet(stream: str) -> None:
    context = make_test_context()
    packet = make_picture(context, stream, GREY)
    topic = TOPICS["disparity/image_raw" if stream == "disparity" else f"{stream}/image_raw"]
    builder = BUILDERS["image"]
    assert isinstance(builder, Builder)
    message = builder.build(context, topic, packet)
    assert message.buffer is packet.buffer
    assert message.size == GREY.size  # without the trailer


def test_depth_is_masked_in_place_after_disparity_was_computed_from_it() -> None:
    context = make_test_context({"depth.depth_limit_m": 2.0})
    packet = make_picture(context, "depth", DEPTH)
    disparity = build_message(context, "disparity/image_raw", packet)
    depth = build_message(context, "depth/image_raw", packet)
    np.testing.assert_array_equal(pixels(disparity), BYTES_96)
    np.testing.assert_array_equal(pixels(depth), np.where(DEPTH <= 2000, DEPTH, 0))
    np.testing.assert_array_equal(packet.data.view(np.uint16), pixels(depth).reshape(-1))


def test_disparity_color_has_the_device_makers_colours() -> None:
    expected = np.zeros((256, 3), int)
    for d in range(1, 96):
        if d <= 15:
            expected[d] = 100 + 10 * d, 0, 0
        elif d <= 42:
            expected[d] = 255, min(255, 10 * (d - 16)), 0
        elif d <= 67:
            expected[d] = 255 - 10 * (d - 42), 255, 10 * (d - 42)
        elif d <= 92:
            expected[d] = 0, 245 - 10 * (d - 68), 255
        else:
            expected[d] = 0, 0, 245 - 10 * (d - 93)
    np.testing.assert_array_equal(disparity_color_table(), expected)


@pytest.mark.parametrize("height", [400, 720, 800])
def test_focal_length_times_baseline_over_disparity_is_the_depth_within_one_step(
    height: int,
) -> None:
    context = make_test_context({"camera.mono.resolution_h": height})
    width = 640 if height == 400 else 1280
    table = disparity_to_depth_table(width, 71.86, 0.075)
    levels = np.resize(np.arange(256, dtype=np.uint8), (height, width))
    packet = make_picture(context, "depth", table[levels])
    message: DisparityImage = build_message(context, "disparity", packet)
    disparity = pixels(message.image)
    depth_m = pixels(build_message(context, "depth/image_raw", packet)) / 1000
    valid = disparity >= message.min_disparity
    np.testing.assert_array_equal(valid, depth_m > 0)
    distance_m = message.f * message.t / disparity[valid]
    one_step_m = distance_m - message.f * message.t / (disparity[valid] + message.delta_d)
    assert (np.abs(distance_m - depth_m[valid]) < one_step_m).all()
    assert (disparity[~valid] == -1.0).all()


@pytest.mark.parametrize("stream", ["disparity", "depth"])
@pytest.mark.complaint(9)
def test_disparity_image_has_focal_length_baseline_and_window(stream: str) -> None:
    context = make_test_context()
    sent = DEPTH if stream == "depth" else BYTES_96
    message: DisparityImage = build_message(
        context, "disparity", make_picture(context, stream, sent)
    )
    assert message.header == message.image.header
    assert message.header.frame_id == "oak_right_camera_optical_frame"
    assert message.image.encoding == "32FC1"
    assert message.f == pytest.approx(441.58, abs=0.01)
    assert message.t == pytest.approx(0.075)
    assert message.delta_d == 1.0
    assert message.min_disparity == pytest.approx(message.f * message.t / 10.0)
    assert message.max_disparity == 95.0
    window = message.valid_window
    assert (window.x_offset, window.y_offset) == (0, 0)
    assert (window.width, window.height) == (640 - 95, 400)
    expected = np.where(message.min_disparity <= BYTES_96, BYTES_96, -1.0).astype(np.float32)
    np.testing.assert_array_equal(pixels(message.image), expected)


JPEG = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()


@pytest.mark.parametrize(
    ("stream", "topic"),
    [
        ("jpegout", "rgb/still/image_raw/compressed"),
        ("video", "rgb/image_raw/compressed"),
    ],
)
@pytest.mark.complaint(20)
def test_jpeg_passes_through_byte_by_byte(stream: str, topic: str) -> None:
    context = make_test_context({"video_config.profile": "mjpeg"})
    message: CompressedImage = build_message(context, topic, make_picture(context, stream, JPEG))
    assert bytes(message.data) == JPEG
    assert message.format == "bgr8; jpeg compressed bgr8"
    assert message.header.frame_id == "oak_rgb_camera_optical_frame"


@pytest.mark.parametrize(
    ("profile", "video_format", "libav"),
    [
        ("h264_baseline", "h264", "h264"),
        ("h264_main", "h264", "h264"),
        ("h264_high", "h264", "h264"),
        ("h265_main", "h265", "hevc"),
    ],
)
def test_encoded_video_is_marked_with_its_format(
    profile: str, video_format: str, libav: str
) -> None:
    context = make_test_context({"video_config.profile": profile})
    sent = b"\0\0\0\1\2\1\x80abc" if libav == "hevc" else b"\0\0\0\1\x41\x9aabc"
    video = build_message(context, "rgb/video", make_picture(context, "video", sent))
    assert (video.format, bytes(video.data)) == (video_format, sent)
    assert video.frame_id == "oak_rgb_camera_optical_frame"
    assert video.timestamp == ros_time(STAMP_NS)
    packet = build_message(context, "rgb/image_raw/ffmpeg", make_picture(context, "video", sent))
    assert packet.encoding.split(";") == [libav, "yuv420p", "bgr8", "bgr8"]
    assert (packet.header.frame_id, packet.header.stamp) == (video.frame_id, video.timestamp)
    assert (packet.width, packet.height, packet.is_bigendian) == (1920, 1080, False)
    assert (packet.pts, packet.flags, bytes(packet.data)) == (STAMP_NS, 0, sent)


def test_right_frame_option_changes_right_images_but_not_depth() -> None:
    context = make_test_context({"stereo.right_frame": "left"})
    frames = {
        topic: build_message(context, topic, make_picture(context, stream, sent)).header.frame_id
        for stream, topic, sent, _, _ in IMAGES
        if topic in ("right/image_raw", "right/image_rect", "depth/image_raw")
    }
    assert frames == {
        "right/image_raw": "oak_left_camera_optical_frame",
        "right/image_rect": "oak_left_camera_optical_frame",
        "depth/image_raw": "oak_right_camera_optical_frame",
    }


@pytest.mark.parametrize("camera", ["left", "right", "rgb"])
def test_preview_has_the_frame_of_the_camera_that_fed_the_network(camera: str) -> None:
    camera_input = "rgb" if camera == "rgb" else "left_right"
    context = make_test_context({"ai.camera_input": camera_input})
    packet = make_picture(context, "previewout", PLANES, camera=camera)
    message = build_message(context, "rgb/preview/image_raw", packet)
    assert message.header.frame_id == f"oak_{camera}_camera_optical_frame"


def detection(**changes: float) -> bytes:
    """A payload with one detection in which some fields are changed."""
    row = np.array([(1, 0.5, 0.2, 0.2, 0.4, 0.4, 0.1, 0.1, 2.0)], DETECTION)
    for name, value in changes.items():
        row[name] = value
    return encode_detections(row)


def tracklet(**changes: int) -> bytes:
    """The same with a tracklet."""
    row = np.array([(30, 20, 90, 100, 5, 1, 1)], TRACKLET)
    for name, value in changes.items():
        row[name] = value
    return encode_tracklets(row)


REPORT = b'{"sensors": {"temperature": {"css": 40.5}}'
#: stream, topic, content, part of the error
LIES = [
    ("left", "left/image_raw", GREY[:-1], "expected 256000"),
    ("depth", "depth/image_raw", GREY, "expected 512000"),
    ("previewout", "rgb/preview/image_raw", b"", "expected 180000"),
    ("color", "rgb/image_raw", GREY, "expected 3110400"),
    ("metaout", "nn/detections", b"1234", "expected 3604"),
    ("metaout", "nn/detections", np.full(3604, 0xFF, np.uint8), "count is -1"),
    ("object_tracker", "tracklets", np.zeros(647, np.uint8), "expected 648"),
    ("object_tracker", "tracklets", np.full(648, 0x77, np.uint8), "must be 0..20"),
    ("jpegout", "rgb/still/image_raw/compressed", JPEG[1:], "begins with ff d8"),
    ("jpegout", "rgb/still/image_raw/compressed", JPEG[: len(JPEG) // 2], "ends with ff d9"),
    ("metaout", "nn/detections", detection(confidence=np.nan), "0: confidence is nan, must be a"),
    ("metaout", "nn/detections", detection(confidence=1.5), "confidence is 1.5, must be a number"),
    ("metaout", "nn/detections", detection(x_max=np.inf), "x_max is inf, must be a number"),
    ("metaout", "nn/spatial_detections", detection(y_min=0.9), "y_min is 0.9, must not exceed"),
    ("object_tracker", "tracklets", tracklet(right=20), "0: left is 30, must not exceed right"),
    ("object_tracker", "tracklets", tracklet(bottom=1 << 30), "bottom is 1073741824, must be"),
    ("meta_d2h", "device/status", b'{"sensors": {"temperature": {"css": "hot"}}}\0', "hot"),
    ("meta_d2h", "device/status", b'{"sensors": {"temperature": {"mss": 1e9}}}\0', "1000000000.0"),
    ("meta_d2h", "device/status", b'{"sensors": {"temperature": {"mss": 1e999}}}\0', "finite"),
    ("meta_d2h", "device/status", b'{"sensors": {"temperature": {"mss": -101}}}\0', "from -100 to"),
    ("meta_d2h", "device/status", b'{"sensors": 1}\0', "temperature must be an object"),
    ("meta_d2h", "device/status", REPORT + b', "logs": "text"}\0', "logs an array"),
    ("meta_d2h", "device/status", b"\xff\xfe\0", "meta_d2h: line 1"),
    ("meta_d2h", "device/status", b"[" * 50_000, "nested deeper"),
]


@pytest.mark.parametrize("case", LIES, ids=lambda case: f"{case[0]}: {case[3]}")
def test_malformed_packet_is_refused(case: Any) -> None:
    stream, topic, content, words = case
    context = make_test_context()
    with pytest.raises(DecodeError, match=words):
        build_message(context, topic, make_picture(context, stream, content))


def test_log_lines_of_a_report_are_few_short_and_printable() -> None:
    context = make_test_context()
    lines = ["\x1b[2J\n[ERROR] forged \ud800", 7, *(["x" * 900] * 998)]
    content = REPORT + b', "logs": ' + json.dumps(lines).encode() + b"}"
    build_message(context, "device/status", make_picture(context, "meta_d2h", content))
    first, second, *rest, last = context.health.logs.take()
    assert (first, second) == ("\\x1b[2J\\n[ERROR] forged \N{REPLACEMENT CHARACTER}", "7")
    assert rest == ["x" * 249 + "…"] * 48
    assert last == "950 more lines"
