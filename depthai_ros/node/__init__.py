"""The camera node; the only room that knows rclpy."""

from .node import CameraNode, main

__all__ = ["CameraNode", "main"]
