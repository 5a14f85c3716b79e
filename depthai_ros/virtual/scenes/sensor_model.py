"""The errors of a stereo matcher in whole pixels, applied to a true disparity image.

The numbers are assumptions of the right size for a small camera with 96 levels; the laws are those
of docs/virtual_device.md#sensor-model, which names their sources.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...wire_formats import MAX_DISPARITY

Pixels = NDArray[np.uint8]
Floats32 = NDArray[np.float32]
#: Disparities in steps of 1 / _FINE px, or noise in steps of 1 / _FINE_NOISE.
Fixed = NDArray[np.int16]

#: Sides of the matching window and of the region that supports a match by its smoothness, px.
_WINDOW, _SUPPORT = 5, 9
#: Noise of a grey value, and the error that a perfect texture leaves (standard deviations).
_GREY_NOISE, _BEST_PX = 2.0, 0.15
#: Standard deviation of a matching error at most; a larger one is a wrong match, or none.
_WORST_PX = 1.5
#: Part of the error's variance that stays from frame to frame: the texture stays, too.
_STEADY_SHARE = 0.5
#: Mean gradient (grey levels per px) at which half of the pixels get no match, and the steepness.
_WEAK_GRADIENT, _WEAK_POWER = 1.2, 4
#: Share of pixels in speckles: with a good texture, and in addition with none.
_SPECKLES, _WEAK_SPECKLES = 0.0008, 0.02
#: A step of this many px inside the window is an edge; there these shares of the pixels are lost,
#: or take the nearer side's disparity.
_EDGE_STEP_PX, _EDGE_LOST, _EDGE_FATTENED = 2.0, 0.35, 0.4
#: A surface is hidden from the left camera if another one covers its column by more than this, px.
_HIDDEN_PX = 1.0
#: Steps of the search for it; together at least the largest disparity.
_REACHES = (1, 2, 4, 8, 16, 32, 64)
#: Disparities are calculated in steps of 1 / this px, errors of 1 / this of the bank's deviation.
_FINE, _FINE_NOISE = 16, 256
#: Widths of the noise: correlation of errors, size of holes and of speckles, px.
_ERROR_GRAIN, _HOLE_GRAIN, _SPECKLE_GRAIN = 0.8, 1.5, 2.0
#: Columns and rows by which the noise of a frame is shifted at most.
_SHIFT = 128
#: Gradients are looked up in steps of 1 / this.
_STEPS = 8
_FULL = 0xFFFF


def _fixed(disparity: Floats32) -> Fixed:
    """A disparity, NaN as none, limited to one beyond the range."""
    fixed = cv2.addWeighted(disparity, _FINE, disparity, 0, 0, dtype=cv2.CV_16S)
    limit = np.int16(_FINE * (MAX_DISPARITY + 2))
    return np.asarray(np.minimum(np.asarray(fixed, np.int16), limit))


def _smooth(random: np.random.Generator, shape: tuple[int, int], grain: float) -> Floats32:
    """Gaussian noise with a standard deviation of 1 and grains of this size, px."""
    noise = cv2.GaussianBlur(random.standard_normal(shape, np.float32), (0, 0), grain)
    return np.asarray(noise / noise.std(), np.float32)


def _uniform(noise: Floats32) -> NDArray[np.uint16]:
    """The same noise with evenly distributed values 0..65535."""
    even = np.empty(noise.size, np.uint16)
    even[np.argsort(noise, axis=None)] = np.linspace(0, _FULL, noise.size)
    return even.reshape(noise.shape)


def _error(random: np.random.Generator, shape: tuple[int, int], share: float) -> Fixed:
    """Noise with this share of a variance of 1."""
    noise = _smooth(random, shape, _ERROR_GRAIN) * (share**0.5 * _FINE_NOISE)
    return np.asarray(np.rint(noise), np.int16)


@dataclass(frozen=True)
class _Banks:
    """Noise larger than the image; each frame uses another part of it."""

    steady: Fixed  # of the image's size
    error: Fixed
    holes: NDArray[np.uint16]
    edges: NDArray[np.uint16]
    speckles: NDArray[np.uint16]
    wrong: Pixels  # disparities of speckles

    @classmethod
    def make(cls, seed: int, shape: tuple[int, int]) -> _Banks:
        random = np.random.default_rng(seed)
        large = shape[0] + _SHIFT, shape[1] + _SHIFT
        coarse = large[0] // 8 + 1, large[1] // 8 + 1
        wrong = random.integers(1, MAX_DISPARITY, coarse, np.uint8, endpoint=True)
        return cls(
            steady=_error(random, shape, _STEADY_SHARE),
            error=_error(random, large, 1 - _STEADY_SHARE),
            holes=_uniform(_smooth(random, large, _HOLE_GRAIN)),
            edges=_uniform(_smooth(random, large, _HOLE_GRAIN)),
            speckles=_uniform(_smooth(random, large, _SPECKLE_GRAIN)),
            wrong=np.kron(wrong, np.ones((8, 8), np.uint8))[: large[0], : large[1]],
        )


def error_px(gradient: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation of the matching error for a mean gradient in grey levels per px.

    The variance is twice that of the grey values over the sum of squared gradients in the window.
    """
    with np.errstate(divide="ignore"):
        of_noise = np.sqrt(2) * _GREY_NOISE / (gradient * _WINDOW)
    return np.asarray(np.minimum(np.hypot(_BEST_PX, of_noise), _WORST_PX))


def lost_share(gradient: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of pixels without a match for a mean gradient in grey levels per px."""
    return np.asarray(1 / (1 + (gradient / _WEAK_GRADIENT) ** _WEAK_POWER))


_GRADIENTS = np.arange(256) / _STEPS
_ERRORS = np.rint(error_px(_GRADIENTS) * _FINE_NOISE).astype(np.int16)
_LOST = np.rint(lost_share(_GRADIENTS) * _FULL).astype(np.uint16)
_SPECKLED = np.rint((_SPECKLES + _WEAK_SPECKLES * lost_share(_GRADIENTS)) * _FULL).astype(np.uint16)


def gradients(texture: Pixels) -> Pixels:
    """Mean of the horizontal gradients about each pixel.

    Shape   (H, W) -> (H, W)
    Units   grey levels per px, in steps of 1/8, up to 255/8
    """
    differences = np.zeros_like(texture)
    cv2.absdiff(texture[:, 1:], texture[:, :-1], differences[:, 1:])
    scaled = cv2.convertScaleAbs(differences, alpha=_STEPS)
    return np.asarray(cv2.blur(scaled, (_SUPPORT, _SUPPORT)), np.uint8)


def unseen(disparity: Floats32) -> NDArray[np.bool_]:
    """Pixels of the right image whose surface the left camera does not see.

    Shape   (H, W) px -> (H, W); True also where the left image has no such column
    """
    return _unseen(_fixed(disparity))


def _unseen(disparity: Fixed) -> NDArray[np.bool_]:
    width = disparity.shape[1]
    columns = disparity + (np.arange(width) * _FINE).astype(np.int16)
    largest = columns
    for reach in _REACHES:  # the largest of the 128 columns up to each one
        pair = np.zeros((1, reach + 1), np.uint8)
        pair[0, [0, reach]] = 1
        largest = np.asarray(cv2.dilate(largest, pair, anchor=(reach, 0)), np.int16)
    hidden = largest - columns > round(_HIDDEN_PX * _FINE)
    return np.asarray(hidden | (columns > (width - 1) * _FINE))


class SensorModel:
    """A matcher with errors; the same seed, images and sequence give the same result."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._banks: tuple[tuple[int, int], _Banks] | None = None

    def measure(self, true_disparity: Floats32, texture: Pixels, sequence: int) -> Pixels:
        """The disparity that the matcher finds.

        Shape   (H, W) true disparity, px, 0 or NaN = none; (H, W) rectified right image
                -> (H, W) uint8
        Units   whole px, 0 = none, at most 95
        """
        true, strength = _fixed(true_disparity), gradients(texture)
        part = self._parts(true.shape, sequence)
        window = np.ones((_WINDOW, _WINDOW), np.uint8)
        near, far = cv2.dilate(true, window), cv2.erode(true, window)
        at_edge = near - far > round(_EDGE_STEP_PX * _FINE)
        lost = _unseen(true) | (true <= 0) | (true > MAX_DISPARITY * _FINE)
        lost |= part.holes < cv2.LUT(strength, _LOST)
        lost |= at_edge & (part.edges < round(_EDGE_LOST * _FULL))
        fattened = at_edge & (part.edges > round((1 - _EDGE_FATTENED) * _FULL))
        np.copyto(true, near, where=fattened)
        noise, scale = cv2.add(part.steady, part.error), _FINE / _FINE_NOISE**2
        errors = cv2.multiply(noise, cv2.LUT(strength, _ERRORS), scale=scale)
        found = np.asarray(cv2.convertScaleAbs(cv2.add(true, errors), alpha=1 / _FINE), np.uint8)
        np.minimum(found, MAX_DISPARITY, out=found)
        np.copyto(found, 0, where=lost)
        np.copyto(found, part.wrong, where=part.speckles < cv2.LUT(strength, _SPECKLED))
        return found

    def _parts(self, shape: tuple[int, ...], sequence: int) -> _Banks:
        """The noise of one frame."""
        height, width = shape
        if self._banks is None or self._banks[0] != (height, width):
            self._banks = (height, width), _Banks.make(self._seed, (height, width))
        banks = self._banks[1]
        shifts = np.random.default_rng((self._seed, sequence)).integers(0, _SHIFT, (5, 2)).tolist()
        names = ("error", "holes", "edges", "speckles", "wrong")
        return _Banks(
            banks.steady,
            *(
                getattr(banks, name)[y : y + height, x : x + width]
                for name, (y, x) in zip(names, shifts, strict=True)
            ),
        )
