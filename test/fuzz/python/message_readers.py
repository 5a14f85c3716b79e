"""Builders of ROS messages with packets of any content; needs ROS 2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from contexts import TOPICS, build_message, build_messages, make_picture, make_test_context
from device_readers import EEPROMS, OUT_BLOBS, REPORTS, stored_eeprom
from inputs import Choices, document, seeds_of, text
from reader import Reader
from usable import assert_usable

from depthai_ros.calibration.calibration import load
from depthai_ros.calibration.poses import frame_ids
from depthai_ros.config import defaults
from depthai_ros.device.documents import Layers
from depthai_ros.errors import ConfigError, DecodeError
from depthai_ros.messages.access_units import H264, H265, AccessUnits, Codec
from depthai_ros.messages.builders import camera_info, static_transforms
from depthai_ros.messages.context import MessageContext
from depthai_ros.messages.detections import ResultHistory
from depthai_ros.messages.tensors import RawOutput
from depthai_ros.wire_formats import CAMERAS, DETECTIONS_BYTES, TRACKLETS_BYTES

_MIRRORED = {"ai.camera_input": "rectified_right", "publish.depth_float": True}
_CONTEXTS = [make_test_context(), make_test_context(_MIRRORED)]
_RAW = make_test_context(tensors=[])


def _build(context: MessageContext, topic: str, stream: str, content: bytes, data: Choices) -> None:
    packet = make_picture(context, stream, content or b"\0")
    assert packet.metadata is not None
    camera, sequence = data.below(len(CAMERAS) + 1), data.below(1 << 31)
    packet.metadata = replace(packet.metadata, camera=camera, sequence=sequence)
    assert_usable(build_message(context, topic, packet))


def _fresh(choices: Choices) -> MessageContext:
    """A context without what earlier packets left in it."""
    return replace(choices.of(_CONTEXTS), results=ResultHistory())


def _block(choices: Choices, size: int) -> bytes:
    content = choices.bytes(choices.below(250))
    return content.ljust(size, b"\0") if choices.below(8) else content


def _of_results(topic: str) -> Callable[[bytes], None]:
    def build(data: bytes) -> None:
        choices = Choices(data)
        _build(_fresh(choices), topic, "metaout", _block(choices, DETECTIONS_BYTES), choices)

    return build


def _of_tracks(topic: str) -> Callable[[bytes], None]:
    def build(data: bytes) -> None:
        choices = Choices(data)
        context = _fresh(choices)
        detections = _block(choices, DETECTIONS_BYTES)
        _build(context, "nn/detections", "metaout", detections, choices)
        _build(context, topic, "object_tracker", _block(choices, TRACKLETS_BYTES), choices)

    return build


def _status(data: bytes) -> None:
    choices = Choices(data[:4])
    _build(_fresh(choices), "device/status", "meta_d2h", text(data[4:], REPORTS), choices)


def _jpeg(data: bytes) -> None:
    _build(_CONTEXTS[0], "rgb/still/image_raw/compressed", "jpegout", data, Choices(data))


def _video(codec: Codec) -> Callable[[bytes], None]:
    """Two packets, which may belong together."""

    def build(data: bytes) -> None:
        choices = Choices(data)
        context = replace(_CONTEXTS[0], video=AccessUnits(codec, 1 << 20))
        packets = [choices.bytes(choices.below(250)), choices.rest()]
        for serial, content in enumerate(packets):
            packet = make_picture(context, "video", content or b"\0")
            packet.serial = serial
            topic = ("rgb/image_raw/ffmpeg", "rgb/video")[serial]
            for message in build_messages(context, topic, packet):
                assert_usable(message)

    return build


def _tensors(data: bytes) -> None:
    choices = Choices(data)
    layers = Layers()
    layers.add(document(choices, OUT_BLOBS), first=True)
    context = replace(_RAW, results=ResultHistory(), tensors=RawOutput(layers.outputs))
    _build(context, "nn/tensors", "metaout", choices.rest() + bytes(100), choices)


def _camera_info(data: bytes) -> None:
    """Camera models and frames of any EEPROM."""
    found = load(stored_eeprom(data), defaults())
    for camera in CAMERAS:
        assert_usable(camera_info(found.camera(camera, (1280, 720)), "frame", 1))
    assert_usable(static_transforms(frame_ids("oak"), found.poses(), "", 1))


_ERRORS = (DecodeError,)
_SEEDS = [bytes([index, 200]) + bytes(range(200)) + bytes([1, 36, 1]) for index in range(2)]
#: Length of the first packet; parameter sets and a slice, then another slice.
_SETS = (b"\x67\x64\0\x1f\xac", b"\x68\xee\x3c\x80", b"\x65\x88\x84")
_H264 = b"\x17" + b"".join(b"\0\0\1" + row for row in (*_SETS, b"\x41\x9a\0"))
_SETS = (b"\x40\1\x0c", b"\x42\1\1" + bytes(range(1, 20)), b"\x44\1\xc1", b"\x26\1\xaf")
_H265 = b"\x2e" + b"".join(b"\0\0\1" + row for row in (*_SETS, b"\2\1\xd0"))
RESULTS = ("nn/detections", "nn/spatial_detections", "nn/markers")
TRACKS = ("tracklets", "nn/tracked_detections")

READERS = {
    **{f"message_{name.split('/')[-1]}": Reader(_of_results(name), _ERRORS, _SEEDS)
       for name in RESULTS},
    **{f"message_{name.split('/')[-1]}": Reader(_of_tracks(name), _ERRORS, _SEEDS)
       for name in TRACKS},
    "message_status": Reader(_status, _ERRORS, [bytes(5) + bytes(range(60))]),
    "message_jpeg": Reader(_jpeg, _ERRORS, [b"\xff\xd8\xff\xd9"]),
    "message_h264": Reader(_video(H264), _ERRORS, [_H264]),
    "message_h265": Reader(_video(H265), _ERRORS, [_H265]),
    "message_tensors": Reader(_tensors, _ERRORS, _SEEDS),
    "message_camera_info": Reader(_camera_info, (ConfigError, DecodeError), seeds_of(EEPROMS)),
}  # fmt: skip
assert set(RESULTS + TRACKS) <= TOPICS.keys()
