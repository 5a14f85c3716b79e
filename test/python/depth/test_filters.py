"""The filters on depth: each against numpy or a property; presets, precedence and bad input."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from depthai_ros import _core
from depthai_ros.calibration.camera_model import CameraModel, single_camera, uncalibrated
from depthai_ros.config import OPTIONS, Settings, validate
from depthai_ros.config.filters import (
    PARAMETERS,
    PREFIX,
    PRESETS,
    against_preset,
    decimation,
    decimation_change,
)
from depthai_ros.depth.filters import DepthFilters, decimated, disparity_scale
from depthai_ros.errors import ConfigError

Depth = NDArray[np.uint16]
FOCAL_PX, BASELINE_M = 400.0, 0.075
SCALE = FOCAL_PX * BASELINE_M * 1000  # px mm
FRAME_NS = 33_000_000


def camera(height: int, width: int) -> CameraModel:
    k = np.array([[FOCAL_PX, 0, width / 2], [0, FOCAL_PX, height / 2], [0, 0, 1]])
    model = single_camera((width, height), k, np.zeros(14))
    model.p[0, 3] = -FOCAL_PX * BASELINE_M
    return model


def filters(shape: tuple[int, int], **values: Any) -> DepthFilters:
    return DepthFilters(settings(**values), camera(*shape))


def settings(**values: Any) -> Settings:
    return validate({PREFIX + key.replace("__", "."): value for key, value in values.items()})


def filtered(depth: Any, **values: Any) -> Depth:
    """One frame through new filters."""
    depth = np.ascontiguousarray(depth, np.uint16)
    chain = filters(depth.shape, **values)
    return chain.apply(depth, np.full(chain.shape, 7, np.uint16), 0)


def noisy(
    shape: tuple[int, int], seed: int = 0, noise_px: float = 0.5, middle: float = 20
) -> Depth:
    """A wall, in steps of the disparity as hardware has them."""
    disparity = np.random.default_rng(seed).normal(middle, noise_px, shape).round()
    return np.round(SCALE / disparity).astype(np.uint16)


def holed(shape: tuple[int, int], share: float = 0.3, seed: int = 0) -> Depth:
    random = np.random.default_rng(seed)
    depth = random.integers(1, 65536, shape, np.uint16)
    depth[random.random(shape) < share] = 0
    return depth


# -- every filter


ALL = {"threshold", "decimation", "speckle", "spatial", "temporal", "hole_filling"}
SHAPES = [(1, 1), (2, 3), (17, 19), (33, 64), (48, 130)]


def test_no_filter_is_enabled_by_default_and_depth_passes_unchanged() -> None:
    assert {row.key.partition(".")[0] for row in PARAMETERS} == ALL
    depth = holed((9, 13))
    chain = filters(depth.shape)
    assert not chain.is_active
    np.testing.assert_array_equal(chain.apply(depth, np.zeros_like(depth), 0), depth)


@pytest.mark.parametrize("name", sorted(ALL))
def test_nothing_comes_from_nothing(name: str) -> None:
    """Depth of 0 everywhere stays so; no filter writes to its input."""
    assert not filtered(np.zeros((40, 70)), **{f"{name}__enable": True}).any()
    depth = holed((40, 70))
    before = depth.copy()
    chain = filters(depth.shape, **{f"{name}__enable": True})
    assert chain.is_active
    chain.apply(depth, np.empty(chain.shape, np.uint16), 0)
    np.testing.assert_array_equal(depth, before)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_stays_between_the_nearest_and_the_farthest_measured(preset: str) -> None:
    depth = holed((60, 100))
    depth[depth > 0] = depth[depth > 0] // 20 + 400
    found = filtered(depth, preset=preset)
    assert depth[depth > 0].min() <= found[found > 0].min(initial=500)
    assert found.max() <= depth.max()


@pytest.mark.parametrize("name", ["speckle", "spatial"])
def test_filters_on_disparity_never_measure_where_nothing_was_measured(name: str) -> None:
    depth = holed((40, 70))
    assert not filtered(depth, **{f"{name}__enable": True})[depth == 0].any()


# -- threshold


def test_threshold_keeps_its_ends() -> None:
    depth = np.array([[0, 499, 500, 501, 1999, 2000, 2001, 65535]], np.uint16)
    found = filtered(depth, threshold__enable=True, threshold__min_m=0.5, threshold__max_m=2.0)
    assert found.tolist() == [[0, 0, 500, 501, 1999, 2000, 0, 0]]


# -- decimation


def slow_decimation(depth: Depth, size: int) -> Depth:
    height, width = depth.shape[0] // size, depth.shape[1] // size
    found = np.zeros((height, width), np.uint16)
    for y, x in np.ndindex(height, width):
        square = depth[y * size : (y + 1) * size, x * size : (x + 1) * size]
        measured = np.sort(square[square > 0])
        found[y, x] = measured[(measured.size - 1) // 2] if measured.size else 0
    return found


@pytest.mark.parametrize("size", range(2, 9))
@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_decimation_is_the_median_of_what_was_measured(size: int, share: float) -> None:
    depth = holed((47, 83), share)
    found = filtered(depth, decimation__enable=True, decimation__size=size)
    np.testing.assert_array_equal(found, slow_decimation(depth, size))


def test_the_camera_of_a_decimated_image_sees_the_same_rays() -> None:
    """Size 3 divides neither 400 nor 640."""
    whole, small = camera(400, 640), decimated(camera(400, 640), 3)
    assert (small.width, small.height) == (213, 133)
    for x, y in ((0, 0), (100, 50), (212, 132)):
        middle = np.array([3 * x + 1, 3 * y + 1, 1.0])  # pixel in the middle of the square
        ray = np.linalg.inv(whole.p[:, :3]) @ middle
        np.testing.assert_allclose(small.p[:, :3] @ ray, [x, y, 1], atol=1e-9)
    assert small.p[0, 3] / small.p[0, 0] == pytest.approx(-BASELINE_M)


# -- speckle


def regions(disparity: NDArray[np.float64], delta: float) -> list[list[tuple[int, int]]]:
    """Connected regions, by a search from each pixel."""
    left = {(int(y), int(x)) for y, x in np.argwhere(disparity > 0)}
    found = []
    while left:
        region = [left.pop()]
        for y, x in region:
            for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if near in left and abs(disparity[near] - disparity[y, x]) <= delta:
                    left.remove(near)
                    region.append(near)
        found.append(region)
    return found


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("smallest", [2, 5, 30])
def test_speckles_are_the_small_regions(shape: tuple[int, int], smallest: int) -> None:
    random = np.random.default_rng(3)
    disparity = random.integers(0, 5, shape).astype(np.float32) * np.float32(1.2)
    expected = disparity.copy()
    for region in regions(disparity, 1.5):
        if len(region) < smallest:
            expected[tuple(np.transpose(region))] = 0
    scratch = np.empty((3, *shape), np.uint32)
    _core.remove_speckles(disparity=disparity, scratch=scratch, smallest=smallest, difference=1.5)
    np.testing.assert_array_equal(disparity, expected)


def test_speckle_removes_the_small_region_and_keeps_the_large_one_at_every_distance() -> None:
    for far_mm in (800, 2000, 5000):
        depth = np.full((60, 80), far_mm)
        near_mm = SCALE / (SCALE / far_mm + 3)
        depth[5:10, 5:10] = depth[30:50, 30:60] = near_mm
        found = filtered(depth, speckle__enable=True, speckle__min_size_px=100)
        assert not found[5:10, 5:10].any()
        np.testing.assert_allclose(found[30:50, 30:60], near_mm, atol=1)
        assert (found == 0).sum() == 25


# -- spatial


def slow_smoothing(line: NDArray[np.float32], alpha: float, delta: float) -> NDArray[np.float32]:
    """One row there and back."""
    line = line.copy()
    for indices in (range(line.size), range(line.size - 1, -1, -1)):
        carried = None
        for i in indices:
            if line[i] == 0:
                continue
            if carried is not None and abs(line[i] - carried) <= delta:
                line[i] = carried + np.float32(alpha) * (line[i] - carried)
            carried = line[i]
    return line


@pytest.mark.parametrize("shape", SHAPES)
def test_spatial_is_the_recursive_average_of_rows_then_columns(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(5)
    disparity = random.normal(20, 1.0, shape).astype(np.float32)
    disparity[random.random(shape) < 0.2] = 0
    expected = np.apply_along_axis(slow_smoothing, 1, disparity, 0.4, 1.5)
    expected = np.apply_along_axis(slow_smoothing, 0, expected, 0.4, 1.5)
    scratch = np.empty((max(shape), 16), np.float32)
    _core.smooth_in_space(disparity=disparity, scratch=scratch, alpha=0.4, delta=1.5, iterations=1)
    np.testing.assert_allclose(disparity, expected, rtol=1e-5)


@pytest.mark.parametrize("middle", [8, 20, 60])
def test_spatial_lowers_noise_and_keeps_an_edge_at_every_distance(middle: float) -> None:
    depth = noisy((64, 96), middle=middle)
    depth[:, 48:] = noisy((64, 48), seed=1, middle=middle + 5)
    found = filtered(depth, spatial__enable=True)
    for part, before in ((found[:, :40], depth[:, :40]), (found[:, 56:], depth[:, 56:])):
        assert part.std() < 0.5 * before.std()
    disparity = SCALE / found
    assert abs(disparity[:, 47] - middle).max() < 2
    assert abs(disparity[:, 48] - middle - 5).max() < 2


# -- temporal


def test_temporal_lowers_noise_over_time() -> None:
    chain = filters((30, 40), temporal__enable=True)
    frames = []
    for number in range(20):
        into = np.empty((30, 40), np.uint16)
        frames.append(chain.apply(noisy((30, 40), number), into, number * FRAME_NS))
    raw = np.std([noisy((30, 40), number) for number in range(10, 20)], axis=0).mean()
    assert np.std(frames[10:], axis=0).mean() < 0.7 * raw


def average_of(chain: DepthFilters, *frames: tuple[int, int]) -> int:
    """The last result for one pixel. frames: mm, ms."""
    into = np.zeros((1, 1), np.uint16)
    for mm, at_ms in frames:
        chain.apply(np.array([[mm]], np.uint16), into, at_ms * 1_000_000)
    return int(into[0, 0])


#: Frames (mm, ms) -> the last result; alpha 0.25, max_gap_ms 500, persistence 2.
TEMPORAL = {
    "one frame is itself": ([(2000, 0)], 2000),
    "two frames weigh the same": ([(2000, 0), (2020, 33)], 2010),
    "a gap starts anew": ([(2000, 0), (2020, 501)], 2020),
    "the longest gap": ([(2000, 0), (2020, 500)], 2010),
    "a step back starts anew": ([(2000, 100), (2020, 99)], 2020),
    "another surface shows at once": ([(2000, 0), (1000, 33)], 1000),
    "measured twice, kept": ([(2000, 0), (2000, 33), (0, 66)], 2000),
    "measured once, not kept": ([(2000, 0), (0, 33)], 0),
    "another surface, seen once": ([(2000, 0), (2000, 33), (1000, 66), (0, 99)], 0),
    "measured too long ago": ([(2000, 0), (2000, 1), *((0, ms) for ms in range(2, 11))], 0),
}


@pytest.mark.parametrize("case", TEMPORAL)
def test_temporal_average(case: str) -> None:
    frames, expected = TEMPORAL[case]
    chain = filters((1, 1), temporal__enable=True, temporal__alpha=0.25, temporal__persistence=2)
    assert average_of(chain, *frames) == pytest.approx(expected, abs=1)


def test_temporal_keeps_its_memory_over_other_changes_and_loses_it_when_it_is_disabled() -> None:
    chain = filters((1, 1), temporal__enable=True, temporal__alpha=0.25)
    average_of(chain, (2000, 0))
    chain.update(settings(temporal__enable=True, temporal__alpha=0.25, spatial__enable=True))
    assert average_of(chain, (2020, 33)) == pytest.approx(2010, abs=1)
    chain.update(settings())
    assert not chain.is_active
    assert average_of(chain, (2000, 66)) == 2000
    chain.update(settings(temporal__enable=True, temporal__alpha=0.25))
    assert average_of(chain, (2020, 99)) == 2020


# -- hole filling

#: Mode -> this image, dm, filled; holes of at most 2.
HOLES = [
    [0, 10, 0, 20, 0],
    [30, 0, 0, 60, 0],
    [40, 0, 0, 0, 70],
    [50, 55, 56, 57, 80],
]
FILLED = {
    "left": [
        [0, 10, 10, 20, 0],
        [30, 30, 30, 60, 0],
        [40, 0, 0, 0, 70],
        [50, 55, 56, 57, 80],
    ],
    "farthest": [
        [0, 10, 20, 20, 0],
        [30, 60, 60, 60, 0],
        [40, 55, 0, 60, 70],
        [50, 55, 56, 57, 80],
    ],
    "nearest": [
        [0, 10, 10, 20, 0],
        [30, 10, 30, 60, 0],
        [40, 10, 0, 57, 70],
        [50, 55, 56, 57, 80],
    ],
}


@pytest.mark.parametrize("mode", FILLED)
def test_holes_between_measured_pixels_are_filled(mode: str) -> None:
    depth = np.array(HOLES) * 100
    found = filtered(
        depth, hole_filling__enable=True, hole_filling__mode=mode, hole_filling__max_px=2
    )
    assert (found // 100).tolist() == FILLED[mode]


def test_a_hole_between_two_surfaces_stays_if_they_differ_by_more_than_delta() -> None:
    near_mm, far_mm = SCALE / 20, SCALE / 16
    row = [near_mm, 0, 0, far_mm, 0, far_mm]
    fill = {"hole_filling__enable": True, "hole_filling__mode": "nearest"}
    assert filtered([row], **fill, hole_filling__delta_px=4.1)[0, 1] == near_mm
    found = filtered([row], **fill, hole_filling__delta_px=3.9)[0]
    assert not found[1:3].any()
    assert found[4] == found[3]


# -- presets and precedence


def test_a_preset_gives_what_the_user_leaves_out() -> None:
    found = settings(preset="navigation", spatial__enable=False, temporal__alpha=0.25)
    assert found["filters.speckle.enable"]
    assert not found["filters.spatial.enable"]
    assert found["filters.temporal.alpha"] == 0.25
    assert against_preset(found, found.given) == (
        "filters.preset is navigation, but values that are set one by one win: "
        "filters.spatial.enable is false (preset: true), filters.temporal.alpha is 0.25 "
        f"(preset: {PRESETS['navigation'].get('temporal.alpha', 0.4)}); leave them out to get "
        "those of the preset"
    )


def test_a_preset_alone_has_nothing_to_say() -> None:
    for preset in PRESETS:
        found = settings(preset=preset)
        assert against_preset(found, found.given) == ""
    found = settings(preset="none", spatial__enable=True)
    assert against_preset(found, found.given) == ""


def test_a_single_value_stays_when_the_preset_changes() -> None:
    before = settings(preset="navigation", spatial__enable=False)
    after = before.replace({"filters.preset": "high_accuracy"})
    assert not after["filters.spatial.enable"]
    assert after["filters.speckle.enable"]
    assert not after.replace({"filters.preset": "none"})["filters.speckle.enable"]


def test_the_present_value_of_a_preset_is_no_value_of_the_user() -> None:
    """A whole parameter file may be loaded into a running node."""
    loaded = settings(preset="navigation").replace(dict(settings(preset="navigation")))
    assert loaded.given == {"filters.preset"}
    assert not loaded.replace({"filters.preset": "none"})["filters.speckle.enable"]


def test_a_change_of_the_decimation_names_the_transition() -> None:
    before, after = settings(preset="navigation"), settings(preset="manipulation")
    assert (decimation(before), decimation(after)) == (2, 1)
    assert decimation_change(before, before) == ""
    assert decimation_change(before, after) == (
        "filters.preset manipulation has decimation 1 and the present size of depth is for 2: "
        "clean up the node, set it while unconfigured, and configure it again"
    )


def test_presets_have_known_keys_and_allowed_values() -> None:
    keys = {row.key for row in PARAMETERS}
    for preset, values in PRESETS.items():
        assert values.keys() <= keys
        validate({PREFIX + key: value for key, value in values.items()})
        assert DepthFilters(settings(preset=preset), camera(80, 128)).is_active == bool(values)


# -- bad input

REFUSED = [
    ({"preset": "best"}, "filters.preset is 'best', must be one of none, navigation"),
    ({"preset": ["navigation"]}, "filters.preset is ['navigation'] (list), must be text"),
    ({"decimation__size": 9}, "filters.decimation.size is 9, must be between 2 and 8"),
    ({"hole_filling__mode": "right"}, "filters.hole_filling.mode is 'right', must be one of left"),
    ({"threshold__min_m": 5, "threshold__max_m": 2},
     "filters.threshold.min_m is 5, must not exceed filters.threshold.max_m, which is 2"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "complaint"), REFUSED)
def test_refused_values_are_named(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(**values)
    assert str(caught.value).startswith(complaint)


def test_no_number_may_be_nan_or_infinite() -> None:
    for option in OPTIONS:
        if option.key.startswith(PREFIX) and isinstance(option.default, float):
            for value in (float("nan"), float("inf"), -1.0):
                with pytest.raises(ConfigError, match="must be between"):
                    validate({option.key: value})


def test_a_camera_without_calibration_has_the_geometry_of_the_board_config() -> None:
    board = validate(
        {"board_config.left_fov_deg": 90.0, "board_config.left_to_right_distance_cm": 10.0}
    )
    assert disparity_scale(board, uncalibrated((640, 400))) == pytest.approx(320 * 100)
    assert disparity_scale(board, camera(400, 640)) == pytest.approx(SCALE)
    chain = DepthFilters(settings(preset="navigation"), uncalibrated((640, 400)))
    chain.apply(np.ones((400, 640), np.uint16), np.empty(chain.shape, np.uint16), 0)


EXAMPLE = np.zeros((8, 10), np.uint16)
WRONG_ARRAYS: dict[str, tuple[Any, Any]] = {
    "depth is (7, 10) uint16": (EXAMPLE[1:], EXAMPLE),
    "depth is (8, 10) float32": (EXAMPLE.astype(np.float32), EXAMPLE),
    "destination is (8, 5) uint16": (EXAMPLE, EXAMPLE[:, ::2]),
    "depth is (8, 10) uint16, must be a C-contiguous": (np.zeros((10, 8), np.uint16).T, EXAMPLE),
}


@pytest.mark.parametrize("complaint", WRONG_ARRAYS)
def test_arrays_of_another_size_are_refused(complaint: str) -> None:
    depth, destination = WRONG_ARRAYS[complaint]
    chain = filters((8, 10), spatial__enable=True)
    with pytest.raises(ValueError, match=f"^{re.escape(complaint)}"):
        chain.apply(depth, destination, 0)


#: Kernel -> arguments that it refuses.
SMALL, FLOATS = np.zeros((4, 5), np.uint16), np.zeros((4, 5), np.float32)
REFUSED_BY_KERNELS: list[tuple[Any, dict[str, Any]]] = [
    (_core.keep_between, {"source": SMALL, "destination": FLOATS, "low": 0, "high": 1}),
    (_core.keep_between, {"source": SMALL, "destination": SMALL[:, :0], "low": 0, "high": 1}),
    (_core.decimate, {"source": SMALL, "destination": np.zeros((2, 3), np.uint16), "size": 2}),
    (_core.decimate, {"source": SMALL, "destination": np.zeros((4, 5), np.uint16), "size": 1}),
    (_core.disparity_of_depth, {"source": FLOATS, "destination": FLOATS, "scale": 1.0}),
    (_core.depth_of_disparity, {"source": FLOATS, "destination": SMALL[:3], "scale": 1.0}),
    (_core.remove_speckles,
     {"disparity": FLOATS, "scratch": np.zeros((2, 4, 5), np.uint32), "smallest": 1,
      "difference": 1.0}),
    (_core.smooth_in_space,
     {"disparity": FLOATS, "scratch": np.zeros(79, np.float32), "alpha": 0.5, "delta": 1.0,
      "iterations": 1}),
    (_core.smooth_in_time,
     {"disparity": FLOATS, "state": FLOATS, "history": np.zeros((4, 5), np.uint8), "alpha": 0.5,
      "delta": 1.0, "persistence": 0}),
    (_core.fill_holes,
     {"source": SMALL, "destination": np.zeros_like(SMALL), "scratch": np.zeros(5, np.uint32),
      "mode": "right", "longest": 1, "scale": 1.0, "delta": 1.0}),
    (_core.fill_holes,
     {"source": SMALL, "destination": np.zeros_like(SMALL), "scratch": np.zeros(4, np.uint32),
      "mode": "left", "longest": 1, "scale": 1.0, "delta": 1.0}),
]  # fmt: skip


@pytest.mark.parametrize(("kernel", "arguments"), REFUSED_BY_KERNELS)
def test_kernels_refuse_other_shapes_and_types(kernel: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=kernel.__name__):
        kernel(**arguments)


def test_depth_survives_the_way_over_disparity() -> None:
    every_mm = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    disparity, back = np.empty((256, 256), np.float32), np.empty_like(every_mm)
    _core.disparity_of_depth(source=every_mm, destination=disparity, scale=SCALE)
    _core.depth_of_disparity(source=disparity, destination=back, scale=SCALE)
    np.testing.assert_array_equal(back, every_mm)
