"""Two cameras in two namespaces, and this process, which subscribes to every topic of both.

The same through a launch file: test/launch/test_launch_several.py.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from nodes import VIRTUAL_YAML, Listener, NodeProcess
from rclpy.qos import QoSProfile, ReliabilityPolicy
from tf2_msgs.msg import TFMessage

from depthai_ros.commands.monitor import RATED_TOPICS
from depthai_ros.commands.watched_topic import begins_with_header, message_class
from depthai_ros.msg import DeviceStatus
from depthai_ros.transports import IMAGES

#: Full name of the node: serial of its device.
CAMERAS = {
    "/front_side/front": "14442C10D1FRONT000",
    "/rear_side/rear": "14442C10D1REAR0000",
}
#: A rate that two cores keep up with while they do other work.
FPS = 5.0
MEASURED_S = 8.0
#: Topics with a rate that each has.
RATED = 17
#: Of both nodes, as of every node.
SHARED = {"/tf_static", "/diagnostics", "/rosout", "/parameter_events"}
_STAMP = struct.Struct("<4xiI")


@dataclass
class Both:
    """What this process received from the two nodes."""

    topics: dict[str, set[str]] = field(default_factory=dict)  # node: its topics
    stamps_ns: dict[str, list[int]] = field(default_factory=dict)  # topic: of each message
    frames: dict[str, set[str]] = field(default_factory=dict)  # topic: frames of its messages
    devices: dict[str, str] = field(default_factory=dict)  # node: serial
    tree: list[set[str]] = field(default_factory=list)  # frames in each message of /tf_static
    status: list[int] = field(default_factory=list)


class Watch:
    """Subscribes to every topic of the cameras, serialised; keeps stamps and frames."""

    def __init__(self, both: Both) -> None:
        self._both, self._listener = both, Listener(keep=1)
        self._node = self._listener.node
        self.wait_until, self.first = self._listener.wait_until, self._listener.first
        self._listener.subscribe(TFMessage, "/tf_static", latched=True, keep=len(CAMERAS))

    def close(self) -> None:
        self._listener.close()

    def subscribe(self, node: str) -> None:
        self.wait_until(lambda: is_whole(node, self._announced(node)), f"the topics of {node}")
        announced = self._announced(node)
        self._both.topics[node] = set(announced)
        for topic, type_name in announced.items():
            message_type = message_class(type_name)
            is_coded = topic.removeprefix(f"{node}/") in IMAGES  # two cores cannot encode them all
            if topic not in SHARED and begins_with_header(message_type) and not is_coded:
                self._watch(topic, message_type)

    def _announced(self, node: str) -> dict[str, str]:
        """Topics of a node and their types, as far as they have been discovered."""
        namespace, _, name = node.rpartition("/")
        if (name, namespace) not in self._node.get_node_names_and_namespaces():
            return {}
        found = self._node.get_publisher_names_and_types_by_node(name, namespace)
        return {topic: type_name for topic, (type_name, *_) in found}

    def _watch(self, topic: str, message_type: Any) -> None:
        stamps_ns = self._both.stamps_ns[topic] = []
        frames = self._both.frames[topic] = set()

        def arrived(raw: bytes) -> None:
            seconds, nanoseconds = _STAMP.unpack_from(raw)
            stamps_ns.append(seconds * 10**9 + nanoseconds)
            length = int.from_bytes(raw[12:16], "little")
            frames.add(raw[16 : 16 + length - 1].decode())

        profile = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
        self._node.create_subscription(message_type, topic, arrived, profile, raw=True)

    def frames_of_tree(self) -> list[set[str]]:
        messages = self._listener.messages("/tf_static")
        return [{row.child_frame_id for row in message.transforms} for message in messages]


def rated(node: str, topics: Iterable[str]) -> list[str]:
    """Those topics of a camera that have a rate."""
    return [topic for topic in topics if topic.removeprefix(f"{node}/") in RATED_TOPICS]


def is_whole(node: str, topics: Collection[str]) -> bool:
    """True once every topic that the tests need has been discovered."""
    return set(topics) >= SHARED and len(rated(node, topics)) >= RATED


def rated_of_both(both: Both) -> list[str]:
    return [topic for node in CAMERAS for topic in rated(node, both.stamps_ns)]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    seen, folder = Both(), tmp_path_factory.mktemp("both")
    nodes = []
    for node, serial in CAMERAS.items():
        namespace, _, name = node.rpartition("/")
        rates = {"camera.mono.fps": FPS, "camera.rgb.fps": FPS}
        parameters = {"device.id": f"virtual:synthetic?mx_id={serial}", **rates}
        words = ("--ros-args", "-r", f"__ns:={namespace}", "--")
        nodes.append(NodeProcess(folder, parameters, *words, params_file=VIRTUAL_YAML, name=name))
    watch = Watch(seen)
    try:
        for process, node in zip(nodes, CAMERAS, strict=True):
            process.wait_for_output("streaming")
            status = watch.first(DeviceStatus, f"{node}/device/status", latched=True)
            seen.devices[node] = status.mx_id
            watch.subscribe(node)
        watch.wait_until(lambda: len(watch.frames_of_tree()) == len(CAMERAS), "the frames of both")
        seen.tree = watch.frames_of_tree()
        rows = [seen.stamps_ns[topic] for topic in rated_of_both(seen)]
        watch.wait_until(
            lambda: all(row and row[-1] - row[0] >= MEASURED_S * 1e9 for row in rows),
            f"{MEASURED_S} s of each topic",
        )
        seen.status = [process.stop() for process in nodes]
    finally:
        watch.close()
        for process in nodes:
            process.kill()
            print(process.output)
    return seen


@pytest.mark.complaint(13)
def test_two_cameras_share_no_topic(both: Both) -> None:
    front, rear = both.topics.values()
    assert front & rear == SHARED
    for node, topics in both.topics.items():
        assert all(topic.startswith(f"{node}/") for topic in topics - SHARED)


@pytest.mark.complaint(13)
def test_two_cameras_share_no_frame(both: Both) -> None:
    front, rear = both.tree
    assert not front & rear
    for topic, frames in both.frames.items():
        name = topic.split("/")[2]
        for frame in frames - {""}:
            assert frame.startswith(f"{name}_"), topic
            assert frame in front | rear, topic


@pytest.mark.complaint(13)
def test_two_cameras_share_no_device(both: Both) -> None:
    assert both.devices == CAMERAS


@pytest.mark.complaint(5)
def test_every_rate_of_both_cameras_is_at_least_95_percent(both: Both) -> None:
    assert len(rated_of_both(both)) >= len(CAMERAS) * RATED
    slow = {}
    for topic in rated_of_both(both):
        stamps_ns = both.stamps_ns[topic]
        rate = (len(stamps_ns) - 1) / (stamps_ns[-1] - stamps_ns[0]) * 1e9
        if rate < 0.95 * FPS:
            slow[topic] = rate
    assert slow == {}


def test_stamps_of_both_cameras_increase(both: Both) -> None:
    for topic, stamps_ns in both.stamps_ns.items():
        assert all(one < other for one, other in pairwise(stamps_ns)), topic


def test_both_cameras_end_cleanly(both: Both) -> None:
    assert both.status == [0, 0]
