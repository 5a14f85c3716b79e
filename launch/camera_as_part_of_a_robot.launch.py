"""An example to copy: a robot whose URDF holds the camera, and the camera in the robot's namespace.

    ros2 launch depthai_ros camera_as_part_of_a_robot.launch.py namespace:=robot device:=virtual

One robot_state_publisher publishes the whole robot, the camera's frames among them; therefore the
camera is told tf_source urdf (it publishes no frames) and publish_urdf false (nor does anybody for
it alone).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch import LaunchContext, LaunchDescription

from depthai_ros import launching


def start(context: LaunchContext, values: Mapping[str, str]) -> list[Any]:
    """The robot's description, and its camera."""
    board = launching.board_file(values["camera_model"] or "OAK-D")
    words = {"camera_name": values["name"], "camera_board": str(board)}
    robot = launching.robot_state_publisher(
        values["namespace"], "example_robot.urdf.xacro", words, values
    )
    shared = {name: text for name, text in values.items() if name != "use_rviz"}
    # In a launch file of your own: IncludeLaunchDescription in a GroupAction(scoped=True).
    camera = launching.part(
        "camera.launch.py", {**shared, "tf_source": "urdf", "publish_urdf": "false"}
    )
    if not launching.is_true(values["use_rviz"]):
        return [robot, camera]
    shown = {name: values[name] for name in ("name", "namespace", "use_sim_time", "output")}
    return [robot, camera, launching.part("rviz.launch.py", shown)]


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    return launching.described(__file__, start)
