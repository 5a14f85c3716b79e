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
        self.supervisor = Supervisor(
            self._node,
            SETTINGS,
            self.health,
            lambda: self.states.append(self.health.state),
            lambda: None,
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
        row.name for row in threading.enumerate() if row.name in ("supervisor", "packet-loop")
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


def test_bug_is_logged_and_not_retried(desk: Desk) -> None:
    supervisor = desk.supervisor
    supervisor.start(desk.publishers)
    supervisor._lost(ZeroDivisionError("a mistake of ours"))
    desk.wait_for(DeviceStatus.STATE_ERROR)
    assert "bug: ZeroDivisionError" in desk.health.last_error
    assert DeviceStatus.STATE_RECOVERING not in desk.states
    assert desk.health.restarts == 0
    supervisor.restart("by hand")  # a restart is still possible
    desk.wait_for(DeviceStatus.STATE_STREAMING)


def test_bug_in_a_started_callback_does_not_cause_a_loop(desk: Desk) -> None:
    supervisor = desk.supervisor
    supervisor.start(desk.publishers)

    def fail(_device: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    supervisor.started.append(fail)
    supervisor._lost(LinkError("gone"))
    desk.wait_for(DeviceStatus.STATE_ERROR)
    assert "bug: ZeroDivisionError" in desk.health.last_error
