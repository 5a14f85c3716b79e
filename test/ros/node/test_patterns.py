"""Pixels of a known formula reach the subscribers of the topics unchanged."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from nodes import Listener, NodeProcess
from patterns import COLOR, check_every_picture
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

#: All streams without a network, disparity on the wire. The device sends rectified images upright
#: and disparity mirrored.
PARAMETERS = {
    "device.id": "virtual:pattern",
    "stream_list": [
        "left",
        "right",
        "rectified_left",
        "rectified_right",
        "disparity",
        "disparity_color",
        "previewout",
        "color",
        "video",
        "meta_d2h",
    ],
    "camera.mono.resolution_h": 400,
    "camera.mono.fps": 10.0,
    "camera.rgb.fps": 10.0,
    "video_config.profile": "mjpeg",
    "depth.warp_rectify.mirror_frame": False,
    "diagnostics.period_s": 0.2,
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    node = NodeProcess(tmp_path_factory.mktemp("node"), PARAMETERS)
    yield node
    node.kill()
    print(node.output)


def stream_values(listener: Listener, stream: str) -> dict[str, float]:
    rows = {row.name: row for row in listener.messages("/diagnostics")[-1].status}
    return {pair.key: float(pair.value) for pair in rows[f"oak: stream {stream}"].values}


@pytest.mark.complaint(6)
def test_nothing_is_made_or_sent_without_a_subscriber(
    node: NodeProcess, listener: Listener
) -> None:
    listener.subscribe(DiagnosticArray, "/diagnostics")
    node.wait_for_output("streaming")
    streams = [name for name in PARAMETERS["stream_list"] if name != "meta_d2h"]  # type: ignore[attr-defined]
    listener.wait_until(
        lambda: (
            listener.raw("/diagnostics")
            and len(listener.messages("/diagnostics")[-1].status) > len(streams)
            and all(stream_values(listener, name)["bytes_per_s"] > 0 for name in streams)
        ),
        "packets of every stream",
    )
    assert {name: stream_values(listener, name)["published"] for name in streams} == dict.fromkeys(
        streams, 0.0
    )

    listener.subscribe(Image, "left/image_raw")
    listener.wait_for("left/image_raw", count=3)
    listener.forget()
    listener.wait_for("/diagnostics", count=2)
    published = {name: stream_values(listener, name)["published"] for name in streams}
    assert published.pop("left") >= 3
    assert set(published.values()) == {0.0}


def test_camera_info_needs_no_image_subscriber_and_is_sent_once_for_two_images(
    node: NodeProcess, listener: Listener
) -> None:
    for topic in ("left/image_raw", "left/image_rect"):
        listener.subscribe(Image, topic)
    listener.subscribe(CameraInfo, "left/camera_info")
    listener.subscribe(CameraInfo, "right/camera_info")
    listener.wait_for("left/camera_info", "right/camera_info", count=5)
    for side in ("left", "right"):
        infos = listener.messages(f"{side}/camera_info")
        stamps = [(row.header.stamp.sec, row.header.stamp.nanosec) for row in infos]
        assert len(set(stamps)) == len(stamps)


@pytest.mark.complaint(18)
def test_subscriber_with_incompatible_qos_causes_a_warning(
    node: NodeProcess, listener: Listener
) -> None:
    listener.subscribe(Image, "left/image_raw", latched=True)
    node.wait_for_output(
        "/oak/left/image_raw: a subscriber receives nothing, its QoS policy durability does not "
        "match: change the subscriber"
    )


def test_every_pixel_arrives_unchanged(node: NodeProcess, listener: Listener) -> None:
    check_every_picture(listener)


def test_motion_jpeg_arrives_as_complete_images(node: NodeProcess, listener: Listener) -> None:
    message = listener.first(CompressedImage, "rgb/image_raw/compressed")
    assert message.format == "bgr8; jpeg compressed bgr8"
    image = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (COLOR[1], COLOR[0], 3)


def test_the_node_ends_cleanly(node: NodeProcess) -> None:
    assert node.stop() == 0
    assert "Traceback" not in node.output
    assert "[ERROR]" not in node.output
