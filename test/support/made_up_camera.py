"""A node with the topics of a camera that can drop images and stop publishing.

    python made_up_camera.py [--lost-every N] [--mute-after N] [--silent]

It publishes left/image_raw and left/camera_info at 50 Hz by stamp. --lost-every drops every Nth
image; --mute-after stops camera_info after the Nth message with a subscriber. Its status has the
expected rates. With --silent it advertises right/image_raw but never publishes on it.
"""

from __future__ import annotations

import argparse
import array
import time

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

from depthai_ros.msg import DeviceStatus

FPS = 50
NEVER = 10**9
PERIOD_NS = 1_000_000_000 // FPS


def main(silent: bool, lost_every: int, mute_after: int) -> None:
    """Publish until interrupted."""
    rclpy.init()
    node = rclpy.create_node("oak")
    images = node.create_publisher(Image, "~/left/image_raw", 5)
    infos = node.create_publisher(CameraInfo, "~/left/camera_info", qos_profile_sensor_data)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    statuses = node.create_publisher(DeviceStatus, "~/device/status", latched)
    quiet = [node.create_publisher(Image, "~/right/image_raw", 5)] if silent else []
    statuses.publish(
        DeviceStatus(
            state=DeviceStatus.STATE_STREAMING,
            stream_names=["left"],
            fps=[float(FPS)],
            expected_fps=[float(FPS)],
            drops=[0],
            latency_ms=[1.0],
        )
    )
    image = Image(height=4, width=4, encoding="mono8", step=4, data=array.array("B", bytes(16)))
    info, start_ns, sequence = CameraInfo(), time.time_ns(), 0
    subscribed = 0

    def publish() -> None:
        nonlocal sequence, subscribed
        sequence += 1
        seconds, nanoseconds = divmod(start_ns + sequence * PERIOD_NS, 1_000_000_000)
        for message in (image, info):
            message.header.stamp.sec, message.header.stamp.nanosec = seconds, nanoseconds
        subscribed += infos.get_subscription_count() > 0
        if subscribed <= mute_after:
            infos.publish(info)
        if sequence % lost_every:
            images.publish(image)

    node.create_timer(1 / FPS, publish)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        quiet.clear()
    rclpy.try_shutdown()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--silent", action="store_true")
    parser.add_argument("--lost-every", type=int, default=NEVER)
    parser.add_argument("--mute-after", type=int, default=NEVER)
    main(**vars(parser.parse_args()))
