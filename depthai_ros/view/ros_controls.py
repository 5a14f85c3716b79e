"""The parameters of a node as controls, by what the node declares about them.

The node may be of another version than the page: limits, units and the states in which a parameter
can change are read from its descriptor. Only headings come from our own table.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from rcl_interfaces.msg import ParameterType, ParameterValue

from ..bounded import clean_text, is_number, is_whole, shown
from ..config.options import CHANGES_WHILE, GROUPS
from ..errors import ConfigTypeError
from .source import Action, Control

ControlValue = bool | int | float | str | tuple[str, ...]

#: Groups with parameters of single topics, which are too many for a page: those of three words.
_PER_TOPIC = ("publish", "compressed", "qos_overrides")
#: Groups that stand first: what people turn most.
_FIRST = ("camera", "depth", "filters", "points")
#: Unit behind the meaning.
_UNIT = re.compile(r"(.*) \[([^\[\]]+)\]", re.DOTALL)
_CHOICES = re.compile(r"one of (.+)")
_CHANGES = re.compile(re.escape(CHANGES_WHILE) + r"(\w+)")
#: State in which a parameter can change -> the states of the node.
_STATES = {"inactive": ("unconfigured", "inactive"), "unconfigured": ("unconfigured",)}
_TEXT, _MOST_ITEMS, _NUMBER_CHARACTERS = 1000, 100, 40


def value_of(message: ParameterValue) -> ControlValue | None:
    """The value that a page can show; None for a type without an element."""
    kind = message.type
    if kind == ParameterType.PARAMETER_BOOL:
        return bool(message.bool_value)
    if kind == ParameterType.PARAMETER_INTEGER:
        return int(message.integer_value)
    if kind == ParameterType.PARAMETER_DOUBLE:
        return float(message.double_value)
    if kind == ParameterType.PARAMETER_STRING:
        return clean_text(message.string_value, _TEXT)
    if kind == ParameterType.PARAMETER_STRING_ARRAY:
        # ROS has no empty list of strings: a list with one empty string stands for it.
        return tuple(clean_text(item) for item in message.string_array_value[:_MOST_ITEMS] if item)
    return None


def message_of(value: object, present: ControlValue) -> ParameterValue:
    """A new value, in the type of the present one. Raises ConfigTypeError."""
    if isinstance(present, bool):
        if value not in (True, False, "true", "false"):
            raise ConfigTypeError(f"{shown(value)} is not true or false")
        is_true = value not in (False, "false")
        return ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=is_true)
    if isinstance(present, (int, float)):
        return _number_message(value, whole=isinstance(present, int))
    if isinstance(present, str):
        if not isinstance(value, str):
            raise ConfigTypeError(f"{shown(value)} is no text")
        return ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise ConfigTypeError(f"{shown(value)} is no list of texts")
    items = list(value) or [""]
    return ParameterValue(type=ParameterType.PARAMETER_STRING_ARRAY, string_array_value=items)


def _number_message(value: object, *, whole: bool) -> ParameterValue:
    """The value of an integer or a float. A choice comes as text, a browser's number as float."""
    if isinstance(value, str):
        with suppress(ValueError):
            value = float(value[:_NUMBER_CHARACTERS])
    if whole and isinstance(value, float) and value.is_integer():
        value = int(value)
    if whole:
        if not is_whole(value):
            raise ConfigTypeError(f"{shown(value)} is no integer")
        return ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=value)
    if not is_number(value, -1.7e308, 1.7e308):
        raise ConfigTypeError(f"{shown(value)} is no number")
    return ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=float(value))


def controls(
    descriptors: Mapping[str, Any], values: Mapping[str, ControlValue], state: str
) -> tuple[Control, ...]:
    """The parameters that can change while the node has this lifecycle state, by group.

    Left out: what can never change, what says nothing about itself, and the parameters of single
    topics and of streams that do not run.
    """
    listed = values.get("stream_list")
    running = listed if isinstance(listed, tuple) else ()
    found = []
    for key, row in descriptors.items():
        if key not in values or row.read_only or not row.description:
            continue
        changes = _CHANGES.search(row.additional_constraints)
        if changes and state not in _STATES.get(changes[1], ()):
            continue
        words = key.split(".")
        if words[0] in _PER_TOPIC and len(words) > 2:
            continue
        if words[0] == "stream" and running and words[1:] and words[1] not in running:
            continue
        found.append(_control(key, row, values[key]))
    order = {group: number for number, group in enumerate(dict.fromkeys((*_FIRST, *GROUPS)))}
    found.sort(key=lambda row: order.get(row.key.partition(".")[0], len(order)))
    return tuple(found)


def _control(key: str, row: Any, value: ControlValue) -> Control:
    text = clean_text(row.description, _TEXT)
    unit = _UNIT.fullmatch(text)
    ranges = [*row.floating_point_range[:1], *row.integer_range[:1]]
    low, high = (ranges[0].from_value, ranges[0].to_value) if ranges else (None, None)
    constraints = clean_text(row.additional_constraints, _TEXT)
    choices = _CHOICES.fullmatch(constraints.partition("; ")[0])
    return Control(
        key=key,
        group=_heading(key),
        value=value,
        meaning=unit[1] if unit else text,
        unit=unit[2] if unit else "",
        low=_finite(low),
        high=_finite(high),
        choices=tuple(choices[1].split(", ")) if choices else (),
    )


def _heading(key: str) -> str:
    words = key.split(".")
    if words[0] == "camera" and len(words) > 2:
        return f"{words[1]} camera"
    return GROUPS.get(words[0], words[0])


def _finite(number: float | None) -> float | None:
    return float(number) if number is not None and math.isfinite(number) else None


# -- actions

#: Service -> what the button says, what the service does, the states of the node that it needs.
_ACTIVE, _CONFIGURED = ("active",), ("inactive", "active")
_SERVICES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "capture_still": (
        "Still image",
        "take one image in the camera's full quality; stream_list needs jpegout",
        _ACTIVE,
    ),
    "autofocus_trigger": ("Autofocus", "focus the rgb camera once", _ACTIVE),
    "calibration_check": (
        "Check calibration",
        "measure the calibration with checkerboards that all cameras see",
        _ACTIVE,
    ),
    "save_calibration": (
        "Save calibration",
        "write the calibration of the device to a file on the machine of the node",
        _CONFIGURED,
    ),
    "device_info": ("Device info", "what the device says about itself", _CONFIGURED),
    "reset_device": ("Reset device", "reboot the device and start the streams again", _ACTIVE),
}
#: A service of this type is a button, also one that is not in the table.
TRIGGER = "std_srvs/srv/Trigger"
#: Transition -> its number, the state in which it is possible, what it does.
#: Source: lifecycle_msgs/msg/Transition
_TRANSITIONS = {
    "configure": (1, ("unconfigured",), "connect the device and announce the topics"),
    "cleanup": (2, ("inactive",), "close the device; every parameter can change then"),
    "activate": (3, ("inactive",), "start the streams"),
    "deactivate": (4, ("active",), "stop the streams; the device stays connected"),
}
#: Start of the keys of transitions.
LIFECYCLE = "lifecycle/"


def actions(services: Mapping[str, str], state: str) -> tuple[Action, ...]:
    """The buttons in a lifecycle state of the node. `services` are names below it -> types."""
    found = []
    order = {name: number for number, name in enumerate(_SERVICES)}
    for name in sorted(services, key=lambda name: (order.get(name, len(order)), name)):
        if services[name] != TRIGGER and name not in _SERVICES:
            continue
        plain = clean_text(name).replace("_", " ").capitalize()
        label, meaning, states = _SERVICES.get(name, (plain, f"call the service {name}", ()))
        if not states or state in states:
            found.append(Action(name, label, meaning))
    for name, (_, states, meaning) in _TRANSITIONS.items():
        if state in states:
            found.append(Action(f"{LIFECYCLE}{name}", name.capitalize(), meaning))
    return tuple(found)


def transition_number(key: str) -> int:
    """The number of a transition by the key of its action; 0 if there is none."""
    return _TRANSITIONS.get(key.removeprefix(LIFECYCLE), (0, (), ""))[0]


def info_sentence(answer: Any) -> str:
    """What a DeviceInfo says, as one line."""
    texts: Iterable[str] = (
        f"{answer.product or 'device'} {answer.mx_id}",
        f"firmware {answer.firmware_version}" if answer.firmware_version else "",
        f"USB {answer.usb_path} at {answer.usb_speed} speed" if answer.usb_path else "",
        f"cameras {', '.join(answer.cameras[:10])}",
        f"calibration {answer.calibration_source}",
        f"driver {answer.driver_version}",
    )
    return clean_text(", ".join(filter(None, texts)), _TEXT)
