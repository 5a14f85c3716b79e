"""Computes a point cloud with depth_image_proc:  ros2 launch depthai_ros pointcloud.launch.py

For a recording, or for a container that other components share; the camera node publishes `points`
itself. The topic `points_proc` is below the node's name, like those of the camera. Its frame is
that of the right camera, with pointcloud.color rgb that of the rgb camera.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch_ros.actions import ComposableNodeContainer, LoadComposableNodes
from launch_ros.descriptions import ComposableNode

from depthai_ros import launching

#: Registered depth of depth_image_proc, beside that of the camera node.
REGISTERED = {
    f"depth_registered/{name}": f"depth_registered_proc/{name}"
    for name in ("image_rect", "camera_info")
}
#: pointcloud.color -> components of depth_image_proc: name, class, its topic -> camera topic.
#: Source: depth_image_proc/doc/components.rst
COMPONENTS: dict[str, tuple[tuple[str, str, dict[str, str]], ...]] = {
    "none": (
        (
            "point_cloud",
            "depth_image_proc::PointCloudXyzNode",
            {"image_rect": "depth/image_raw", "camera_info": "depth/camera_info"},
        ),
    ),
    "mono": (
        (
            "point_cloud",
            "depth_image_proc::PointCloudXyziNode",
            {
                "depth/image_rect": "depth/image_raw",
                "intensity/image_rect": "right/image_rect",
                "intensity/camera_info": "depth/camera_info",
            },
        ),
    ),
    "rgb": (
        (
            "register_depth",
            "depth_image_proc::RegisterNode",
            {"depth/image_rect": "depth/image_raw", **REGISTERED},
        ),
        (
            "point_cloud",
            "depth_image_proc::PointCloudXyzrgbNode",
            REGISTERED,
        ),
    ),
}


def start(context: LaunchContext, values: Mapping[str, str]) -> list[Any]:
    """The components, in a new container or in one that is already running."""
    launching.need("depth_image_proc", "a point cloud")
    namespace = "/".join(filter(None, (values["namespace"], values["name"])))
    sim_time = launching.sim_time(values)
    nodes = [
        ComposableNode(
            package="depth_image_proc",
            plugin=plugin,
            name=name,
            namespace=namespace,
            remappings=[*topics.items(), ("points", "points_proc")],
            parameters=[sim_time] if sim_time else None,
        )
        for name, plugin, topics in COMPONENTS[launching.cloud_color(values)]
    ]
    container = values["container_name"] or f"{values['name']}_container"
    if launching.is_true(values["use_composition"]):
        if not container.startswith("/"):
            container = launching.full_name(
                f"{launching.namespace_of(context)}/{values['namespace']}", container
            )
        return [LoadComposableNodes(target_container=container, composable_node_descriptions=nodes)]
    launching.need("rclcpp_components", "a point cloud")
    return [
        ComposableNodeContainer(
            package="rclcpp_components",
            executable="component_container",
            name=container,
            namespace=values["namespace"],
            composable_node_descriptions=nodes,
            output=values["output"],
            additional_env=launching.picture_environment(values["large_messages"]),
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Entry point of `ros2 launch`."""
    return launching.described(__file__, start)
