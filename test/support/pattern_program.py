"""Receives images of the pattern from a node in another process, and fails if one is wrong."""

from __future__ import annotations

import rclpy
from nodes import Listener
from patterns import check_every_picture

if __name__ == "__main__":
    rclpy.init()
    listener = Listener()
    check_every_picture(listener, count=3)
    print("every image is right", flush=True)
    listener.close()
    rclpy.shutdown()
