"""Live parameters take effect at once, others are refused when they cannot.

What is set while the node is unconfigured or inactive: test_reconfiguration.py.
"""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
from boards import Board
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from nodes import Listener, NodeProcess, StartNode, wait_until
from parameter_clients import QUIET, read, set_one, set_together
from rcl_interfaces.srv import DescribeParameters
from sensor_msgs.msg import Image

from depthai_ros.cameras import CONTROLS
from depthai_ros.config import BY_KEY, OPTIONS
from depthai_ros.msg import DeviceStatus
from depthai_ros.streams import STREAMS

pytestmark = pytest.mark.distribution("rclpy's parameter services and callbacks")

CAMERA_NUMBERS = {"rgb": 0, "left": 1, "right": 2}
#: µs from frame to frame, with the rates of QUIET.
FRAME_US = {"rgb": 33333, "left": 100000, "right": 100000}


def control(camera: str, words: str) -> str:
    """How the device logs a camera control; % stands for the camera's number."""
    number, words = int(words.split()[0]), words.replace("%", str(CAMERA_NUMBERS[camera]))
    name = next(name for name, value in CONTROLS.items() if value == number)
    return f"camera control 3A {words} ({name} of {camera})"


def focus(mode: int) -> str:
    return f"capture command 3 argument {mode}"


#: Live option: (a value, the command for it, the command when the option returns to its default).
COMMANDS: dict[str, tuple[Any, str, str]] = {
    "depth.disparity_confidence": (180, "disparity confidence threshold 180", ""),
    "camera.rgb.focus_mode": ("macro", focus(1), focus(3)),
    "camera.rgb.lens_position": (120, control("rgb", "3 % 120"), focus(1)),
    "camera.rgb.white_balance": ("daylight", control("rgb", "7 % 5"), control("rgb", "7 % 1")),
    "camera.rgb.awb_lock": (True, control("rgb", "15 % 1"), control("rgb", "15 % 0")),
}
for name, frame_us in FRAME_US.items():
    whole = "0 0 1920 1080" if name == "rgb" else "0 0 640 400"
    COMMANDS |= {
        f"camera.{name}.exposure_us": (
            2000,
            control(name, f"5 % 2000 400 {frame_us}"),
            control(name, "6 %"),
        ),
        f"camera.{name}.ae_compensation": (-2, control(name, "10 % -2"), control(name, "10 % 0")),
        f"camera.{name}.ae_lock": (True, control(name, "12 % 1"), control(name, "12 % 0")),
        f"camera.{name}.ae_region": (
            "10 20 300 200",
            control(name, "44 % 10 20 300 200 1"),
            control(name, f"44 % {whole} 1"),
        ),
    }
#: Live options that are details of another one: (value, the other, its value, the command)
DETAILS: dict[str, tuple[Any, str, Any, str]] = {
    f"camera.{name}.iso": (
        800,
        f"camera.{name}.exposure_us",
        3000,
        control(name, f"5 % 3000 800 {frame_us}"),
    )
    for name, frame_us in FRAME_US.items()
}
#: Live options of the diagnostics: (value, the status that it changes, text before and after).
LIMITS: dict[str, tuple[Any, str, str, str]] = {
    "diagnostics.drops_warn_percent": (90.0, "stream left", "were lost", "fps"),
    "diagnostics.temp_warn_c": (1.0, "temperature", "°C", "warning from 1"),
    "diagnostics.temp_error_c": (2.0, "temperature", "warning from 1", "error from 2"),
}
#: Limits of time, which are at least three packets: test_diagnostics shows what they do.
TIME_LIMITS = {"diagnostics.stream_timeout_s": 0.1, "diagnostics.stale_after_s": 0.1}
#: test/python/depth shows what they do.
FILTERS = {
    option.key for option in OPTIONS if option.group == "filters" and option.changes == "live"
}
COMPRESSION = {option.key for option in OPTIONS if option.topic or option.group == "compressed"}
SWITCHES = {f"stream.{name}.publish" for name in STREAMS}
#: test_reconfiguration.py shows what they do.
RECONNECTING = {
    f"reconnect.{name}" for name in ("enable", "max_attempts", "initial_delay_s", "max_delay_s")
}
PERIOD = "diagnostics.period_s"


def test_every_live_option_is_in_one_of_the_tables() -> None:
    known = [*COMMANDS, *DETAILS, *LIMITS, *TIME_LIMITS, *SWITCHES, *FILTERS]
    known += [*RECONNECTING, *COMPRESSION, PERIOD, "calibration.check_board"]
    assert sorted(known) == sorted(option.key for option in OPTIONS if option.changes == "live")


def wait_for_commands(node: NodeProcess, *lines: str) -> None:
    """Wait until the device has echoed these commands, in this order."""

    def are_in_order() -> bool:
        rest, texts = node.output, [f"device: {line}\n" for line in lines]
        for text in texts:
            _, found, rest = rest.partition(text)
            if not found:
                return False
        return True

    wait_until(are_in_order, lambda: f"{lines} in:\n{node.output}")


def accept(listener: Listener, key: str, value: Any) -> None:
    result = set_one(listener, key, value)
    assert result.successful, result.reason
    assert read(listener, [key]) == {key: value}


def refuse(listener: Listener, values: Mapping[str, Any], *words: str) -> None:
    """The request fails with a reason that contains these words, and changes nothing."""
    known = [key for key in values if key in BY_KEY]
    before = read(listener, known)
    result = set_together(listener, values)
    assert not result.successful
    for word in words:
        assert word in result.reason
    assert read(listener, known) == before


@pytest.mark.complaint(14)
def test_commands_reach_the_device_and_are_read_back(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node(QUIET)
    node.wait_for_output("streaming")
    for key, (value, _, _) in COMMANDS.items():
        accept(listener, key, value)
    for key in reversed(COMMANDS):
        if COMMANDS[key][2]:
            accept(listener, key, BY_KEY[key].default)
    there = [command for _, command, _ in COMMANDS.values()]
    back = [command for _, _, command in COMMANDS.values() if command]
    wait_for_commands(node, *there, *reversed(back))
    refuse(listener, {"depth.disparity_confidence": -1}, "no command restores", "inactive")
    assert node.stop() == 0


def test_detail_is_kept_until_the_option_that_it_belongs_to_is_set(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node(QUIET)
    node.wait_for_output("streaming")
    for key, (value, _, _, _) in DETAILS.items():
        accept(listener, key, value)
    for _, other, other_value, _ in DETAILS.values():
        accept(listener, other, other_value)
    wait_for_commands(node, *(command for _, _, _, command in DETAILS.values()))
    assert node.output.count("device: ") == len(DETAILS)
    for key in DETAILS:
        accept(listener, key, 900)
    wait_for_commands(
        node, *(command.replace(" 800 ", " 900 ") for _, _, _, command in DETAILS.values())
    )
    assert node.stop() == 0


def test_values_given_at_the_start_are_sent_at_every_start(
    start_node: StartNode, listener: Listener
) -> None:
    values = {key: value for key, (value, _, _) in COMMANDS.items()}
    details = dict.fromkeys(DETAILS, 800)
    exposures = [control(name, f"5 % 2000 800 {us}") for name, us in FRAME_US.items()]
    node = start_node({**QUIET, **values, **details, "autostart": False})
    assert listener.change_state(Transition.TRANSITION_CONFIGURE)
    for starts in (1, 2):
        assert listener.change_state(Transition.TRANSITION_ACTIVATE)
        lines = [command for _, command, _ in COMMANDS.values()]
        sent = [line for line in lines if "3A 5 " not in line and "argument 1" not in line]
        for line in (*sent, *exposures):
            wait_for_commands(node, *[line] * starts)
        assert listener.change_state(Transition.TRANSITION_DEACTIVATE)
    assert node.stop() == 0


def test_value_set_while_inactive_is_sent_at_the_next_start(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node({**QUIET, "autostart": False, "camera.left.iso": 200})
    accept(listener, "camera.left.exposure_us", 5000)
    assert listener.change_state(Transition.TRANSITION_CONFIGURE)
    accept(listener, "camera.left.exposure_us", 4000)
    accept(listener, "camera.right.ae_lock", True)
    accept(listener, "camera.right.ae_lock", False)
    assert listener.change_state(Transition.TRANSITION_ACTIVATE)
    wait_for_commands(node, control("left", "5 % 4000 200 100000"))
    assert node.output.count("device: camera control") == 1
    assert node.stop() == 0


@pytest.mark.complaint(14)
def test_value_set_while_the_device_is_lost_is_sent_after_the_reconnect(
    board: Board, start_node: StartNode, listener: Listener
) -> None:
    board.plug()
    node = start_node({**QUIET, "device.id": board.selector, "camera.left.ae_compensation": 1})
    wait_for_commands(node, control("left", "10 % 1"))
    board.unplug()
    node.wait_for_output("the device is lost: ")
    accept(listener, "camera.left.ae_compensation", 2)
    board.plug()
    wait_for_commands(node, control("left", "10 % 1"), control("left", "10 % 2"))
    assert node.output.count("device: camera control") == 2
    assert node.stop() == 0


def test_exposure_is_visible_in_the_image(start_node: StartNode, listener: Listener) -> None:
    start_node({**QUIET, "device.id": "virtual:synthetic"})
    listener.subscribe(Image, "left/image_raw")
    listener.wait_for("left/image_raw")

    def brightness() -> float:
        messages = listener.messages("left/image_raw")
        return float(np.mean(messages[-1].data)) if messages else math.nan

    natural = brightness()
    accept(listener, "camera.left.exposure_us", 1000)
    listener.wait_until(lambda: brightness() < 0.3 * natural, "a darker image")
    accept(listener, "camera.left.iso", 1600)
    listener.wait_until(lambda: 0.3 * natural < brightness() < 0.6 * natural, "a lighter one")
    accept(listener, "camera.left.exposure_us", 0)
    listener.wait_until(lambda: brightness() > 0.9 * natural, "the natural image")


def test_limits_of_the_diagnostics_take_effect_at_once(
    start_node: StartNode, listener: Listener
) -> None:
    # Every third packet is malformed: a third is lost.
    node = start_node({**QUIET, "device.id": "virtual:pattern?fault=short:left:3"})
    listener.subscribe(DiagnosticArray, "/diagnostics")

    def says(component: str, words: str) -> bool:
        messages = listener.messages("/diagnostics")
        statuses = messages[-1].status if messages else []
        return any(words in row.message for row in statuses if row.name == f"oak: {component}")

    for key, (value, component, before, after) in LIMITS.items():
        listener.wait_until(partial(says, component, before), f"{before!r} before {key} is set")
        accept(listener, key, value)
        listener.wait_until(partial(says, component, after), f"{after!r} because of {key}")
    for key, value in TIME_LIMITS.items():
        accept(listener, key, value)
    assert node.stop() == 0


def test_reports_come_with_a_new_period_at_once(start_node: StartNode, listener: Listener) -> None:
    node = start_node({**QUIET, PERIOD: 60.0})
    listener.subscribe(DiagnosticArray, "/diagnostics")
    accept(listener, PERIOD, 0.1)
    listener.wait_for("/diagnostics", count=3)
    assert node.stop() == 0


def test_switched_off_stream_publishes_nothing_until_it_is_switched_on(
    start_node: StartNode, listener: Listener
) -> None:
    streams = {"left": "left/image_raw", "right": "right/image_raw"}
    values = {"stream_list": [*streams, "meta_d2h"], "stream.right.publish": False}
    node = start_node({**QUIET, **values})
    for topic in streams.values():
        listener.subscribe(Image, topic)
    for quiet, loud in (("right", "left"), ("left", "right")):
        listener.wait_for(streams[loud], count=3)
        assert not listener.raw(streams[quiet])
        accept(listener, f"stream.{loud}.publish", False)
        accept(listener, f"stream.{quiet}.publish", True)
        listener.wait_for(streams[quiet])  # all earlier messages have arrived by now
        listener.forget()
    # In each state: the node itself publishes the status while the streams do not run.
    listener.subscribe(DiagnosticArray, "/diagnostics")
    listener.subscribe(DeviceStatus, "device/status")
    listener.wait_for("device/status")
    accept(listener, "stream.meta_d2h.publish", False)
    assert listener.change_state(Transition.TRANSITION_DEACTIVATE)
    listener.forget()
    listener.wait_for("/diagnostics", count=3)
    assert not listener.raw("device/status")
    accept(listener, "stream.meta_d2h.publish", True)
    listener.wait_for("device/status")
    assert node.stop() == 0


def other_value(value: Any) -> Any:
    """A value of the same type."""
    if isinstance(value, bool):
        return not value
    return [*value, "left"] if isinstance(value, list) else value + type(value)(1)


#: State -> the classes of options that cannot change in it, and the reason.
FROZEN = {
    "unconfigured": {"never": "is read once, when the process starts, and stays "},
    "inactive": {
        "never": "is read once, when the process starts, and stays ",
        "unconfigured": "changes while the node is unconfigured: ros2 lifecycle set /oak cleanup, "
        "set it, then configure and activate",
    },
    "active": {
        "never": "is read once, when the process starts, and stays ",
        "unconfigured": "changes while the node is unconfigured: ros2 lifecycle set /oak "
        "deactivate, then cleanup, set it, then configure and activate",
        "inactive": "changes while the node is inactive: ros2 lifecycle set /oak deactivate, set "
        "it, then activate",
    },
}
TO_REACH = {
    "inactive": Transition.TRANSITION_CONFIGURE,
    "active": Transition.TRANSITION_ACTIVATE,
}


@pytest.mark.complaint(14)
def test_option_that_cannot_change_now_names_the_transition_that_helps(
    start_node: StartNode, listener: Listener
) -> None:
    override = {"qos_overrides./oak/left/image_raw.publisher.depth": 5}
    node = start_node({**QUIET, **override, "autostart": False})
    for state, reasons in FROZEN.items():
        if state in TO_REACH:
            assert listener.change_state(TO_REACH[state])
        keys = [option.key for option in OPTIONS if option.changes in reasons]
        values = {key: other_value(value) for key, value in read(listener, keys).items()}
        refuse(listener, values, *(f"{key} {reasons[BY_KEY[key].changes]}" for key in keys))
        if state != "unconfigured":
            refuse(listener, {next(iter(override)): 6}, reasons["unconfigured"])
            refuse(listener, {"stream.video.publish": False}, "video is not in stream_list", "set")
        # So that a parameter file can be loaded into a node that was started with it.
        assert set_together(listener, {**read(listener, BY_KEY), **override}).successful
    assert node.stop() == 0


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listener]:
    """A listener to a node that waits to be configured."""
    parameters = {**QUIET, "autostart": False}
    node = NodeProcess(tmp_path_factory.mktemp("node"), parameters, name="waiting")
    listener = Listener("waiting")
    yield listener
    listener.close()
    assert node.stop() == 0


#: a request that is refused, words of the reason
REFUSALS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"camera.left.iso": "high"}, ("camera.left.iso is 'high' (str)", "must be an integer")),
    ({"camera.left.iso": 200.5}, ("camera.left.iso is 200.5 (float)", "must be an integer")),
    ({"camera.left.iso": 99}, ("camera.left.iso is 99", "must be between 100 and 1600")),
    ({"camera.left.iso": None}, ("camera.left.iso is an option", "cannot be removed")),
    ({"camera.left.ae_lock": 1}, ("camera.left.ae_lock is 1 (int)", "must be true or false")),
    ({"diagnostics.temp_warn_c": math.nan}, ("temp_warn_c is nan", "must be between 0 and 125")),
    ({"diagnostics.temp_warn_c": math.inf}, ("temp_warn_c is inf", "must be between 0 and 125")),
    (
        {"diagnostics.temp_warn_c": 101.0},
        ("temp_warn_c is 101", "must not exceed diagnostics.temp_error_c", "100"),
    ),
    ({"camera.rgb.focus_mode": "blurred"}, ("'blurred'", "one of auto, macro")),
    ({"camera.rgb.lens_position": 256}, ("is 256", "between -1 and 255")),
    ({"camera.left.exposure_us": 100_001}, ("at most 100000", "camera.mono.fps is 10")),
    ({"camera.left.ae_region": "0 0 641 400"}, ("must lie inside the image of 640x400",)),
    ({"camera.left.ae_region": "0 0 0 0"}, ("must lie inside the image of 640x400",)),
    ({"camera.left.ae_region": "all of it"}, ("must be four numbers: X Y WIDTH HEIGHT",)),
    ({"camera.left.ae_region": "0 0 9 9\n3A 1 1"}, ("must be four numbers",)),
    ({"camera.left.isu": 200}, ("camera.left.isu is not a parameter", "camera.left.iso")),
    ({"stream_list": ["left", "rigth"]}, ("stream_list has 'rigth'", "known streams are")),
    ({"stream_list": ["metaout"]}, ("stream_list has metaout, it needs ai.blob_file",)),
    ({"ai.shaves": 16}, ("ai.shaves is 16, must not exceed ai.cmx_slices, which is 7",)),
    (
        {"camera.left.iso": 200, "camera.right.iso": 2000, "camera.rgb.iso": 300},
        ("camera.right.iso is 2000",),
    ),
    (
        {"camera.left.iso": 200, "autostart": True},
        ("autostart is read once, when the process starts, and stays false",),
    ),
    (
        {"camera.left.iso": 50, "camera.right.iso": "x"},
        ("camera.left.iso is 50", "camera.right.iso is 'x'"),
    ),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: " ".join(case[0]))
def test_bad_request_is_refused_with_the_reason_and_changes_nothing(
    waiting: Listener, case: tuple[dict[str, Any], tuple[str, ...]]
) -> None:
    values, words = case
    refuse(waiting, values, *words)


def test_several_values_that_are_valid_only_together_are_accepted(waiting: Listener) -> None:
    hot = {"diagnostics.temp_warn_c": 110.0, "diagnostics.temp_error_c": 120}
    assert set_together(waiting, hot).successful
    assert read(waiting, hot) == hot
    back = {key: BY_KEY[key].default for key in hot}
    assert set_together(waiting, back).successful


def test_other_parameters_of_the_node_can_be_set(waiting: Listener) -> None:
    assert set_one(waiting, "use_sim_time", True).successful
    assert set_one(waiting, "use_sim_time", False).successful
    # rclpy refuses the second one: then the first is not changed either.
    refuse(waiting, {"camera.left.iso": 200, "use_sim_time": 5}, "use_sim_time")


@pytest.mark.complaint(14)
def test_one_bad_value_keeps_the_others_from_the_device(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node(QUIET)
    node.wait_for_output("streaming")
    refuse(listener, {"camera.left.ae_lock": True, "camera.right.iso": 1}, "camera.right.iso is 1")
    refuse(listener, {"camera.left.ae_lock": True, "use_sim_time": 5}, "use_sim_time")
    accept(listener, "camera.right.ae_compensation", 1)
    # The second request failed after the device had received a value: it has to be restored.
    lock = control("left", "12 % 1"), control("left", "12 % 0")
    wait_for_commands(node, *lock, control("right", "10 % 1"))
    assert node.output.count("device: camera control") == 3
    assert node.stop() == 0


@pytest.mark.complaint(14)
def test_request_is_refused_if_the_device_accepts_no_command(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node(QUIET)
    node.wait_for_output("streaming")
    (device,) = node.children()
    os.kill(device, signal.SIGSTOP)
    try:
        refuse(listener, {"camera.left.ae_lock": True}, "ae_lock did not reach the device")
    finally:
        os.kill(device, signal.SIGCONT)
    # The device receives the command later, and the one that restores the old value; unless it was
    # silent for so long that it was rebooted and got the old value at its start.
    taken_back = f"device: {control('left', '12 % 0')}\n"
    wait_until(
        lambda: taken_back in node.output or "the device is back" in node.output,
        lambda: f"{taken_back} in:\n{node.output}",
    )
    assert node.stop() == 0


def test_descriptors_mark_the_options_that_never_change(waiting: Listener) -> None:
    request = DescribeParameters.Request(names=list(BY_KEY))
    answer = waiting.call(DescribeParameters, "describe_parameters", request)
    assert {row.name: row.read_only for row in answer.descriptors} == {
        option.key: option.changes == "never" for option in OPTIONS
    }
