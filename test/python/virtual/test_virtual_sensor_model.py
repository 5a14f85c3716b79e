"""The errors of the virtual matcher: where it measures, how well, and that it repeats itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scene_views import view

from depthai_ros.errors import ConfigError
from depthai_ros.virtual.scenes.eeprom import eeprom_document
from depthai_ros.virtual.scenes.plane import CARD_SHARE, area_pixels
from depthai_ros.virtual.scenes.scene import SyntheticScene
from depthai_ros.virtual.scenes.sensor_model import SensorModel, unseen
from depthai_ros.virtual.scenes.source import Realism, make_source

SHAPE = (240, 400)
GOOD, WEAK, NONE = 40.0, 3.0, 0.0


def texture(contrast: float) -> Any:
    """Noise whose mean horizontal gradient is about 1.13 times `contrast`."""
    noise = np.random.default_rng(3).standard_normal(SHAPE)
    return np.clip(128 + contrast * noise, 0, 255).astype(np.uint8)


def plane(disparity: float) -> Any:
    return np.full(SHAPE, disparity, np.float32)


def measured(true: Any, contrast: float, frames: int = 8) -> Any:
    """(frames, H, W) without the columns that the left camera does not see."""
    model, image = SensorModel(1), texture(contrast)
    images = [model.measure(true, image, sequence) for sequence in range(frames)]
    return np.stack(images)[..., : -int(np.nanmax(true)) - 8]


def test_a_textured_plane_is_measured_without_bias_and_nearly_everywhere() -> None:
    for disparity in (12.0, 33.1, 60.5):
        found = measured(plane(disparity), GOOD)
        assert (found > 0).mean() > 0.99
        near = found[np.abs(found - disparity) < 3]
        assert near.mean() == pytest.approx(disparity, abs=0.1), "whole pixels, right on average"
        assert 0.0002 < (np.abs(found.astype(float)[found > 0] - disparity) > 3).mean() < 0.003


def test_weak_texture_has_more_errors_and_more_holes() -> None:
    good, weak, none = (measured(plane(30.0), contrast) for contrast in (GOOD, WEAK, NONE))
    spread = [found[np.abs(found.astype(int) - 30) < 8].std() for found in (good, weak)]
    assert spread[0] < 0.1 < spread[1]
    holes = [(found == 0).mean() for found in (good, weak, none)]
    assert holes[0] < 0.01 < holes[1] < 0.2 < 0.9 < holes[2]


def test_frames_repeat_by_sequence_and_differ_in_part() -> None:
    true, image = plane(33.5), texture(WEAK)
    first = SensorModel(1).measure(true, image, 7).copy()
    np.testing.assert_array_equal(SensorModel(1).measure(true, image, 7), first)
    assert (SensorModel(2).measure(true, image, 7) != first).mean() > 0.1
    frames = measured(true, WEAK, 24).astype(np.float32)
    frames[np.abs(frames - 33.5) > 4] = np.nan
    mean, each = np.nanmean(frames, axis=0), np.nanmean(np.nanstd(frames, axis=0))
    assert 0.2 < each < 1.5, "flickers"
    assert np.nanstd(mean) > 0.1, "but part of the error stays"


def test_the_shadow_beside_a_near_box_is_as_wide_as_the_step() -> None:
    true = plane(10.0)
    true[80:160, 100:200] = 40.0
    hidden = unseen(true)
    assert hidden[120, 200:228].all(), "right of the box: the left camera sees the box there"
    assert not hidden[120, 231:389].any()
    assert not hidden[120, :200].any()
    assert hidden[:, 390:].all(), "beyond the left camera's last column"
    found = SensorModel(1).measure(true, texture(GOOD), 0)
    assert (found[85:155, 203:228] == 0).mean() > 0.98


def test_edges_lose_pixels_and_the_near_side_grows() -> None:
    true = plane(10.0)
    true[:, 200:] = 40.0
    found = np.stack([SensorModel(1).measure(true, texture(GOOD), k) for k in range(6)])
    beside = found[:, :, 198:200]
    assert 0.2 < (beside == 0).mean() < 0.5
    assert 0.25 < (beside > 30).mean() < 0.55, "the far side takes the near disparity"
    assert (found[:, :, 190:196] > 30).mean() < 0.01
    assert (found[:, :, 206:300] == 0).mean() < 0.02


def test_nothing_is_measured_where_there_is_nothing_or_beyond_the_range() -> None:
    for disparity in (0.0, np.nan, 97.0):
        found = SensorModel(1).measure(plane(disparity), texture(GOOD), 0)
        assert found.dtype == np.uint8
        assert found.max() <= 95
        assert (found == 0).mean() > 0.99


# -- in the scenes


def shown(text: str, *, noise: bool, lens: bool = False, **changes: Any) -> SyntheticScene:
    document = eeprom_document(5, lens=lens)
    source = make_source(text, document, Realism(lens=lens, noise=noise))
    source.configure(view(mirror_rectified=True, **changes))
    assert isinstance(source, SyntheticScene)
    return source


def test_disparity_of_a_scene_has_the_errors_and_repeats() -> None:
    first, second, exact = (shown("synthetic", noise=noise) for noise in (True, True, False))
    images = [first.paint("disparity", 2.0, number).copy() for number in (7, 8, 7)]
    np.testing.assert_array_equal(images[0], images[2])
    assert (images[0] != images[1]).mean() > 0.02, "each frame has other errors"
    second.paint("disparity", 1.9, 6)
    np.testing.assert_array_equal(second.paint("disparity", 2.0, 7), images[0])
    truth = exact.paint("disparity", 2.0, 7).astype(int)
    assert 0.03 < (images[0] == 0).mean() < 0.1
    measured = images[0] > 0
    assert (np.abs(images[0] - truth) <= 1)[measured].mean() > 0.98


@pytest.mark.parametrize("wall_m", [1.0, 2.0, 4.0])
def test_plane_has_its_distance_a_card_and_a_weak_area(wall_m: float) -> None:
    source = shown(f"plane={wall_m:g}", noise=True)
    camera, depth = source.camera("rectified_right"), source.true_depth(0.0)
    card, weak = (area_pixels(name, camera) for name in ("card", "weak"))
    np.testing.assert_allclose(depth[card], wall_m * CARD_SHARE, rtol=1e-6)
    depth[card] = wall_m
    np.testing.assert_allclose(depth, wall_m, rtol=1e-6)
    truth, found = source.true_disparity(0.0), source.paint("disparity", 0.0, 0)
    good = np.s_[20:170, 20:1000]
    assert np.abs(found[good] - truth[good])[found[good] > 0].mean() < 0.6
    assert (found[good] == 0).mean() < 0.01 < 0.03 < (found[weak] == 0).mean() < 0.3
    wide = shown(f"plane={wall_m:g}", noise=False, lens=True)
    assert np.isfinite(wide.true_depth(0.0)).all(), "no camera sees beside the wall"
    assert np.isfinite(wide.true_depth(0.0, "left")).all()
    assert source.objects(0.0, 0) == []


@pytest.mark.parametrize("text", ["0.2", "21", "nan", "far"])
def test_a_plane_at_no_distance_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=f"plane is '{text}', must be a number from 0.3 to 20"):
        make_source(f"plane={text}", eeprom_document(5))
