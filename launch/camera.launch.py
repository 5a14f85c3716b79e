"""Starts a camera:  ros2 launch depthai_ros camera.launch.py device:=virtual

`--show-args` lists the arguments. One that is not given changes nothing: what the parameter file
says, counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch_ros.actions import Node

from depthai_ros import launching
from depthai_ros.launch_arguments import is_true
from depthai_ros.launch_plan import Camera, camera

_RESPAWN_DELAY_S = 2.0


def start(context: LaunchContext, values: Mapping[str, str]) -> list[Any]:
    """The node, its frames, and what was asked for beside it."""
    asked = camera(values, launching.namespace_of(context))
    actions = [node(asked, values), *frames(asked, values)]
    if is_true(values["pointcloud.enable"]):
        file = "pointcloud.launch.py"
        actions.append(launching.part(file, launching.chosen(values, file)))
    if is_true(values["use_rviz"]):
        file = "rviz.launch.py"
        words = {**launching.chosen(values, file), "tf_prefix": asked.prefix}
        actions.append(launching.part(file, words))
    return actions


def node(asked: Camera, values: Mapping[str, str]) -> Node:
    """The camera node. Later parameters win."""
    level = values["log_level"]
    own = launching.parameter_files({**asked.options, **launching.sim_time(values)})
    return Node(
        package="depthai_ros",
        executable="camera_node",
        name=values["name"],
        namespace=values["namespace"],
        parameters=[*map(str, asked.files), *own],
        ros_arguments=["--log-level", level] if level else [],
        output=values["output"],
        emulate_tty=True,
        respawn=is_true(values["respawn"]),
        respawn_delay=_RESPAWN_DELAY_S,
        additional_env=launching.picture_environment(values["fastdds_profile"]),
    )


def frames(asked: Camera, values: Mapping[str, str]) -> list[Node]:
    """Who says where the camera is: each frame has exactly one publisher."""
    texts = [f"{value:g}" for value in asked.mount]
    if asked.tf_source == "urdf" and is_true(values["publish_urdf"]):
        words = {
            "name": asked.prefix,
            "parent": asked.parent_frame,
            "board": str(asked.board),
            "xyz": " ".join(texts[:3]),
            "rpy": " ".join(texts[3:]),
        }
        namespace = "/".join(filter(None, (values["namespace"], values["name"])))
        return [launching.robot_state_publisher(namespace, "camera.urdf.xacro", words, values)]
    if asked.tf_source == "calibration" and any(asked.mount):
        launching.need("tf2_ros", "a camera that is mounted somewhere (cam_pos_x, …)")
        named = zip(("x", "y", "z", "roll", "pitch", "yaw"), texts, strict=True)
        words_of_pose = [word for name, text in named for word in (f"--{name}", text)]
        ends = ["--frame-id", asked.parent_frame, "--child-frame-id", asked.prefix]
        mount = Node(
            package="tf2_ros",
            executable="static_transform_publisher",
            name=f"{values['name']}_mount",
            namespace=values["namespace"],
            arguments=[*words_of_pose, *ends],
            output=values["output"],
        )
        return [mount]
    return []


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    return launching.described(__file__, start)
