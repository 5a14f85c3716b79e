"""Accuracy of depth against ground truth: a wall with a board before it, seen by a noisy matcher.

Figures are of the virtual device's sensor model, not of a camera: they compare filters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from depthai_ros.calibration.camera_model import CameraModel, pinhole, single_camera
from depthai_ros.config import validate
from depthai_ros.config.filters import PARAMETERS, PREFIX, PRESETS
from depthai_ros.depth.filters import DepthFilters
from depthai_ros.virtual.scenes.sensor_model import SensorModel, unseen

Depth = NDArray[np.uint16]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: The camera: that of an OAK-D in round numbers.
FOV_DEG, BASELINE_M = 72.0, 0.075
#: The board is at this share of the wall's distance; the wall is turned by this angle.
BOARD, TURN_DEG = 0.75, 10.0
#: Half width and height of the board, as shares of the wall's distance.
BOARD_HALF = (0.22, 0.15)
#: Depth beyond this is not measured (the default of depth.depth_limit_m).
LIMIT_MM = 10_000
#: A larger error of disparity is a false point and no noise, px.
FALSE_PX = 3.0
#: Pixels so near the board's outline belong to the edge; the wall begins twice as far away.
EDGE_PX = 8
FRAME_NS = 33_333_333


@dataclass(frozen=True)
class Figures:
    """What one configuration does to depth."""

    rmse_mm: float  # of the wall, without false points
    bias_mm: float  # mean error, likewise
    noise_mm: float  # standard deviation over time, likewise
    fill: float  # share of what both cameras see that is measured, percent
    false: float  # false points, percent of the measured ones that are not near the edge
    bleed: float  # percent of the measured ones near the edge that are nearer to the other surface


#: Figures that are better when they are larger.
LARGER = {"fill"}
#: Figures that may be this many times those without filters. Beside an edge the matcher takes the
#: nearer surface in more than half of the pixels: holes that are filled there are as often wrong.
WITHIN = {"bleed": 1.05}
#: Preset -> figures in which it is not worse than depth without filters.
PROMISES = {
    "navigation": ("false", "fill", "rmse_mm"),
    "manipulation": ("fill", "noise_mm", "rmse_mm", "false", "bleed"),
    "high_accuracy": ("rmse_mm", "noise_mm", "bleed", "false"),
}


def camera(size: tuple[int, int]) -> CameraModel:
    """The rectified right camera, without distortion."""
    model = single_camera(size, pinhole(size, FOV_DEG), np.zeros(14))
    model.p[0, 3] = -model.p[0, 0] * BASELINE_M
    return model


@dataclass(frozen=True)
class Truth:
    """Depth of each pixel, m, and whether it shows the board."""

    depth_m: Floats
    is_board: Mask


def truth(model: CameraModel, distance_m: float) -> Truth:
    """The scene as a camera sees it, by the ray of each pixel."""
    columns, rows = np.meshgrid(np.arange(model.width), np.arange(model.height))
    x = (columns - model.p[0, 2]) / model.p[0, 0]
    y = (rows - model.p[1, 2]) / model.p[1, 1]
    wall_m = distance_m / (1 + x * np.tan(np.radians(TURN_DEG)))
    half_x, half_y = (half * distance_m / (BOARD * distance_m) for half in BOARD_HALF)
    is_board = (np.abs(x) < half_x) & (np.abs(y) < half_y)
    return Truth(np.where(is_board, BOARD * distance_m, wall_m), is_board)


def texture(size: tuple[int, int]) -> NDArray[np.uint8]:
    """Grey noise: strong on the right, weaker towards the left, weakest in one stripe."""
    width, height = size
    noise = np.random.default_rng(5).standard_normal((height, width)).astype(np.float32)
    grain = cv2.GaussianBlur(noise, (0, 0), 1.2)
    contrast = np.interp(np.arange(width) / width, [0, 0.15, 0.18, 0.24, 0.27, 1],
                         [12, 12, 3, 3, 12, 40])  # fmt: skip
    return np.asarray((128 + grain / grain.std() * contrast).clip(0, 255), np.uint8)


class Scene:
    """Frames of a wall at one distance, as the device measures them."""

    def __init__(self, size: tuple[int, int], distance_m: float, frames: int) -> None:
        self.model, self.distance_m = camera(size), distance_m
        self.scale = self.model.p[0, 0] * BASELINE_M * 1000
        self.truth = truth(self.model, distance_m)
        disparity = (self.scale / (self.truth.depth_m * 1000)).astype(np.float32)
        self.is_seen = ~unseen(disparity)
        sensor, grey = SensorModel(1), texture(size)
        self.frames: Sequence[Depth] = [
            self.depth(sensor.measure(disparity, grey, number)) for number in range(frames)
        ]

    def depth(self, disparity: NDArray[np.uint8]) -> Depth:
        """Millimetres as the node has them before the filters."""
        depth = np.round(self.scale / np.maximum(disparity, 1))
        depth[(disparity == 0) | (depth > LIMIT_MM)] = 0
        return depth.astype(np.uint16)

    def filtered(self, settings: Mapping[str, Any]) -> tuple[CameraModel, Sequence[Depth]]:
        """All frames through new filters, and the camera of the result."""
        chain = DepthFilters(settings, self.model)
        return chain.model, [
            chain.apply(frame, np.empty(chain.shape, np.uint16), number * FRAME_NS)
            for number, frame in enumerate(self.frames)
        ]


def pooled(mask: Mask, size: int) -> Mask:
    """Pixels of a decimated image all of whose pixels are in the mask."""
    height, width = mask.shape[0] // size, mask.shape[1] // size
    cut = mask[: height * size, : width * size]
    return np.asarray(cut.reshape(height, size, width, size).all((1, 3)))


def measure(scene: Scene, settings: Mapping[str, Any], settle: int) -> Figures:
    """The figures of all frames but the first `settle`."""
    model, results = scene.filtered(settings)
    size = scene.model.width // model.width
    board = scene.truth.is_board
    outline = cv2.distanceTransform((~board).astype(np.uint8), cv2.DIST_L2, 5)
    outline += cv2.distanceTransform(board.astype(np.uint8), cv2.DIST_L2, 5)
    uniform = pooled(board, size) | pooled(~board, size)
    is_seen = pooled(scene.is_seen, size) & uniform
    wall = pooled(~board & (outline > 2 * EDGE_PX) & scene.is_seen, size)
    edge = pooled(outline <= EDGE_PX, size) & uniform
    inner = pooled(outline > EDGE_PX, size)
    here = truth(model, scene.distance_m)
    depth = np.array(results[settle:], np.float64)
    expected_px = scene.scale / (here.depth_m * 1000)
    with np.errstate(divide="ignore"):
        wrong_px = np.where(depth > 0, np.abs(scene.scale / depth - expected_px), 0)
    is_measured, is_false = depth > 0, wrong_px > FALSE_PX
    error_mm = np.where(is_measured & ~is_false, depth - here.depth_m * 1000, np.nan)[:, wall]
    steady = error_mm[:, ~np.isnan(error_mm).any(0)]
    step_px = scene.scale / (BOARD * scene.distance_m * 1000) - scene.scale / (
        scene.distance_m * 1000
    )
    near_edge = is_measured[:, edge]
    return Figures(
        rmse_mm=float(np.sqrt(np.nanmean(error_mm**2))),
        bias_mm=float(np.nanmean(error_mm)),
        noise_mm=float(np.sqrt(steady.var(0).mean())),
        fill=100 * float(is_measured[:, is_seen].mean()),
        false=100 * float(is_false[:, inner][is_measured[:, inner]].mean()),
        bleed=100 * float((wrong_px[:, edge] > step_px / 2)[near_edge].mean()),
    )


def configurations() -> dict[str, Mapping[str, Any]]:
    """Name -> settings: without filters, each filter by itself, each preset."""
    names = dict.fromkeys(row.key.partition(".")[0] for row in PARAMETERS)
    return {
        "raw": validate({}),
        **{name: validate({f"{PREFIX}{name}.enable": True}) for name in names},
        **{name: validate({f"{PREFIX}preset": name}) for name, row in PRESETS.items() if row},
    }


def is_kept(name: str, ours: Figures, raw: Figures) -> bool:
    """True if a figure is not worse than that without filters."""
    mine, other = abs(getattr(ours, name)), abs(getattr(raw, name))
    return bool(mine >= other if name in LARGER else mine <= other * WITHIN.get(name, 1))


FIGURES = tuple(row.name for row in fields(Figures))
