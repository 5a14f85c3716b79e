"""Depth of the virtual room through lenses, and what removes their distortion."""

from __future__ import annotations

from typing import Any

import numpy as np
from scene_views import room, view

from depthai_ros.calibration.calibration import Calibration, load
from depthai_ros.config import validate
from depthai_ros.depth.undistortion import DepthUndistortion
from depthai_ros.virtual.scenes.eeprom import BASELINE_M, MONO_FOV_DEG, eeprom_document
from depthai_ros.virtual.scenes.source import Realism
from depthai_ros.wire_formats import depth_scale, disparity_to_depth_table

LIMIT_MM = 10_000
#: The room is shown at this time; two boxes move.
ROOM_S = 3.0


def measured_scale(size: tuple[int, int]) -> float:
    """Disparity (px) times depth (mm) of the device."""
    return 1000 * float(depth_scale(size[0], MONO_FOV_DEG, BASELINE_M))


def room_calibration(*, lens: bool) -> Calibration:
    return load(eeprom_document(5, lens=lens), validate({}))


def undistortion(calibration: Calibration, size: tuple[int, int]) -> DepthUndistortion:
    left, right = calibration.homographies(size)
    assert left is not None
    assert right is not None
    return DepthUndistortion(
        calibration.camera("left", size),
        calibration.camera("right", size),
        (left, right),
        measured=measured_scale(size),
        undistorted=1000 * float(calibration.rectified(size).k[0, 0]) * calibration.baseline_m,
    )


def disparity_through(realism: Realism, size: tuple[int, int]) -> Any:
    """(H, W) uint8 px."""
    scene = room(realism)
    scene.configure(view(mono_size=size))
    return scene.paint("disparity", ROOM_S, 0)


def depth_through(realism: Realism, size: tuple[int, int]) -> Any:
    """(H, W) uint16 mm, as the device computes it."""
    table = disparity_to_depth_table(size[0], MONO_FOV_DEG, BASELINE_M)
    depth = table[disparity_through(realism, size)]
    return np.where(depth > LIMIT_MM, 0, depth).astype(np.uint16)


def share_wrong(depth_mm: Any) -> float:
    """Share of the measured pixels that are a step of disparity or more from the truth."""
    height, width = depth_mm.shape
    ideal = room()
    ideal.configure(view(mono_size=(width, height)))
    true_mm = ideal.true_depth(ROOM_S) * 1000
    measured = (depth_mm > 0) & np.isfinite(true_mm)
    step_mm = true_mm**2 / measured_scale((width, height))
    return float((np.abs(depth_mm - true_mm) >= step_mm)[measured].mean())
