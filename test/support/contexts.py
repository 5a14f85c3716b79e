"""Message contexts and packets for tests without a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message

from depthai_ros import _core
from depthai_ros.calibration.calibration import Calibration, load
from depthai_ros.calibration.poses import frame_ids
from depthai_ros.config import NetworkConfig, Settings, mono_size, rgb_size, validate
from depthai_ros.messages.builders import BUILDERS, PACKET_HOOKS, Builder
from depthai_ros.messages.cdr import Serialized
from depthai_ros.messages.context import MessageContext, make_context
from depthai_ros.messages.diagnostics import Health
from depthai_ros.messages.images import StampedPacket
from depthai_ros.messages.stream_stats import make_stream_stats
from depthai_ros.streams import STREAMS, Topic
from depthai_ros.virtual.scenes.eeprom import eeprom_document
from depthai_ros.wire_formats import (
    BITSTREAM_FORMAT,
    CAMERAS,
    FRAME_FORMATS,
    FrameSizes,
    FrameTrailer,
)

TOPICS = {topic.name: topic for row in STREAMS.values() for topic in row.topics}
STAMP_NS = 1_700_000_123_987_654_321
PREVIEW_SIZE = (300, 200)
LABELS = ("background", "aeroplane", "bicycle")
SMALL: dict[str, Any] = {"camera.mono.resolution_h": 400}


def make_calibration(settings: Settings, eeprom: int = 5) -> Calibration:
    return load(eeprom_document(eeprom), settings)


def make_test_context(
    values: dict[str, Any] | None = None,
    *,
    eeprom: int = 5,
    nn_to_depth: dict[str, int] | None = None,
    tensors: Sequence[Mapping[str, Any]] | None = None,
) -> MessageContext:
    """`tensors`: output layers of a raw network; without them the network is a detector."""
    settings = validate({**SMALL, **(values or {})})
    health = Health("oak", settings)
    health.stream_stats = make_stream_stats(settings, started_ns=0)
    output_format: Literal["raw", "detection"] = "detection" if tensors is None else "raw"
    network = NetworkConfig(output_format, labels=LABELS, confidence_threshold=0.25)
    width, height = PREVIEW_SIZE
    sizes = FrameSizes(mono_size(settings), rgb_size(settings), (3, height, width))
    calibration = make_calibration(settings, eeprom)
    frames, topic = frame_ids("oak"), "/oak/nn/label_info"
    return make_context(
        settings,
        calibration,
        network,
        sizes,
        frames,
        health,
        topic,
        nn_to_depth or {},
        tensors or (),
    )


def make_metadata(stream: str, data_bytes: int, camera: str = "") -> FrameTrailer:
    row = STREAMS[stream]
    name = camera or (row.camera if row.camera in CAMERAS else "rgb")
    return FrameTrailer(
        format=FRAME_FORMATS.get(row.layout, BITSTREAM_FORMAT),
        height=1,
        width=data_bytes,
        stride=data_bytes,
        bytes_per_pixel=1,
        category=0,
        camera=CAMERAS.index(name),
        sequence=7,
        timestamp_ns=1_016_666_667,
        frame_size=data_bytes,
    )


def make_picture(
    context: MessageContext, stream: str, content: NDArray[Any] | bytes, *, camera: str = ""
) -> StampedPacket:
    """A packet with this content as the packet loop stamps it."""
    data = np.frombuffer(content, np.uint8) if isinstance(content, bytes) else content
    payload = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    metadata = make_metadata(stream, len(payload), camera)
    buffer = _core.Buffer(size=len(payload) + 56)
    packet = np.frombuffer(memoryview(buffer), np.uint8)
    packet[: len(payload)] = payload
    packet[len(payload) :] = np.frombuffer(metadata.pack(), np.uint8)
    return StampedPacket(
        stream=STREAMS[stream],
        data=packet[: len(payload)],
        buffer=buffer,
        metadata=metadata,
        stamp_ns=STAMP_NS,
        received_ns=5_000_000_000,
        settings=context.images,
    )


def build_message(context: MessageContext, topic_name: str, packet: StampedPacket) -> Any:
    """The message that subscribers of a topic receive for this packet."""
    (message,) = build_messages(context, topic_name, packet)
    return message


def build_messages(context: MessageContext, topic_name: str, packet: StampedPacket) -> list[Any]:
    """The messages that subscribers of a topic receive for this packet, mostly one."""
    topic: Topic = TOPICS[topic_name]
    builder = BUILDERS[topic.message]
    assert isinstance(builder, Builder)
    if packet.stream.layout in PACKET_HOOKS:
        PACKET_HOOKS[packet.stream.layout](context, packet)
    built = builder.build(context, topic, packet)
    return [_received(row, builder) for row in (built if isinstance(built, list) else [built])]


def _received(message: Any, builder: Builder) -> Any:
    if not isinstance(message, Serialized):
        return message
    raw = _core.serialized(
        buffer=message.buffer, size=message.size, prefix=message.prefix, suffix=message.suffix
    )
    return deserialize_message(raw, builder.message_type)
