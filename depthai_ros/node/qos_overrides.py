"""The parameters qos_overrides.*, which rclpy declares with each publisher.

rclpy reads them when a publisher is created and keeps them for ever: then a later publisher of the
topic would get the settings of the first one.
"""

from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..bounded import nearest
from ..config import Settings
from ..errors import ConfigError

PREFIX = "qos_overrides."


class QosOverrides:
    """The QoS overrides of one node; they have their effect on publishers created later."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._known: set[str] = set()  # of all publishers so far

    def has(self, parameter: Parameter[Any]) -> bool:
        """True if this is its present value."""
        name = parameter.name
        present = self._node.get_parameter(name) if self._node.has_parameter(name) else None
        return present is not None and bool(present.value == parameter.value)

    def give(self, parameter: Parameter[Any]) -> None:
        """Set one, or remove it if it has no value; while there are no publishers."""
        node, name = self._node, parameter.name
        self._forget(name)
        node._parameter_overrides.pop(name, None)
        if parameter.type_ != Parameter.Type.NOT_SET:
            node._parameter_overrides[name] = parameter
            node.declare_parameter(name, parameter.value, ParameterDescriptor())

    def prepare(self) -> None:
        """Let the publishers that are created next take what is given now."""
        for name in self._declared():
            self._forget(name)

    def check(self, settings: Settings) -> None:
        """Check that each one belongs to a publisher of this node, or to an earlier one.

        Raises  ConfigError
        """
        self._known.update(self._declared())
        for name in self._declared():
            self._node.describe_parameter(name).read_only = False
        for name in self._node._parameter_overrides:
            if not name.startswith(PREFIX) or name in self._known:
                continue
            sentence = f"{name} is not a parameter{nearest(name, self._known)}"
            if settings["strict"]:
                raise ConfigError(sentence)
            self._node.get_logger().warning(f"{sentence}; it is ignored")

    def _declared(self) -> list[str]:
        return [PREFIX + rest for rest in self._node.get_parameters_by_prefix(PREFIX[:-1])]

    def _forget(self, name: str) -> None:
        if self._node.has_parameter(name):
            self._node.describe_parameter(name).read_only = False  # rclpy keeps what is read-only
            self._node.undeclare_parameter(name)
