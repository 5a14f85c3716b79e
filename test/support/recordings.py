"""Messages of the demonstration node, recorded once over DDS for several tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from nodes import VIRTUAL_YAML, Listener, NodeProcess
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image
from stereo_msgs.msg import DisparityImage
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray, Detection3DArray, LabelInfo, VisionInfo
from visualization_msgs.msg import MarkerArray

from depthai_ros.msg import DeviceStatus, TrackletArray

LEFT, RIGHT, RGB = (f"oak_{name}_camera_optical_frame" for name in ("left", "right", "rgb"))
MONO, COLOR, PREVIEW = (1280, 720), (1920, 1080), (300, 300)

#: Topic -> type, frame_id, encoding, size.
PICTURES: dict[str, tuple[Any, str, str, tuple[int, int]]] = {
    "left/image_raw": (Image, LEFT, "mono8", MONO),
    "right/image_raw": (Image, RIGHT, "mono8", MONO),
    "depth/image_raw": (Image, RIGHT, "16UC1", MONO),
    "disparity": (DisparityImage, RIGHT, "32FC1", MONO),
    "disparity/image_raw": (Image, RIGHT, "mono8", MONO),
    "rgb/image_raw": (Image, RGB, "bgr8", COLOR),
    "rgb/preview/image_raw": (Image, RGB, "bgr8", PREVIEW),
}
#: CameraInfo topic -> its image topic.
INFOS = {
    "left/camera_info": "left/image_raw",
    "right/camera_info": "right/image_raw",
    "depth/camera_info": "depth/image_raw",
    "disparity/camera_info": "disparity/image_raw",
    "rgb/camera_info": "rgb/image_raw",
    "rgb/preview/camera_info": "rgb/preview/image_raw",
}
RESULTS: dict[str, tuple[Any, str]] = {
    "nn/detections": (Detection2DArray, RGB),
    "nn/spatial_detections": (Detection3DArray, RIGHT),
    "tracklets": (TrackletArray, RGB),
    "nn/tracked_detections": (Detection2DArray, RGB),
}
MARKERS = "nn/markers"
LATCHED: dict[str, Any] = {
    "nn/label_info": LabelInfo,
    "nn/vision_info": VisionInfo,
    "device/status": DeviceStatus,
    "/tf_static": TFMessage,
}
MONO_TOPICS = (
    "left/image_raw",
    "right/image_raw",
    "depth/image_raw",
    "disparity",
    "disparity/image_raw",
)
CHANNELS = {
    "mono8": (np.uint8, 1),
    "bgr8": (np.uint8, 3),
    "16UC1": (np.uint16, 1),
    "32FC1": (np.float32, 1),
}
ENOUGH = 8


@dataclass(frozen=True)
class Recording:
    """The last messages of every topic, and output, children and exit status of the node."""

    messages: dict[str, list[Any]]
    announced: set[str]
    output: str
    children: int  # child processes of the node while it streamed
    status: int

    def __getitem__(self, topic: str) -> list[Any]:
        return self.messages[topic]


def record(folder: Path) -> Recording:
    """Run the demonstration at a rate that a busy machine can sustain."""
    rates = {"camera.rgb.fps": 10.0, "camera.mono.fps": 10.0}
    node, listener = NodeProcess(folder, rates, params_file=VIRTUAL_YAML), Listener(keep=3 * ENOUGH)
    try:
        for topic, row in {**PICTURES, **RESULTS}.items():
            listener.subscribe(row[0], topic)
        for topic in INFOS:
            listener.subscribe(CameraInfo, topic)
        listener.subscribe(MarkerArray, MARKERS)
        topics = [*PICTURES, *INFOS, *RESULTS, MARKERS]
        listener.subscribe(DiagnosticArray, "/diagnostics")
        listener.wait_for(*topics, count=ENOUGH)
        listener.wait_for("/diagnostics")
        for topic, message_type in LATCHED.items():  # late: tests the latched QoS
            listener.subscribe(message_type, topic, latched=True)
        listener.wait_for(*LATCHED)
        listener.wait_for("device/status", count=2)  # the first may precede the streams
        messages = {
            topic: listener.messages(topic) for topic in [*topics, *LATCHED, "/diagnostics"]
        }
        announced, children = listener.topics(), len(node.children())
        return Recording(messages, announced, node.output, children, node.stop())
    finally:
        listener.close()
        node.kill()
        print(node.output)


def stamp_ns(message: Any) -> int:
    return int(message.header.stamp.sec * 10**9 + message.header.stamp.nanosec)


def by_stamp(messages: list[Any]) -> dict[int, Any]:
    return {stamp_ns(message): message for message in messages}


def in_common(recording: Recording, *topics: str) -> list[int]:
    """Stamps that occur on all of these topics."""
    stamps = [by_stamp(recording[topic]).keys() for topic in topics]
    return sorted(set(stamps[0]).intersection(*stamps[1:]))


def pixels(message: Any) -> NDArray[Any]:
    image = getattr(message, "image", message)
    dtype, channels = CHANNELS[image.encoding]
    return np.frombuffer(image.data, dtype).reshape(image.height, image.width, channels).squeeze()


def transforms(recording: Recording) -> dict[str, NDArray[np.float64]]:
    """Pose of each frame in the base frame."""
    edges = {}
    for message in recording["/tf_static"]:
        for row in message.transforms:
            q, t = row.transform.rotation, row.transform.translation
            pose = np.eye(4)
            pose[:3, :3] = rotation(q.x, q.y, q.z, q.w)
            pose[:3, 3] = t.x, t.y, t.z
            assert row.child_frame_id not in edges, "published twice"
            edges[row.child_frame_id] = (row.header.frame_id, pose)
    poses = {}
    for frame in edges:
        pose, up = np.eye(4), frame
        while up in edges:
            up, step = edges[up]
            pose = step @ pose
        assert up == "oak"
        poses[frame] = pose
    return poses


def rotation(x: float, y: float, z: float, w: float) -> NDArray[np.float64]:
    rvec = 2 * np.arccos(np.clip(w, -1, 1)) * np.array([x, y, z])
    norm = np.linalg.norm([x, y, z])
    return np.asarray(cv2.Rodrigues(rvec / norm if norm else rvec)[0], np.float64)
