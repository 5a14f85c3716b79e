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
from .lenses import RGB_DISTORTION, Lens, rgb_matrix, rgb_pose
from .source import SceneView

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SceneCamera:
    """A camera: `projection` (3, 4) from world metres to px; `size` (width, height).

    A lens moves the pixels of that ideal image.
    """

    projection: Floats
    size: tuple[int, int]
    lens: Lens | None = None

    @cached_property
    def centre(self) -> Floats:
        """Position of the camera, world metres."""
        return np.asarray(-np.linalg.solve(self.projection[:, :3], self.projection[:, 3]))

    def project(self, points: Floats) -> Floats:
        """Shape (N, 3) world metres -> (N, 2) pixels; points must lie in front of the camera."""
        image = points @ self.projection[:, :3].T + self.projection[:, 3]
        ideal = np.asarray(image[:, :2] / image[:, 2:], np.float64)
        return self.lens.distort(ideal) if self.lens else ideal

    def rays(self, pixels: Floats) -> Floats:
        """Directions in the world that pixels see, shape (N, 2) -> (N, 3), of any length.

        They end at a depth of 1 along the axis of the camera that `projection` describes.
        """
        ideal = self.lens.undistort(pixels) if self.lens else pixels
        image = np.column_stack([ideal, np.ones(len(ideal))])
        return np.asarray(np.linalg.solve(self.projection[:, :3], image.T).T)

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
        return self._mapped(matrix, size)

    def mirrored(self) -> SceneCamera:
        """The camera with its image mirrored left to right."""
        matrix = np.array([[-1.0, 0, self.size[0] - 1], [0, 1, 0], [0, 0, 1]])
        return self._mapped(matrix, self.size)

    def _mapped(self, matrix: Floats, size: tuple[int, int]) -> SceneCamera:
        lens = self.lens.mapped(matrix) if self.lens else None
        return SceneCamera(matrix @ self.projection, size, lens)


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
    distortions: tuple[Floats, Floats] | None  # of left and right, (14,); None = ideal lenses

    @classmethod
    def from_eeprom(cls, document: Mapping[str, Any], *, lens: bool = False) -> SceneOptics:
        """From a version 5 document; other versions are incomplete: the virtual board's values."""
        if document.get("version") != ROTATIONS_LAYOUT:
            document = eeprom_document(ROTATIONS_LAYOUT, lens=lens)
        m1, m2, r1, r2 = (
            np.array(document[key], np.float64).reshape(3, 3)
            for key in ("calib_M1_L", "calib_M2_R", "calib_R1_L", "calib_R2_R")
        )
        d1, d2 = (np.array(document[key], np.float64) for key in ("calib_d1_L", "calib_d2_R"))
        distances = document["left_to_right_distance_m"], document["left_to_rgb_distance_m"]
        bent = (d1, d2) if lens else None
        return cls(m1, m2, r1, r2, *distances, document["rgb_fov_deg"], bent)


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
    cameras = {**_mono_cameras(calibration, view), "rgb": _rgb_camera(calibration, view.rgb_size)}
    seen = cameras[view.nn_camera]
    if view.mirror_rectified and view.nn_camera.startswith("rectified"):
        seen = seen.mirrored()
    part = preview_crop(seen.size, view.preview_size, keep_aspect=view.keep_aspect_ratio)
    cameras["preview"] = seen.resampled(view.preview_size, part)
    return cameras


def _mono_cameras(calibration: SceneOptics, view: SceneView) -> dict[str, SceneCamera]:
    """Raw and rectified cameras. The device rectifies by a homography of the raw image."""
    size, crop = view.mono_size, view.center_crop
    m1 = mono_intrinsics(calibration.m1, size, center_crop=crop)
    m2 = mono_intrinsics(calibration.m2, size, center_crop=crop)
    left_x_m = -calibration.baseline_m
    d1, d2 = calibration.distortions or (None, None)
    cameras = {}
    for name, raw, rotation, x_m, bent in (
        ("left", m1, calibration.r1, left_x_m, d1),
        ("right", m2, calibration.r2, 0.0, d2),
    ):
        lens, rectified = (
            None if bent is None else Lens(to_px, bent) for to_px in (raw, m2 @ rotation)
        )
        cameras[name] = SceneCamera(_projection(raw @ rotation.T, x_m), size, lens)
        cameras[f"rectified_{name}"] = SceneCamera(_projection(m2, x_m), size, rectified)
    return cameras


def _rgb_camera(calibration: SceneOptics, size: tuple[int, int]) -> SceneCamera:
    """With lenses: the camera of lenses.py; else an ideal one, parallel to the rectified ones."""
    if calibration.distortions:
        m3 = rgb_matrix(size)
        pose = rgb_pose(calibration.left_to_rgb_m, calibration.baseline_m)
        return SceneCamera(m3 @ pose[:3], size, Lens(m3, np.array(RGB_DISTORTION)))
    width, height = size
    focal_px = width / (2 * math.tan(math.radians(calibration.rgb_fov_deg) / 2))
    m3 = np.array([[focal_px, 0, (width - 1) / 2], [0, focal_px, (height - 1) / 2], [0, 0, 1]])
    return SceneCamera(_projection(m3, calibration.left_to_rgb_m - calibration.baseline_m), size)


def _projection(matrix: Floats, x_m: float) -> Floats:
    """(3, 4) projection of a camera at (x, 0, 0); `matrix` maps world directions to pixels."""
    return np.column_stack([matrix, matrix @ np.array([-x_m, 0.0, 0.0])])
