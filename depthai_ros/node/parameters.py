"""Declares the options as ROS parameters, reads what the user has given, and lets it be changed.

The values are checked by `config.validate()` before rclpy sees them, so that a wrong one is told
in one sentence, wherever it comes from, and an integer serves where a number is wanted.
"""

from __future__ import annotations

import difflib
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

from ..config import BY_KEY, OPTIONS, Option, Settings, defaults, validate
from ..config.limits import Choice, Range, Value, plain
from ..errors import ConfigError, DepthaiError
from .live_parameters import LiveOptions

#: Parameters that rclpy itself knows.
_FOREIGN = ("use_sim_time", "start_type_description_service")
_QOS_PREFIX = "qos_overrides."


def declare_options(node: Node) -> tuple[Settings, ConfigError | None]:
    """Declare every option with what the user gave for it.

    If something is wrong with that, the settings are the defaults (but `autostart` is obeyed), and
    the reason comes with them: parameters have to be there all the same.
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
    """See that each qos_overrides parameter belongs to a publisher that exists by now.

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


#: In Jazzy, rclpy's classes take no type arguments at run time.
SetParameters = Callable[[Sequence["Parameter[Any]"]], SetParametersResult]


def set_options(
    node: Node, live: LiveOptions, parameters: Sequence[Parameter[Any]], store: SetParameters
) -> SetParametersResult:
    """Carry out one request, all of it or nothing; the device has taken it when this returns.

    rclpy refuses with "trying to set a read-only parameter" and the like, in an order of its own:
    it gets what is left to `store`.
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
    if not result.successful:  # one of the others: an option has passed its own checks
        live.change(before)
        result.reason = f"{', '.join(row.name for row in others)}: {result.reason}"
    return result


def _wanted(
    node: Node, settings: Settings, parameters: Sequence[Parameter[Any]]
) -> tuple[dict[str, Any], list[Parameter[Any]]]:
    """Live options with their new values, and parameters that are not options.

    Raises  ConfigError for names that nobody knows, and for what cannot change any more
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
            problems.append(f"{name} is an option of this node, it cannot be removed")
        elif BY_KEY[name].live:
            changes[name] = value
        elif not _equals(settings, name, value):
            problems.append(_frozen(name, settings[name]))
    if problems:
        raise ConfigError("; ".join(problems))
    return changes, others


def _equals(settings: Settings, key: str, value: Any) -> bool:
    """A whole parameter file may be loaded while the node runs, if nothing static differs."""
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
    # rclpy has no public way to see overrides of parameters that nobody declared.
    return {
        name: parameter.value
        for name, parameter in node._parameter_overrides.items()
        if name not in _FOREIGN and not name.startswith(_QOS_PREFIX)
    }


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    hint = f", the nearest is {nearest[0]}" if nearest else ""
    return f"{name} is not a parameter{hint}"


def _declare(node: Node, settings: Settings) -> None:
    for option in OPTIONS:
        value = _as_parameter(settings[option.key])
        node.declare_parameter(option.key, value, _descriptor(option), ignore_override=True)


def _as_parameter(value: Value) -> bool | int | float | str | list[str]:
    """ROS cannot say "empty list of texts": a list with one empty text stands for it."""
    return (list(value) or [""]) if isinstance(value, tuple) else value


def _descriptor(option: Option) -> ParameterDescriptor:
    unit = f" [{option.unit}]" if option.unit else ""
    descriptor = ParameterDescriptor(
        description=f"{option.meaning}{unit}", read_only=not option.live
    )
    if isinstance(option.limits, Choice):
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
