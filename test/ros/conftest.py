"""One ROS context for this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from boards import Board
from nodes import ROOT, Listener, NodeProcess, StartNode
from recordings import Recording, record

from depthai_ros import _core
from depthai_ros.ros_features import profile_name, profile_variable


@pytest.fixture(scope="session", autouse=True)
def ros_context() -> Iterator[None]:
    """Initialise rclpy as for image subscribers; nodes started by tests inherit it."""
    os.environ[profile_variable()] = str(ROOT / "config" / profile_name())
    _core.keep_large_buffers()
    rclpy.init()
    yield
    rclpy.shutdown()


@pytest.fixture
def start_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartNode]:
    """start_node(parameters, *words, params_file=...): a node that does not outlive the test."""
    nodes: list[NodeProcess] = []

    def start(*arguments: Any, **options: Any) -> NodeProcess:
        nodes.append(NodeProcess(tmp_path_factory.mktemp("node"), *arguments, **options))
        return nodes[-1]

    yield start
    for node in nodes:
        node.kill()
        print(node.output)  # pytest shows it if the test failed


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """A virtual device in a process of its own, not plugged in yet."""
    board = Board(tmp_path)
    yield board
    board.unplug()


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A listener to the node "oak"."""
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """The messages of the demonstration."""
    return record(tmp_path_factory.mktemp("demonstration"))
