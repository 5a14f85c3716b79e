"""Times of the filters on depth, for the benchmark of the depth kernels."""

from __future__ import annotations

import time
from statistics import median

import numpy as np
from accuracy import FRAME_NS, Scene
from results import Comparison, against_limit

from depthai_ros.config import validate
from depthai_ros.config.filters import PRESETS
from depthai_ros.depth.filters import DepthFilters

REPETITIONS, CALLS = 7, 9
LIMIT_MS = 15.0
SIZE = (1280, 720)


def filter_rows() -> list[Comparison]:
    """CPU time of all filters of each preset for one frame, in one thread."""
    scene = Scene(SIZE, 2.0, CALLS)
    return [_preset_row(name, scene) for name, values in PRESETS.items() if values]


def _preset_row(preset: str, scene: Scene) -> Comparison:
    chain = DepthFilters(validate({"filters.preset": preset}), scene.model)
    into = np.empty(chain.shape, np.uint16)
    turns, number = [], 0
    for _ in range(REPETITIONS + 1):
        times = []
        for frame in scene.frames:
            number += 1
            start = time.process_time_ns()
            chain.apply(frame, into, number * FRAME_NS)
            times.append((time.process_time_ns() - start) / 1e6)
        turns.append(median(times))
    height, width = chain.shape
    case = f"filters of {preset}, {SIZE[0]}x{SIZE[1]} -> {width}x{height}"
    return against_limit(case, turns[1:], LIMIT_MS, "ms")  # the first warms up
