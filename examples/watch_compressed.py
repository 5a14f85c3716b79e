#!/usr/bin/env python3
"""Decodes a compressed image or video topic: prints the pixels of each image in one line.

    ros2 run depthai_ros watch_compressed.py /oak/left/image_raw/compressed [--png FOLDER]

With --png it also writes each image to a file; depth in millimetres. The functions show how each
kind is decoded: copy the one that you need.
"""

from __future__ import annotations

import argparse
import struct
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.utilities import remove_ros_args

Image = NDArray[Any]


def compressed(message: Any) -> Image | None:
    """JPEG or PNG: mono8 (H, W) or bgr8 (H, W, 3)."""
    return cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_UNCHANGED)


def compressed_depth(message: Any) -> Image | None:
    """PNG or RVL of compressedDepth: uint16 [mm], or float32 [m] with NaN for not measured."""
    _, a, b = struct.unpack_from("<iff", message.data)
    codes: Image | None
    if message.format.endswith("rvl"):
        columns, rows = struct.unpack_from("<II", message.data, 12)
        codes = rvl(bytes(message.data[20:]), columns * rows).reshape(rows, columns)
    else:
        codes = cv2.imdecode(np.frombuffer(message.data, np.uint8)[12:], cv2.IMREAD_UNCHANGED)
    if codes is None or message.format.startswith("16UC1"):
        return codes
    with np.errstate(divide="ignore"):
        return np.where(codes > 0, a / (codes - np.float32(b)), np.float32("nan")).astype("f4")


def rvl(data: bytes, size: int) -> Image:
    """Run length and variable length decoding (Wilson, 2017): `size` pixels, uint16.

    Little-endian words hold eight groups of 4 bits, the highest first; a group has three bits of a
    number, the lowest first, and a bit that says that more follow. The numbers are how many pixels
    have no depth, how many have one, and their differences, each to the one before (zigzag).
    """
    words = np.frombuffer(data[: len(data) // 4 * 4], "<u4")
    groups = (words[:, None] >> np.arange(28, -4, -4, dtype="u4") & 15).ravel().astype(int)
    ends = np.flatnonzero(groups < 8)
    starts = np.r_[0, ends[:-1] + 1]
    groups = groups[: ends[-1] + 1]
    place = np.arange(groups.size) - np.repeat(starts, ends - starts + 1)
    numbers = np.add.reduceat((groups & 7) << 3 * place, starts)
    depth, at, pixel, last = np.zeros(size, np.uint16), 0, 0, 0
    while pixel < size:
        pixel, count = pixel + numbers[at], numbers[at + 1]
        codes = numbers[at + 2 : at + 2 + count]
        depth[pixel : pixel + count] = last + np.cumsum(codes >> 1 ^ -(codes & 1))
        at, pixel = at + 2 + count, pixel + count
        last = depth[pixel - 1] if count else last
    return depth


class Video:
    """H.264 or H.265: an FFMPEGPacket or a foxglove_msgs/CompressedVideo; bgr8 (H, W, 3)."""

    def __init__(self) -> None:
        self._decoder: Any = None

    def __call__(self, message: Any) -> Image | None:
        """One access unit; None before the first key frame."""
        import av  # pip install av

        if self._decoder is None:
            name = getattr(message, "encoding", "") or message.format
            libav = {"h265": "hevc"}.get(name.partition(";")[0], name.partition(";")[0])
            self._decoder = av.CodecContext.create(libav, "r")
            self._decoder.thread_type = "NONE"  # no delay by threads that each decode a frame
        try:
            frames = self._decoder.decode(av.Packet(bytes(message.data)))
        except av.error.InvalidDataError:  # joined between two key frames
            return None
        return frames[-1].to_ndarray(format="bgr24") if frames else None


#: Type of the topic, end of its name -> what decodes a message.
DECODERS: dict[tuple[str, str], Callable[[Any], Image | None]] = {
    ("sensor_msgs/msg/CompressedImage", "/compressedDepth"): compressed_depth,
    ("sensor_msgs/msg/CompressedImage", ""): compressed,
    ("ffmpeg_image_transport_msgs/msg/FFMPEGPacket", ""): Video(),
    ("foxglove_msgs/msg/CompressedVideo", ""): Video(),
}


def decoder(type_name: str, topic: str) -> Callable[[Any], Image | None]:
    """What decodes the messages of a topic."""
    for (kind, end), decode in DECODERS.items():
        if kind == type_name and topic.endswith(end):
            return decode
    raise SystemExit(f"{topic} has the type {type_name}, which is not compressed")


class Watcher(Node):  # type: ignore[misc]
    """Subscribes to one topic, of any of these types."""

    def __init__(self, topic: str, folder: Path | None) -> None:
        super().__init__("watch_compressed")
        self._topic, self._folder = self.resolve_topic_name(topic), folder
        print(f"waiting for {self._topic}", flush=True)
        self._timer = self.create_timer(0.2, self._look)

    def _look(self) -> None:
        """Subscribe as soon as there is a publisher, with its type and quality of service."""
        for found in self.get_publishers_info_by_topic(self._topic)[:1]:
            self._timer.cancel()
            qos = found.qos_profile
            profile = QoSProfile(depth=10, reliability=qos.reliability, durability=qos.durability)
            self._decode = decoder(found.topic_type, self._topic)
            package, _, name = found.topic_type.partition("/msg/")
            message_type = getattr(import_module(f"{package}.msg"), name)
            self.create_subscription(message_type, self._topic, self._show, profile)

    def _show(self, message: Any) -> None:
        image = self._decode(message)
        stamp = message.header.stamp if hasattr(message, "header") else message.timestamp
        when = f"{stamp.sec}.{stamp.nanosec:09}"
        if image is None:
            print(f"{when}: nothing to decode; video begins with a key frame", flush=True)
            return
        if self._folder:
            mm = np.nan_to_num(image * 1000).astype("u2") if image.dtype == np.float32 else image
            cv2.imwrite(str(self._folder / f"{when}.png"), mm)
        known = image[np.isfinite(image)]
        span = f"{known.min():g} to {known.max():g}, mean {known.mean():.2f}" if known.size else "-"
        shape = " x ".join(map(str, image.shape))
        print(f"{when}: {shape} {image.dtype}, {span}, {len(message.data)} bytes", flush=True)


def main() -> None:
    """Run until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Decode a compressed image or video topic.")
    parser.add_argument("topic", help="as `ros2 topic list` prints it")
    parser.add_argument("--png", type=Path, metavar="FOLDER", help="write each image to a file")
    chosen = parser.parse_args(remove_ros_args(sys.argv)[1:])
    if chosen.png:
        chosen.png.mkdir(parents=True, exist_ok=True)
    rclpy.init()
    try:
        rclpy.spin(Watcher(chosen.topic, chosen.png))
    except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
