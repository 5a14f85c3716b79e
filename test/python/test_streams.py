"""The stream table against the documents."""

from __future__ import annotations

import dataclasses
import re

import pytest

from depthai_ros import wire_formats
from depthai_ros.config import BY_KEY
from depthai_ros.messages.images import CONVERSIONS
from depthai_ros.streams import ALIASES, STREAMS, WIRE_STREAMS, Stream

#: Messages of the pixels of a camera.
IMAGES = {"image", "compressed_image", "ffmpeg_packet", "compressed_video"}
#: Stream -> (largest packet, window), bytes. Source: docs/wire_format.md#session
SIZES = {
    "meta_d2h": (1_048_576, 1_048_576),
    "color": (20_971_520, 20_971_520),
    "left": (1_024_056, 1_024_064),
    "right": (1_024_056, 1_024_064),
    "rectified_left": (1_024_056, 1_024_064),
    "rectified_right": (1_024_056, 1_024_064),
    "disparity": (1_024_056, 1_024_064),
    "depth": (2_048_056, 2_048_064),
    "metaout": (4_194_304, 4_194_304),
    "previewout": (1_920_256, 1_920_256),
    "jpegout": (10_485_760, 10_485_760),
    "video": (10_485_760, 10_485_760),
    "object_tracker": (2_000, 2_048),
}


def test_wire_streams_stand_in_the_order_and_size_of_real_devices():
    known = [name for name in WIRE_STREAMS if name in SIZES]
    found = [(STREAMS[name].max_packet_bytes, STREAMS[name].window_bytes) for name in known]
    assert dict(zip(known, found, strict=True)) == SIZES
    assert known == list(SIZES)


def test_largest_images_fit_their_streams():
    trailer = wire_formats.TRAILER.size
    assert 4056 * 3040 * 3 // 2 + trailer <= STREAMS["color"].max_packet_bytes
    assert 1280 * 800 + trailer == STREAMS["left"].max_packet_bytes
    assert 2 * 1280 * 800 + trailer == STREAMS["depth"].max_packet_bytes
    assert wire_formats.TRACKLETS_BYTES + trailer <= STREAMS["object_tracker"].max_packet_bytes
    assert trailer == 56


@pytest.mark.parametrize("name", STREAMS)
def test_row_is_complete_and_names_only_what_exists(name):
    row = STREAMS[name]
    assert row.name == name
    assert f"  {row.layout} " in Stream.__doc__, "the layout is described with the others"
    assert row.camera in ("left", "right", "rgb", "nn", "")
    assert row.content in ("raw", "rectified", "disparity", "depth", "still", "video")
    assert row.pace in ("exposure", "request", "report")
    assert row.made_from in ("", *WIRE_STREAMS)
    assert row.topics, "an available stream without a topic would have no effect"
    for topic in row.topics:
        if topic.message == "image":
            assert (row.layout, topic.encoding) in CONVERSIONS
            assert row.layout in wire_formats.FRAME_FORMATS
        assert not topic.option or topic.option in BY_KEY
        assert not topic.name.startswith(("/", "~"))
        camera = re.sub("/(compressed|ffmpeg)$", "", topic.name).rpartition("/")[0]
        assert topic.camera_info in ("", f"{camera}/camera_info")


def test_image_topics_have_camera_infos():
    for row in STREAMS.values():
        for topic in row.topics:
            needs_info = topic.message in IMAGES and not topic.option
            assert bool(topic.camera_info) == needs_info, topic.name


def test_no_two_streams_publish_on_one_topic():
    names = [topic.name for row in STREAMS.values() for topic in row.topics]
    assert len(names) == len(set(names))


def test_aliases_lead_to_streams_and_hide_none():
    assert set(ALIASES.values()) <= set(STREAMS)
    assert not set(ALIASES) & set(STREAMS)


def test_rows_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        STREAMS["left"].camera = "right"
