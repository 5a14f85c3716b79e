"""Publishes what the streams deliver, as long as somebody listens.

`Outlets` owns the publishers of all configured streams; `PacketLoop` is the one thread that takes
packets, has messages built from them, and sends these. Large messages leave as serialised bytes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_policy_name_from_kind
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo

from . import _core, cdr
from .clock import StampSource
from .config import Settings, derived_streams, stream_list
from .errors import ConfigError, DecodeError, LinkError
from .messages import BUILDERS, OBSERVERS, StandingBuilder, camera_info
from .pictures import Picture
from .pipeline import Frame, Pipeline
from .rig import Rig
from .streams import STREAMS, Stream, Topic

_RESULT_DEPTH = 10
_VIDEO_DEPTH = 10  # losing one packet of H.26x costs a group of pictures
_PICTURES = frozenset({"image", "compressed_image", "disparity_image"})
_WAIT_S = 0.5
_JOIN_S = 10.0
#: Asked once: it looks through the libraries of the process. rclpy has loaded rcl by now.
_HAS_RCL = _core.has_rcl()


@dataclass(slots=True)
class InfoOutlet:
    """The CameraInfo topic of one or more picture topics; sends each stamp once."""

    name: str
    publisher: Publisher[Any]
    _sent_ns: int = -1
    _templates: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def send(self, rig: Rig, stream: Stream, picture: Picture) -> None:
        """Publish the model of the camera that took this picture."""
        if picture.stamp_ns == self._sent_ns or not self.publisher.get_subscription_count():
            return
        self._sent_ns = picture.stamp_ns
        camera = rig.camera(stream, picture.metadata)
        frame_id = rig.frame_id(stream, picture.metadata)
        if (camera, frame_id) not in self._templates:
            info = camera_info(rig.cameras[self.name, camera], frame_id, 0)
            self._templates[camera, frame_id] = serialize_message(info)
        template = self._templates[camera, frame_id]
        self.publisher.publish(cdr.restamped(template, picture.stamp_ns))


@dataclass(slots=True)
class Outlet:
    """One topic of one stream."""

    stream: Stream
    topic: Topic
    publisher: Publisher[Any]
    info: InfoOutlet | None = None

    def send(self, rig: Rig, picture: Picture) -> int:
        """Publish a picture if somebody wants it; returns how many messages that were.

        Raises  DecodeError if the packet does not hold what the topic promises
        """
        builder = BUILDERS[self.topic.message]
        if isinstance(builder, StandingBuilder):
            return 0
        if self.info is not None:
            self.info.send(rig, self.stream, picture)
        if not self.topic.latched and not self.publisher.get_subscription_count():
            return 0
        send(self.publisher, builder.build(rig, self.topic, picture))
        return 1


def send(publisher: Publisher[Any], message: Any) -> None:
    """Publish a message object, or serialised bytes without moving them."""
    if not isinstance(message, cdr.Serialized):
        publisher.publish(message)
        return
    ends = {"prefix": message.prefix, "suffix": message.suffix}
    if not _HAS_RCL:
        publisher.publish(_core.serialized(buffer=message.buffer, size=message.size, **ends))
        return
    handle = publisher.handle
    with handle:
        _core.publish_serialized(
            publisher=handle.pointer, buffer=message.buffer, size=message.size, **ends
        )


class Outlets:
    """The publishers of all topics that the settings ask for."""

    def __init__(self, node: Node, settings: Settings, *, decoded: bool) -> None:
        """`decoded`: the device decodes the network's output to detections."""
        self._node = node
        self._settings = settings
        self._infos: dict[str, InfoOutlet] = {}
        wanted = stream_list(settings)
        self._outlets = {
            name: [self._outlet(STREAMS[name], topic) for topic in self._topics(name, decoded)]
            for name in wanted
        }
        derived = derived_streams(settings)
        self._fed: dict[str, list[str]] = {}
        # What is derived comes first: depth is changed in place when its turn is.
        for name in (*derived, *(name for name in wanted if name not in derived)):
            self._fed.setdefault(derived.get(name, name), []).append(name)

    def _topics(self, stream: str, decoded: bool) -> Iterable[Topic]:
        """Topics of a stream that will have something to say."""
        if stream == "metaout" and not decoded:
            self._node.get_logger().warning(
                "the network's output is raw tensors, which have no topic: see "
                "ai.blob_file_config for networks that the device decodes"
            )
            return ()
        topics = STREAMS[stream].topics
        return [row for row in topics if not row.option or self._settings[row.option]]

    def _outlet(self, stream: Stream, topic: Topic) -> Outlet:
        depth = self._settings["publish.queue_depth"] if topic.message in _PICTURES else None
        if stream.name == "video":
            depth = max(depth or 0, _VIDEO_DEPTH)
        profile = QoSProfile(depth=depth or _RESULT_DEPTH)
        if topic.latched:
            profile = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        info = self._info(topic.camera_info) if topic.camera_info else None
        return Outlet(stream, topic, self._publisher(topic, profile), info)

    def _publisher(self, topic: Topic, profile: QoSProfile) -> Publisher[Any]:
        return self._create(BUILDERS[topic.message].message_type, topic.name, profile)

    def _info(self, name: str) -> InfoOutlet:
        if name not in self._infos:
            profile = QoSProfile(depth=self._settings["publish.queue_depth"])
            self._infos[name] = InfoOutlet(name, self._create(CameraInfo, name, profile))
        return self._infos[name]

    def _create(self, message_type: type[Any], name: str, profile: QoSProfile) -> Publisher[Any]:
        options = QoSOverridingOptions.with_default_policies()
        topic = self._node.resolve_topic_name(f"~/{name}")

        def complain(event: Any) -> None:
            policy = qos_policy_name_from_kind(event.last_policy_kind)
            self._node.get_logger().warning(
                f"{topic}: a subscriber gets nothing, it asks for another {policy} than is "
                f"offered: change it there, or set qos_overrides.{topic}.publisher.* here"
            )

        events = PublisherEventCallbacks(incompatible_qos=complain)
        try:
            return self._node.create_publisher(
                message_type, topic, profile, event_callbacks=events, qos_overriding_options=options
            )
        except (RuntimeError, ValueError, TypeError) as cause:  # rclpy's words for a bad override
            raise ConfigError(f"qos_overrides of ~/{name}: {cause}") from cause

    def fed_by(self, wire_stream: str) -> list[str]:
        """Streams that packets of a wire stream become, in the order in which they must be made."""
        return self._fed.get(wire_stream, [])

    def of(self, stream: str) -> list[Outlet]:
        """Topics of one stream."""
        return self._outlets[stream]

    def subscribers(self) -> dict[str, int]:
        """How many listen to the topics of each stream, together."""
        return {
            stream: sum(outlet.publisher.get_subscription_count() for outlet in outlets)
            for stream, outlets in self._outlets.items()
        }

    def publisher(self, topic_name: str) -> Publisher[Any] | None:
        """The publisher of one topic, if it is configured."""
        outlets = (outlet for outlets in self._outlets.values() for outlet in outlets)
        return next((row.publisher for row in outlets if row.topic.name == topic_name), None)

    def announce(self, rig: Rig, stamp_ns: int) -> None:
        """Publish what stays the same as long as the pipeline runs."""
        for outlets in self._outlets.values():
            for outlet in outlets:
                builder = BUILDERS[outlet.topic.message]
                if isinstance(builder, StandingBuilder):
                    outlet.publisher.publish(builder.build(rig, stamp_ns))

    def destroy(self) -> None:
        """Take all topics away."""
        for outlets in self._outlets.values():
            for outlet in outlets:
                self._node.destroy_publisher(outlet.publisher)
        for info in self._infos.values():
            self._node.destroy_publisher(info.publisher)
        self._outlets, self._infos = {}, {}


class PacketLoop:
    """The thread between a pipeline and the topics.

    `on_lost` is called from it, once, when the link breaks or a bug ends it.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        rig: Rig,
        outlets: Outlets,
        stamps: StampSource,
        on_lost: Callable[[Exception], None],
    ) -> None:
        self._pipeline = pipeline
        self._rig = rig
        self._outlets = outlets
        self._stamps = stamps
        self._on_lost = on_lost
        self._stopping = threading.Event()
        self._unreadable: dict[str, tuple[int, str]] = {}
        self._thread = threading.Thread(target=self._run, name="packet-loop")
        self._thread.start()

    def stop(self) -> None:
        """End the thread and the pipeline."""
        self._stopping.set()
        self._pipeline.stop()
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)
        self._pipeline.close()

    def dropped(self) -> Mapping[str, int]:
        """By wire stream: packets that waited too long for this thread."""
        return self._pipeline.dropped()

    def rejected(self) -> Mapping[str, tuple[int, str]]:
        """By wire stream: packets that could not be read, and what was wrong with the last."""
        counts = self._pipeline.rejected()
        for stream, (count, reason) in list(self._unreadable.items()):
            counts[stream] = (counts.get(stream, (0, ""))[0] + count, reason)
        return counts

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if self._pipeline.wait(_WAIT_S):
                    for frame in self._pipeline.frames():
                        self._publish(frame)
        except Exception as cause:  # nobody else would see it in this thread
            if not (self._stopping.is_set() and isinstance(cause, LinkError)):
                self._on_lost(cause)

    def _publish(self, frame: Frame) -> None:
        row = STREAMS[frame.stream]
        stamp_ns = self._stamps.stamp_ns(frame.metadata, frame.received_ns, frame.stream)
        picture = Picture(
            stream=row,
            data=frame.data,
            buffer=frame.packet.buffer,
            metadata=frame.metadata,
            stamp_ns=stamp_ns,
            received_ns=frame.received_ns,
            settings=self._rig.pictures,
        )
        try:
            if row.layout in OBSERVERS:
                OBSERVERS[row.layout](self._rig, picture)
            for stream in self._outlets.fed_by(frame.stream):
                self._send(stream, picture)
        except DecodeError as cause:
            count, _ = self._unreadable.get(frame.stream, (0, ""))
            self._unreadable[frame.stream] = (count + 1, str(cause))

    def _send(self, stream: str, picture: Picture) -> None:
        """All topics of one stream."""
        sent = sum(outlet.send(self._rig, picture) for outlet in self._outlets.of(stream))
        metadata = picture.metadata
        meter = self._rig.health.meters[stream]
        meter.arrived(
            metadata.sequence if metadata is not None else None,
            len(picture.data),
            picture.received_ns,
            time.time_ns() - picture.stamp_ns,
        )
        meter.sent(sent)
