"""Starts a camera:  ros2 launch depthai_ros camera.launch.py device:=virtual

`--show-args` lists the arguments. One that is not given changes nothing: what the parameter file
says, counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch import LaunchContext, LaunchDescription

from depthai_ros import launching


def start(context: LaunchContext, values: Mapping[str, str]) -> list[Any]:
    """The node, its frames, and what was asked for beside it."""
    asked = launching.camera(values, launching.namespace_of(context))
    return [launching.camera_node(asked, values), *launching.beside(asked, values)]


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    return launching.described(__file__, start)
