"""Declares the options as ROS parameters, reads the user's values, and handles changes.

`config.validate()` checks every value before rclpy sees it: every source (file, command line,
`set_parameters`) gets the same one-line error, and integers are accepted for floats.
`Option.changes` says in which states of the node a value can change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..bounded import nearest
from ..config import BY_KEY, OPTIONS, Option, Settings, defaults, stream_list, validate
from ..config.compression import FORMAT_KEYS, own_key
from ..config.filters import against_preset, decimation_change
from ..config.limits import Choice, FrameName, GridSize, Range, Value, plain
from ..config.options import CHANGES_WHILE, Change
from ..config.settings import check_value
from ..errors import ConfigError, DepthaiError
from ..messages.image_codecs import missing_library
from .live_parameters import LiveOptions
from .qos_overrides import PREFIX, QosOverrides

#: Parameters that rclpy declares.
_FOREIGN = ("use_sim_time", "start_type_description_service")
#: Option.changes -> the states of the node in which it can change; "live": in all.
_STATES: dict[Change, tuple[str, ...]] = {
    "inactive": ("unconfigured", "inactive"),
    "unconfigured": ("unconfigured",),
    "never": (),
}
#: (Option.changes, state) -> transitions before and after the change.
_TRANSITIONS: dict[tuple[Change, str], tuple[str, str]] = {
    ("inactive", "active"): ("deactivate", "activate"),
    ("unconfigured", "active"): ("deactivate, then cleanup", "configure and activate"),
    ("unconfigured", "inactive"): ("cleanup", "configure and activate"),
}


@dataclass(frozen=True)
class Given:
    """The values of the user.

    `settings` has each value that is valid by itself, else the default. `wrong` has the others, and
    names that are not options: the value and the reason. `refused` is the error of all values
    together, None = they can be used. `ignored` are unknown names, with `strict` false.
    """

    settings: Settings
    wrong: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    refused: ConfigError | None = None
    ignored: tuple[str, ...] = ()


def declare_options(node: Node) -> Given:
    """Declare every option with the user's value, or the default for a wrong one."""
    given = _judged(_overrides(node))
    for option in OPTIONS:
        value = _as_parameter(given.settings[option.key])
        node.declare_parameter(option.key, value, _descriptor(option), ignore_override=True)
    return given


def _judged(values: Mapping[str, Any]) -> Given:
    fitting: dict[str, Value] = {}
    wrong: dict[str, tuple[Any, str]] = {}
    for key, value in values.items():
        try:
            fitting[key] = check_value(key, value)
        except ConfigError as cause:
            wrong[key] = value, str(cause)
    ignored: tuple[str, ...] = ()
    if fitting.get("strict") is False:
        ignored = tuple(key for key in wrong if key not in BY_KEY)
        wrong = {key: row for key, row in wrong.items() if key in BY_KEY}
    try:
        settings = validate(fitting | {key: value for key, (value, _) in wrong.items()})
        return Given(settings, ignored=ignored)
    except ConfigError as cause:
        refused = cause.with_traceback(None)
    settings = Settings({**defaults(), **fitting}, given=fitting)
    return Given(settings, wrong, refused, ignored)


#: Quoted: not every rclpy takes type arguments at run time.
Store = Callable[[Sequence["Parameter[Any]"]], SetParametersResult]


@dataclass
class _Request:
    """One request, sorted: options, QoS overrides, wrong values to forget, the rest."""

    changes: dict[str, Any] = field(default_factory=dict)
    qos: list[Parameter[Any]] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    others: list[Parameter[Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class ParameterRequests:
    """Handles requests to set parameters; each is applied as a whole or not at all.

    `refused` is why the node cannot be configured: the values given at its start are wrong, and no
    request has mended them yet.
    """

    def __init__(
        self,
        node: Node,
        given: Given,
        live: LiveOptions,
        qos: QosOverrides,
        state: Callable[[], str],
    ) -> None:
        """`state` returns the node's lifecycle state."""
        self._node = node
        self._given = given
        self._live = live
        self._qos = qos
        self._state = state
        self._preset_note = ""
        self._report(given)
        for service in node.services:
            if service.srv_type is SetParameters:
                service.callback = partial(self._set_each, service.callback)

    @property
    def refused(self) -> ConfigError | None:
        """Why the values cannot be used together, None = they can."""
        return self._given.refused

    def set(self, parameters: Sequence[Parameter[Any]], store: Store) -> SetParametersResult:
        """Apply one request; the device has the values when this returns.

        Options that cannot change now are refused here, because rclpy would only report "trying to
        set a read-only parameter". rclpy stores the parameters that passed, by `store`.
        """
        node = self._node.get_name()
        with self._live.lock:
            before = self._live.settings
            try:
                request = self._sorted([_renamed(row, node) for row in parameters])
                given = self._checked(request)
                self._live.change(given.settings)
            except DepthaiError as cause:
                return SetParametersResult(successful=False, reason=str(cause))
            stored = [
                Parameter(key, value=_as_parameter(value))
                for key, value in given.settings.items()
                if key in request.changes or value != before[key]  # a preset sets others, too
            ]
            result = SetParametersResult(successful=True)
            if not parameters or stored or request.others:
                result = store(stored + request.others)
            if not result.successful:  # caused by `others`: the options have passed their checks
                self._live.change(before)
                names = ", ".join(row.name for row in request.others)
                result.reason = f"{names}: {result.reason}"
                return result
            self._given = given
            self._report(given)
            for parameter in request.qos:
                self._qos.give(parameter)
            if given.refused is not None:
                result.reason = f"the node still cannot be configured: {given.refused}"
            return result

    def _report(self, given: Given) -> None:
        """Log what is ignored, and once what wins over a preset."""
        for name in given.ignored:
            self._node.get_logger().warning(f"{unknown(name, BY_KEY)}; it is ignored")
        note = against_preset(given.settings, given.settings.given)
        if note and note != self._preset_note:
            self._node.get_logger().info(note)
        self._preset_note = note

    def _set_each(self, one_by_one: Callable[..., Any], request: Any, response: Any) -> Any:
        """Set all parameters of a request together if that is possible, else one by one.

        Values that are valid only together can then come from a parameter file, in any order.
        """
        parameters = [Parameter.from_parameter_msg(row) for row in request.parameters]
        if len(parameters) > 1:
            result = self._node.set_parameters_atomically(parameters)
            if result.successful:
                response.results = [result] * len(parameters)
                return response
        return one_by_one(request, response)

    def _sorted(self, parameters: Sequence[Parameter[Any]]) -> _Request:
        """The request, sorted.

        Raises  ConfigError for unknown names, and for what cannot change in the present state
        """
        request, state = _Request(), self._state()
        for parameter in parameters:
            name, is_removed = parameter.name, parameter.type_ == Parameter.Type.NOT_SET
            if is_removed and name in self._given.wrong:
                request.forgotten.append(name)
            elif name in BY_KEY:
                self._sort_option(request, name, parameter.value, state)
            elif name.startswith(PREFIX):
                if state == "unconfigured":
                    request.qos.append(parameter)
                elif not self._qos.has(parameter):
                    request.problems.append(self._frozen(name, "unconfigured", state))
            elif self._node.has_parameter(name):
                request.others.append(parameter)
            else:
                request.problems.append(unknown(name, self._node._parameters))
        if request.problems:
            raise ConfigError("; ".join(request.problems))
        return request

    def _sort_option(self, request: _Request, key: str, value: Any, state: str) -> None:
        changes = BY_KEY[key].changes
        if value is None:
            request.problems.append(f"{key} is an option of this node and cannot be removed")
        elif changes != "live" and state not in _STATES[changes]:
            if not self._is_present(key, value):
                request.problems.append(self._frozen(key, changes, state))
        elif stream := self._is_of_no_stream(key, value, state):
            why = self._frozen("stream_list", "unconfigured", state)
            request.problems.append(f"{key}: {stream} is not in stream_list; {why}")
        else:
            request.changes[key] = value

    def _is_present(self, key: str, value: Any) -> bool:
        """True if the value is the present one: a whole parameter file may be loaded."""
        try:
            return bool(check_value(key, value) == self._live.settings[key])
        except ConfigError:
            return False

    def _is_of_no_stream(self, key: str, value: Any, state: str) -> str:
        """The stream that the key would switch without an effect, as it does not run; "" = none."""
        group, _, rest = key.partition(".")
        stream, _, name = rest.rpartition(".")
        if (group, name) != ("stream", "publish") or self._is_present(key, value):
            return ""
        is_free = state == "unconfigured" or stream in stream_list(self._live.settings)
        return "" if is_free else stream

    def _frozen(self, name: str, changes: Change, state: str) -> str:
        """Why a parameter cannot change now, and what helps."""
        if changes == "never":
            value = plain(self._live.settings[name])
            return (
                f"{name} is read once, when the process starts, and stays {value}: set it in the "
                "parameter file, the launch file or with -p, and start the node again"
            )
        sentence = f"{name} {CHANGES_WHILE}{changes}"
        if (changes, state) not in _TRANSITIONS:
            return f"{sentence}, now it is {state}: wait until that ends, or start the node again"
        before, after = _TRANSITIONS[changes, state]
        node = self._node.get_fully_qualified_name()
        return f"{sentence}: ros2 lifecycle set {node} {before}, set it, then {after}"

    def _checked(self, request: _Request) -> Given:
        """The values after a request.

        A node that could not be configured may stay so: its values are mended one by one.
        Raises  ConfigError
        """
        settings, given = self._live.settings, self._given
        wrong = {key: value for key, (value, _) in given.wrong.items()}
        for name in request.forgotten:
            del wrong[name]
        judged = _judged(settings.given_after({**wrong, **request.changes}))
        if judged.refused is not None:
            own = [judged.wrong[key][1] for key in request.changes if key in judged.wrong]
            if own:
                raise ConfigError("; ".join(own))
            if given.refused is None:
                raise judged.refused
        resized = decimation_change(settings, judged.settings)
        if resized and self._state() != "unconfigured":
            raise ConfigError(resized)
        _check_formats(settings, judged.settings)
        return judged


def _check_formats(old: Settings, new: Settings) -> None:
    """Raise ConfigError for a new format of compressed images that this build does not have."""
    for key in FORMAT_KEYS:
        missing = missing_library(new[key]) if new[key] != old[key] else ""
        if missing:
            raise ConfigError(f"{key}: {missing}")


def _renamed(parameter: Parameter[Any], node: str) -> Parameter[Any]:
    """A parameter with the name that the option has here, if the name is one of image_transport."""
    key = own_key(parameter.name, node)
    return parameter if key == parameter.name else Parameter(key, parameter.type_, parameter.value)


def _overrides(node: Node) -> dict[str, Any]:
    # rclpy has no public access to overrides of undeclared parameters.
    return {
        own_key(name, node.get_name()): parameter.value
        for name, parameter in node._parameter_overrides.items()
        if name not in _FOREIGN and not name.startswith(PREFIX)
    }


def unknown(name: str, known: Mapping[str, Any]) -> str:
    """The sentence about a name that is not a parameter."""
    return f"{name} is not a parameter{nearest(name, known)}"


def _as_parameter(value: Value) -> bool | int | float | str | list[str]:
    """ROS has no empty list of strings: a list with one empty string stands for it."""
    return (list(value) or [""]) if isinstance(value, tuple) else value


def _descriptor(option: Option) -> ParameterDescriptor:
    unit = f" [{option.unit}]" if option.unit else ""
    descriptor = ParameterDescriptor(
        description=f"{option.meaning}{unit}", read_only=option.changes == "never"
    )
    has_words = isinstance(option.limits, (Choice, FrameName, GridSize))
    constraints = [str(option.limits)] if has_words else []
    if option.changes in _STATES and option.changes != "never":
        constraints.append(f"{CHANGES_WHILE}{option.changes}")
    descriptor.additional_constraints = "; ".join(constraints)
    if isinstance(option.limits, Range):
        low, high = option.limits.low, option.limits.high
        if isinstance(option.default, int):
            integers = IntegerRange(from_value=int(low), to_value=int(high), step=0)
            descriptor.integer_range = [integers]
        else:
            numbers = FloatingPointRange(from_value=float(low), to_value=float(high), step=0.0)
            descriptor.floating_point_range = [numbers]
    return descriptor
