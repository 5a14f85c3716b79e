"""Public names for launch files; they stay stable because users copy our launch files."""

from .config import resolve_path
from .errors import ConfigError
from .launch.actions import (
    bag,
    beside,
    camera_node,
    chosen,
    described,
    namespace_of,
    need,
    need_options,
    node_of,
    part,
    picture_environment,
    robot_state_publisher,
    rviz,
    sim_time,
)
from .launch.arguments import LAUNCH_FILES, is_true, number
from .launch.plan import board_file, camera, cameras, cloud_color, full_name, recorded

__all__ = [
    "ConfigError",
    "LAUNCH_FILES",
    "bag",
    "beside",
    "board_file",
    "camera",
    "camera_node",
    "cameras",
    "chosen",
    "cloud_color",
    "described",
    "full_name",
    "is_true",
    "namespace_of",
    "need",
    "need_options",
    "node_of",
    "number",
    "part",
    "picture_environment",
    "recorded",
    "resolve_path",
    "robot_state_publisher",
    "rviz",
    "sim_time",
]
