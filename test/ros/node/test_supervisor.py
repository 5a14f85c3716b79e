"""The supervisor without a node, with a virtual device: errors that it recovers from, and bugs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from nodes import wait_until
from rclpy.node import Node

from depthai_ros.config import validate
from depthai_ros.errors import LinkError
from depthai_ros.messages.diagnostics import Health
from depthai_ros.msg import DeviceStatus
from depthai_ros.node.publishers import StreamPublishers
from depthai_ros.node.supervisor import Supervisor

SETTINGS = validate(
    {
        "device.id": "virtual:pattern",
        "stream_list": ["left"],
        "camera.mono.resolution_h": 400,
        "reconnect.initial_delay_s": 0.0,
    }
)


class Desk:
    """A supervisor, and its log lines and states."""

    def __init__(self) -> None:
        self._node = Node("oak", namespace=f"/test_{time.monotonic_ns()}")
        self.health = Health("oak", SETTINGS)
        self.states: list[int] = []
        self.given_up = threading.Event()
        self.supervisor = Supervisor(
            self._node,
            SETTINGS,
            self.health,
            lambda: self.states.append(self.health.state),
            self.given_up.set,
            threading.Event(),
        )
        self.publishers = StreamPublishers(self._node, SETTINGS, decoded=False)

    def wait_for(self, state: int) -> None:
        wait_until(lambda: self.health.state == state, lambda: f"{state}, it is {self.states}")

    def close(self) -> None:
        self.supervisor.release()
        self.publishers.destroy()
        self._node.destroy_node()


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    made.supervisor.connect()
    yield made
    made.close()
    assert not [
        row.name for row in threading.enumerate() if row.name in ("recovery", "packet-loop")
    ]


def test_restart_reopens_the_device_and_calls_the_started_callbacks(desk: Desk) -> None:
    supervisor = desk.supervisor
    with pytest.raises(LinkError, match="no pipeline is running"):
        supervisor.restart("on demand")
    devices = []
    supervisor.started.append(devices.append)
    supervisor.start(desk.publishers)
    assert supervisor.is_streaming
    supervisor.restart("on demand")
    supervisor.restart("once more, while it reconnects")
    wait_until(lambda: desk.health.restarts == 1, lambda: "a return")
    desk.wait_for(DeviceStatus.STATE_STREAMING)
    assert len(devices) == 2
    assert devices[0] is not devices[1] is supervisor.device
    assert DeviceStatus.STATE_RECOVERING in desk.states
    assert desk.health.last_error == ""


def test_bug_is_logged_and_recovered_from_like_a_lost_device(desk: Desk) -> None:
    supervisor = desk.supervisor
    supervisor.start(desk.publishers)
    lose(desk, ZeroDivisionError("a mistake of ours"))
    wait_until(lambda: desk.health.restarts == 1, lambda: "a return")
    desk.wait_for(DeviceStatus.STATE_STREAMING)
    assert DeviceStatus.STATE_RECOVERING in desk.states
    assert DeviceStatus.STATE_ERROR not in desk.states


def lose(desk: Desk, cause: Exception) -> None:
    recovery = desk.supervisor._recovery
    assert recovery is not None
    recovery.lost(recovery.run, cause)


def test_bug_that_repeats_is_given_up(desk: Desk) -> None:
    supervisor = desk.supervisor
    supervisor.start(desk.publishers)
    calls = []

    def fail(_device: object) -> None:
        calls.append(None)
        raise ZeroDivisionError("a mistake of ours")

    supervisor.started.append(fail)
    lose(desk, LinkError("gone"))
    desk.wait_for(DeviceStatus.STATE_ERROR)
    assert desk.given_up.is_set()
    assert len(calls) == 3
    assert "bug: ZeroDivisionError" in desk.health.last_error


def test_loss_of_an_earlier_pipeline_is_old_news(desk: Desk) -> None:
    supervisor = desk.supervisor
    supervisor.start(desk.publishers)
    recovery = supervisor._recovery
    assert recovery is not None
    first = recovery.run
    supervisor.restart("on demand")
    wait_until(lambda: desk.health.restarts == 1, lambda: "a return")
    recovery.lost(first, LinkError("of the first pipeline"))
    assert not recovery._loss


@pytest.mark.parametrize("delay_s", [0.0, 0.001, 0.005, 0.02])
def test_stop_ends_a_reset_that_has_just_begun(desk: Desk, delay_s: float) -> None:
    supervisor = desk.supervisor
    for _ in range(5):
        supervisor.start(desk.publishers)
        supervisor.restart("on demand")
        threading.Event().wait(delay_s)
        supervisor.stop()
