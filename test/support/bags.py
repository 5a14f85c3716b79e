"""Records every topic of a node as `ros2 bag record --storage mcap` does, and reads such a folder.

It writes with the reference implementation of MCAP and reads with the independent `rosbags`.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ament_index_python.packages import get_package_share_directory
from nodes import DEADLINE_S
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message

from depthai_ros.commands.watched_topic import message_class

# No ROS 2 has these packages.
mcap = pytest.importorskip("mcap.writer", reason="mcap is not installed")
rosbags = pytest.importorskip("rosbags.highlevel", reason="rosbags is not installed")

_FILE = "recording.mcap"
#: Type, name and the rest of a field or constant. Source: the interface definition of ROS 2
_FIELD = re.compile(r"^\s*([A-Za-z][\w/]*)(?:<=\d+)?(?:\[[^]]*\])?\s+\w+", re.MULTILINE)
_PRIMITIVES = "bool byte char string wstring float32 float64 int8 uint8 int16 uint16 int32 uint32"
_BUILTIN = {*_PRIMITIVES.split(), "int64", "uint64"}
_RULE = "=" * 80


def definition(type_name: str) -> str:
    """Definition of a message type with all nested types, as in recordings."""
    texts: dict[str, str] = {}
    waiting = [type_name]
    while waiting:
        package, _, name = waiting.pop(0).replace("/msg/", "/").partition("/")
        if f"{package}/{name}" in texts:
            continue
        path = Path(get_package_share_directory(package), "msg", f"{name}.msg")
        text = texts[f"{package}/{name}"] = path.read_text(encoding="utf-8")
        fields = {match[1] for match in _FIELD.finditer(re.sub("#.*", "", text))} - _BUILTIN
        waiting += [field if "/" in field else f"{package}/{field}" for field in sorted(fields)]
    first, *others = texts.items()
    return "\n".join([first[1], *(f"{_RULE}\nMSG: {name}\n{text}" for name, text in others)])


class Recorder:
    """Subscribes to all topics of a node, with the QoS of the publisher."""

    def __init__(self, folder: Path, node_name: str, keep: int) -> None:
        self._folder, self._name, self._keep = folder, node_name, keep
        self._node = Node("recorder", namespace=f"/test_{time.monotonic_ns()}")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._file = (folder / _FILE).open("wb")
        self._writer = mcap.Writer(self._file, compression=mcap.CompressionType.NONE)
        self._writer.start(profile="ros2", library="test")
        self.types: dict[str, str] = {}
        self._times_ns: list[int] = []
        self.counts: dict[str, int] = defaultdict(int)

    def _discover(self) -> None:
        namespace, _, name = self._name.rpartition("/")
        known = set(self._node.get_node_names_and_namespaces())
        if (name, namespace or "/") not in known:
            return
        found = self._node.get_publisher_names_and_types_by_node(name, namespace or "/")
        for topic, (type_name, *_) in found:
            if topic not in self.types:
                self._subscribe(topic, type_name)

    def _subscribe(self, topic: str, type_name: str) -> None:
        offers = self._node.get_publishers_info_by_topic(topic)
        if not offers:
            return  # not discovered yet
        offered = offers[0].qos_profile
        profile = QoSProfile(
            depth=10, reliability=offered.reliability, durability=offered.durability
        )
        schema = self._writer.register_schema(type_name, "ros2msg", definition(type_name).encode())
        channel = self._writer.register_channel(topic, "cdr", schema)
        self.types[topic] = type_name

        def write(raw: bytes) -> None:
            if self.counts[topic] < self._keep:
                now_ns = time.time_ns()
                self._writer.add_message(channel, now_ns, raw, now_ns, self.counts[topic])
                self._times_ns.append(now_ns)
                self.counts[topic] += 1

        message_type = message_class(type_name)
        self._node.create_subscription(message_type, topic, write, profile, raw=True)

    def record_until(self, condition: Callable[[], Any], what: str) -> None:
        """Record until the condition is true."""
        end_s = time.monotonic() + DEADLINE_S
        looked_s = 0.0
        while not condition():
            assert time.monotonic() < end_s, f"still waiting for {what}; so far {dict(self.counts)}"
            if time.monotonic() - looked_s > 0.5:
                self._discover()
                looked_s = time.monotonic()
            self._executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        """Finish the file and write metadata.yaml."""
        self._executor.shutdown()
        self._node.destroy_node()
        self._writer.finish()
        self._file.close()
        document = {"rosbag2_bagfile_information": self._facts()}
        (self._folder / "metadata.yaml").write_text(yaml.safe_dump(document))

    def _facts(self) -> dict[str, Any]:
        """Source: rosbag2_storage, version 5 of metadata.yaml."""
        first, last = min(self._times_ns, default=0), max(self._times_ns, default=0)
        topics = [
            {
                "message_count": self.counts[topic],
                "topic_metadata": {
                    "name": topic,
                    "type": type_name,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": "",
                },
            }
            for topic, type_name in self.types.items()
        ]
        return {
            "version": 5,
            "storage_identifier": "mcap",
            "relative_file_paths": [_FILE],
            "starting_time": {"nanoseconds_since_epoch": first},
            "duration": {"nanoseconds": last - first},
            "message_count": len(self._times_ns),
            "topics_with_message_count": topics,
            "compression_format": "",
            "compression_mode": "",
        }


class Bag:
    """The messages of a recorded folder, decoded by `rosbags` and by rclpy."""

    def __init__(self, folder: Path) -> None:
        self.types: dict[str, str] = {}
        self.read: dict[str, list[Any]] = defaultdict(list)
        self.published: dict[str, list[Any]] = defaultdict(list)
        with rosbags.AnyReader([folder]) as reader:
            self.types = {row.topic: row.msgtype for row in reader.connections}
            for connection, _, raw in reader.messages():
                topic, type_name = connection.topic, connection.msgtype
                self.read[topic].append(reader.deserialize(raw, type_name))
                self.published[topic].append(
                    deserialize_message(bytes(raw), message_class(type_name))
                )


def frames_in(message: Any) -> Iterator[str]:
    """Every frame_id in a message, at any depth."""
    for name in getattr(message, "__dataclass_fields__", ()):
        value = getattr(message, name)
        if name in ("frame_id", "child_frame_id"):
            yield value
        for part in value if isinstance(value, list) else [value]:
            yield from frames_in(part)
