"""Classes that rclpy has in other places, depending on its release."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import rclpy
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.executors import SingleThreadedExecutor

from depthai_ros.ros_features import publisher_address, ros_class


def test_best_classes_of_this_release_are_used() -> None:
    experimental = pytest.importorskip("rclpy.experimental", reason="an rclpy before 7.1.4")
    assert ros_class("Executor") is experimental.EventsExecutor
    assert ros_class("PublisherEventCallbacks") is PublisherEventCallbacks


@pytest.mark.parametrize("experimental", [None, ModuleType("rclpy.experimental")])
def test_rclpy_without_events_executor_gives_the_single_threaded_one(
    experimental: ModuleType | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rclpy.experimental", experimental)
    assert ros_class("Executor") is SingleThreadedExecutor


def test_callbacks_of_publishers_are_found_where_humble_has_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    older = ModuleType("rclpy.qos_event")  # today it forwards with a warning, or is missing
    older.PublisherEventCallbacks = PublisherEventCallbacks  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rclpy.event_handler", None)
    monkeypatch.setitem(sys.modules, "rclpy.qos_event", older)
    assert ros_class("PublisherEventCallbacks") is PublisherEventCallbacks


def test_address_of_a_publisher_is_used_only_where_rclpy_shows_it() -> None:
    node = rclpy.create_node("address")
    publisher = node.create_publisher(rclpy.node.ParameterEvent, "~/address", 1)
    assert publisher_address(publisher.handle) == publisher.handle.pointer > 0
    assert publisher_address(object()) is None
    node.destroy_node()
