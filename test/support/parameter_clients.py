"""Sets and reads parameters of a node with the services that `ros2 param` uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nodes import Listener
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import GetParameters, SetParameters, SetParametersAtomically
from rclpy.parameter import Parameter, parameter_value_to_python

#: Two small streams: images, and the log lines of the device.
QUIET = {
    "device.id": "virtual:pattern",
    "stream_list": ["left", "meta_d2h"],
    "camera.mono.resolution_h": 400,
    "camera.mono.fps": 10.0,
    "diagnostics.period_s": 0.1,
}


def _messages(values: Mapping[str, Any]) -> list[Any]:
    return [Parameter(key, value=value).to_parameter_msg() for key, value in values.items()]


def set_one(listener: Listener, key: str, value: Any) -> SetParametersResult:
    """Like `ros2 param set`; None removes the parameter, like `ros2 param delete`."""
    request = SetParameters.Request(parameters=_messages({key: value}))
    (result,) = listener.call(SetParameters, "set_parameters", request).results
    return result


def set_each(listener: Listener, values: Mapping[str, Any]) -> list[SetParametersResult]:
    """Like `ros2 param load`."""
    request = SetParameters.Request(parameters=_messages(values))
    return list(listener.call(SetParameters, "set_parameters", request).results)


def set_together(listener: Listener, values: Mapping[str, Any]) -> SetParametersResult:
    """Set several parameters atomically."""
    request = SetParametersAtomically.Request(parameters=_messages(values))
    answer = listener.call(SetParametersAtomically, "set_parameters_atomically", request)
    return answer.result


def read(listener: Listener, keys: Iterable[str]) -> dict[str, Any]:
    """Like `ros2 param get`."""
    names = list(keys)
    answer = listener.call(GetParameters, "get_parameters", GetParameters.Request(names=names))
    return dict(zip(names, map(parameter_value_to_python, answer.values), strict=True))
