"""Real images through the whole chain: virtual device, wire, node, DDS, subscriber.

`pytest -s test/ros/node/test_replay.py` prints how well the published disparity agrees with the
published ground truth of the pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from nodes import VIRTUAL_YAML, Listener, StartNode
from numpy.typing import NDArray
from recordings import pixels
from sensor_msgs.msg import Image
from stereo_msgs.msg import DisparityImage
from vision_msgs.msg import Detection2DArray

from depthai_ros.virtual.scenes.replay import ImageReplay
from depthai_ros.virtual.scenes.source import SceneView, make_source

SAMPLES = Path("/usr/share/doc/opencv-doc/examples/data")
pytestmark = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason=f"the images of Debian's opencv-doc are not in {SAMPLES}"
)
WITHIN_PX = 2


@contextmanager
def listening(start_node: StartNode, scene: str) -> Iterator[Listener]:
    """A listener, and a node of the demonstration with the scene `scene`."""
    listener = Listener()
    node = start_node({"device.id": f"virtual:{scene}"}, params_file=VIRTUAL_YAML)
    try:
        yield listener
        assert node.stop() == 0
    finally:
        listener.close()


def placed(view: SceneView, truth: NDArray[np.uint8]) -> tuple[float, int, int]:
    """Scale and top left corner of the pair in the mono image."""
    source = make_source(f"images={SAMPLES}/aloe*", {"version": -1})
    assert isinstance(source, ImageReplay)
    source.configure(view)
    placement = source.placement("mono")
    return placement.scale, *placement.offset((truth.shape[1], truth.shape[0]))


@pytest.mark.complaint(25)
def test_published_disparity_of_a_real_pair_agrees_with_its_ground_truth(
    start_node: StartNode,
) -> None:
    """aloeGT.png belongs to the left image; ours to the right one, whose match lies at x + d."""
    with listening(start_node, f"images={SAMPLES}/aloe*") as listener:
        message = listener.first(DisparityImage, "disparity")
    disparity = pixels(message.image)
    truth = cv2.imread(str(SAMPLES / "aloeGT.png"), cv2.IMREAD_GRAYSCALE)
    assert truth is not None
    view = SceneView((1280, 720), (1920, 1080), (300, 300), True, "rgb", True, False)
    scale, x, y = placed(view, truth)
    rows, columns = np.nonzero(disparity >= message.min_disparity)
    found = disparity[rows, columns]
    left = (columns - x + found + 0.5) / scale - 0.5
    above = (rows - y + 0.5) / scale - 0.5
    known = (left < truth.shape[1] - 1) & (above < truth.shape[0] - 1)
    expected = truth[np.rint(above[known]).astype(int), np.rint(left[known]).astype(int)] * scale
    errors = np.abs(found[known] - expected)[expected > 0]
    share = (errors <= WITHIN_PX).mean()
    measured = found.size / (truth.size * scale**2)
    print(f"\naloe: {share:.1%} within {WITHIN_PX} px, {measured:.0%} of the image measured")
    assert share > 0.965
    assert measured > 0.8


@pytest.mark.complaint(25)
def test_people_of_a_real_video_are_published(start_node: StartNode) -> None:
    with listening(start_node, f"video={SAMPLES}/vtest.avi") as listener:
        listener.subscribe(Detection2DArray, "nn/detections")

        def people() -> list[Detection2DArray]:
            return [row for row in listener.messages("nn/detections") if row.detections]

        listener.wait_until(people, "somebody in the video")
        array = people()[-1]
        preview = listener.first(Image, "rgb/preview/image_raw")
    for detection in array.detections:
        assert detection.results[0].hypothesis.class_id == "person"
        assert detection.results[0].hypothesis.score > 0.5
        assert 0 <= detection.bbox.center.position.x <= preview.width
        assert 0 <= detection.bbox.center.position.y <= preview.height
