"""Records a camera to an mcap file:  ros2 launch depthai_ros record.launch.py bag:=my_recording

The node converts every recorded topic; `topics` limits the CPU load and the size of the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from launch import LaunchContext, LaunchDescription

from depthai_ros import launching

#: Also recorded: images are of little use without their tf frames.
_ALWAYS = ("/tf", "/tf_static", "/diagnostics")


def start(context: LaunchContext, values: Mapping[str, str]) -> list[Any]:
    """ros2 bag record."""
    node = launching.node_of(context, values)
    topics = [topic.strip() for topic in values["topics"].split(",") if topic.strip()]
    names = [topic if topic.startswith("/") else f"{node}/{topic}" for topic in topics]
    if names:
        selected = ["--topics", *names, *_ALWAYS]
    else:
        always = "|".join(f"{topic}$" for topic in _ALWAYS)
        selected = ["--regex", f"^({re.escape(node)}/|{always})"]
    folder = ["--output", values["bag"]] if values["bag"] else []
    environment = launching.picture_environment(values["large_messages"])
    return [launching.bag("record", ["--storage", "mcap", *folder, *selected], environment)]


def generate_launch_description() -> LaunchDescription:
    """Entry point of `ros2 launch`."""
    return launching.described(__file__, start)
