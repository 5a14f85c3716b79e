"""Images by formula, so that a receiver can compute and check every pixel.

    left, rectified_left      (x + 2 y + 3 sequence) mod 256
    right, rectified_right    (x + 2 y + 3 sequence + 64) mod 256
    disparity                 1 + (x + 2 y + 3 sequence) mod 95
    color                     luma (x + 2 y + 3 sequence) mod 256, both chroma planes 128
    color_bgr, previewout     channel c: (x + 2 y + 3 sequence + 64 c) mod 256

The formulas hold for the transmitted image; mirroring and cropping do not apply.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .source import SceneObject, SceneView

Pixels = NDArray[np.uint8]

_RIGHT_SHIFT = 64
_DISPARITIES = 95
#: The only object: a person in the middle, at a distance of two metres.
_OBJECT = SceneObject(15, 0.9, (0.25, 0.125, 0.5, 0.75), (0.1, -0.05, 2.0))


def _ramp(width: int, height: int) -> NDArray[np.uint16]:
    """x + 2 y of every pixel, (height, width)."""
    x = np.arange(width, dtype=np.uint16)
    y = np.arange(height, dtype=np.uint16)
    return x + 2 * y[:, np.newaxis]


class PatternSource:
    """Source of images by the formulas above."""

    name = "pattern"

    def configure(self, view: SceneView) -> None:
        """Precompute the parts of the images that do not depend on the sequence number."""
        self._mono = _ramp(*view.mono_size)
        self._rgb = _ramp(*view.rgb_size).astype(np.uint8)
        self._preview = _ramp(*view.preview_size).astype(np.uint8)
        self._low_mono = self._mono.astype(np.uint8)
        self._chroma = np.full((view.rgb_size[1] // 2, view.rgb_size[0]), 128, np.uint8)

    def paint(self, stream: str, time_s: float, sequence: int) -> Pixels:
        """One image; the module's docstring has the formulas."""
        step = 3 * sequence
        if stream == "disparity":
            return (1 + (self._mono + step % _DISPARITIES) % _DISPARITIES).astype(np.uint8)
        if stream == "color":
            return np.vstack([self._rgb + np.uint8(step % 256), self._chroma])
        if stream == "color_bgr":
            return np.stack(self._channels(self._rgb, step), axis=-1)
        if stream == "previewout":
            return np.stack(self._channels(self._preview, step))
        shift = _RIGHT_SHIFT if stream.endswith("right") else 0
        return self._low_mono + np.uint8((step + shift) % 256)

    @staticmethod
    def _channels(ramp: Pixels, step: int) -> list[Pixels]:
        return [ramp + np.uint8((step + 64 * channel) % 256) for channel in range(3)]

    def objects(self, time_s: float, sequence: int) -> list[SceneObject]:
        """Always the same object."""
        return [_OBJECT]
