"""Subscribers decode H.264 and H.265 of a node, and see what the device showed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from ffmpeg_image_transport_msgs.msg import FFMPEGPacket
from foxglove_msgs.msg import CompressedVideo
from nodes import Listener, NodeProcess
from numpy.typing import NDArray
from parameter_clients import QUIET
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from videos import decoded, psnr_db

PACKETS, VIDEO, RAW = "rgb/image_raw/ffmpeg", "rgb/video", "rgb/image_raw"
EVERY, ENOUGH = 5, 12
#: Profile -> format of CompressedVideo, name in libav.
PROFILES = {"h264_high": ("h264", "h264"), "h265_main": ("h265", "hevc")}
Stamp = tuple[int, int]


#: Lowest peak signal-to-noise ratio against the raw image; the first frames of a constant bit rate
#: have least.
LEAST_DB = 28.0


@pytest.fixture(scope="module", params=PROFILES)
def node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeProcess]:
    pytest.importorskip("av")
    values = {
        **QUIET,
        "device.id": "virtual",
        "stream_list": ["color", "video"],
        "camera.rgb.fps": 15.0,
        "video_config.profile": request.param,
        "video_config.keyframeFrequency": EVERY,
        "video_config.numBFrames": 2,
    }
    node = NodeProcess(tmp_path_factory.mktemp("node"), values)
    yield node
    node.kill()
    print(node.output)


@pytest.fixture
def names(request: pytest.FixtureRequest, node: NodeProcess) -> tuple[str, str]:
    return PROFILES[request.node.callspec.params["node"]]


def stamp_of(message: Any) -> Stamp:
    stamp = message.timestamp if isinstance(message, CompressedVideo) else message.header.stamp
    return stamp.sec, stamp.nanosec


def from_key_frame(packets: list[Any]) -> list[Any]:
    """The packets that a decoder gets which waits for its first key frame."""
    first = next(number for number, packet in enumerate(packets) if packet.flags)
    return packets[first:]


def assert_equal(images: dict[Stamp, NDArray[Any]], listener: Listener) -> None:
    """Decoded images are those of the raw topic with the same stamp."""
    compared = 0
    for message in listener.messages(RAW):
        if stamp_of(message) in images:
            raw = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
            assert psnr_db(images[stamp_of(message)], raw) > LEAST_DB
            compared += 1
    assert compared >= 2


def shown(libav: str, messages: list[Any]) -> dict[Stamp, NDArray[Any]]:
    images = decoded(libav, (bytes(row.data) for row in messages), "bgr24")
    assert len(images) == len(messages), "each message is one whole picture"
    return dict(zip(map(stamp_of, messages), images, strict=True))


@pytest.mark.complaint(20)
def test_subscribers_of_both_topics_see_the_images_of_the_raw_one(
    node: NodeProcess, names: tuple[str, str], listener: Listener
) -> None:
    video_format, libav = names
    listener.subscribe(FFMPEGPacket, PACKETS)
    listener.subscribe(CompressedVideo, VIDEO)
    listener.subscribe(CameraInfo, "rgb/camera_info")
    listener.subscribe(Image, RAW, keep=8)
    listener.wait_for(PACKETS, VIDEO, count=ENOUGH)
    packets = from_key_frame(listener.messages(PACKETS))
    videos = {stamp_of(row): row for row in listener.messages(VIDEO)}
    assert_equal(shown(libav, packets), listener)
    keys = [number for number, packet in enumerate(packets) if packet.flags]
    assert keys[0] == 0
    assert all(late - early <= EVERY for early, late in pairwise([*keys, len(packets)]))
    assert sorted(row.pts for row in packets) == [row.pts for row in packets]
    infos = {stamp_of(row) for row in listener.messages("rgb/camera_info")}
    for packet in packets:
        assert packet.encoding == f"{libav};yuv420p;bgr8;bgr8"
        assert (packet.width, packet.height, packet.is_bigendian) == (1920, 1080, False)
        assert packet.pts == packet.header.stamp.sec * 10**9 + packet.header.stamp.nanosec
        assert packet.header.frame_id == "oak_rgb_camera_optical_frame"
    both = [row for row in packets if stamp_of(row) in videos]
    assert len(both) >= len(packets) - 2
    assert infos & videos.keys()
    for packet in both:
        video = videos[stamp_of(packet)]
        assert (video.format, video.frame_id) == (video_format, packet.header.frame_id)
        assert video.data == packet.data


def test_late_subscriber_sees_images_from_the_next_key_frame_on(
    node: NodeProcess, names: tuple[str, str], listener: Listener
) -> None:
    listener.subscribe(FFMPEGPacket, PACKETS)
    listener.subscribe(Image, RAW, keep=8)

    def from_a_key_frame() -> set[Stamp]:
        """Stamps of images that are there raw and, after the first key frame, as video."""
        packets = listener.messages(PACKETS)
        if not any(row.flags for row in packets):
            return set()
        return {stamp_of(row) for row in from_key_frame(packets)} & {
            stamp_of(row) for row in listener.messages(RAW)
        }

    listener.wait_until(lambda: len(from_a_key_frame()) >= 2, "a key frame, and images behind it")
    packets = listener.messages(PACKETS)
    assert [row.flags for row in packets].index(1) < EVERY
    assert_equal(shown(names[1], from_key_frame(packets)), listener)


def test_compressed_images_are_jpeg_of_the_node_and_b_frames_are_refused_once(
    node: NodeProcess, listener: Listener
) -> None:
    small = listener.first(CompressedImage, "rgb/image_raw/compressed")
    assert small.format == "bgr8; jpeg compressed bgr8"
    assert bytes(small.data[:2]) == b"\xff\xd8"
    (line,) = [row for row in node.output.splitlines() if "numBFrames" in row]
    assert "[WARN]" in line
    assert "is 2 and not used: the device is asked for no B frames" in line
