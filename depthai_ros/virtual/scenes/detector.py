"""Finds standing people in a picture, by OpenCV's own HOG detector.

It stands in for the network where a scene has no ground truth. Its window is 128 lines high, so
a person must be at least that tall in the picture that is searched.
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
#: Lines of the picture that is searched; higher ones are shrunk to this.
_SEARCHED_LINES = 576
#: Factor from one size of person to the next.
_SCALE_STEP = 1.2
_STRIDE = (8, 8)
#: Share of the window's width and height around the person that was trained on.
_MARGIN_X, _MARGIN_Y = 0.18, 0.08
#: The window, block and cell sizes of the detector that OpenCV ships, then its other defaults.
_HOG = ((64, 128), (16, 16), (8, 8), (8, 8), 9, 1, -1.0, 0, 0.2, True)


@dataclass(frozen=True)
class Person:
    """One person; the box is 0..1 of the searched picture, not clipped."""

    confidence: float
    box: tuple[float, float, float, float]  # x_min, y_min, x_max, y_max


class PersonDetector:
    """HOG on a few sizes of the picture.

    `sizes` says how many: 2 find people of a quarter of the picture's height and 1.2 times that,
    in about 20 ms; 16 find all up to the whole height, in about 40 ms.
    """

    def __init__(self, sizes: int) -> None:
        self._hog = None
        if not hasattr(cv2, "HOGDescriptor"):
            _log.warning("this OpenCV (%s) has no HOG detector: nobody is found", cv2.__version__)
            return
        self._hog = cv2.HOGDescriptor(*_HOG, sizes, False)
        people = np.array(cv2.HOGDescriptor.getDefaultPeopleDetector(), np.float32)
        self._hog.setSVMDetector(people)

    def detect(self, picture: NDArray[np.uint8]) -> list[Person]:
        """People in one picture, surest first.

        Shape   (H, W, 3) BGR or (H, W) grey, uint8
        """
        if self._hog is None:
            return []
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if picture.ndim == 3 else picture
        scale = min(1.0, _SEARCHED_LINES / grey.shape[0])
        if scale < 1:
            grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        height, width = grey.shape[:2]
        if width < _HOG[0][0] or height < _HOG[0][1]:
            return []
        found, weights = self._hog.detectMultiScale(
            grey, winStride=_STRIDE, scale=_SCALE_STEP, groupThreshold=1
        )
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
    """Distance from the classifier's border, 0 and up, as 0.5..1."""
    return round(1 - 0.5 * float(np.exp(-2 * weight)), 3)
