"""Depth without the distortion of the lenses, against the room seen through ideal ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scene_views import room, view

from depthai_ros import _core
from depthai_ros.calibration.calibration import Calibration, load
from depthai_ros.config import validate
from depthai_ros.depth.undistortion import DepthUndistortion
from depthai_ros.errors import ConfigError
from depthai_ros.virtual.scenes.eeprom import BASELINE_M, MONO_FOV_DEG, eeprom_document
from depthai_ros.virtual.scenes.source import Realism
from depthai_ros.wire_formats import depth_scale, disparity_to_depth_table

SIZE = (640, 400)
MEASURED = 1000 * float(depth_scale(SIZE[0], MONO_FOV_DEG, BASELINE_M))


def calibration(*, lens: bool) -> Calibration:
    return load(eeprom_document(5, lens=lens), validate({}))


def undistortion(found: Calibration) -> DepthUndistortion:
    left, right = found.homographies(SIZE)
    assert left is not None
    assert right is not None
    return DepthUndistortion(
        found.camera("left", SIZE),
        found.camera("right", SIZE),
        (left, right),
        measured=MEASURED,
        undistorted=1000 * float(found.rectified(SIZE).k[0, 0]) * found.baseline_m,
    )


def device_depth(realism: Realism) -> Any:
    scene = room(realism)
    scene.configure(view(mono_size=SIZE))
    table = disparity_to_depth_table(SIZE[0], MONO_FOV_DEG, BASELINE_M)
    depth = table[scene.paint("disparity", 3.0, 0)]
    return np.where(depth > 10_000, 0, depth).astype(np.uint16)


def share_within_a_step(depth_mm: Any) -> float:
    """Share of the measured pixels that are nearer to the truth than a step of disparity."""
    ideal = room()
    ideal.configure(view(mono_size=SIZE))
    true_mm = ideal.true_depth(3.0) * 1000
    measured = (depth_mm > 0) & np.isfinite(true_mm)
    assert measured.mean() > 0.95
    step_mm = true_mm**2 / MEASURED
    return float((np.abs(depth_mm - true_mm) < step_mm)[measured].mean())


def test_depth_through_lenses_becomes_that_of_the_ideal_camera() -> None:
    depth = device_depth(Realism(lens=True))
    moved = np.empty_like(depth)
    undistortion(calibration(lens=True)).make(depth, moved)
    assert share_within_a_step(depth) < 0.8
    assert share_within_a_step(moved) > 0.97


def test_without_distortion_depth_stays_where_it_is() -> None:
    depth = device_depth(Realism())
    kernel = undistortion(calibration(lens=False))
    moved = np.empty_like(depth)
    kernel.make(depth, moved)
    assert (moved == depth).mean() > 0.98
    assert np.abs(moved.astype(int) - depth)[moved != 0].max() <= 0.02 * depth.max()


def test_depth_of_nothing_stays_nothing() -> None:
    moved = np.ones(SIZE[::-1], np.uint16)
    undistortion(calibration(lens=True)).make(np.zeros_like(moved), moved)
    assert not moved.any()


def test_image_moves_with_the_depth() -> None:
    kernel = undistortion(calibration(lens=True))
    scene = room(Realism(lens=True))
    scene.configure(view(mono_size=SIZE))
    image = scene.paint("disparity", 3.0, 0)
    depth = device_depth(Realism(lens=True))
    moved = np.empty_like(depth)
    kernel.make(depth, moved)
    assert ((kernel.image(image) > 0) == (moved > 0)).mean() > 0.99


def test_depth_of_another_size_is_refused() -> None:
    kernel = undistortion(calibration(lens=True))
    wrong = np.zeros((10, 10), np.uint16)
    with pytest.raises(ConfigError, match=r"depth has the shape \(10, 10\)"):
        kernel.make(wrong, wrong.copy())


def arrays(**changes: Any) -> dict[str, Any]:
    shape = (4, 6)
    found = {
        "depth": np.full(shape, 1000, np.uint16),
        "places": np.arange(24, dtype=np.int32).reshape(shape),
        "left": np.zeros(shape, np.float32),
        "right": np.zeros(shape, np.float32),
        "destination": np.zeros(shape, np.uint16),
    }
    return found | changes


REFUSED: list[dict[str, Any]] = [
    {"depth": np.zeros((4, 5), np.uint16)},
    {"depth": np.zeros((4, 6), np.uint8)},
    {"places": np.zeros((4, 6), np.float32)},
    {"left": np.zeros((4, 6), np.int32)},
    {"right": np.zeros((3, 6), np.float32)},
    {"destination": np.zeros((4, 6), np.float32)},
]


@pytest.mark.parametrize("changes", REFUSED)
def test_arrays_that_do_not_fit_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="undistort_depth: "):
        _core.undistort_depth(**arrays(**changes), measured=1000.0, undistorted=1000.0)


def test_hostile_places_and_shifts_read_nothing_outside() -> None:
    places = np.array([-1, 24, 2**31 - 1, -(2**31)] + [23] * 20, np.int32).reshape(4, 6)
    for shift in (np.nan, np.inf, -np.inf, 1e30):
        rows = arrays(places=places, left=np.full((4, 6), shift, np.float32))
        _core.undistort_depth(**rows, measured=1e30, undistorted=1000.0)
        assert not rows["destination"].any()
