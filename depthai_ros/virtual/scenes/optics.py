"""The cameras of the virtual device as projections of one world frame.

The world frame is that of the rectified right camera: optical axes (x right, y down, z forward),
metres. Pixel centres are at integers: an image of W columns extends from -0.5 to W - 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...cameras import MONO_WINDOWS, ROTATIONS_LAYOUT
from .eeprom import eeprom_document
from .source import SceneView

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SceneCamera:
    """A pinhole camera: `projection` (3, 4) from world metres to px; `size` (width, height)."""

    projection: Floats
    size: tuple[int, int]

    @cached_property
    def centre(self) -> Floats:
        """Position of the camera, world metres."""
        return np.asarray(-np.linalg.solve(self.projection[:, :3], self.projection[:, 3]))

    def project(self, points: Floats) -> Floats:
        """Shape (N, 3) world metres -> (N, 2) pixels; points must lie in front of the camera."""
        image = points @ self.projection[:, :3].T + self.projection[:, 3]
        return np.asarray(image[:, :2] / image[:, 2:], np.float64)

    def resampled(
        self, size: tuple[int, int], crop: tuple[float, float, float, float] | None = None
    ) -> SceneCamera:
        """The camera after cropping to `crop` (x, y, width, height) and scaling to `size`."""
        x, y, width, height = crop or (0, 0, *self.size)
        scale_x, scale_y = size[0] / width, size[1] / height
        matrix = np.array(
            [
                [scale_x, 0, (0.5 - x) * scale_x - 0.5],
                [0, scale_y, (0.5 - y) * scale_y - 0.5],
                [0, 0, 1],
            ]
        )
        return SceneCamera(matrix @ self.projection, size)

    def mirrored(self) -> SceneCamera:
        """The camera with its image mirrored left to right."""
        matrix = np.array([[-1.0, 0, self.size[0] - 1], [0, 1, 0], [0, 0, 1]])
        return SceneCamera(matrix @ self.projection, self.size)


@dataclass(frozen=True)
class SceneOptics:
    """Calibration of the cameras: intrinsics for 1280x800, rectifying rotations, distances."""

    m1: Floats
    m2: Floats
    r1: Floats
    r2: Floats
    baseline_m: float
    left_to_rgb_m: float
    rgb_fov_deg: float

    @classmethod
    def from_eeprom(cls, document: Mapping[str, Any]) -> SceneOptics:
        """From a version 5 document; other versions are incomplete: the virtual board's values."""
        if document.get("version") != ROTATIONS_LAYOUT:
            document = eeprom_document(ROTATIONS_LAYOUT)
        m1, m2, r1, r2 = (
            np.array(document[key], np.float64).reshape(3, 3)
            for key in ("calib_M1_L", "calib_M2_R", "calib_R1_L", "calib_R2_R")
        )
        distances = document["left_to_right_distance_m"], document["left_to_rgb_distance_m"]
        return cls(m1, m2, r1, r2, *distances, document["rgb_fov_deg"])


def mono_intrinsics(matrix: Floats, size: tuple[int, int], *, center_crop: bool) -> Floats:
    """Intrinsics of the 1280x800 image, converted to another mono resolution.

    Shape   (3, 3) -> (3, 3)
    Source  the host's rule: 400 lines halve fx, fy, cx, cy; 720 lines are a crop of 800
    """
    scale, cut = MONO_WINDOWS[size[1]]
    scaled = matrix.copy()
    scaled[:2] *= scale
    if center_crop:
        scaled[1, 2] -= cut / 2
    return scaled


def preview_crop(
    size: tuple[int, int], preview_size: tuple[int, int], *, keep_aspect: bool
) -> tuple[int, int, int, int]:
    """Crop of a camera image for the network input: x, y, width, height in pixels."""
    width, height = size
    if keep_aspect:
        aspect = preview_size[0] / preview_size[1]
        width, height = min(width, round(height * aspect)), min(height, round(width / aspect))
    return (size[0] - width) // 2, (size[1] - height) // 2, width, height


def make_cameras(calibration: SceneOptics, view: SceneView) -> dict[str, SceneCamera]:
    """All cameras of the device by name.

    left, right, rectified_left, rectified_right, rgb, preview. `mirror_rectified` of the view does
    not apply to the rectified cameras here, only to the preview of a rectified camera.
    """
    size, crop = view.mono_size, view.center_crop
    m1 = mono_intrinsics(calibration.m1, size, center_crop=crop)
    m2 = mono_intrinsics(calibration.m2, size, center_crop=crop)
    width, height = view.rgb_size
    focal_px = width / (2 * math.tan(math.radians(calibration.rgb_fov_deg) / 2))
    m3 = np.array([[focal_px, 0, (width - 1) / 2], [0, focal_px, (height - 1) / 2], [0, 0, 1]])
    left_x, rgb_x = -calibration.baseline_m, calibration.left_to_rgb_m - calibration.baseline_m
    cameras = {
        "left": SceneCamera(_projection(m1 @ calibration.r1.T, left_x), size),
        "right": SceneCamera(_projection(m2 @ calibration.r2.T, 0.0), size),
        "rectified_left": SceneCamera(_projection(m2, left_x), size),
        "rectified_right": SceneCamera(_projection(m2, 0.0), size),
        "rgb": SceneCamera(_projection(m3, rgb_x), view.rgb_size),
    }
    seen = cameras[view.nn_camera]
    if view.mirror_rectified and view.nn_camera.startswith("rectified"):
        seen = seen.mirrored()
    part = preview_crop(seen.size, view.preview_size, keep_aspect=view.keep_aspect_ratio)
    cameras["preview"] = seen.resampled(view.preview_size, part)
    return cameras


def _projection(matrix: Floats, x_m: float) -> Floats:
    """(3, 4) projection of a camera at (x, 0, 0); `matrix` maps world directions to pixels."""
    return np.column_stack([matrix, matrix @ np.array([-x_m, 0.0, 0.0])])
