"""The node reconnects a lost device without help from outside."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boards import Board
from diagnostic_msgs.msg import DiagnosticArray
from lengths import CYCLES
from lifecycle_msgs.msg import Transition
from nodes import Listener, NodeProcess, StartNode, wait_until
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage

from depthai_ros.msg import DeviceStatus

QUICK = {
    "stream_list": ["left", "meta_d2h"],
    "camera.mono.resolution_h": 400,
    "camera.mono.fps": 20.0,
    "diagnostics.period_s": 0.1,
    "reconnect.initial_delay_s": 0.05,
    "reconnect.max_delay_s": 0.2,
}
#: Topics of the node with these parameters, below its name.
PUBLISHED = {
    "left/image_raw",
    "left/image_raw/compressed",
    "left/camera_info",
    "device/status",
    "transition_event",
}
#: It closes the link in every session, after the same number of frames.
FLIGHTY = "virtual:pattern?fault=unplug:left:20"


def device_diagnosis(listener: Listener) -> dict[str, str]:
    """Key -> value of the newest status of the device."""
    listener.forget()
    listener.wait_for("/diagnostics")
    status = listener.messages("/diagnostics")[-1].status[0]
    return {"message": status.message, **{row.key: row.value for row in status.values}}


def wait_for_state(listener: Listener, state: str) -> dict[str, str]:
    found: dict[str, str] = {}

    def arrived() -> bool:
        found.update(device_diagnosis(listener))
        return found["state"] == state

    listener.wait_until(arrived, f"the state {state}")
    return found


def stamps(messages: list[Any]) -> list[int]:
    return [message.header.stamp.sec * 10**9 + message.header.stamp.nanosec for message in messages]


def lines_with(node: NodeProcess, words: str) -> int:
    return sum(words in line for line in node.output.splitlines())


@pytest.mark.complaint(1)
def test_streams_continue_after_each_of_several_unplugs(
    start_node: StartNode,
) -> None:
    listener = Listener(keep=1000)
    node = start_node({**QUICK, "device.id": FLIGHTY})
    listener.subscribe(Image, "left/image_raw")
    listener.subscribe(DeviceStatus, "device/status", latched=True)
    listener.subscribe(TFMessage, "/tf_static", latched=True)
    listener.wait_until(lambda: lines_with(node, "the device is back") >= 3, "three returns")
    count = len(listener.raw("left/image_raw"))
    listener.wait_for("left/image_raw", count=count + 5)

    assert node.process.poll() is None
    assert listener.state() == "active"
    times = stamps(listener.messages("left/image_raw"))
    assert times == sorted(set(times)), "stamps must increase over a reboot"
    states = [message.state for message in listener.messages("device/status")]
    assert DeviceStatus.STATE_RECOVERING in states
    assert listener.messages("device/status")[-1].restart_count >= 3
    assert len(listener.messages("/tf_static")) == 1, "the same frames are sent once"
    assert lines_with(node, "first frame after") >= 3
    assert lines_with(node, "[ERROR]") == lines_with(node, "the device is lost: ")
    assert node.stop() == 0
    assert "Traceback" not in node.output
    listener.close()


@pytest.mark.complaint(1)
def test_device_that_was_away_for_long_is_used_as_soon_as_it_is_back(
    board: Board, start_node: StartNode
) -> None:
    board.plug()
    listener = Listener(keep=1000)
    node = start_node({**QUICK, "device.id": board.selector})
    listener.subscribe(Image, "left/image_raw")
    listener.subscribe(DiagnosticArray, "/diagnostics")
    listener.wait_for("left/image_raw", count=3)
    listener.wait_until(lambda: listener.topics() == PUBLISHED, "the topics")
    process = node.process.pid
    before = stamps(listener.messages("left/image_raw"))

    board.unplug()
    found = wait_for_state(listener, "recovering")
    assert found["last_error"] != ""
    node.wait_for_output("reconnect attempt 1 failed: ")
    assert listener.topics() == PUBLISHED
    assert listener.state() == "active"

    board.plug("pattern?mx_id=14442C10D1ANOTHER00")
    node.wait_for_output("the device is back, first frame after ")
    found = wait_for_state(listener, "streaming")
    statuses = {row.name: row for row in listener.messages("/diagnostics")[-1].status}
    jumps = next(row.value for row in statuses["oak: clock"].values if row.key == "jumps")
    assert jumps == "0", "the clock of a restarted device is not a jump"
    assert found["restarts"] == "1"
    assert found["mx_id"] == "14442C10D1ANOTHER00"
    assert found["last_error"] == ""
    listener.wait_for("left/image_raw", count=3)
    after = stamps(listener.messages("left/image_raw"))
    assert before[-1] < after[0]
    assert after == sorted(set(after))
    assert node.process.pid == process
    assert "is another device now: 14442C10D1ANOTHER00, it was 14442C10D1VIRTUAL0" in node.output
    for words in ("the device is lost: ", "reconnect attempt", "the device is back"):
        assert lines_with(node, words) == 1, node.output
    assert node.stop() == 0
    listener.close()


@pytest.mark.complaint(1)
def test_device_that_falls_silent_is_opened_again(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node({**QUICK, "device.id": "virtual:pattern?fault=mute:left:20"})
    listener.subscribe(Image, "left/image_raw")
    node.wait_for_output("no packet of any stream for ")
    node.wait_for_output("the device is back")
    listener.forget()
    listener.wait_for("left/image_raw", count=3)
    assert node.stop() == 0


def test_node_that_gives_up_leaves_active_by_the_error_transition(
    board: Board, start_node: StartNode, listener: Listener
) -> None:
    board.plug()
    node = start_node({**QUICK, "device.id": board.selector, "reconnect.max_attempts": 3})
    listener.subscribe(DiagnosticArray, "/diagnostics")
    node.wait_for_output("streaming meta_d2h")
    board.unplug()
    node.wait_for_output("gave up after 3 reconnect attempts")
    listener.wait_until(lambda: listener.state() == "unconfigured", "the state unconfigured")
    assert wait_for_state(listener, "error")["message"] != ""
    assert "left/image_raw" not in listener.topics()
    assert node.process.poll() is None

    board.plug()
    assert listener.change_state(Transition.TRANSITION_CONFIGURE)
    assert listener.change_state(Transition.TRANSITION_ACTIVATE)
    listener.first(Image, "left/image_raw")
    assert node.stop() == 0
    assert "Traceback" not in node.output


def test_device_that_never_stays_is_given_up(start_node: StartNode) -> None:
    """Each attempt succeeds, and each time the device is lost again soon."""
    node = start_node({**QUICK, "device.id": FLIGHTY, "reconnect.max_attempts": 2})
    node.wait_for_output("gave up after 2 reconnect attempts")
    assert lines_with(node, "the device is back") == 2
    assert node.process.poll() is None
    assert node.stop() == 0


#: Transitions that end a node's search, and the state after each.
ENDS: list[tuple[int, str]] = [
    (Transition.TRANSITION_DEACTIVATE, "inactive"),
    (Transition.TRANSITION_ACTIVE_SHUTDOWN, "finalized"),
]


@pytest.mark.parametrize(("transition", "state"), ENDS, ids=[state for _, state in ENDS])
def test_transition_ends_the_search_for_a_lost_device_at_once(
    transition: int, state: str, board: Board, start_node: StartNode, listener: Listener
) -> None:
    board.plug()
    patient = {"reconnect.initial_delay_s": 300.0, "reconnect.max_delay_s": 300.0}
    node = start_node({**QUICK, "device.id": board.selector, **patient})
    node.wait_for_output("streaming meta_d2h")
    board.unplug()
    node.wait_for_output("; reconnecting")
    assert listener.change_state(transition)
    assert listener.state() == state
    if state == "inactive":
        assert not listener.change_state(Transition.TRANSITION_ACTIVATE), "the device is away"
        board.plug()
        assert listener.change_state(Transition.TRANSITION_ACTIVATE)
        listener.first(Image, "left/image_raw")
    assert node.stop() == 0
    assert "Traceback" not in node.output


@pytest.mark.parametrize("delay_s", [0.1, 300.0])
def test_signal_ends_the_search_for_a_lost_device_at_once(
    delay_s: float, board: Board, start_node: StartNode
) -> None:
    board.plug()
    pace = {"reconnect.initial_delay_s": delay_s, "reconnect.max_delay_s": delay_s}
    node = start_node({**QUICK, "device.id": board.selector, **pace})
    node.wait_for_output("streaming meta_d2h")
    board.unplug()
    node.wait_for_output("; reconnecting")
    assert node.stop() == 0
    assert "Traceback" not in node.output


@pytest.mark.complaint(3)
def test_node_waits_for_a_device_that_is_not_there_yet(
    board: Board, start_node: StartNode, listener: Listener
) -> None:
    node = start_node({**QUICK, "device.id": board.selector})
    listener.subscribe(DiagnosticArray, "/diagnostics")
    node.wait_for_output("waiting for the device: ")
    assert board.selector in wait_for_state(listener, "disconnected")["message"]
    board.plug()
    listener.first(Image, "left/image_raw")
    assert lines_with(node, "waiting for the device: ") == 1
    assert "[ERROR]" not in node.output
    assert node.stop() == 0


def test_signal_ends_the_wait_for_a_first_device_at_once(
    board: Board, start_node: StartNode
) -> None:
    patient = {"reconnect.initial_delay_s": 300.0, "reconnect.max_delay_s": 300.0}
    node = start_node({**QUICK, "device.id": board.selector, **patient})
    node.wait_for_output("waiting for the device: ")
    assert node.stop() == 0
    assert "[ERROR]" not in node.output


def test_node_that_may_not_wait_for_ever_ends_with_the_reason(
    board: Board, start_node: StartNode
) -> None:
    node = start_node({**QUICK, "device.id": board.selector, "reconnect.max_attempts": 2})
    assert node.wait() == 3
    assert lines_with(node, "[ERROR]") == 1


@pytest.mark.complaint(2)
def test_killed_node_can_be_started_again(board: Board, start_node: StartNode) -> None:
    board.plug()
    node = start_node({**QUICK, "device.id": board.selector})
    node.wait_for_output("streaming meta_d2h")
    node.process.send_signal(signal.SIGKILL)
    node.process.wait()
    node = start_node({**QUICK, "device.id": board.selector, "reconnect.wait_at_start": False})
    node.wait_for_output("streaming meta_d2h")
    assert node.stop() == 0


def kept_by(pid: int) -> dict[str, int]:
    """Numbers of threads and open descriptors of a process."""
    return {name: len(list(Path(f"/proc/{pid}/{name}").iterdir())) for name in ("task", "fd")}


def settled(look: Callable[[], dict[str, int]], limit: dict[str, int]) -> Callable[[], bool]:
    def is_settled() -> bool:
        found = look()
        return all(found[name] <= limit[name] for name in limit)

    return is_settled


@pytest.mark.complaint(7)
def test_life_after_life_leaves_no_thread_and_no_descriptor_behind(
    board: Board, start_node: StartNode, listener: Listener
) -> None:
    board.plug()
    node = start_node({**QUICK, "device.id": board.selector, "autostart": False})
    pid = node.process.pid
    life = (
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
        Transition.TRANSITION_DEACTIVATE,
        Transition.TRANSITION_CLEANUP,
    )

    def live(times: int) -> None:
        for _ in range(times):
            for transition in life:
                assert listener.change_state(transition), node.output

    live(5)
    before = kept_by(pid)
    start_s = time.monotonic()
    live(CYCLES - 5)
    took_s = time.monotonic() - start_s
    print(f"{CYCLES - 5} lives in {took_s:.1f} s; {before} before, {kept_by(pid)} after")
    wait_until(settled(lambda: kept_by(pid), before), lambda: f"{before}, there are {kept_by(pid)}")
    assert node.stop() == 0
