"""Publishes the camera frames on /tf_static, again only after they have changed."""

from __future__ import annotations

import time

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from ..calibration.calibration import Calibration
from ..calibration.poses import frame_ids
from ..config.settings import Settings
from ..messages.builders import static_transforms


class FramePublisher:
    """Publishes the camera's frames if `tf.source` is calibration."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher: Publisher[TFMessage] | None = None
        self._sent: TFMessage | None = None  # with stamp 0

    def names(self, settings: Settings) -> dict[str, str]:
        """Every frame_id, see `poses.frame_ids()`."""
        return frame_ids(settings["tf.prefix"] or self._node.get_name())

    def publish(self, settings: Settings, calibration: Calibration) -> None:
        """Publish the frames if they have changed; consumers may treat each message as a change.

        Withdraw them if the source is another one now; consumers that have them keep them.
        """
        if settings["tf.source"] != "calibration":
            if self._publisher is not None:
                self._node.destroy_publisher(self._publisher)
            self._publisher = self._sent = None
            return
        what = self.names(settings), calibration.poses(), settings["tf.parent_frame"]
        if self._sent == static_transforms(*what, 0):
            return
        self._sent = static_transforms(*what, 0)
        if self._publisher is None:
            latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            self._publisher = self._node.create_publisher(TFMessage, "/tf_static", latched)
        self._publisher.publish(static_transforms(*what, time.time_ns()))
