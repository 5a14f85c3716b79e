"""The replacement for a network: people detected by OpenCV's HOG detector."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from depthai_ros.virtual.scenes.detector import PersonDetector

VIDEO = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")
needs_video = pytest.mark.skipif(
    not VIDEO.exists(), reason=f"the video of Debian's opencv-doc is missing: {VIDEO}"
)
needs_hog = pytest.mark.skipif(
    not hasattr(cv2, "HOGDescriptor"), reason=f"OpenCV {cv2.__version__} has no HOG detector"
)


@pytest.fixture(scope="module")
def frame() -> NDArray[np.uint8]:
    capture = cv2.VideoCapture(str(VIDEO))
    capture.set(cv2.CAP_PROP_POS_FRAMES, 395)
    good, image = capture.read()
    assert good
    return np.asarray(image, np.uint8)


@needs_video
@needs_hog
@pytest.mark.parametrize("grey", [False, True])
def test_standing_people_are_found(frame: NDArray[np.uint8], grey: bool) -> None:
    image = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8) if grey else frame
    people = PersonDetector(2).detect(image)
    bodies = [(277, 237), (689, 352)]  # people in this frame, px
    for x, y in bodies:
        (person,) = (
            p
            for p in people
            if p.box[0] * 768 < x < p.box[2] * 768 and p.box[1] * 576 < y < p.box[3] * 576
        )
        width, height = (person.box[2] - person.box[0]) * 768, (person.box[3] - person.box[1]) * 576
        assert 25 < width < 60
        assert 80 < height < 150
    assert [p.confidence for p in people] == sorted((p.confidence for p in people), reverse=True)
    assert all(0.5 <= p.confidence <= 1 for p in people)


@needs_video
@needs_hog
def test_boxes_do_not_depend_on_the_size_of_the_image(frame: NDArray[np.uint8]) -> None:
    large = np.asarray(cv2.resize(frame, None, fx=2, fy=2), np.uint8)
    boxes = [np.array([p.box for p in PersonDetector(2).detect(f)]) for f in (frame, large)]
    assert len(boxes[0]) >= 2
    for box in boxes[0][:2]:
        assert np.abs(boxes[1] - box).max(axis=1).min() < 0.03


@pytest.mark.parametrize("shape", [(576, 768, 3), (720, 1280), (100, 50), (1, 1)])
def test_image_without_people_gives_no_detection(shape: tuple[int, ...]) -> None:
    assert PersonDetector(16).detect(np.full(shape, 127, np.uint8)) == []


def test_opencv_without_the_detector_gives_no_detection_and_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(cv2, "HOGDescriptor", raising=False)
    assert PersonDetector(2).detect(np.zeros((576, 768, 3), np.uint8)) == []
    assert "has no HOG detector" in caplog.text
