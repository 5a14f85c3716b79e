"""The publishers of all configured streams; a topic without subscribers costs nothing.

Large messages are published as serialised bytes, without a copy of their buffer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_policy_name_from_kind
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo

from .. import _core
from ..calibration.camera_model import CameraModel
from ..config import Settings, derived_streams, stream_list
from ..config.compression import compression_of
from ..config.options import rate_key
from ..config.settings import (
    CompressedTopic,
    compressed_topics,
    configured_topics,
    stream_fps,
    worker_outputs,
)
from ..config.unused import Unused
from ..errors import ConfigError
from ..messages import cdr
from ..messages.builders import BUILDERS, OPTIONAL_PACKAGES, StaticMessageBuilder, camera_info
from ..messages.context import MessageContext
from ..messages.image_codecs import missing_library
from ..messages.images import StampedPacket
from ..messages.stream_stats import PUBLISHED, UNSUBSCRIBED
from ..rates import RateLimiter
from ..ros_features import how_to_install, publisher_address, ros_class
from ..streams import ALL_STREAMS, LARGE_MESSAGES, LIMITED_TOPICS, STREAMS, Stream, Topic
from .topic_names import TopicNames

_RESULT_DEPTH = 10
_VIDEO_DEPTH = 10  # one lost packet of H.26x spoils the frames up to the next key frame
#: Stream -> a second stream whose packets its messages need.
_TAKES_FROM = {"object_tracker": "metaout"}  # positions and confidences
#: QoS policies that qos_overrides can change, of those that may not match.
_OVERRIDABLE = frozenset({"reliability"})
#: rclpy raises these for a QoS override that it cannot use.
_BAD_OVERRIDE = (RuntimeError, ValueError, TypeError, ParameterException)
#: Called once: it searches the libraries of the process. rclpy has loaded rcl by now.
_HAS_RCL = _core.has_rcl()
_EventCallbacks = ros_class("PublisherEventCallbacks")


class Sent(NamedTuple):
    """What became of the messages of one packet; `refusal` is the last error of the middleware."""

    published: int = 0
    refused: int = 0
    refusal: str = ""

    def plus(self, other: Sent) -> Sent:
        """Both added up."""
        return Sent(
            self.published + other.published,
            self.refused + other.refused,
            other.refusal or self.refusal,
        )

    @property
    def fate(self) -> str:
        """What became of the packet, see `Passage`."""
        if self.refused:
            return "dds"
        return PUBLISHED if self.published else UNSUBSCRIBED


NOTHING_SENT = Sent()


@dataclass(slots=True)
class CameraInfoPublisher:
    """The CameraInfo topic of one or more image topics; publishes each stamp once."""

    name: str
    publisher: Publisher[Any]
    _sent_ns: int = -1
    _templates: dict[tuple[CameraModel, str], bytes] = field(default_factory=dict)

    def forget_cameras(self) -> None:
        """Drop the cached messages; the next device may have another calibration."""
        self._templates.clear()

    def send(self, context: MessageContext, stream: Stream, packet: StampedPacket) -> Sent:
        """Publish the model of the camera that took this frame."""
        if packet.stamp_ns <= self._sent_ns or not self.publisher.get_subscription_count():
            return NOTHING_SENT
        self._sent_ns = packet.stamp_ns
        model = context.cameras[self.name, context.camera(stream, packet.metadata)]
        frame_id = context.frame_id(stream, packet.metadata)
        template = self._templates.get((model, frame_id))
        if template is None:
            template = serialize_message(camera_info(model, frame_id, 0))
            self._templates[model, frame_id] = template
        return attempt(self.publisher, cdr.restamped(template, packet.stamp_ns))


@dataclass(slots=True)
class TopicPublisher:
    """One topic of one stream. `limiter` is that of its rate, None = it has no limit."""

    stream: Stream
    topic: Topic
    publisher: Publisher[Any]
    info: CameraInfoPublisher | None = None
    limiter: RateLimiter | None = None

    @property
    def is_heard(self) -> bool:
        """True if the next packet has to be published: there is a subscriber, or it is latched."""
        if isinstance(BUILDERS[self.topic.message], StaticMessageBuilder):
            return False
        publishers = [self.publisher, *([self.info.publisher] if self.info else [])]
        return self.topic.latched or any(row.get_subscription_count() for row in publishers)

    def is_due(self, packet: StampedPacket) -> bool:
        """True if the rate limit lets the next packet pass."""
        return self.limiter is None or self.limiter.is_due(packet.exposure_ns)

    def send(self, context: MessageContext, packet: StampedPacket) -> Sent:
        """Publish a packet on the topic and its camera_info, as far as they have subscribers.

        Raises  DecodeError if the packet is malformed
        """
        builder = BUILDERS[self.topic.message]
        if isinstance(builder, StaticMessageBuilder):
            return NOTHING_SENT
        sent = NOTHING_SENT
        if self.info is not None:
            sent = self.info.send(context, self.stream, packet)
        if not self.topic.latched and not self.publisher.get_subscription_count():
            return sent
        if self.limiter is not None and not self.limiter.keeps(packet.exposure_ns):
            return sent
        built = builder.build(context, self.topic, packet)
        messages = built if isinstance(built, list) else [built]
        if not messages:  # its bytes go out with a later packet
            return sent.plus(Sent(published=1))
        for message in messages:
            sent = sent.plus(attempt(self.publisher, message))
        return sent


def attempt(publisher: Publisher[Any], message: Any) -> Sent:
    """Publish, and report whether the middleware took the message.

    It refuses one when the limits of its history are reached, and after the context was shut down.
    """
    try:
        send(publisher, message)
    except RuntimeError as cause:  # RCLError is one
        return Sent(refused=1, refusal=str(cause))
    return Sent(published=1)


def send(publisher: Publisher[Any], message: Any) -> None:
    """Publish a message object, or serialised bytes without a copy."""
    if not isinstance(message, cdr.Serialized):
        publisher.publish(message)
        return
    buffer, size, prefix, suffix = message
    handle = publisher.handle
    with handle:
        address = publisher_address(handle) if _HAS_RCL else None
        if address is not None:
            _core.publish_serialized(
                publisher=address, buffer=buffer, size=size, prefix=prefix, suffix=suffix
            )
            return
    publisher.publish(_core.serialized(buffer=buffer, size=size, prefix=prefix, suffix=suffix))


def _announced(settings: Settings, *, decoded: bool) -> dict[str, list[Topic]]:
    """The topics of each stream, and of each output of the workers, that the settings feed."""
    results = {"", "detections" if decoded else "tensors"}
    if settings["ai.blob_file2"]:
        results.add("tensors")
    return {
        name: [topic for topic in topics if topic.network in results]
        for name, topics in configured_topics(settings).items()
    }


def _compressed(settings: Settings) -> tuple[dict[str, CompressedTopic], tuple[Unused, ...]]:
    """The compressed topics that this build can make, and sentences for the others."""
    made: dict[str, CompressedTopic] = {}
    missing: dict[str, list[str]] = {}
    for name, row in compressed_topics(settings).items():
        if why := missing_library(compression_of(settings, row.image)["format"]):
            missing.setdefault(why, []).append(f"~/{name}")
        else:
            made[name] = row
    return made, tuple(
        Unused(f"{', '.join(names)} not announced: {why}") for why, names in missing.items()
    )


def _with_packages(
    topics: dict[str, list[Topic]],
) -> tuple[dict[str, list[Topic]], tuple[Unused, ...]]:
    """The topics whose message package is installed, and a sentence for each of the others."""
    missing = [
        Unused(
            f"~/{topic.name} is not announced: its message package {package} is not installed here "
            f"({how_to_install(package)})",
            name,
        )
        for name, rows in topics.items()
        for topic in rows
        if topic.message not in BUILDERS
        for package in [OPTIONAL_PACKAGES[topic.message]]
    ]
    found = {
        name: [row for row in rows if row.message in BUILDERS] for name, rows in topics.items()
    }
    return found, tuple(missing)


class StreamPublishers:
    """The publishers of all configured topics; `missing` says which could not be made."""

    def __init__(self, node: Node, settings: Settings, *, decoded: bool) -> None:
        """`decoded`: the device decodes the (first) network's output to detections.

        Raises  ConfigError if two topics have one name, or rclpy refuses a QoS override
        """
        self._node = node
        self._settings = settings
        self._publishers: list[Publisher[Any]] = []
        self._infos: dict[tuple[str, str], CameraInfoPublisher] = {}
        self._entries: dict[str, list[TopicPublisher]] = {}
        self._muted: frozenset[str] = frozenset()
        topics, without_package = _with_packages(_announced(settings, decoded=decoded))
        self.compressed, without_library = _compressed(settings)
        self.missing = without_package + without_library
        rows = {name: (ALL_STREAMS[name], topics[name]) for name in topics}
        rows |= {name: (row.stream, [row.topic]) for name, row in self.compressed.items()}
        self._names = TopicNames(node, (topic for _, made in rows.values() for topic in made))
        try:
            self._entries = {
                name: [self._make_entry(stream, topic) for topic in made]
                for name, (stream, made) in rows.items()
            }
        except ConfigError:
            self.destroy()
            raise
        derived = derived_streams(settings)
        self._fed: dict[str, list[str]] = {}
        # Derived streams come first, because publishing depth changes its pixels in place.
        for name in sorted(stream_list(settings), key=lambda name: name not in derived):
            self._fed.setdefault(derived.get(name, name), []).append(name)
        self._worked = worker_outputs(settings)
        self.change(settings)

    def _make_entry(self, stream: Stream, topic: Topic) -> TopicPublisher:
        depth = self._settings["publish.queue_depth"] if topic.message in LARGE_MESSAGES else None
        if stream.name == "video":
            depth = max(depth or 0, _VIDEO_DEPTH)
        profile = QoSProfile(depth=depth or _RESULT_DEPTH)
        if topic.latched:
            profile = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        info = self._info(topic) if topic.camera_info else None
        name = self._names.topic(topic)
        publisher = self._create(BUILDERS[topic.message].message_type, name, profile)
        return TopicPublisher(stream, topic, publisher, info)

    def _info(self, topic: Topic) -> CameraInfoPublisher:
        """The camera_info of an image; images of one camera share it where they are together."""
        key = topic.camera_info, self._names.camera_info(topic)
        if key not in self._infos:
            profile = QoSProfile(depth=self._settings["publish.queue_depth"])
            publisher = self._create(CameraInfo, key[1], profile)
            self._infos[key] = CameraInfoPublisher(topic.camera_info, publisher)
        return self._infos[key]

    def _create(self, message_type: type[Any], name: str, profile: QoSProfile) -> Publisher[Any]:
        topic = self._names.full(name)

        def complain(event: Any) -> None:
            policy = qos_policy_name_from_kind(event.last_policy_kind).lower()
            own = f", or set qos_overrides.{topic}.publisher.{policy} of this node"
            self._node.get_logger().warning(
                f"{topic}: a subscriber receives nothing, its QoS policy {policy} does not match: "
                f"change the subscriber{own if policy in _OVERRIDABLE else ''}"
            )

        try:
            publisher = self._node.create_publisher(
                message_type,
                name,  # unresolved: rcl applies the remap rules
                profile,
                event_callbacks=_EventCallbacks(incompatible_qos=complain),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
        except _BAD_OVERRIDE as cause:
            words = str(cause).partition("\n")[0]
            raise ConfigError(f"qos_overrides of {name}: {words}") from cause
        self._publishers.append(publisher)
        return publisher

    def change(self, settings: Settings) -> None:
        """Use other live settings from the next packet on."""
        muted = {name for name in STREAMS if not settings[f"stream.{name}.publish"]}
        muted |= {name for name, row in self.compressed.items() if row.stream.made_from in muted}
        self._muted = frozenset(muted)
        for entries in self._entries.values():
            for entry in entries:
                self._limit(entry, settings)

    def _limit(self, entry: TopicPublisher, settings: Settings) -> None:
        """Give a topic its rate limit, and a new start if that has changed."""
        name = entry.topic.name
        row = self.compressed.get(name)
        if row is not None:
            max_fps = compression_of(settings, row.image)["max_fps"]
        else:
            max_fps = settings[rate_key(name)] if name in LIMITED_TOPICS else 0.0
        if max_fps != (entry.limiter.max_fps if entry.limiter is not None else 0.0):
            fps = stream_fps(settings, entry.stream)
            entry.limiter = RateLimiter(fps, max_fps) if max_fps else None

    def wanted(self) -> frozenset[str]:
        """Wire streams with a subscriber to any topic made from their packets."""
        used = {stream for stream in self._entries if self.is_heard(stream)}
        used |= {self.compressed[name].stream.made_from for name in used & set(self.compressed)}
        used |= {_TAKES_FROM[stream] for stream in used if stream in _TAKES_FROM}
        used |= {stream for name in used for stream in self._worked.get(name, ())}
        return frozenset(wire for wire, fed in self._fed.items() if not used.isdisjoint(fed))

    def made_from(self, wire_stream: str) -> list[str]:
        """Streams made from packets of a wire stream, in the order in which to publish them."""
        return self._fed.get(wire_stream, [])

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs of the workers."""
        return list(self._worked)

    def worked_from(self, stream: str) -> list[str]:
        """Outputs that workers make from the packets of a stream."""
        return [name for name, inputs in self._worked.items() if inputs[0] == stream]

    def compressed_from(self, name: str, *, filtered: bool | None = None) -> list[str]:
        """Compressed topics of the images of a stream or output.

        `filtered`: only those that show depth after the filters, or only the others.
        """
        return [
            output
            for output, row in self.compressed.items()
            if row.stream.made_from == name and filtered in (None, row.topic.filtered)
        ]

    def all_from(self, wire_stream: str) -> list[str]:
        """Streams and outputs made from packets of a wire stream."""
        return [*self.made_from(wire_stream), *self.worked_from(wire_stream)]

    def is_heard(self, name: str, *, only_filtered: bool = False) -> bool:
        """True if a topic of a stream or an output has a subscriber."""
        return name not in self._muted and any(
            entry.is_heard
            for entry in self._entries.get(name, ())
            if entry.topic.filtered or not only_filtered
        )

    def is_due(self, name: str, packet: StampedPacket) -> bool:
        """True if the rate limit of a topic with subscribers lets a packet pass."""
        return any(entry.is_heard and entry.is_due(packet) for entry in self._entries.get(name, ()))

    def is_needed(
        self, name: str, packet: StampedPacket | None = None, *, only_filtered: bool = False
    ) -> bool:
        """True if a topic of a stream or an output, or one made of its images, has a subscriber.

        If a packet is given, and the rate limit lets it pass.
        """
        names = [name, *self.compressed_from(name, filtered=only_filtered or None)]
        return any(
            self.is_heard(row, only_filtered=only_filtered)
            and (packet is None or self.is_due(row, packet))
            for row in names
        )

    def send(
        self,
        stream: str,
        context: MessageContext,
        packet: StampedPacket,
        *,
        skip_filtered: bool = False,
        only_filtered: bool = False,
    ) -> Sent:
        """Publish a packet on the topics of one stream or output.

        Raises  DecodeError if the packet is malformed
        """
        sent = NOTHING_SENT
        if stream in self._muted:
            return sent
        for entry in self._entries[stream]:
            if not (skip_filtered if entry.topic.filtered else only_filtered):
                sent = sent.plus(entry.send(context, packet))
        return sent

    def subscribers(self) -> dict[str, int]:
        """Number of subscribers to the topics of each stream, added up."""
        return {
            stream: sum(entry.publisher.get_subscription_count() for entry in entries)
            for stream, entries in self._entries.items()
        }

    def publisher(self, topic_name: str) -> Publisher[Any] | None:
        """The publisher of one topic, if it is configured."""
        entries = (entry for entries in self._entries.values() for entry in entries)
        return next((row.publisher for row in entries if row.topic.name == topic_name), None)

    def remove(self, name: str) -> None:
        """Destroy the topics of an output that the calibration does not allow."""
        self._worked.pop(name, None)
        compressed = self.compressed_from(name)
        for gone in (name, *compressed):
            self.compressed.pop(gone, None)
            for entry in self._entries.pop(gone, []):
                self._destroy(entry.publisher)
        used = [entry.info for entries in self._entries.values() for entry in entries]
        for key, info in list(self._infos.items()):
            if all(info is not other for other in used):
                self._destroy(self._infos.pop(key).publisher)

    def _destroy(self, publisher: Publisher[Any]) -> None:
        self._publishers.remove(publisher)
        self._node.destroy_publisher(publisher)

    def announce(self, context: MessageContext, stamp_ns: int) -> None:
        """Publish the messages that stay the same while a pipeline runs; call it at its start."""
        for info in self._infos.values():
            info.forget_cameras()
        for entries in self._entries.values():
            for entry in entries:
                builder = BUILDERS[entry.topic.message]
                if isinstance(builder, StaticMessageBuilder):
                    entry.publisher.publish(builder.build(context, stamp_ns))

    def destroy(self) -> None:
        """Destroy all publishers."""
        for publisher in self._publishers:
            self._node.destroy_publisher(publisher)
        self._publishers, self._entries, self._infos = [], {}, {}
