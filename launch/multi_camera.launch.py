"""Starts several cameras:  ros2 launch depthai_ros multi_camera.launch.py cameras:=my_cameras.yaml

config/multi_camera.yaml is an example of the list. Arguments on the command line apply to every
camera; the list overrides them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch import LaunchContext, LaunchDescription

from depthai_ros import launching

_FILE = "camera.launch.py"


def start(context: LaunchContext, values: Mapping[str, str]) -> list[Any]:
    """camera.launch.py for each camera, and optionally one rviz2."""
    defaults = {argument.name: argument.default for argument in launching.LAUNCH_FILES[_FILE]}
    given = launching.chosen(values, _FILE)
    common = {name: text for name, text in given.items() if text != defaults[name]}
    common["use_rviz"] = "false"
    common.pop("rviz_config", None)
    listed = launching.cameras(launching.resolve_path(values["cameras"]), common)
    for words in [values, *listed]:
        launching.need_options(words)
    actions = [launching.part(_FILE, words) for words in listed]
    if launching.is_true(values["use_rviz"]):
        actions += launching.rviz("", "", values)
    return actions


def generate_launch_description() -> LaunchDescription:
    """Entry point of `ros2 launch`."""
    return launching.described(__file__, start)
