"""Plays a recording with its own clock:  ros2 launch depthai_ros replay.launch.py bag:=FOLDER

Nodes that subscribe to the recording need use_sim_time; the rviz2 and the point cloud that this
file starts have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch import LaunchContext, LaunchDescription

from depthai_ros import launching


def start(context: LaunchContext, values: Mapping[str, str]) -> list[Any]:
    """`ros2 bag play`, and optionally a point cloud and rviz2."""
    if not values["bag"]:
        raise launching.ConfigError(
            "argument bag is missing: give a folder that record.launch.py wrote"
        )
    launching.need_options(values)
    if launching.is_true(values["pointcloud.enable"]):
        launching.need("depth_image_proc", "pointcloud.enable")
        launching.need("rclcpp_components", "pointcloud.enable")
    rate = launching.number(values, "rate")
    if rate <= 0:
        raise launching.ConfigError(f"argument rate: {values['rate']!r} must be above 0")
    words = [values["bag"], "--clock", "--rate", f"{rate:g}"]
    if launching.is_true(values["loop"]):
        words.append("--loop")
    actions = [launching.bag("play", words, launching.picture_environment(""))]
    for argument, file in (
        ("pointcloud.enable", "pointcloud.launch.py"),
        ("use_rviz", "rviz.launch.py"),
    ):
        if launching.is_true(values[argument]):
            shared = {**launching.chosen(values, file), "use_sim_time": "true"}
            actions.append(launching.part(file, shared))
    return actions


def generate_launch_description() -> LaunchDescription:
    """Entry point of `ros2 launch`."""
    return launching.described(__file__, start)
