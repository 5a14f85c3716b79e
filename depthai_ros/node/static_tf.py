"""Publishes where the cameras are, on /tf_static, as often as that changes."""

from __future__ import annotations

import time

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from ..calibration.calibration import Calibration
from ..config.settings import Settings
from ..messages.builders import static_transforms
from ..messages.context import frame_ids


class FramePublisher:
    """The only publisher of the camera's frames, unless `tf.source` names somebody else."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher: Publisher[TFMessage] | None = None
        self._sent: TFMessage | None = None  # with stamp 0

    def names(self, settings: Settings) -> dict[str, str]:
        """Every frame_id, see `context.frame_ids()`."""
        return frame_ids(settings["tf.prefix"] or self._node.get_name())

    def publish(self, settings: Settings, calibration: Calibration) -> None:
        """Once, and again only if they are others: consumers may take them for new every time."""
        if settings["tf.source"] != "calibration":
            return
        what = self.names(settings), calibration.poses(), settings["tf.parent_frame"]
        if self._sent == static_transforms(*what, 0):
            return
        self._sent = static_transforms(*what, 0)
        if self._publisher is None:
            latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            self._publisher = self._node.create_publisher(TFMessage, "/tf_static", latched)
        self._publisher.publish(static_transforms(*what, time.time_ns()))
