"""The worker stage: it never stops the packet loop, the newest packet wins, the counts add up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import rclpy
from loops import Running
from nodes import DEADLINE_S, wait_until
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import PointCloud2

from depthai_ros.messages.stream_stats import PUBLISHED, UNSUBSCRIBED, StreamCounts

pytestmark = pytest.mark.distribution("functions of rcl that the extension calls")

VALUES: dict[str, Any] = {
    "camera.mono.resolution_h": 400,
    "stream_list": ["depth", "rectified_right"],
    "points.color": "mono",
}


@pytest.fixture
def node() -> Iterator[Node]:
    node = rclpy.create_node("workers")
    yield node
    node.destroy_node()


@pytest.fixture
def running(node: Node) -> Iterator[Running]:
    with ExitStack() as stack:
        running = Running(node, VALUES)
        stack.callback(running.close)
        stack.callback(running.publishers.gate.set)
        yield running


def counts(running: Running) -> StreamCounts:
    return running.loop.counts()["points"]


def test_slow_output_gets_the_newest_packet_and_the_loop_goes_on(
    node: Node, running: Running
) -> None:
    stamps: list[int] = []

    def keep(data: bytes) -> None:
        stamp = deserialize_message(data, PointCloud2).header.stamp
        stamps.append(stamp.sec * 10**9 + stamp.nanosec)

    running.publishers.slow = "points"
    node.create_subscription(PointCloud2, "~/points", keep, 10, raw=True)
    wait_until(lambda: running.publishers.passed["points"], lambda: "a cloud")
    running.publishers.gate.clear()
    running.wait_for_packets(10, "depth")  # none of them waits for the worker
    running.publishers.gate.set()
    running.wait_for_packets(3, "depth", "points")
    running.close()

    found = counts(running)
    depth = running.loop.counts()["depth"]
    assert found.lost["worker.points"] >= 6
    assert found.lost_total == found.lost["worker.points"]
    assert found.produced == depth.produced
    assert found.of(UNSUBSCRIBED) + found.of(PUBLISHED) == found.produced - found.lost_total
    while len(stamps) < found.of(PUBLISHED):
        rclpy.spin_once(node, timeout_sec=DEADLINE_S)
    assert stamps == sorted(set(stamps))
