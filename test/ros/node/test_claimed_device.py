"""Two nodes for one device: the second names the owner, the first is not disturbed."""

from __future__ import annotations

import pytest
from boards import Board
from nodes import Listener, StartNode
from sensor_msgs.msg import Image

from depthai_ros.msg import DeviceStatus

QUICK = {
    "stream_list": ["left", "meta_d2h"],
    "camera.mono.resolution_h": 400,
    "camera.mono.fps": 20.0,
    "reconnect.initial_delay_s": 0.1,
}
DEVICE = 3


@pytest.mark.complaint(13)
def test_second_node_names_the_owner_of_the_device_and_the_first_keeps_streaming(
    board: Board, start_node: StartNode
) -> None:
    board.plug()
    listener = Listener("front")
    first = start_node({**QUICK, "device.id": board.selector}, name="front")
    listener.subscribe(Image, "left/image_raw")
    listener.wait_for("left/image_raw")
    impatient = {"device.id": board.selector, "reconnect.wait_at_start": False}
    second = start_node({**QUICK, **impatient}, name="rear")
    assert second.wait() == DEVICE
    (error,) = [line for line in second.output.splitlines() if "[ERROR]" in line]
    words = f"is in use by process {first.process.pid} (depthai_ros.node, node front)"
    assert words in error
    listener.subscribe(DeviceStatus, "device/status", latched=True)
    listener.forget()
    listener.wait_for("left/image_raw", "device/status", count=2)
    assert listener.messages("device/status")[-1].restart_count == 0
    assert first.stop() == 0
    listener.close()


def test_second_node_gets_the_device_when_the_first_ends(
    board: Board, start_node: StartNode
) -> None:
    board.plug()
    first = start_node({**QUICK, "device.id": board.selector}, name="front")
    first.wait_for_output("streaming")
    second = start_node({**QUICK, "device.id": board.selector}, name="rear")
    second.wait_for_output("waiting for the device: ")
    assert "node front" in second.output
    first.kill()
    second.wait_for_output("streaming")
    assert second.stop() == 0
