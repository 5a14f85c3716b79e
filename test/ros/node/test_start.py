"""The node starts, or reports the reason in one line; it ends on request."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from nodes import DEADLINE_S, ROOT, Listener, StartNode, wait_until
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, GetParameters
from sensor_msgs.msg import Image

from depthai_ros.config import BY_KEY, OPTIONS, defaults

pytestmark = pytest.mark.distribution("rclpy's lifecycle, signals and executors")

QUIET = {
    "device.id": "virtual:pattern",
    "stream_list": ["left", "meta_d2h"],
    "camera.mono.resolution_h": 400,
    "camera.mono.fps": 10.0,
}
CONFIGURATION, DEVICE = 2, 3
BLOB = "package://depthai_ros/config/models/virtual_ssd.blob"


#: The node as a user that has neither HOME nor an entry in passwd.
NO_HOME = """
import os, pwd, sys
for name in ("HOME", "ROS_HOME", "ROS_LOG_DIR"):
    os.environ.pop(name, None)
def none(number):
    raise KeyError(number)
pwd.getpwuid = none
from depthai_ros.node import main
sys.exit(main(["camera_node", *sys.argv[1:]]))
"""


def test_user_without_a_home_folder_gets_a_warning(start_node: StartNode) -> None:
    node = start_node(QUIET, program=("-c", NO_HOME))
    node.wait_for_output("streaming")
    (line,) = [row for row in node.output.splitlines() if "set_camera_info keeps nothing" in row]
    assert "[WARN]" in line
    assert "there is no home folder of ~; set ROS_HOME or calibration.camera_info_" in line
    assert node.stop() == 0
    assert "ERROR" not in node.output


def test_signal_during_the_imports_is_no_error(start_node: StartNode) -> None:
    node = start_node(QUIET, program=(str(ROOT / "tools/camera_node"),))
    maps = Path(f"/proc/{node.process.pid}/maps")
    wait_until(lambda: "numpy" in maps.read_text(), lambda: "the import of numpy")
    assert node.stop() == 0
    assert node.output == ""


def test_signal_while_the_streams_start_is_no_error(start_node: StartNode) -> None:
    node = start_node(QUIET)
    node.wait_for_output("connected to")
    (device,) = node.children()
    os.kill(device, signal.SIGSTOP)  # it does not answer any more
    node.process.send_signal(signal.SIGINT)
    ends = ("stopped: ", "ERROR", "streaming")
    wait_until(lambda: any(word in node.output for word in ends), lambda: node.output)
    os.kill(device, signal.SIGCONT)
    assert node.stop() == 0
    assert "ERROR" not in node.output


#: parameters, exit status, words of the one error line
REFUSALS: list[tuple[dict[str, Any], int, tuple[str, ...]]] = [
    (
        {"depth.padding_factor": 1.4},
        CONFIGURATION,
        ("depth.padding_factor is 1.4", "must be between 0 and 1"),
    ),
    (
        {"camera.mono.resolution_h": "big"},
        CONFIGURATION,
        ("camera.mono.resolution_h is 'big' (str)", "must be an integer"),
    ),
    (
        {"depth.paddingfactor": 0.2},
        CONFIGURATION,
        ("depth.paddingfactor is not an option", "the nearest is depth.padding_factor"),
    ),
    (
        {"tf.prefix": "/robot1/oak"},
        CONFIGURATION,
        ("tf.prefix is '/robot1/oak', must be a frame name without blanks",),
    ),
    (
        {"tf.parent_frame": " "},
        CONFIGURATION,
        ("tf.parent_frame is ' ', must be a frame name",),
    ),
    (
        {"stream_list": ["left", "rigth"]},
        CONFIGURATION,
        ("stream_list has 'rigth'", "known streams are", "right"),
    ),
    (
        {"ai.blob_file": "/nowhere/network.blob"},
        CONFIGURATION,
        ("/nowhere/network.blob", "No such file"),
    ),
    (
        {"ai.blob_file": BLOB, "ai.blob_file_config": "BROKEN"},
        CONFIGURATION,
        ("broken.json", "line 2 column 15"),
    ),
    (
        {"qos_overrides./oak/left/image_rawr.publisher.depth": 5},
        CONFIGURATION,
        ("image_rawr.publisher.depth is not a parameter", "/oak/left/image_raw.publisher.depth"),
    ),
    (
        {"qos_overrides./oak/left/image_raw.publisher.reliability": "perfect"},
        CONFIGURATION,
        ("qos_overrides of ~/left/image_raw", "perfect"),
    ),
    (
        {"usb.force_usb2": True, "device.id": "usb", "device.firmware": "BROKEN"},
        CONFIGURATION,
        ("usb.force_usb2 is set", "broken.json, a finished image", "the official wheel"),
    ),
    ({"device.id": "carrier:pigeon"}, CONFIGURATION, ("'carrier:pigeon'", "must begin with")),
    (
        {"device.id": "unix:/nowhere/device", "reconnect.wait_at_start": False},
        DEVICE,
        ("unix:/nowhere/device",),
    ),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: next(iter(case[0].items()))[0])
@pytest.mark.complaint(15)
def test_wrong_parameters_end_the_node_with_one_error(
    case: Any, tmp_path: Path, start_node: StartNode
) -> None:
    values, expected, words = case
    broken = tmp_path / "broken.json"
    broken.write_text('{\n  "NN_config" {}\n}')
    given = {key: str(broken) if value == "BROKEN" else value for key, value in values.items()}
    node = start_node({**QUIET, **given})
    status = node.wait()
    errors = [line for line in node.output.splitlines() if "[ERROR]" in line]
    assert len(errors) == 1, node.output
    for word in words:
        assert word in errors[0]
    assert "Traceback" not in node.output
    assert status == expected


def test_unknown_arguments_end_the_node(start_node: StartNode) -> None:
    node = start_node(QUIET, "stream_list:=left")
    assert node.wait() == CONFIGURATION
    assert "unknown arguments: stream_list:=left" in node.output


def test_missing_parameter_file_ends_the_node_with_its_name(start_node: StartNode) -> None:
    node = start_node(QUIET, params_file=Path("/nowhere/camera.yaml"))
    assert node.wait() == CONFIGURATION
    assert "/nowhere/camera.yaml" in node.output
    assert "Traceback" not in node.output


@pytest.mark.complaint(15)
def test_unknown_parameter_is_only_a_warning_if_the_node_is_not_strict(
    start_node: StartNode,
) -> None:
    node = start_node({**QUIET, "strict": False, "depth.paddingfactor": 0.2})
    node.wait_for_output("streaming")
    assert node.stop(signal.SIGTERM) == 0
    warnings = [line for line in node.output.splitlines() if "[WARN]" in line]
    assert any("depth.paddingfactor is not a parameter" in line for line in warnings)


@pytest.mark.complaint(23)
def test_managed_node_answers_the_failure_and_stays(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node({**QUIET, "autostart": False, "depth.padding_factor": 1.4})
    assert not listener.change_state(Transition.TRANSITION_CONFIGURE)
    assert listener.state() == "unconfigured"
    node.wait_for_output("depth.padding_factor is 1.4, must be between 0 and 1")
    assert node.stop() == 0


def diagnosed_state(listener: Listener) -> str:
    listener.forget()
    listener.wait_for("/diagnostics")
    values = listener.messages("/diagnostics")[-1].status[0].values
    return next(str(row.value) for row in values if row.key == "state")


@pytest.mark.complaint(23)
def test_managed_node_goes_through_its_states_and_back(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node({**QUIET, "autostart": False, "diagnostics.period_s": 0.1})
    listener.subscribe(DiagnosticArray, "/diagnostics")
    assert listener.state() == "unconfigured"
    assert "left/image_raw" not in listener.topics()
    for _ in range(2):
        assert listener.change_state(Transition.TRANSITION_CONFIGURE)
        listener.wait_until(lambda: "left/image_raw" in listener.topics(), "the topics")
        assert diagnosed_state(listener) == "booting"
        for _ in range(2):
            assert listener.change_state(Transition.TRANSITION_ACTIVATE)
            listener.first(Image, "left/image_raw")
            assert diagnosed_state(listener) == "streaming"
            assert listener.change_state(Transition.TRANSITION_DEACTIVATE)
            assert listener.state() == "inactive"
        assert listener.change_state(Transition.TRANSITION_CLEANUP)
        listener.wait_until(lambda: "left/image_raw" not in listener.topics(), "no topics")
        assert diagnosed_state(listener) == "disconnected"
        assert node.children() == []
    assert listener.change_state(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert listener.state() == "finalized"
    assert "Traceback" not in node.output
    assert node.stop() == 0


def test_transition_that_the_state_does_not_have_is_refused(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node({**QUIET, "autostart": False})
    for number in (Transition.TRANSITION_ACTIVATE, 77):
        assert not listener.change_state(number)
    assert listener.change_state(Transition.TRANSITION_CONFIGURE)
    assert not listener.change_state(Transition.TRANSITION_CONFIGURE)
    assert "bug in the driver" not in node.output
    assert node.stop() == 0


def test_signals_that_follow_the_first_one_do_not_kill_a_node_that_ends(
    start_node: StartNode,
) -> None:
    node = start_node({"device.id": "virtual:pattern", "stream_list": ["left"]})
    node.wait_for_output("streaming")
    end_s = time.monotonic() + DEADLINE_S
    while node.process.poll() is None and time.monotonic() < end_s:
        node.process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            node.process.wait(0.02)
    assert node.stop() == 0


def test_signal_while_the_device_connects_is_no_error(start_node: StartNode) -> None:
    node = start_node({"device.id": "virtual:synthetic", "stream_list": ["left"]})
    wait_until(node.children, lambda: f"the virtual device of:\n{node.output}")
    assert node.stop() == 0
    assert "[ERROR]" not in node.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize(
    ("autostart", "words", "children"),
    [(False, "waiting for the configure transition", 0), (True, "streaming", 1)],
)
@pytest.mark.complaint(2)
def test_signal_ends_the_node_with_nothing_left(
    autostart: bool, words: str, children: int, number: signal.Signals, start_node: StartNode
) -> None:
    node = start_node({**QUIET, "autostart": autostart})
    node.wait_for_output(words)
    assert len(node.children()) == children
    assert node.stop(number) == 0
    assert "Traceback" not in node.output


def test_signal_ends_an_inactive_node_with_nothing_left(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node({**QUIET, "autostart": False})
    assert listener.change_state(Transition.TRANSITION_CONFIGURE)
    assert len(node.children()) == 1
    assert node.stop() == 0
    assert "Traceback" not in node.output


def test_permanently_lost_device_is_reported_once_and_the_node_stays(
    start_node: StartNode, listener: Listener
) -> None:
    selector = "virtual:pattern?fault=unplug:left:20"
    given = {"device.id": selector, "reconnect.enable": False, "diagnostics.period_s": 0.1}
    node = start_node({**QUIET, **given})
    listener.subscribe(DiagnosticArray, "/diagnostics")
    node.wait_for_output("the device is lost: ")
    listener.wait_until(lambda: diagnosed_state(listener) == "error", "the diagnosis")
    device = listener.messages("/diagnostics")[-1].status[0]
    assert device.level == device.ERROR
    words = node.output.partition("the device is lost: ")[2].splitlines()[0]
    assert device.message == words != ""
    assert listener.state() == "active"
    assert node.output.count("the device is lost") == 1
    # A lifecycle manager can restart the streams.
    assert listener.change_state(Transition.TRANSITION_DEACTIVATE)
    assert listener.change_state(Transition.TRANSITION_ACTIVATE)
    listener.first(Image, "left/image_raw")
    assert "Traceback" not in node.output
    assert node.stop() == 0


#: Malforms every third packet of a stream, see docs/virtual_device.md#faults.
SPOILED = "virtual:pattern?fault={}:left:3"
COMPLAINT = "malformed packets; last error: "


@pytest.mark.parametrize("fault", ["frame_size", "no_trailer", "short"])
def test_malformed_packets_cause_one_warning(fault: str, start_node: StartNode) -> None:
    node = start_node({**QUIET, "device.id": SPOILED.format(fault), "diagnostics.period_s": 0.1})
    node.wait_for_output(COMPLAINT)
    assert node.stop() == 0
    assert node.output.count(COMPLAINT) == 1


def test_malformed_packets_are_counted_and_the_others_published(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node({**QUIET, "device.id": SPOILED.format("shape"), "diagnostics.period_s": 0.1})
    listener.subscribe(Image, "left/image_raw")
    listener.subscribe(DiagnosticArray, "/diagnostics")
    listener.wait_for("left/image_raw", count=10)

    def rejected() -> int:
        statuses = listener.messages("/diagnostics")[-1].status
        left = [row for row in statuses if row.name == "oak: stream left"]
        return sum(int(pair.value) for row in left for pair in row.values if pair.key == "rejected")

    listener.wait_until(lambda: rejected() >= 3, "three rejected packets")
    for message in listener.messages("left/image_raw"):
        assert (message.height, message.width, len(message.data)) == (400, 640, 256000)
    assert node.stop() == 0
    assert node.output.count(COMPLAINT) == 1


def test_two_nodes_share_neither_topics_nor_frames(start_node: StartNode) -> None:
    start_node(QUIET, name="front")
    start_node({**QUIET, "tf.prefix": "rear_of_robot"}, name="rear")
    for name, prefix in (("front", "front"), ("rear", "rear_of_robot")):
        listener = Listener(name)
        message = listener.first(Image, "left/image_raw")
        assert message.header.frame_id == f"{prefix}_left_camera_optical_frame"
        listener.close()


def test_parameters_show_limits_and_values(start_node: StartNode, listener: Listener) -> None:
    given = {"autostart": False, "camera.mono.fps": 15, "camera.mono.resolution_h": 800}
    node = start_node(given)
    names = [option.key for option in OPTIONS]
    answer = listener.call(
        DescribeParameters, "describe_parameters", DescribeParameters.Request(names=names)
    )
    rows = {row.name: row for row in answer.descriptors}
    assert all(row.description for row in rows.values())
    factor = rows["depth.padding_factor"].floating_point_range[0]
    assert (factor.from_value, factor.to_value) == (0.0, 1.0)
    tracklets = rows["ot.max_tracklets"].integer_range[0]
    assert (tracklets.from_value, tracklets.to_value) == (0, 20)
    constraints = {key: row.additional_constraints for key, row in rows.items()}
    assert constraints["camera.mono.resolution_h"] == (
        "one of 400, 720, 800; changes while the node is unconfigured"
    )
    assert constraints["camera.mono.fps"] == "changes while the node is inactive"
    assert constraints["camera.rgb.iso"] == constraints["autostart"] == ""
    assert rows["depth.depth_limit_m"].description.endswith("[m]")
    assert rows["ai.labels"].type == ParameterType.PARAMETER_STRING_ARRAY

    # Users write integers for floats: an integer is accepted and shown as a float.
    plain = [key for key in names if isinstance(BY_KEY[key].default, (int, float, str))]
    values = listener.call(
        GetParameters, "get_parameters", GetParameters.Request(names=plain)
    ).values
    found = {key: plain_value(value) for key, value in zip(plain, values, strict=True)}
    assert found == {**{key: defaults()[key] for key in plain}, **given}
    assert isinstance(found["camera.mono.fps"], float)
    assert node.stop() == 0


def plain_value(value: ParameterValue) -> bool | int | float | str:
    fields = {
        ParameterType.PARAMETER_BOOL: value.bool_value,
        ParameterType.PARAMETER_INTEGER: value.integer_value,
        ParameterType.PARAMETER_DOUBLE: value.double_value,
        ParameterType.PARAMETER_STRING: value.string_value,
    }
    found: bool | int | float | str = fields[value.type]
    return found


#: The node, with a report that fails FAILURES times.
FAULTY = """
import sys
from depthai_ros.node import node
report, left = node.CameraNode._report, [int(sys.argv.pop(1))]
def fail(self):
    left[0] -= 1
    if left[0] >= 0:
        raise ValueError(f"a mistake of ours, {left[0]} left")
    report(self)
node.CameraNode._report = fail
sys.exit(node.main())
"""


def test_bug_in_a_callback_is_logged_and_the_node_continues(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node(QUIET, "3", program=("-c", FAULTY))
    listener.first(DiagnosticArray, "/diagnostics")
    assert "bug in the driver" in node.output
    assert node.stop() == 0


def test_node_with_a_bug_in_every_callback_ends_with_an_error(start_node: StartNode) -> None:
    node = start_node({**QUIET, "diagnostics.period_s": 0.1}, "1000", program=("-c", FAULTY))
    assert node.wait() == 1
    assert "10 bugs within a minute: the node ends" in node.output
