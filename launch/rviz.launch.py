"""Shows a camera that is already running:  ros2 launch depthai_ros rviz.launch.py name:=oak"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch import LaunchContext, LaunchDescription

from depthai_ros import launching


def start(context: LaunchContext, values: Mapping[str, str]) -> list[Any]:
    """rviz2 with the topics and frames of this camera."""
    node = launching.node_of(context, values)
    return launching.rviz(node, values["tf_prefix"] or values["name"], values)


def generate_launch_description() -> LaunchDescription:
    """Entry point of `ros2 launch`."""
    return launching.described(__file__, start)
