"""lifecycle.launch.py: the launch file triggers the state transitions of the node."""

from __future__ import annotations

import pytest
from launches import Observer, StartLaunch

SMALL = (
    "device:=virtual",
    "stream_list:=left",
    "camera.mono.fps:=5",
    "camera.mono.resolution_h:=400",
    "tf_source:=none",
)


def state_of(observer: Observer, node: str) -> str:
    from lifecycle_msgs.srv import GetState

    return str(observer.call(GetState, f"{node}/get_state", GetState.Request()).current_state.label)


@pytest.mark.complaint(23)
def test_launch_takes_the_camera_to_active_and_ends_cleanly(
    start_launch: StartLaunch, observer: Observer
) -> None:
    from sensor_msgs.msg import Image

    launched = start_launch("lifecycle.launch.py", *SMALL, "namespace:=robot")
    image = observer.first(Image, "/robot/oak/left/image_raw")
    assert (image.width, image.height) == (640, 400)
    # The first image may arrive before the transition has ended.
    observer.wait_until(lambda: state_of(observer, "/robot/oak") == "active", "the state active")
    assert observer.parameters("/robot/oak", "autostart") == [False]
    assert launched.stop() == 0
    assert "process has finished cleanly" in launched.output


@pytest.mark.complaint(23)
def test_launch_stops_at_the_goal(start_launch: StartLaunch, observer: Observer) -> None:
    launched = start_launch("lifecycle.launch.py", *SMALL, "goal:=inactive")
    launched.wait_for_output("connected to virtual")
    observer.wait_until(lambda: state_of(observer, "/oak") == "inactive", "the state inactive")
    observer.wait_until(lambda: "/oak/left/image_raw" in observer.topics("/oak"), "the topics")
    assert "streaming" not in launched.output


def test_failed_transition_is_reported_with_the_command_to_retry(
    start_launch: StartLaunch, observer: Observer
) -> None:
    launched = start_launch("lifecycle.launch.py", *SMALL, "depth.padding_factor:=7")
    launched.wait_for_output("to try again: ros2 lifecycle set /oak configure")
    assert "depth.padding_factor is 7" in launched.output
    assert state_of(observer, "/oak") == "unconfigured"


def test_autostart_is_not_an_argument_of_this_launch_file(start_launch: StartLaunch) -> None:
    launched = start_launch("lifecycle.launch.py", *SMALL, "autostart:=true")
    assert launched.wait() != 0
    assert "autostart is not an argument" in launched.output
