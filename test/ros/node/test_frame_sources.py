"""One setting selects the only publisher of the camera's frames."""

from __future__ import annotations

import pytest
from nodes import Listener, StartNode
from rclpy.qos import DurabilityPolicy
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage

SMALL = {
    "device.id": "virtual:pattern",
    "stream_list": ["left"],
    "camera.mono.resolution_h": 400,
    "camera.mono.fps": 5.0,
}


@pytest.mark.complaint(12)
@pytest.mark.parametrize(("source", "publishers"), [("calibration", 1), ("urdf", 0), ("none", 0)])
def test_node_publishes_frames_only_with_tf_source_calibration(
    source: str, publishers: int, start_node: StartNode, listener: Listener
) -> None:
    start_node({**SMALL, "tf.source": source})
    listener.subscribe(TFMessage, "/tf_static", latched=True)
    image = listener.first(Image, "left/image_raw")
    assert image.header.frame_id == "oak_left_camera_optical_frame"  # from any publisher
    if publishers:
        listener.wait_for("/tf_static")
    found = listener.node.get_publishers_info_by_topic("/tf_static")
    assert len(found) == publishers
    assert all(row.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for row in found)
    children = [
        row.child_frame_id
        for message in listener.messages("/tf_static")
        for row in message.transforms
    ]
    assert len(children) == len(set(children))
