"""Watches every topic of a node from a separate process.

    python -m depthai_ros.monitor --node /oak [--duration S] [--summary FILE] [--wait S] [--all]
        [--compressed]

The monitor takes messages serialised and reads only their stamps, to keep its CPU load low. The
measurement starts when every topic has delivered a message. Results are shown live, written to the
summary file and summarised in one line at the end. Expected rates come from ~/device/status; topics
that publish once or on request have none. /diagnostics says what the node lost, and where.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node, NodeNameNonExistentError
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo

from .. import _core
from ..config.options import DEFAULT_NAME
from ..messages.arrival_stats import ArrivalSummary, drops_by_stage
from ..messages.diagnostics import MAX_FPS
from ..messages.stream_stats import StreamCounts, added_up
from ..msg import DeviceStatus
from ..ros_features import ros_class
from ..streams import ALL_STREAMS, STREAMS, Stream
from ..transports import COMPRESSED, NOT_COMPRESSED, ON_DEMAND, RAW, VIDEO, encoding_of
from .monitor_report import Screen, TopicRow, table, verdict
from .raw_sizes import Size, raw_bytes
from .watched_topic import CODED, Watched, WatchError

#: Enough for a subscriber that is blocked for a third of a second at 30 Hz.
_QUEUE_DEPTH = 10
#: The measurement begins when no topic was added or delivered its first message for this long.
_SETTLE_S = 1.0
#: Lowest expected rate of topics without a known rate, such as /diagnostics.
_SLOWEST_HZ = 0.5
#: No topic is faster.
_FASTEST_HZ = 10_000.0
_FIRST_TABLE_S = 1.0
_STATUS_TOPIC = "device/status"
_DIAGNOSTICS = "/diagnostics"
#: The measurement begins and ends with a report of the node's counts; longest wait for it.
_REPORT_S = 3.0
#: Topics that every node announces, but need not publish.
_INFRASTRUCTURE = ("/rosout", "/parameter_events")
_TRANSITION_TOPIC = "transition_event"


def streams_of_topics(rows: Iterable[Stream], *, latched: bool) -> dict[str, tuple[str, ...]]:
    """Topic below the node's name -> streams that feed it; latched topics have no rate."""
    feeding: dict[str, tuple[str, ...]] = {}
    for stream in rows:
        for topic in stream.topics:
            if topic.latched == latched:
                for name in filter(None, (topic.name, topic.camera_info)):
                    feeding[name] = (*feeding.get(name, ()), stream.name)
    return feeding


RATED_TOPICS = streams_of_topics(ALL_STREAMS.values(), latched=False)
#: What the node makes only for subscribers.
_EXTRA = ON_DEMAND | set(COMPRESSED.values())
#: The one of these that the device makes, if stream video has no topic for video.
_DEVICE_JPEG = COMPRESSED["rgb/image_raw"]
#: Types of topics with uncompressed pixels or points, wherever they were remapped to.
_RAW_TYPES = (
    "sensor_msgs/msg/Image",
    "sensor_msgs/msg/PointCloud2",
    "stereo_msgs/msg/DisparityImage",
)
_REQUESTED_TOPICS = {
    name
    for name, streams in streams_of_topics(STREAMS.values(), latched=True).items()
    if all(STREAMS[stream].pace == "request" for stream in streams)
}


class Watch:
    """The topics of one node.

    With `everything` also those that it makes only for subscribers; with `compressed` the
    compressed topics of its images, in place of the raw ones.
    """

    def __init__(
        self, ros: Node, target: str, *, everything: bool = False, compressed: bool = False
    ) -> None:
        self._ros = ros
        self._compressed = compressed
        self._left_out = {
            (False, False): _EXTRA,
            (False, True): NOT_COMPRESSED,
            (True, False): frozenset[str](),
            (True, True): RAW,
        }[everything, compressed]
        self._namespace, _, self._name = target.rpartition("/")
        self.target = target
        self.topics: dict[str, Watched] = {}
        self.streaming = False
        self.reports = 0  # of the counts of the streams
        self._running: frozenset[str] = frozenset()  # streams on the link
        self._sizes: dict[str, Size] = {}  # of images, by their camera_info
        self._unreadable: set[str] = set()  # topics without a message package
        self._counts: dict[str, StreamCounts] = {}  # by stream
        self._limits: dict[str, str] = {}  # by topic, Hz, of the last report
        self._counts_before: dict[str, StreamCounts] = {}

    def discover(self) -> None:
        """Subscribe to the topics that the node has announced since the last call."""
        try:
            announced = self._ros.get_publisher_names_and_types_by_node(
                self._name, self._namespace or "/"
            )
        except NodeNameNonExistentError:
            return
        names = {self._below(name) for name, _ in announced}
        device_jpeg = "video" in self._running and names.isdisjoint(VIDEO)
        left_out = self._left_out - ({_DEVICE_JPEG} if device_jpeg else set())
        ignored = (*_INFRASTRUCTURE, f"{self.target}/{_TRANSITION_TOPIC}", *self._unreadable)
        for name, types in announced:
            is_raw = self._compressed and types[0] in _RAW_TYPES
            if name in (*self.topics, *ignored) or self._below(name) in left_out or is_raw:
                continue
            try:
                self._subscribe(name, types[0])
            except WatchError as missing:
                self._unreadable.add(name)
                print(f"warning: {name} is not watched: {missing}", file=sys.stderr)

    def _subscribe(self, name: str, type_name: str) -> None:
        endpoints = self._ros.get_publishers_info_by_topic(name)
        if not endpoints:
            return  # disappeared again, or discovery is not complete
        qos = endpoints[0].qos_profile
        retained = qos.durability == DurabilityPolicy.TRANSIENT_LOCAL
        profile = QoSProfile(
            depth=_QUEUE_DEPTH, reliability=_known_reliability(qos), durability=qos.durability
        )
        required = self._below(name) not in _REQUESTED_TOPICS
        topic = Watched(name, type_name, retained=retained, required=required)
        self._ros.create_subscription(topic.message_type, name, topic.callback(), profile, raw=True)
        self.topics[name] = topic

    def _below(self, name: str) -> str:
        """A topic's name as in the stream table."""
        return name.removeprefix(f"{self.target}/")

    def update(self) -> None:
        """Update the statistics and read the node's last status."""
        for topic in self.topics.values():
            topic.collect()
            if topic.type_name in CODED:
                for message in topic.messages():
                    topic.raw_bytes = self._raw_bytes(topic.name, message)
        for known, read in (
            (self._status(), self._apply),
            (self._of_type(_DIAGNOSTICS, DiagnosticArray), self._read_counts),
        ):
            for message in known.messages() if known is not None else ():
                read(message)

    def _raw_bytes(self, name: str, message: Any) -> int | None:
        """Bytes of the raw image that a compressed message shows."""
        camera_info = f"{name.rpartition('/')[0]}/camera_info"
        infos = self._of_type(camera_info, CameraInfo)
        for info in infos.messages() if infos is not None else ():
            self._sizes[camera_info] = (info.width, info.height)
        return raw_bytes(message, encoding_of(self._below(name)), self._sizes.get(camera_info))

    def _status(self) -> Watched | None:
        """The status topic, if the node has one of our type."""
        return self._of_type(f"{self.target}/{_STATUS_TOPIC}", DeviceStatus)

    def _of_type(self, name: str, message_type: Any) -> Watched | None:
        topic = self.topics.get(name)
        return topic if topic is not None and topic.message_type is message_type else None

    def _read_counts(self, array: Any) -> None:
        """What became of the packets of each stream; other nodes publish on this topic, too."""
        prefix = f"{self._name}: stream "
        rows = {
            row.name.removeprefix(prefix): {pair.key: pair.value for pair in row.values}
            for row in array.status
            if row.name.startswith(prefix)
        }
        if rows:
            self._counts = {stream: StreamCounts.read(values) for stream, values in rows.items()}
            self._limits = {
                key.removeprefix(MAX_FPS): value
                for values in rows.values()
                for key, value in values.items()
                if key.startswith(MAX_FPS)
            }
            self.reports += 1

    def _apply(self, status: Any) -> None:
        self.streaming = status.state == DeviceStatus.STATE_STREAMING
        pairs = zip(status.stream_names, status.expected_fps, strict=True)
        self._running = frozenset(status.stream_names)
        rates = {stream: fps for stream, fps in pairs if 0.0 < fps < _FASTEST_HZ}
        for name, topic in self.topics.items():
            streams = self._streams_of(name, rates)
            fastest = max((rates.get(stream, 0.0) for stream in streams), default=0.0)
            topic.stats.expected_fps = self._limited(name, fastest) or None

    def _limited(self, name: str, fps: float) -> float:
        """The rate of a topic whose streams have this one, with `publish.TOPIC.max_fps`."""
        try:
            limit = float(self._limits.get(self._below(name), "inf"))
        except ValueError:
            return fps
        return limit if 0.0 < limit < fps else fps

    def restart(self) -> None:
        """Start the measurement: reset all statistics."""
        self.update()
        self._counts_before = self._counts
        for topic in self.topics.values():
            topic.restart()

    def counts(self) -> dict[str, StreamCounts]:
        """What became of the packets of each stream since the restart, as the node reports."""
        before = self._counts_before
        return {
            stream: row.since(before.get(stream, StreamCounts()))
            for stream, row in self._counts.items()
        }

    def figures(self, topic: Watched, duration_s: float) -> ArrivalSummary:
        """The results of a topic, with the stages at which its messages were lost."""
        figures, counts = topic.figures(duration_s), self.counts()
        if figures.drops is None or not counts:
            return figures
        streams = self._streams_of(topic.name, counts)
        fed = [counts[stream] for stream in streams if stream in counts]
        return replace(figures, lost=drops_by_stage(figures.drops, fed))

    def _streams_of(self, name: str, reported: Collection[str]) -> tuple[str, ...]:
        """The streams of a topic; a compressed one is reported like a stream, under its name."""
        below = self._below(name)
        return (below,) if below in reported else RATED_TOPICS.get(below, ())

    def silent(self) -> list[Watched]:
        """Required topics that have not delivered a message yet."""
        return [topic for topic in self.topics.values() if topic.required and not topic.delivered]

    def ready(self) -> bool:
        """Every required topic has delivered, and the node reports the state streaming."""
        status = self._status()
        streams = status is None or status.is_foreign or self.streaming
        return bool(self.topics) and streams and not self.silent()

    def progress(self) -> tuple[int, int]:
        """Number of known topics, and how many of them are silent."""
        return len(self.topics), len(self.silent())

    def missing(self) -> str:
        """An error text: why `ready()` is false."""
        if not self.topics:
            others = sorted(
                f"{namespace.rstrip('/')}/{name}"
                for name, namespace in self._ros.get_node_names_and_namespaces()
                if name != self._ros.get_name()
            )
            seen = ", ".join(others) or "none"
            return f"node {self.target} announced no topics; visible nodes: {seen}"
        silent = [f"{topic.name} ({topic.type_name})" for topic in self.silent()]
        if not silent:
            return f"{self.target} did not report the state streaming"
        return (
            f"{len(silent)} of {len(self.topics)} topics of {self.target} delivered nothing: "
            + ", ".join(silent)
        )


def _known_reliability(qos: QoSProfile) -> ReliabilityPolicy:
    """A publisher's reliability; reliable if unknown, as drivers usually are."""
    best_effort = qos.reliability == ReliabilityPolicy.BEST_EFFORT
    return ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE


# -- the program


class Measurement:
    """One run: wait, measure, report."""

    def __init__(self, watch: Watch, spin: Callable[[float], None]) -> None:
        self._watch = watch
        self._spin = spin
        self._ending = False
        self._screen = Screen()

    def end(self, *_: object) -> None:
        """End the measurement soon; may be called by a signal handler."""
        self._ending = True

    def wait_for_topics(self, wait_s: float) -> bool:
        """True when every topic has delivered, False if `end` was called before.

        Raises  WatchError after `wait_s`
        """
        print(f"waiting for every topic of {self._watch.target} to deliver", flush=True)
        deadline = time.monotonic() + wait_s
        settled = look = 0.0
        seen = self._watch.progress()
        while not self._ending:
            now = time.monotonic()
            if now >= look:
                look = now + _SETTLE_S / 5
                self._watch.discover()
                self._watch.update()
                if (state := self._watch.progress()) != seen:
                    seen, settled = state, now + _SETTLE_S
                if now > settled and self._watch.ready():
                    return True
                if now > deadline:
                    raise WatchError(f"after {wait_s:g} s, {self._watch.missing()}")
            self._spin(0.05)
        return False

    def measure(self, duration_s: float | None) -> float:
        """Measure and draw for this time or until `end`; returns the duration in seconds."""
        self._await_report()
        self._watch.restart()
        start = time.monotonic()
        draw = start + _FIRST_TABLE_S
        while not self._ending:
            now = time.monotonic()
            if duration_s is not None and now - start >= duration_s:
                break
            if now >= draw:
                draw += self._screen.period_s
                self._watch.update()
                self._screen.draw(table(self.rows(now - start)))
            self._spin(0.05)
        self._await_report()
        self._watch.update()
        self._screen.release()
        return time.monotonic() - start

    def _await_report(self) -> None:
        """Wait for the node's next report of its counts, if it sends any."""
        seen, end_s = self._watch.reports, time.monotonic() + _REPORT_S
        while seen == self._watch.reports > 0 and not self._ending and time.monotonic() < end_s:
            self._spin(0.05)
            self._watch.update()

    def rows(self, duration_s: float) -> list[TopicRow]:
        """The results of all topics, sorted by name."""
        topics = sorted(self._watch.topics.values(), key=lambda topic: topic.name)
        return [
            TopicRow(
                topic.name,
                topic.type_name,
                topic.required,
                self._watch.figures(topic, duration_s),
                topic.raw_bytes,
            )
            for topic in topics
        ]

    def report(self, duration_s: float, summary: Path | None) -> int:
        """Print and write the results; returns the exit status."""
        rows = self.rows(duration_s)
        if summary is not None:
            topics = {row.name: row.summary() for row in rows}
            streams = {name: row.values() for name, row in self._watch.counts().items()}
            document = {"duration_s": round(duration_s, 3), "topics": topics, "streams": streams}
            summary.write_text(json.dumps(document, indent=2) + "\n")
        print("\n".join(table(rows)), flush=True)
        lost = added_up(self._watch.counts().values()).lost
        print(verdict(rows, duration_s, lost), flush=True)
        gone = [row.name for row in rows if went_silent(row, duration_s)]
        if gone:
            print(f"error: no messages during the measurement: {', '.join(gone)}", file=sys.stderr)
        return 1 if gone else 0


def went_silent(row: TopicRow, duration_s: float) -> bool:
    """True if a topic should have delivered in this time but did not."""
    due = duration_s * (row.figures.expected_fps or _SLOWEST_HZ)
    return row.required and not row.figures.count and due >= 2.0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m depthai_ros.monitor", description="Watch every topic of a node."
    )
    parser.add_argument(
        "--node", default=f"/{DEFAULT_NAME}", help="full name of the node (default %(default)s)"
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="also subscribe to what the node makes only for subscribers (points, registered and "
        "rectified images, compressed topics) and to depth/unfiltered",
    )
    parser.add_argument(
        "--compressed",
        action="store_true",
        help="compressed topics in place of raw images and points, as a slow network needs it; "
        "with --all those of every image",
    )
    parser.add_argument("--duration", type=float, metavar="S", help="end after S seconds")
    parser.add_argument("--summary", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument(
        "--wait", type=float, default=30.0, metavar="S", help="time limit for first messages (30)"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the monitor; returns the exit status."""
    chosen = _arguments(arguments)
    _core.keep_large_buffers()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    ros = rclpy.create_node("monitor", enable_rosout=False, start_parameter_services=False)
    executor = ros_class("Executor")()
    executor.add_node(ros)
    watch = Watch(
        ros, "/" + chosen.node.strip("/"), everything=chosen.all, compressed=chosen.compressed
    )
    session = Measurement(watch, executor.spin_once)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, session.end)
    try:
        if not session.wait_for_topics(chosen.wait):
            print("ended before every topic had delivered a message: nothing was measured")
            return 0
        duration_s = session.measure(chosen.duration)
        return session.report(duration_s, chosen.summary)
    except WatchError as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    finally:
        executor.shutdown(timeout_sec=2.0)
        ros.destroy_node()
        rclpy.try_shutdown()
