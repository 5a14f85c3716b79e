"""Starts a camera and takes it through its states:  ros2 launch depthai_ros lifecycle.launch.py

As camera.launch.py, but the node does nothing by itself: this launch configures and activates it,
as a lifecycle manager would, each time that its process has started.
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
    """The node, the events that move it, and what was asked for beside it."""
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
                    msg=f"{asked.node} failed while {state}, it says why; to try again: "
                    f"ros2 lifecycle set {asked.node} configure"
                )
            ],
        )
        for state, back in _FAILURES.items()
    ]
    handlers = [RegisterEventHandler(each) for each in (*moves, *failures)]
    return [*handlers, node, *launching.beside(asked, values)]


def move(node: LifecycleNode, transition: int) -> EmitEvent:
    """Ask the node for a transition."""
    event = ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition)
    return EmitEvent(event=event)


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    return launching.described(__file__, start)
