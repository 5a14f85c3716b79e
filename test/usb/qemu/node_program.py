"""The camera node in the guest, and a subscriber; controlled by JSON lines.

node_program.py FIRMWARE
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

ROOT = Path(__file__).resolve().parents[3]
LIMIT_S = 30.0 * float(os.environ.get("DEPTHAI_ROS_USB_SLOW", "1"))
CAMERAS = ("left", "right")


class Program:
    """A node in a process of its own, and a subscriber that checks its images."""

    def __init__(self, firmware: str) -> None:
        parameters = {
            "device.id": "usb",
            "device.firmware": firmware,
            "stream_list": list(CAMERAS),
            "camera.mono.resolution_h": 400,
            "camera.mono.fps": 10.0,
            "reconnect.wait_at_start": True,
        }
        words = [sys.executable, "-m", "depthai_ros.node", "--ros-args", "-r", "__node:=oak"]
        for name, value in parameters.items():
            words += ["-p", f"{name}:={json.dumps(value)}"]
        self._node = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=sys.stderr)
        rclpy.init()
        self._listener = rclpy.create_node("listener")
        self._counts = dict.fromkeys(CAMERAS, 0)
        self._wrong = 0
        for camera in CAMERAS:
            self._listener.create_subscription(
                Image,
                f"/oak/{camera}/image_raw",
                lambda image, camera=camera: self._take(camera, image),
                qos_profile_sensor_data,
            )

    def _take(self, camera: str, image: Image) -> None:
        self._counts[camera] += 1
        pixels = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width)
        y, x = np.mgrid[0 : image.height, 0 : image.width].astype(np.uint8)
        self._wrong += not np.array_equal(pixels, x + 2 * y + pixels[0, 0])

    def images(self, count: int) -> dict[str, Any]:
        """Wait for `count` more images."""
        start_s = time.monotonic()
        end_s, wanted = start_s + LIMIT_S, sum(self._counts.values()) + count
        first_s = None
        before = sum(self._counts.values())
        while sum(self._counts.values()) < wanted and time.monotonic() < end_s:
            rclpy.spin_once(self._listener, timeout_sec=0.5)
            if first_s is None and sum(self._counts.values()) > before:
                first_s = time.monotonic() - start_s
        return {"counts": self._counts, "wrong": self._wrong, "first_s": first_s}

    def pause(self) -> dict[str, Any]:
        """Wait until no image has arrived for half a second."""
        last_s = time.monotonic()
        while time.monotonic() < last_s + 0.5:
            before = sum(self._counts.values())
            rclpy.spin_once(self._listener, timeout_sec=0.1)
            if sum(self._counts.values()) != before:
                last_s = time.monotonic()
        return {}

    def node(self) -> dict[str, Any]:
        return {"pid": self._node.pid, "status": self._node.poll()}

    def close(self) -> dict[str, Any]:
        self._node.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._node.wait(LIMIT_S)
        return {"status": self._node.poll()}


def main() -> None:
    program = Program(sys.argv[1])
    for line in sys.stdin:
        action, arguments = json.loads(line)
        start_s = time.monotonic()
        answer = getattr(program, action)(**arguments)
        print(json.dumps({**answer, "seconds": time.monotonic() - start_s}), flush=True)


if __name__ == "__main__":
    main()
