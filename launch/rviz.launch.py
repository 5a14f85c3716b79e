"""Shows a camera that is already running:  ros2 launch depthai_ros rviz.launch.py name:=oak"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch import LaunchContext, LaunchDescription

from depthai_ros import launching


def start(context: LaunchContext, values: Mapping[str, str]) -> list[Any]:
    """rviz2 with a configuration whose topics and frames are this camera's."""
    node = launching.node_of(context, values)
    return launching.rviz(node, values["tf_prefix"] or values["name"], values)


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    return launching.described(__file__, start)
