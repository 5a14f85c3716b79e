"""Depth without the distortion of the lenses, against the room seen through ideal ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lens_depth import depth_through, disparity_through, room_calibration, share_wrong, undistortion

from depthai_ros import _core
from depthai_ros.errors import ConfigError
from depthai_ros.virtual.scenes.source import Realism

SIZE = (640, 400)
LENS = Realism(lens=True)


def test_depth_through_lenses_becomes_that_of_the_ideal_camera() -> None:
    depth = depth_through(LENS, SIZE)
    moved = np.empty_like(depth)
    undistortion(room_calibration(lens=True), SIZE).make(depth, moved)
    assert (moved > 0).mean() > 0.9
    assert share_wrong(depth) > 0.2
    assert share_wrong(moved) < 0.01


def test_without_distortion_depth_stays_where_it_is() -> None:
    depth = depth_through(Realism(), SIZE)
    moved = np.empty_like(depth)
    undistortion(room_calibration(lens=False), SIZE).make(depth, moved)
    there = moved > 0
    assert there.mean() > 0.9
    assert np.abs(moved.astype(int) - depth)[there].max() <= 1


def test_depth_of_nothing_stays_nothing() -> None:
    moved = np.ones(SIZE[::-1], np.uint16)
    undistortion(room_calibration(lens=True), SIZE).make(np.zeros_like(moved), moved)
    assert not moved.any()


def test_image_moves_with_the_depth() -> None:
    kernel = undistortion(room_calibration(lens=True), SIZE)
    depth = depth_through(LENS, SIZE)
    moved = np.empty_like(depth)
    kernel.make(depth, moved)
    shown = kernel.image(disparity_through(LENS, SIZE)) > 0
    assert shown[moved > 0].all()


def test_depth_of_another_size_is_refused() -> None:
    kernel = undistortion(room_calibration(lens=True), SIZE)
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
