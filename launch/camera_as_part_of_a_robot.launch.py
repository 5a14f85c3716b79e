"""An example to copy: a robot whose URDF contains the camera, which runs in its namespace.

    ros2 launch depthai_ros camera_as_part_of_a_robot.launch.py namespace:=robot device:=virtual

One robot_state_publisher publishes all frames of the robot, including those of the camera. The
camera is therefore started with tf_source urdf (the node publishes no frames) and publish_urdf
false (no robot_state_publisher for the camera alone).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch import LaunchContext, LaunchDescription

from depthai_ros import launching


def start(context: LaunchContext, values: Mapping[str, str]) -> list[Any]:
    """The robot_state_publisher of the robot, its camera, and optionally rviz2."""
    launching.need_options(values)
    board = launching.board_file(values["camera_model"] or "OAK-D")
    words = {"camera_name": values["name"], "camera_board": str(board)}
    robot = launching.robot_state_publisher(
        values["namespace"], "example_robot.urdf.xacro", words, values
    )
    shared = {name: text for name, text in values.items() if name != "use_rviz"}
    # In your own launch file: IncludeLaunchDescription in a GroupAction(scoped=True).
    camera = launching.part(
        "camera.launch.py", {**shared, "tf_source": "urdf", "publish_urdf": "false"}
    )
    if not launching.is_true(values["use_rviz"]):
        return [robot, camera]
    shown = {name: values[name] for name in ("name", "namespace", "use_sim_time", "output")}
    return [robot, camera, launching.part("rviz.launch.py", shown)]


def generate_launch_description() -> LaunchDescription:
    """Entry point of `ros2 launch`."""
    return launching.described(__file__, start)
