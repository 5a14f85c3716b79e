"""Records a camera to an mcap file:  ros2 launch depthai_ros record.launch.py bag:=my_recording

The node converts every recorded topic; `topics` limits the CPU load and the size of the file.
With compressed:=true it sends compressed images, which takes less of a disk and more of a CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch import LaunchContext, LaunchDescription

from depthai_ros import launching


def start(context: LaunchContext, values: Mapping[str, str]) -> list[Any]:
    """ros2 bag record."""
    node = launching.node_of(context, values)
    compressed = launching.is_true(values["compressed"])
    selected = launching.recorded(node, values["topics"], compressed=compressed)
    folder = ["--output", values["bag"]] if values["bag"] else []
    environment = launching.picture_environment(values["large_messages"])
    return [launching.bag("record", ["--storage", "mcap", *folder, *selected], environment)]


def generate_launch_description() -> LaunchDescription:
    """Entry point of `ros2 launch`."""
    return launching.described(__file__, start)
