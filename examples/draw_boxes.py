#!/usr/bin/env python3
"""Draws the detections of a network into the image that they belong to, with cv_bridge.

    ros2 run depthai_ros draw_boxes.py --ros-args -r __ns:=/oak

publishes /oak/rgb/preview/boxes for rviz2 or rqt_image_view. An image and its detections have the
same stamp, so a dictionary is enough to match them.
"""

from __future__ import annotations

from typing import Any

import cv2
import rclpy
from cv_bridge import CvBridge
from rclpy.node import Node
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2D, Detection2DArray

GREEN = (0, 255, 0)
#: Images and results that wait for their match: a result arrives several frames late.
KEPT = 10


class DrawBoxes(Node):  # type: ignore[misc]
    """Subscribes to the images and the detections, publishes images with boxes."""

    def __init__(self) -> None:
        super().__init__("draw_boxes")
        self._bridge = CvBridge()
        self._waiting: dict[tuple[int, int], dict[type, Any]] = {}
        self._publisher = self.create_publisher(Image, "rgb/preview/boxes", 2)
        self.create_subscription(Image, "rgb/preview/image_raw", self._arrived, KEPT)
        self.create_subscription(Detection2DArray, "nn/detections", self._arrived, KEPT)

    def _arrived(self, message: Image | Detection2DArray) -> None:
        stamp = (message.header.stamp.sec, message.header.stamp.nanosec)
        pair = self._waiting.setdefault(stamp, {})
        pair[type(message)] = message
        if len(pair) == 2:
            del self._waiting[stamp]
            self._publisher.publish(self._drawn(pair[Image], pair[Detection2DArray]))
        while len(self._waiting) > KEPT:
            del self._waiting[min(self._waiting)]

    def _drawn(self, message: Image, found: Detection2DArray) -> Image:
        image = self._bridge.imgmsg_to_cv2(message, "bgr8").copy()
        for detection in found.detections:
            draw(image, detection)
        return self._bridge.cv2_to_imgmsg(image, "bgr8", header=message.header)


def draw(image: Any, detection: Detection2D) -> None:
    """Draw one box and its class; boxes are in pixels of this image."""
    box, best = detection.bbox, detection.results[0].hypothesis
    x, y = box.center.position.x - box.size_x / 2, box.center.position.y - box.size_y / 2
    corner, opposite = (round(x), round(y)), (round(x + box.size_x), round(y + box.size_y))
    cv2.rectangle(image, corner, opposite, GREEN, 2)
    text = f"{best.class_id} {best.score:.0%}"
    cv2.putText(image, text, (corner[0] + 4, corner[1] + 16), 0, 0.5, GREEN, 1, cv2.LINE_AA)


def main() -> None:
    """Run until Ctrl-C."""
    rclpy.init()
    try:
        rclpy.spin(DrawBoxes())
    except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
