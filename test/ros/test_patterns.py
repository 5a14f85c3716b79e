"""Pixels of a known formula go from the device to the topics unchanged, if somebody listens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from node_parts import Listener, NodeProcess
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from depthai_ros.decode import disparity_color_table

MONO, COLOR, PREVIEW = (640, 400), (1920, 1080), (300, 300)
#: Everything that does not need a network, disparity on the wire. Rectified pictures come upright
#: and disparity mirrored from the device.
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


def test_camera_info_comes_without_its_picture_and_once_for_two_pictures(
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


def test_subscriber_whose_qos_does_not_fit_is_told_what_to_change(
    node: NodeProcess, listener: Listener
) -> None:
    listener.subscribe(Image, "left/image_raw", latched=True)
    node.wait_for_output("set qos_overrides./oak/left/image_raw.publisher")
    line = next(row for row in node.output.splitlines() if "qos_overrides" in row)
    assert "/oak/left/image_raw: a subscriber gets nothing, it asks for another DURABILITY" in line


def ramp(size: tuple[int, int], first: int, modulus: int) -> NDArray[np.int64]:
    """(x + 2 y + first) modulo something: the formula of virtual/pattern.py."""
    x, y = np.arange(size[0]), np.arange(size[1])[:, None]
    return np.asarray((x + 2 * y + first) % modulus)


def grey(picture: NDArray[Any]) -> NDArray[Any]:
    return ramp(MONO, int(picture[0, 0]), 256)


def preview(picture: NDArray[Any]) -> NDArray[Any]:
    planes = [ramp(PREVIEW, int(picture[0, 0, channel]), 256) for channel in range(3)]
    # Blue first: the planes are 64 apart, in this order.
    assert (np.diff(picture[0, 0].astype(int)) % 256 == 64).all()
    return np.stack(planes, axis=-1)


def disparity(picture: NDArray[Any]) -> NDArray[Any]:
    """Sent mirrored, shown upright: the formula runs from right to left."""
    return 1 + ramp(MONO, int(picture[0, -1]) - 1, 95)[:, ::-1]


def colored(picture: NDArray[Any]) -> NDArray[Any]:
    table = disparity_color_table()
    first = (table == picture[0, -1]).all(axis=1).argmax()
    return table[1 + ramp(MONO, int(first) - 1, 95)[:, ::-1]]


def color(picture: NDArray[Any]) -> NDArray[Any]:
    """Grey I420 through OpenCV's own conversion, from the sequence that fits the first row."""
    luma = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 2, axis=1)
    planes = np.vstack([luma, np.full((128, 2), 128, np.uint8)])
    shown = cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420)[:, 0]
    rows = (ramp((COLOR[0], 1), first, 256)[0] for first in range(256))
    first = next(n for n, row in enumerate(rows) if (shown[row] == picture[0]).all())
    return np.asarray(shown[ramp(COLOR, first, 256)])


FORMULAS = [
    ("left/image_raw", MONO, grey),
    ("right/image_raw", MONO, grey),
    ("left/image_rect", MONO, grey),
    ("right/image_rect", MONO, grey),
    ("disparity/image_raw", MONO, disparity),
    ("disparity_color/image_raw", MONO, colored),
    ("rgb/preview/image_raw", PREVIEW, preview),
    ("rgb/image_raw", COLOR, color),
]


def test_every_pixel_arrives_as_the_formula_says(node: NodeProcess, listener: Listener) -> None:
    topics = {topic: (size, formula) for topic, size, formula in FORMULAS}
    for topic in topics:
        listener.subscribe(Image, topic)
    listener.wait_for(*topics)
    for topic, (size, formula) in topics.items():
        message = listener.messages(topic)[-1]
        picture = np.frombuffer(message.data, np.uint8).reshape(size[1], size[0], -1).squeeze()
        np.testing.assert_array_equal(picture, formula(picture), err_msg=topic)


def test_motion_jpeg_arrives_as_whole_pictures(node: NodeProcess, listener: Listener) -> None:
    message = listener.first(CompressedImage, "rgb/image_raw/compressed")
    assert message.format == "bgr8; jpeg compressed bgr8"
    picture = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (COLOR[1], COLOR[0], 3)


def test_the_node_ends_cleanly(node: NodeProcess) -> None:
    assert node.stop() == 0
    assert "Traceback" not in node.output
    assert "[ERROR]" not in node.output
