"""Detects standing people in an image with OpenCV's HOG detector.

It replaces the network in scenes without ground truth. Its window is 128 lines high: a person must
be at least that tall in the searched image.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_log = logging.getLogger(__name__)

#: Class of the 21-class MobileNet-SSD list.
PERSON = 15
#: Height of the searched image; larger images are scaled down to it.
_SEARCHED_LINES = 576
#: Ratio of two neighbouring person sizes.
_SCALE_STEP = 1.2
_STRIDE = (8, 8)
#: Margin around the person in the training windows, as a share of their width and height.
_MARGIN_X, _MARGIN_Y = 0.18, 0.08
#: Window, block and cell sizes of the detector shipped with OpenCV, then its other defaults.
_HOG = ((64, 128), (16, 16), (8, 8), (8, 8), 9, 1, -1.0, 0, 0.2, True)


@dataclass(frozen=True)
class Person:
    """One person; the box is in 0..1 of the input image, not clipped."""

    confidence: float
    box: tuple[float, float, float, float]  # x_min, y_min, x_max, y_max


class PersonDetector:
    """HOG person detector on `sizes` scales of the image.

    2 scales find people of 1/4 of the image height and 1.2 times that, in about 20 ms; 16 scales
    find people up to the whole height, in about 40 ms.
    """

    def __init__(self, sizes: int) -> None:
        self._hog = None
        if not hasattr(cv2, "HOGDescriptor"):
            _log.warning("OpenCV %s has no HOG detector: no people are detected", cv2.__version__)
            return
        self._hog = cv2.HOGDescriptor(*_HOG, sizes, False)
        people = np.array(cv2.HOGDescriptor.getDefaultPeopleDetector(), np.float32)
        self._hog.setSVMDetector(people)

    def detect(self, image: NDArray[np.uint8]) -> list[Person]:
        """People in one image, highest confidence first.

        Shape   (H, W, 3) BGR or (H, W) grey, uint8
        """
        if self._hog is None:
            return []
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image
        scale = min(1.0, _SEARCHED_LINES / grey.shape[0])
        if scale < 1:
            grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        height, width = grey.shape[:2]
        if width < _HOG[0][0] or height < _HOG[0][1]:
            return []
        # By position: the last one, groupThreshold, has another name before OpenCV 4.6.
        found, weights = self._hog.detectMultiScale(grey, 0, _STRIDE, (0, 0), _SCALE_STEP, 1)
        people = []
        for (x, y, w, h), weight in zip(found, np.ravel(weights), strict=True):
            edges = (
                x + _MARGIN_X * w,
                y + _MARGIN_Y * h,
                x + w * (1 - _MARGIN_X),
                y + h * (1 - _MARGIN_Y),
            )
            x0, y0, x1, y1 = (float(edge) for edge in edges / np.array([width, height] * 2))
            people.append(Person(_confidence(float(weight)), (x0, y0, x1, y1)))
        return sorted(people, key=lambda person: -person.confidence)


def _confidence(weight: float) -> float:
    """Confidence 0.5..1 from the distance to the classifier's boundary (>= 0)."""
    return round(1 - 0.5 * float(np.exp(-2 * weight)), 3)
