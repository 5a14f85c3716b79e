"""Starts a camera and requests its transitions:  ros2 launch depthai_ros lifecycle.launch.py

Like camera.launch.py, but this launch file configures and activates the node, as a lifecycle
manager would, each time the process starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import EmitEvent, LogInfo, RegisterEventHandler
from launch.event_handlers import OnProcessStart
from launch.events import matches_action
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from lifecycle_msgs.msg import Transition

from depthai_ros import launching

_FAILURES = {"configuring": "unconfigured", "activating": "inactive"}


def start(context: LaunchContext, values: Mapping[str, str]) -> list[Any]:
    """The node, its transitions, its frames, and optionally a point cloud and rviz2."""
    asked = launching.camera({**values, "autostart": "false"}, launching.namespace_of(context))
    node = launching.camera_node(asked, values, LifecycleNode)
    moves = [
        OnProcessStart(target_action=node, on_start=[move(node, Transition.TRANSITION_CONFIGURE)])
    ]
    if values["goal"] == "active":
        moves.append(
            OnStateTransition(
                target_lifecycle_node=node,
                start_state="configuring",
                goal_state="inactive",
                entities=[move(node, Transition.TRANSITION_ACTIVATE)],
            )
        )
    failures = [
        OnStateTransition(
            target_lifecycle_node=node,
            start_state=state,
            goal_state=back,
            entities=[
                LogInfo(
                    msg=f"{asked.node} failed while {state}, see its log; to try again: "
                    f"ros2 lifecycle set {asked.node} configure"
                )
            ],
        )
        for state, back in _FAILURES.items()
    ]
    handlers = [RegisterEventHandler(each) for each in (*moves, *failures)]
    return [*handlers, node, *launching.beside(asked, values)]


def move(node: LifecycleNode, transition: int) -> EmitEvent:
    """Request a transition of the node."""
    event = ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition)
    return EmitEvent(event=event)


def generate_launch_description() -> LaunchDescription:
    """Entry point of `ros2 launch`."""
    return launching.described(__file__, start)
