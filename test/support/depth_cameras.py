"""Camera models and poses for the tests of depth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from depthai_ros.calibration.camera_model import CameraModel, Matrix, pinhole, projection

#: Real lenses bend by about that much: plumb_bob, rational_polynomial and equidistant.
LENSES: dict[str, list[float]] = {
    "plumb_bob": [-0.12, 0.05, 1e-3, -5e-4, 0.01],
    "rational_polynomial": [2.1, -3.0, 1e-3, -5e-4, 1.2, 2.0, -2.9, 1.1],
    "equidistant": [-0.03, 0.02, -0.01, 0.002],
}


def turned(x_deg: float, y_deg: float, z_deg: float) -> Matrix:
    """A rotation about the three axes."""
    rotation = np.eye(3)
    for axis, angle in enumerate(np.radians([x_deg, y_deg, z_deg])):
        a, b = [other for other in range(3) if other != axis]
        one = np.eye(3)
        one[a, a] = one[b, b] = np.cos(angle)
        one[a, b], one[b, a] = -np.sin(angle), np.sin(angle)
        rotation = rotation @ one
    return rotation


def posed(rotation: Matrix, x_m: float = 0.0, y_m: float = 0.0, z_m: float = 0.0) -> Matrix:
    """A 4x4 pose."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, (x_m, y_m, z_m)
    return pose


def camera(
    size: tuple[int, int], fov_deg: float = 70.0, lens: str = "", **others: Any
) -> CameraModel:
    """A camera; with a lens K and P differ as after a calibration."""
    k = pinhole(size, fov_deg)
    model = CameraModel(
        *size, k, np.array(LENSES.get(lens, [0.0] * 5)), lens or "plumb_bob", np.eye(3),
        projection(k),
    )  # fmt: skip
    if lens:
        p = k.copy()
        p[0, 0] *= 0.97
        p[:2, 2] += (3.25, -2.5)
        model = replace(model, p=projection(p), r=turned(0.5, -0.8, 0.3))
    return replace(model, **others)


#: What is changed in a good model -> words of the refusal.
BAD_MODELS: list[tuple[dict[str, Any], str]] = [
    ({"p": np.zeros((3, 4))}, "not calibrated"),
    ({"p": np.full((3, 4), np.nan)}, "not finite"),
    ({"width": 0}, "must have 1 to"),
    ({"width": 1 << 20, "height": 1 << 20}, "must have 1 to"),
]
BAD_LENSES: list[tuple[dict[str, Any], str]] = [
    *BAD_MODELS,
    ({"k": np.zeros((3, 3))}, "k is not a camera matrix"),
    ({"k": np.full((3, 3), np.inf)}, "not finite"),
    ({"r": np.zeros((3, 3))}, "r is not a rotation"),
    ({"r": np.diag([-1.0, 1, 1])}, "mirrors"),
    ({"d": np.zeros(4)}, "with 4 coefficients"),
    ({"d": np.full(5, np.nan)}, "d holds a number that is not finite"),
    ({"distortion_model": "kannala"}, "must be one of"),
]
BAD_POSES: list[tuple[Matrix, str]] = [
    (posed(np.diag([-1.0, 1, 1])), "mirrors"),
    (posed(2 * np.eye(3)), "not a rotation"),
    (posed(np.full((3, 3), np.nan)), "not finite"),
    (posed(np.eye(3), -37.5, 0, 0), "in metres"),
    (posed(np.eye(3), np.nan, 0, 0), "in metres"),
    (np.eye(3), "4x4"),
    (np.zeros((4, 4)), "last row"),
]
