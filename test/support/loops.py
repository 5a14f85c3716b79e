"""The packet loop in the process of the test."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from contexts import make_calibration
from nodes import DEADLINE_S, wait_until
from rclpy.node import Node

from depthai_ros import config
from depthai_ros.calibration.poses import frame_ids
from depthai_ros.config import Settings
from depthai_ros.device.clock import StampSource
from depthai_ros.device.device import OpenDevice
from depthai_ros.messages.context import make_context
from depthai_ros.messages.diagnostics import Health
from depthai_ros.messages.stream_stats import make_stream_stats
from depthai_ros.node.packet_loop import PacketLoop
from depthai_ros.node.publishers import Sent, StreamPublishers


class CountingPublishers(StreamPublishers):
    """Publishers that count the packets of each stream."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.passed: Counter[str] = Counter()
        self.gate = threading.Event()  # while it is not set, the packet loop stands still
        self.gate.set()
        self.slow = ""  # only the thread of this stream or output stands still

    def send(self, stream: str, *arguments: Any, **options: Any) -> Sent:
        self.passed[stream] += 1
        assert self.slow not in ("", stream) or self.gate.wait(DEADLINE_S)
        return super().send(stream, *arguments, **options)


class Running:
    """A pipeline of the virtual device, published by a node in this process."""

    def __init__(
        self,
        node: Node,
        values: dict[str, Any],
        selector: str = "virtual:pattern",
        health: Health | None = None,
        **queue: int,
    ) -> None:
        """`health` is that of an earlier run; `queue` are the capacities of the packet queue."""
        settings: Settings = config.validate(values)
        path = settings["ai.blob_file_config"]
        network = config.read_network_config(path) if path else None
        self.streams = settings["stream_list"]
        self.publishers = CountingPublishers(node, settings, decoded=True)
        self.device = OpenDevice.open(selector)
        self._packets_before = self.device.link_counters()["packets_in"]
        self.pipeline = pipeline = self.device.start_pipeline(settings, network, **queue)
        self.health = health or Health("oak", settings)
        publishers = self.publishers
        self.health.stream_stats = make_stream_stats(
            settings, 0, publishers.outputs, publishers.compressed
        )
        calibration = make_calibration(settings)
        self.context = context = make_context(
            settings, calibration, network, pipeline.sizes, frame_ids("oak"), self.health, ""
        )
        self.lost: list[Exception] = []
        self.loop = PacketLoop(pipeline, context, self.publishers, StampSource(), self.lost.append)

    def change(self, values: dict[str, Any]) -> None:
        """Use other live settings."""
        settings = config.validate(values)
        self.publishers.change(settings)
        self.context.change(settings)

    def data_packets(self) -> int:
        """Number of packets received from the device in this pipeline."""
        return self.device.link_counters()["packets_in"] - self._packets_before

    def wait_for_packets(self, count: int, *streams: str) -> None:
        """Wait for `count` more packets of these streams, or of all."""
        passed = self.publishers.passed
        goal = {stream: passed[stream] + count for stream in streams or self.streams}
        wait_until(
            lambda: all(passed[stream] >= number for stream, number in goal.items()),
            lambda: f"{goal}, there are {passed}",
        )

    def close(self) -> None:
        self.loop.stop()
        self.device.close()
        self.publishers.destroy()
        assert self.lost == []
