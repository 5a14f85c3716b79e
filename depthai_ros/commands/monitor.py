"""Watches every topic of a node from a process of its own.

    python -m depthai_ros.monitor --node /oak [--duration S] [--summary FILE] [--wait S]

Messages are taken serialised and only their stamps are read, so that watching costs as little as
ROS allows. Measuring starts once every topic has delivered; what a topic did after that is shown
live, written to the summary file and judged in one line at the end. Rates to expect come from
~/device/status; topics that speak once or on request have none.
"""

from __future__ import annotations

import argparse
import json
import signal
import struct
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node, NodeNameNonExistentError
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions

from .. import _core
from ..config.options import DEFAULT_NAME
from ..messages.arrival_stats import Arrival, ArrivalStats, ArrivalSummary
from ..msg import DeviceStatus
from ..streams import STREAMS
from .monitor_report import Screen, TopicRow, table, verdict

#: Stamp of a message that begins with a std_msgs/Header, behind the 4 bytes of encapsulation.
#: Source: OMG DDSI-RTPS 2.3, section 10.5
_STAMP = struct.Struct("<4xiI")
_NS_PER_S = 1_000_000_000
#: Deep enough for a subscriber that is held up for a third of a second at 30 Hz.
_QUEUE_DEPTH = 10
#: Measuring begins when for this long no topic was added and none delivered for the first time.
_SETTLE_S = 1.0
#: What no rate is known of, such as /diagnostics, speaks at least this often.
_SLOWEST_HZ = 0.5
_FIRST_TABLE_S = 1.0
_STATUS_TOPIC = "device/status"
#: What every node announces and none has to use.
_INFRASTRUCTURE = ("/rosout", "/parameter_events")
_TRANSITION_TOPIC = "transition_event"


def streams_of_topics(*, latched: bool) -> dict[str, tuple[str, ...]]:
    """Topic below the node -> streams that feed it; latched ones have no rate."""
    feeding: dict[str, tuple[str, ...]] = {}
    for stream in STREAMS.values():
        for topic in stream.topics:
            if topic.latched == latched:
                for name in filter(None, (topic.name, topic.camera_info)):
                    feeding[name] = (*feeding.get(name, ()), stream.name)
    return feeding


RATED_TOPICS = streams_of_topics(latched=False)
_REQUESTED_TOPICS = {
    name
    for name, streams in streams_of_topics(latched=True).items()
    if all(STREAMS[stream].pace == "request" for stream in streams)
}


class WatchError(Exception):
    """There is nothing to measure, or not all of it; says what is missing."""


class Watched:
    """One topic: its subscription, and what arrived since it was last asked."""

    def __init__(self, name: str, type_name: str, *, retained: bool, required: bool) -> None:
        self.name = name
        self.type_name = type_name
        self.message_type = message_class(type_name)
        self.retained = retained
        self.required = required
        self.newest = b""  # last message, where it has to be read
        self.delivered = False
        self._stamped = begins_with_header(self.message_type) and not retained
        self._arrivals: list[Arrival] = []
        self.stats = ArrivalStats(stamped=self._stamped)

    def callback(self) -> Callable[[bytes], None]:
        """What the executor calls with each serialised message: three numbers are kept."""
        append, unpack, clock = self._arrivals.append, _STAMP.unpack_from, time.time_ns
        stamped, keeps = self._stamped, self.message_type is DeviceStatus

        def arrived(message: bytes) -> None:
            now_ns = clock()
            seconds, nanoseconds = unpack(message) if stamped else (0, 0)
            append(Arrival(seconds * _NS_PER_S + nanoseconds, now_ns, len(message)))
            if keeps:
                self.newest = message

        return arrived

    def collect(self) -> None:
        """Let the meter have what arrived."""
        self.delivered = self.delivered or bool(self._arrivals)
        self.stats.add(self._arrivals)
        self._arrivals.clear()

    def restart(self) -> None:
        """Forget what was counted."""
        self.stats = ArrivalStats(expected_fps=self.stats.expected_fps, stamped=self._stamped)

    def figures(self, duration_s: float) -> ArrivalSummary:
        """What was measured; of a retained message that came once, that it is there."""
        figures = self.stats.figures(duration_s)
        if figures.count or not (self.retained and self.delivered):
            return figures
        kept = ArrivalStats(stamped=False)
        kept.add([Arrival(0, 0, 0)])
        return kept.figures(duration_s)


def message_class(type_name: str) -> Any:
    """The class of `package/msg/Name`. Raises WatchError where it is not installed."""
    package, _, name = type_name.split("/")
    try:
        return getattr(import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError) as cause:
        raise WatchError(f"messages of type {type_name} are not installed here: {cause}") from cause


def begins_with_header(message_type: Any) -> bool:
    """True if a serialised message starts with its stamp."""
    fields = list(message_type.get_fields_and_field_types().values())
    return bool(fields) and fields[0] == "std_msgs/Header"


class Watch:
    """All topics of one node."""

    def __init__(self, ros: Node, target: str) -> None:
        self._ros = ros
        self._namespace, _, self._name = target.rpartition("/")
        self.target = target
        self.topics: dict[str, Watched] = {}
        self.streaming = False
        self._lost = self._lost_before = 0

    def discover(self) -> None:
        """Subscribe to what the node has announced since."""
        try:
            announced = self._ros.get_publisher_names_and_types_by_node(
                self._name, self._namespace or "/"
            )
        except NodeNameNonExistentError:
            return
        for name, types in announced:
            ignored = (*_INFRASTRUCTURE, f"{self.target}/{_TRANSITION_TOPIC}")
            if name not in self.topics and name not in ignored:
                self._subscribe(name, types[0])

    def _subscribe(self, name: str, type_name: str) -> None:
        endpoints = self._ros.get_publishers_info_by_topic(name)
        if not endpoints:
            return  # gone again, or not yet known in full
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
        """A topic's name as the stream table has it."""
        return name.removeprefix(f"{self.target}/")

    def update(self) -> None:
        """Count what arrived; read the node's last status."""
        for topic in self.topics.values():
            topic.collect()
        status = self.topics.get(f"{self.target}/{_STATUS_TOPIC}")
        if status is not None and status.newest:
            self._apply(deserialize_message(status.newest, DeviceStatus))
            status.newest = b""

    def _apply(self, status: Any) -> None:
        self.streaming = status.state == DeviceStatus.STATE_STREAMING
        self._lost = sum(status.drops)
        rates = dict(zip(status.stream_names, status.expected_fps, strict=True))
        for name, topic in self.topics.items():
            streams = RATED_TOPICS.get(self._below(name), ())
            fastest = max((rates.get(stream, 0.0) for stream in streams), default=0.0)
            topic.stats.expected_fps = fastest or None

    def restart(self) -> None:
        """Count from now on."""
        self.update()
        self._lost_before = self._lost
        for topic in self.topics.values():
            topic.restart()

    def lost(self) -> int:
        """Frames since the restart that the node itself says it never got."""
        return max(0, self._lost - self._lost_before)

    def silent(self) -> list[Watched]:
        """Topics that have to deliver and have not yet."""
        return [topic for topic in self.topics.values() if topic.required and not topic.delivered]

    def ready(self) -> bool:
        """Every topic has delivered, and the node says that its streams run."""
        says_so = f"{self.target}/{_STATUS_TOPIC}" not in self.topics or self.streaming
        return bool(self.topics) and says_so and not self.silent()

    def progress(self) -> tuple[int, int]:
        """How many topics are known, and how many of them are silent."""
        return len(self.topics), len(self.silent())

    def missing(self) -> str:
        """Why `ready()` is false, for a message."""
        if not self.topics:
            others = sorted(
                f"{namespace.rstrip('/')}/{name}"
                for name, namespace in self._ros.get_node_names_and_namespaces()
                if name != self._ros.get_name()
            )
            seen = ", ".join(others) or "none"
            return f"no topics of a node {self.target} were announced; nodes that were seen: {seen}"
        silent = [f"{topic.name} ({topic.type_name})" for topic in self.silent()]
        if not silent:
            return f"{self.target} has not reported that its streams run"
        return (
            f"{len(silent)} of {len(self.topics)} topics of {self.target} delivered nothing: "
            + ", ".join(silent)
        )


def _known_reliability(qos: QoSProfile) -> ReliabilityPolicy:
    """A publisher's reliability; what is not known counts as reliable, as drivers are."""
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
        """Stop measuring at the next opportunity; fit for a signal handler."""
        self._ending = True

    def wait_for_topics(self, wait_s: float) -> bool:
        """True once every topic has delivered, False if told to end before.

        Raises  WatchError when the time is over
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
        """Count and draw for some time, or until told to end; says how long it was, s."""
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
        self._watch.update()
        self._screen.release()
        return time.monotonic() - start

    def rows(self, duration_s: float) -> list[TopicRow]:
        """Each topic with what was measured of it, by name."""
        topics = sorted(self._watch.topics.values(), key=lambda topic: topic.name)
        return [
            TopicRow(topic.name, topic.type_name, topic.required, topic.figures(duration_s))
            for topic in topics
        ]

    def report(self, duration_s: float, summary: Path | None) -> int:
        """Print and write what was measured; the exit status."""
        rows = self.rows(duration_s)
        if summary is not None:
            topics = {row.name: row.figures.summary(row.type_name) for row in rows}
            document = {"duration_s": round(duration_s, 3), "topics": topics}
            summary.write_text(json.dumps(document, indent=2) + "\n")
        print("\n".join(table(rows)), flush=True)
        print(verdict(rows, duration_s, self._watch.lost()), flush=True)
        gone = [row.name for row in rows if went_silent(row, duration_s)]
        if gone:
            print(f"error: went silent while measured: {', '.join(gone)}", file=sys.stderr)
        return 1 if gone else 0


def went_silent(row: TopicRow, duration_s: float) -> bool:
    """True if a topic should have delivered in this time, and did not."""
    due = duration_s * (row.figures.expected_fps or _SLOWEST_HZ)
    return row.required and not row.figures.count and due >= 2.0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m depthai_ros.monitor", description="Watch every topic of a node."
    )
    parser.add_argument(
        "--node", default=f"/{DEFAULT_NAME}", help="full name of the node (default %(default)s)"
    )
    parser.add_argument("--duration", type=float, metavar="S", help="end after so many seconds")
    parser.add_argument("--summary", type=Path, metavar="FILE", help="write what was seen as JSON")
    parser.add_argument(
        "--wait", type=float, default=30.0, metavar="S", help="for all topics to deliver (30)"
    )
    return parser.parse_args(arguments)


def _make_executor() -> Executor:
    """One that does not look through all topics for every message, where rclpy has it."""
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:  # up to Jazzy
        return SingleThreadedExecutor()
    return EventsExecutor()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the monitor; returns the exit status."""
    chosen = _arguments(arguments)
    _core.keep_large_buffers()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    ros = rclpy.create_node("monitor", enable_rosout=False, start_parameter_services=False)
    executor = _make_executor()
    executor.add_node(ros)
    session = Measurement(Watch(ros, "/" + chosen.node.strip("/")), executor.spin_once)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, session.end)
    try:
        if not session.wait_for_topics(chosen.wait):
            print("ended before every topic had delivered: nothing was measured")
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
