"""Computes disparity from a rectified stereo pair, in the device's convention."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ...wire_formats import MAX_DISPARITY

Pixels = NDArray[np.uint8]

LEVELS = MAX_DISPARITY + 1
_BLOCK = 3
_SMALL_STEP, _LARGE_STEP = 8 * _BLOCK**2, 32 * _BLOCK**2
_UNIQUENESS_PERCENT = 5
_SPECKLE_PIXELS, _SPECKLE_STEP = 100, 2
#: Left-right check: a disparity is valid if matching back deviates at most by this, px.
_ROUND_TRIP = 1.0
#: OpenCV's disparities are in 1/16 px.
_FIXED_POINT = 16.0
#: Image width for estimating the disparity range.
_COARSE_WIDTH = 320
#: Percentile of the disparities that is taken as the largest one.
_RANGE_PERCENT = 99.5


def _match(reference: Pixels, other: Pixels) -> NDArray[np.float32]:
    """Disparity of `reference`; matches are further left in `other`. Negative = no match."""
    matcher = cv2.StereoSGBM.create(
        0,
        LEVELS,
        _BLOCK,
        _SMALL_STEP,
        _LARGE_STEP,
        1,
        0,
        _UNIQUENESS_PERCENT,
        _SPECKLE_PIXELS,
        _SPECKLE_STEP,
        cv2.STEREO_SGBM_MODE_SGBM_3WAY,
    )
    # The matcher skips the first LEVELS columns: add a margin.
    margin = (0, 0, LEVELS, 0, cv2.BORDER_REPLICATE)
    wide = matcher.compute(
        cv2.copyMakeBorder(reference, *margin), cv2.copyMakeBorder(other, *margin)
    )
    return np.asarray(wide[:, LEVELS:] / _FIXED_POINT, np.float32)


def _flipped(image: NDArray[np.generic]) -> NDArray[np.generic]:
    return np.ascontiguousarray(image[:, ::-1])


def match_right(left: Pixels, right: Pixels) -> Pixels:
    """Disparity of the right image.

    Shape   two (H, W) grey images -> (H, W) uint8
    Units   whole px; 0 = none: no match, or the left-right check failed
    """
    mirrored = _match(np.asarray(_flipped(right), np.uint8), np.asarray(_flipped(left), np.uint8))
    of_right = np.asarray(_flipped(mirrored), np.float32)
    of_left = _match(left, right)
    width = right.shape[1]
    partner = np.arange(width) + np.rint(of_right).astype(int)
    back = np.take_along_axis(of_left, np.clip(partner, 0, width - 1), axis=1)
    good = (of_right > 0) & (partner < width) & (np.abs(back - of_right) <= _ROUND_TRIP)
    return np.where(good, np.rint(of_right), 0).clip(0, MAX_DISPARITY).astype(np.uint8)


def largest_disparity(left: Pixels, right: Pixels) -> float:
    """Approximate largest disparity of a pair, px at full size; 0 = none found."""
    scale = min(1.0, _COARSE_WIDTH / left.shape[1])
    size = (round(left.shape[1] * scale), max(1, round(left.shape[0] * scale)))
    small = (
        np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        for image in (left, right)
    )
    disparity = match_right(*small)
    found = disparity[disparity > 0]
    return float(np.percentile(found, _RANGE_PERCENT)) / scale if found.size else 0.0
