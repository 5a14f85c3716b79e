"""Starts a camera:  ros2 launch depthai_ros camera.launch.py device:=virtual

`--show-args` lists the arguments. Priority: argument, then parameter file, then default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch import LaunchContext, LaunchDescription

from depthai_ros import launching


def start(context: LaunchContext, values: Mapping[str, str]) -> list[Any]:
    """The node, its frames, and optionally a point cloud and rviz2."""
    asked = launching.camera(values, launching.namespace_of(context))
    return [launching.camera_node(asked, values), *launching.beside(asked, values)]


def generate_launch_description() -> LaunchDescription:
    """Entry point of `ros2 launch`."""
    return launching.described(__file__, start)
