"""The camera node; the only package here that imports rclpy."""

from .node import CameraNode, main

__all__ = ["CameraNode", "main"]
