"""Declares the options as ROS parameters, reads the user's values, and handles changes.

`config.validate()` checks every value before rclpy sees it: every source (file, command line,
`set_parameters`) gets the same one-line error, and integers are accepted for floats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..bounded import nearest
from ..config import BY_KEY, OPTIONS, Option, Settings, defaults, validate
from ..config.limits import Choice, FrameName, GridSize, Range, Value, plain
from ..errors import ConfigError, DepthaiError
from .live_parameters import LiveOptions

#: Parameters that rclpy declares.
_FOREIGN = ("use_sim_time", "start_type_description_service")
_QOS_PREFIX = "qos_overrides."


def declare_options(node: Node) -> tuple[Settings, ConfigError | None]:
    """Declare every option with the user's value.

    If a value is wrong, the parameters are declared with their defaults (only `autostart` keeps the
    user's value), and the error is returned as the second item.
    """
    given = _given(node)
    if given.get("strict") is False:
        for key in [key for key in given if key not in BY_KEY]:
            node.get_logger().warning(f"{_unknown(key, BY_KEY)}; it is ignored")
            del given[key]
    refused = None
    try:
        settings = validate(given)
    except ConfigError as cause:
        managed = given.get("autostart") is False
        settings, refused = defaults().replace({"autostart": not managed}), cause
    _declare(node, settings)
    return settings, refused


def check_qos_overrides(node: Node, settings: Settings) -> None:
    """Check that each qos_overrides parameter belongs to a publisher of this node.

    Raises  ConfigError
    """
    names = [name for name in node._parameter_overrides if name.startswith(_QOS_PREFIX)]
    declared = {name: None for name in node._parameters if name.startswith(_QOS_PREFIX)}
    for name in names:
        if name in declared:
            continue
        if settings["strict"]:
            raise ConfigError(_unknown(name, declared))
        node.get_logger().warning(f"{_unknown(name, declared)}; it is ignored")


#: Quoted: not every rclpy takes type arguments at run time.
SetParameters = Callable[[Sequence["Parameter[Any]"]], SetParametersResult]


def set_options(
    node: Node, live: LiveOptions, parameters: Sequence[Parameter[Any]], store: SetParameters
) -> SetParametersResult:
    """Apply one request as a whole or not at all; the device has the values when this returns.

    Static options are refused here, because rclpy would only report "trying to set a read-only
    parameter". rclpy stores the parameters that passed, by `store`.
    """
    try:
        changes, others = _wanted(node, live.settings, parameters)
        before = {key: live.settings[key] for key in changes}
        settings = live.change(changes)
    except DepthaiError as cause:
        return SetParametersResult(successful=False, reason=str(cause))
    changed = [Parameter(key, value=_as_parameter(settings[key])) for key in changes]
    if parameters and not changed + others:
        return SetParametersResult(successful=True)
    result = store(changed + others)
    if not result.successful:  # caused by `others`: the options have passed their checks
        live.change(before)
        result.reason = f"{', '.join(row.name for row in others)}: {result.reason}"
    return result


def _wanted(
    node: Node, settings: Settings, parameters: Sequence[Parameter[Any]]
) -> tuple[dict[str, Any], list[Parameter[Any]]]:
    """Live options with their new values, and parameters that are not options.

    Raises  ConfigError for unknown names, and for options that cannot change at run time
    """
    changes: dict[str, Any] = {}
    others = []
    problems = []
    for parameter in parameters:
        name, value = parameter.name, parameter.value
        if not node.has_parameter(name):
            problems.append(_unknown(name, node._parameters))
        elif name not in BY_KEY:
            others.append(parameter)
        elif parameter.type_ == Parameter.Type.NOT_SET:
            problems.append(f"{name} is an option of this node and cannot be removed")
        elif BY_KEY[name].changes == "live":
            changes[name] = value
        elif not _equals(settings, name, value):
            problems.append(_frozen(name, settings[name]))
    if problems:
        raise ConfigError("; ".join(problems))
    return changes, others


def _equals(settings: Settings, key: str, value: Any) -> bool:
    """True if the value is the present one: a whole parameter file may be loaded at run time."""
    try:
        return bool(validate({**settings, key: value})[key] == settings[key])
    except ConfigError:
        return False


def _frozen(key: str, value: Value) -> str:
    return (
        f"{key} is read when the node starts and stays {plain(value) or 'empty'} until it ends: "
        "set it in the parameter file, the launch file or with -p, and start the node again"
    )


def _given(node: Node) -> dict[str, Any]:
    # rclpy has no public access to overrides of undeclared parameters.
    return {
        name: parameter.value
        for name, parameter in node._parameter_overrides.items()
        if name not in _FOREIGN and not name.startswith(_QOS_PREFIX)
    }


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    return f"{name} is not a parameter{nearest(name, known)}"


def _declare(node: Node, settings: Settings) -> None:
    for option in OPTIONS:
        value = _as_parameter(settings[option.key])
        node.declare_parameter(option.key, value, _descriptor(option), ignore_override=True)


def _as_parameter(value: Value) -> bool | int | float | str | list[str]:
    """ROS has no empty list of strings: a list with one empty string stands for it."""
    return (list(value) or [""]) if isinstance(value, tuple) else value


def _descriptor(option: Option) -> ParameterDescriptor:
    unit = f" [{option.unit}]" if option.unit else ""
    descriptor = ParameterDescriptor(
        description=f"{option.meaning}{unit}", read_only=option.changes != "live"
    )
    if isinstance(option.limits, (Choice, FrameName, GridSize)):
        descriptor.additional_constraints = str(option.limits)
    elif isinstance(option.limits, Range):
        low, high = option.limits.low, option.limits.high
        if isinstance(option.default, int):
            integers = IntegerRange(from_value=int(low), to_value=int(high), step=0)
            descriptor.integer_range = [integers]
        else:
            numbers = FloatingPointRange(from_value=float(low), to_value=float(high), step=0.0)
            descriptor.floating_point_range = [numbers]
    return descriptor
