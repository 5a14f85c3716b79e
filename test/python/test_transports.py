"""Which compressed topic shows which image, and what a compressed recording leaves out."""

from __future__ import annotations

from depthai_ros.streams import ALL_STREAMS, COMPRESSED_TOPICS
from depthai_ros.transports import (
    COMPRESSED,
    IMAGES,
    NOT_COMPRESSED,
    ON_DEMAND,
    PIXEL_BYTES,
    RAW,
    VIDEO,
    encoding_of,
)


def test_every_compressed_topic_shows_an_image_of_known_size() -> None:
    assert {topic.encoding for topic in COMPRESSED_TOPICS.values()} == set(PIXEL_BYTES)
    assert {IMAGES[name]: name for name in COMPRESSED.values()} == COMPRESSED
    assert COMPRESSED.keys() < RAW
    assert {name: encoding_of(name) for name in VIDEO} == {
        "rgb/image_raw/ffmpeg": "bgr8",
        "rgb/video": "bgr8",
    }
    assert encoding_of("depth/image/compressedDepth") == "32FC1"
    for other in ("left/image_raw", "rgb/still/image_raw/compressed", ""):
        assert encoding_of(other) == ""


def test_compressed_recording_has_each_image_of_the_device_once() -> None:
    raw = COMPRESSED.keys() - ON_DEMAND
    kept = {name for name in raw if COMPRESSED[name] not in NOT_COMPRESSED}
    assert raw - kept == {"depth/image"}, "the same as depth/image_raw, which loses nothing"
    assert not NOT_COMPRESSED & VIDEO.keys()
    topics = [topic for row in ALL_STREAMS.values() for topic in row.topics]
    names = {name for topic in topics for name in (topic.name, topic.camera_info)}
    small = names - NOT_COMPRESSED
    assert {"left/camera_info", "depth/camera_info", "nn/detections", "device/status"} < small
    assert not small & {"points", "disparity", "left/image_raw"}
