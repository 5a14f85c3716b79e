"""Parameters and services that a node declares become controls and buttons."""

from __future__ import annotations

import math
from typing import Any

import pytest
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    ParameterEvent,
    ParameterValue,
)
from rcl_interfaces.msg import Parameter as ParameterMessage
from rclpy.parameter import Parameter

from depthai_ros.errors import ConfigTypeError
from depthai_ros.view.ros_calls import NodeParameters
from depthai_ros.view.ros_controls import (
    ControlValue,
    actions,
    controls,
    message_of,
    transition_number,
    value_of,
)

WHILE = "changes while the node is "


def value(of: Any) -> ParameterValue:
    return Parameter("x", value=of).get_parameter_value()


@pytest.mark.parametrize("plain", [True, 7, 2.5, "word", ["a", "b"]])
def test_value_survives_both_ways(plain: Any) -> None:
    shown = value_of(value(plain))
    assert shown == (tuple(plain) if isinstance(plain, list) else plain)
    assert shown is not None
    assert message_of(shown, shown) == value(plain)


def test_value_without_an_element_and_the_empty_list() -> None:
    assert value_of(value([1.0, 2.0])) is None
    assert value_of(ParameterValue()) is None
    assert value_of(value([""])) == ()
    assert message_of((), ("a",)) == value([""])


@pytest.mark.parametrize(
    ("new", "present", "stored"),
    [
        (3.0, 1, 3),
        ("1080", 720, 1080),
        (4, 1.5, 4.0),
        ("2.5", 1.0, 2.5),
        ("true", False, True),
        (0, True, False),
    ],
)
def test_value_of_a_browser_gets_the_type_of_the_parameter(
    new: object, present: ControlValue, stored: Any
) -> None:
    assert message_of(new, present) == value(stored)


@pytest.mark.parametrize(
    ("new", "present"),
    [
        (math.nan, 1.0),
        (math.inf, 1.0),
        ("nan", 1.0),
        ("9" * 400, 1),
        (1 << 70, 1),
        (True, 1),
        ([], 1.0),
        (None, "text"),
        ("text", ("a",)),
        ([1], ("a",)),
        ({}, False),
    ],
)
def test_value_of_another_type_is_refused(new: object, present: ControlValue) -> None:
    with pytest.raises(ConfigTypeError, match="is n"):
        message_of(new, present)


def row(text: str = "meaning", constraints: str = "", **fields: Any) -> ParameterDescriptor:
    return ParameterDescriptor(description=text, additional_constraints=constraints, **fields)


def test_control_is_what_the_descriptor_says() -> None:
    ranged = row(
        "time [in the dark] of it [us]", integer_range=[IntegerRange(from_value=-1, to_value=9)]
    )
    endless = FloatingPointRange(from_value=-math.inf, to_value=2.0)
    found = {
        control.key: control
        for control in controls(
            {
                "camera.rgb.exposure_us": ranged,
                "new_group.x": row("a\x1bb", "one of a, b"),
                "depth.f": row(floating_point_range=[endless]),
                "tf.prefix": row(constraints="a frame name"),
            },
            {"camera.rgb.exposure_us": 1, "new_group.x": "a", "depth.f": 1.0, "tf.prefix": ""},
            "active",
        )
    }
    exposure = found["camera.rgb.exposure_us"]
    assert (exposure.meaning, exposure.unit) == ("time [in the dark] of it", "us")
    assert (exposure.low, exposure.high, exposure.group) == (-1.0, 9.0, "rgb camera")
    other = found["new_group.x"]
    assert (other.meaning, other.choices, other.group) == ("a\\x1bb", ("a", "b"), "new_group")
    assert (found["depth.f"].low, found["depth.f"].high) == (None, 2.0)
    assert found["tf.prefix"].choices == ()
    assert list(found)[-1] == "new_group.x"  # behind the groups that are known


@pytest.mark.parametrize(
    ("constraints", "states"),
    [
        ("", {"active", "inactive", "unconfigured"}),
        (f"one of 1, 2; {WHILE}inactive", {"inactive", "unconfigured"}),
        (f"{WHILE}unconfigured", {"unconfigured"}),
        (f"{WHILE}asleep", set()),  # of a later version
    ],
)
def test_control_is_there_in_the_states_that_allow_it(constraints: str, states: set[str]) -> None:
    for state in ("active", "inactive", "unconfigured"):
        found = controls({"x": row(constraints=constraints)}, {"x": 1}, state)
        assert bool(found) == (state in states)
        assert not found or found[0].choices in ((), ("1", "2"))


def test_no_control_for_what_is_too_much_or_cannot_change() -> None:
    rows = {
        "read_only": row(read_only=True),
        "use_sim_time": row(""),
        "without_value": row(),
        "publish.rgb.image_raw.max_fps": row(),
        "qos_overrides./oak/x.depth": row(),
        "stream.video.publish": row(),
        "stream.left.publish": row(),
        "stream": row(),  # of another node
        "publish.idle_hold_s": row(),
        "stream_list": row(),
    }
    values: dict[str, Any] = dict.fromkeys(rows, 1.0) | {"stream_list": ("left",)}
    del values["without_value"]
    found = {control.key for control in controls(rows, values, "active")}
    assert found == {"stream.left.publish", "stream", "publish.idle_hold_s", "stream_list"}


def test_buttons_are_services_and_transitions_that_the_state_allows() -> None:
    trigger = "std_srvs/srv/Trigger"
    services = {
        "reset_device": trigger,
        "capture_still": trigger,
        "wave_hello": trigger,
        "save_calibration": "depthai_ros/srv/SaveCalibration",
        "get_state": "lifecycle_msgs/srv/GetState",
    }
    found = {
        state: [row.key for row in actions(services, state)] for state in ("active", "inactive")
    }
    assert found == {
        "active": [
            "capture_still",
            "save_calibration",
            "reset_device",
            "wave_hello",
            "lifecycle/deactivate",
        ],
        "inactive": [
            "save_calibration",
            "wave_hello",
            "lifecycle/cleanup",
            "lifecycle/activate",
        ],
    }
    assert actions(services, "active")[3].label == "Wave hello"
    assert (transition_number("lifecycle/configure"), transition_number("lifecycle/x")) == (1, 0)


class Answers:
    """Stands for the calls of a node: keeps each request until the test answers it."""

    def __init__(self) -> None:
        self.open: dict[str, Any] = {}

    def ask(self, kind: Any, name: str, request: Any, then: Any) -> None:
        self.open[name] = then, kind

    def is_asking(self, name: str) -> bool:
        return name in self.open

    def answer(self, **by_name: Any) -> None:
        for name, fields in by_name.items():
            then, kind = self.open.pop(name)
            then(kind.Response(**fields))


def read(parameters: NodeParameters, calls: Answers, iso: int) -> None:
    """Answer all requests of one refresh."""
    parameters.refresh()
    then, kind = calls.open.pop("list_parameters")
    answer = kind.Response()
    answer.result.names = ["iso"]
    then(answer)
    descriptor = ParameterDescriptor(name="iso", description="gain")
    calls.answer(describe_parameters={"descriptors": [descriptor]})
    calls.answer(get_parameters={"values": [value(iso)]})


def event(node: str = "/oak", **changed: Any) -> ParameterEvent:
    rows = [ParameterMessage(name=name, value=value(of)) for name, of in changed.items()]
    return ParameterEvent(node=node, changed_parameters=rows)


def test_parameters_follow_events_also_those_while_they_are_read() -> None:
    calls = Answers()
    parameters = NodeParameters(calls, "/oak")  # type: ignore[arg-type]
    read(parameters, calls, 100)
    assert (parameters.is_known, parameters.values) == (True, {"iso": 100})
    parameters.changed(event(iso=200))
    parameters.changed(event("/other", iso=300))
    assert parameters.values == {"iso": 200}
    parameters.changed(event(added=1))
    assert not parameters.is_known  # it has no descriptor yet
    parameters.refresh()
    parameters.changed(event(iso=400))  # the answers below may be older
    then, kind = calls.open.pop("list_parameters")
    answer = kind.Response()
    answer.result.names = ["iso"]
    then(answer)
    calls.answer(describe_parameters={"descriptors": [ParameterDescriptor(name="iso")]})
    calls.answer(get_parameters={"values": [value(200)]})
    assert not parameters.is_known
    read(parameters, calls, 400)
    assert (parameters.is_known, parameters.values) == (True, {"iso": 400})
    parameters.refresh()
    calls.open.clear()
    parameters.forget()
    assert (parameters.is_known, parameters.values) == (False, {})
