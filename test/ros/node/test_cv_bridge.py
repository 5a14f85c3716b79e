"""cv_bridge, which most programs use, reads the images as the device sent them.

Needs cv_bridge, which is not on PyPI: these tests run where ROS 2 is installed as a whole.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from nodes import ROOT, Listener, NodeProcess
from numpy.typing import NDArray
from patterns import COLOR, EVERY_STREAM, FORMULAS, MONO, depth
from sensor_msgs.msg import CompressedImage, Image
from stereo_msgs.msg import DisparityImage
from vision_msgs.msg import Detection2DArray

cv_bridge = pytest.importorskip("cv_bridge", reason="cv_bridge is not installed")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    node = NodeProcess(tmp_path_factory.mktemp("node"), EVERY_STREAM)
    yield node
    node.kill()
    print(node.output)


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    ("topic", "size", "formula"),
    [*FORMULAS, ("depth/image_raw", MONO, depth)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_cv_bridge_reads_the_array_that_the_device_sent(
    topic: str, size: tuple[int, int], formula: Any, listener: Listener
) -> None:
    message = listener.first(Image, topic)
    image = cv_bridge.CvBridge().imgmsg_to_cv2(message, "passthrough")
    assert image.shape[:2] == size[::-1]
    assert image.dtype == (np.uint16 if message.encoding == "16UC1" else np.uint8)
    np.testing.assert_array_equal(image, formula(image))


@pytest.mark.usefixtures("node")
def test_cv_bridge_reads_metres_and_disparities_as_the_numbers_they_are(listener: Listener) -> None:
    topics = {"depth/image": Image, "depth/image_raw": Image, "disparity": DisparityImage}
    for topic, message_type in {**topics, "disparity/image_raw": Image}.items():
        listener.subscribe(message_type, topic)
    listener.wait_for(*topics, "disparity/image_raw", count=3)
    read = {topic: by_stamp(listener, topic) for topic in [*topics, "disparity/image_raw"]}
    stamps = set.intersection(*(set(images) for images in read.values()))
    assert stamps
    for stamp in stamps:
        depth_mm = read["depth/image_raw"][stamp].astype(np.float32)
        expected = np.where(depth_mm > 0, depth_mm / 1000, np.nan)
        np.testing.assert_allclose(read["depth/image"][stamp], expected, rtol=1e-6)
        disparity, pixels = read["disparity"][stamp], read["disparity/image_raw"][stamp]
        np.testing.assert_array_equal(disparity[depth_mm > 0], pixels[depth_mm > 0])
        assert (disparity[depth_mm == 0] == -1.0).all()


def by_stamp(listener: Listener, topic: str) -> dict[tuple[int, int], NDArray[Any]]:
    bridge, found = cv_bridge.CvBridge(), {}
    for message in listener.messages(topic):
        image = getattr(message, "image", message)
        assert image.encoding == ("16UC1" if topic == "depth/image_raw" else image.encoding)
        stamp = message.header.stamp
        found[stamp.sec, stamp.nanosec] = bridge.imgmsg_to_cv2(image)
    return found


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    ("topic", "wanted", "turned"),
    [
        ("rgb/image_raw", "rgb8", lambda image: image[..., ::-1]),
        ("left/image_raw", "bgr8", lambda image: np.repeat(image[..., None], 3, axis=-1)),
    ],
)
def test_cv_bridge_converts_from_our_encodings(
    topic: str, wanted: str, turned: Any, listener: Listener
) -> None:
    message, bridge = listener.first(Image, topic), cv_bridge.CvBridge()
    np.testing.assert_array_equal(
        bridge.imgmsg_to_cv2(message, wanted), turned(bridge.imgmsg_to_cv2(message))
    )


@pytest.mark.usefixtures("node")
def test_cv_bridge_reads_the_devices_jpeg(listener: Listener) -> None:
    message = listener.first(CompressedImage, "rgb/image_raw/compressed")
    image = cv_bridge.CvBridge().compressed_imgmsg_to_cv2(message, "passthrough")
    assert image.shape == (COLOR[1], COLOR[0], 3)


@pytest.mark.usefixtures("node")
def test_example_draws_the_box_of_each_detection(listener: Listener, start: Any) -> None:
    program = str(ROOT / "examples" / "draw_boxes.py")
    start(sys.executable, program, "--ros-args", "-r", "__ns:=/oak")
    listener.subscribe(Image, "rgb/preview/image_raw")
    drawn = listener.first(Image, "rgb/preview/boxes")
    (detection,) = listener.first(Detection2DArray, "nn/detections").detections
    listener.wait_until(
        lambda: any(
            row.header == drawn.header for row in listener.messages("rgb/preview/image_raw")
        ),
        "the image below the boxes",
    )
    image = cv_bridge.CvBridge().imgmsg_to_cv2(drawn)
    center, box = detection.bbox.center.position, detection.bbox
    left, right = (round(center.x + side * box.size_x / 2) for side in (-1, 1))
    top, bottom = (round(center.y + side * box.size_y / 2) for side in (-1, 1))
    for edge in (
        image[top, left:right],
        image[bottom, left:right],
        image[top:bottom, left],
        image[top:bottom, right],
    ):
        assert (edge == (0, 255, 0)).all()
    raw = next(
        row for row in listener.messages("rgb/preview/image_raw") if row.header == drawn.header
    )
    below = cv_bridge.CvBridge().imgmsg_to_cv2(raw)
    np.testing.assert_array_equal(image[: top - 3], below[: top - 3])
