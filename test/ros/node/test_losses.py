"""Every frame of the device is published, without subscriber, or lost at a stage: it adds up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import rclpy
from loops import Running
from nodes import DEADLINE_S, wait_until
from rclpy.node import Node
from sensor_msgs.msg import Image

from depthai_ros import _core
from depthai_ros.messages.diagnostics import Health
from depthai_ros.messages.stream_stats import PUBLISHED, SKIPPED, STAGES, UNSUBSCRIBED, StreamCounts
from depthai_ros.virtual.frame_scheduler import FrameScheduler, SentFrames
from depthai_ros.virtual.session import DeviceSession
from depthai_ros.virtual.settings import parse_settings

STREAMS = ["left", "right", "disparity", "disparity_color"]
VALUES: dict[str, Any] = {
    "camera.mono.resolution_h": 400,
    "stream_list": STREAMS,
    "publish.idle_hold_s": 0.1,
    "sync.enable": True,
}


class Device:
    """A virtual device in this process: one session for each description, after one another."""

    def __init__(self, path: Path, descriptions: list[str]) -> None:
        self.address = f"unix:{path}"
        self._listener = _core.Listener(address=self.address)
        self._sessions: list[DeviceSession] = []
        self._thread = threading.Thread(target=self._serve, args=(descriptions,))
        self._thread.start()

    def _serve(self, descriptions: list[str]) -> None:
        for description in descriptions:
            transport = self._listener.accept(timeout_s=DEADLINE_S)
            if transport is None:
                return
            link = _core.Link(transport=transport, role="device")
            session = DeviceSession(link, parse_settings(description))
            self._sessions.append(session)
            session.run()

    @property
    def scheduler(self) -> FrameScheduler:
        """Of the newest session."""
        scheduler = self._sessions[-1]._scheduler
        assert scheduler is not None
        return scheduler

    def statement(self, stream: str) -> SentFrames:
        """What all sessions together say about a stream."""
        rows = [row._scheduler.statement[stream] for row in self._sessions if row._scheduler]
        return SentFrames(sum(row.sent for row in rows), sum(row.lost for row in rows))

    def close(self) -> None:
        self._listener.close()
        self._thread.join()


@pytest.fixture
def node() -> Iterator[Node]:
    node = rclpy.create_node("losses")
    yield node
    node.destroy_node()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Ends what a test has started."""
    with ExitStack() as stack:
        yield stack


def run(
    stack: ExitStack,
    node: Node,
    address: str,
    health: Health | None = None,
    capacity_per_stream: int = 4,
) -> Running:
    """The device's streams, with a short queue."""
    running = Running(node, VALUES, address, health, capacity_per_stream=capacity_per_stream)
    stack.callback(running.close)
    stack.callback(running.publishers.gate.set)
    return running


def subscribe(node: Node, topic: str) -> Any:
    return node.create_subscription(Image, f"~/{topic}", lambda _: None, 1, raw=True)


def stall(running: Running) -> None:
    """Stop the packet loop until the queue has dropped packets of every stream that it had."""
    running.publishers.gate.clear()
    before = running.pipeline.dropped()
    wait_until(
        lambda: running.pipeline.dropped().get("left", 0) >= before.get("left", 0) + 2,
        lambda: f"the queue to drop packets: {running.pipeline.dropped()}",
    )
    running.publishers.gate.set()


def pause(node: Node, running: Running, device: Device, subscription: Any) -> None:
    """Let the stream `left` lose its subscriber, stop, and come back."""
    node.destroy_subscription(subscription)
    stats = running.health.stream_stats["left"]
    wait_until(
        lambda: stats.is_held and device.scheduler.statement["left"].last is None,
        lambda: "left to stop",
    )
    subscribe(node, "left/image_raw")
    wait_until(lambda: not stats.is_held, lambda: "left to go on")
    running.wait_for_packets(5, "left")


def finish(running: Running, device: Device) -> Health:
    """End the device first, so that the packet loop gets all that was sent."""
    device.scheduler.stop()

    def is_empty() -> bool:
        counts = running.loop.counts()
        return all(
            arrived(counts[name]) == device.statement(wire_of(name)).sent for name in STREAMS
        )

    wait_until(is_empty, lambda: f"all packets in {running.loop.counts()}")
    running.close()
    return running.health


def wire_of(stream: str) -> str:
    return "disparity" if stream == "disparity_color" else stream


def arrived(counts: StreamCounts) -> int:
    """Packets that came on the link."""
    return counts.produced - counts.of("device")


def test_every_frame_is_published_or_lost_at_a_named_stage(
    node: Node, tmp_path: Path, stack: ExitStack
) -> None:
    faults = ["pattern?fault=drop:left:5", "pattern?fault=short:right:5"]
    device = Device(tmp_path / "device", faults)
    stack.callback(device.close)
    subscription = subscribe(node, "left/image_raw")
    subscribe(node, "right/image_raw")
    subscribe(node, "disparity_color/image_raw")

    running = run(stack, node, device.address)
    running.wait_for_packets(8, "left", "right")
    stall(running)
    pause(node, running, device, subscription)
    health = finish(running, device)
    first = dict(health.counts)

    # The device comes back: the counts go on.
    running = run(stack, node, device.address, health)
    running.wait_for_packets(8, "left", "right")
    stall(running)
    running.wait_for_packets(2, "left")
    counts = finish(running, device).counts

    for stream in STREAMS:
        statement, found = device.statement(wire_of(stream)), counts[stream]
        assert found.produced == statement.sent + statement.lost, (stream, statement, found)
        assert found.of("device") == statement.lost, (stream, statement, found)
        others = found.of(PUBLISHED) + found.of(UNSUBSCRIBED) + sum(found.lost.values())
        assert others == found.produced
        assert found.produced > first[stream].produced
    lost = {stream: counts[stream].lost for stream in STREAMS}
    assert first["left"].of("device") >= 2, "faults that left out a packet"
    assert lost["left"]["link"] >= 4, "two stalls"
    assert first["right"].of("loop") >= 2, "exposures without left"
    assert lost["right"]["loop"] > first["right"].of("loop"), "malformed packets"
    assert counts["right"].of(PUBLISHED) > 0
    assert counts["disparity"].of(UNSUBSCRIBED) > 0
    assert counts["disparity"].of(PUBLISHED) == 0
    assert counts["disparity_color"].of(PUBLISHED) > 0
    assert {stage for row in lost.values() for stage in row} == set(STAGES)


def test_packet_loop_that_stays_behind_gets_new_packets(
    node: Node, tmp_path: Path, stack: ExitStack
) -> None:
    device = Device(tmp_path / "device", ["pattern"])
    stack.callback(device.close)
    running = run(stack, node, device.address, capacity_per_stream=1000)
    gate, pipeline = running.publishers.gate, running.pipeline
    subscribe(node, "right/image_raw")
    subscribe(node, "disparity_color/image_raw")
    running.wait_for_packets(3)
    gate.clear()
    sent = device.statement("right").sent
    wait_until(lambda: device.statement("right").sent > sent + 30, lambda: "a second of packets")
    assert pipeline.dropped()["right"] == 0
    pipeline._caught_up_ns -= 20 * 10**9
    gate.set()
    wait_until(lambda: pipeline.dropped()["right"] > 0, lambda: f"{pipeline.dropped()}")
    counts = finish(running, device).counts["right"]
    assert counts.produced == device.statement("right").sent + device.statement("right").lost
    assert counts.of("link") == pipeline.dropped()["right"]


def test_stream_made_from_a_faster_one_has_its_own_rate(node: Node, stack: ExitStack) -> None:
    values = {"stream_list": ["disparity", "disparity_color"], "camera.mono.resolution_h": 400}
    running = Running(node, {**values, "stream.disparity_color.max_fps": 7.5})
    stack.callback(running.close)
    running.wait_for_packets(4, "disparity_color")
    running.loop.stop()
    counts = running.loop.counts()
    slow, fast = counts["disparity_color"], counts["disparity"]
    assert slow.of("device") == 0
    assert slow.of(SKIPPED) >= 2 * slow.produced
    assert slow.of(SKIPPED) + slow.produced == fast.of(UNSUBSCRIBED)


def test_message_that_the_middleware_refuses_is_a_loss_of_dds(stack: ExitStack) -> None:
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("refused", context=context)
    stack.callback(node.destroy_node)
    running = Running(node, {"stream_list": ["meta_d2h"]})
    stack.callback(running.close)
    counts = running.loop.counts
    wait_until(lambda: counts()["meta_d2h"].of(PUBLISHED), lambda: "a status of the device")
    context.shutdown()
    wait_until(lambda: counts()["meta_d2h"].of("dds"), lambda: f"{running.lost}")
    number, reason = running.loop.refused()["meta_d2h"]
    found = counts()["meta_d2h"]
    assert (number, found.produced) == (found.of("dds"), found.of(PUBLISHED) + found.of("dds"))
    assert reason
