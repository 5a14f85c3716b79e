#!/usr/bin/env python3
"""Image conversions, called as the node calls them, against a memcpy of the same output bytes.

Where OpenCV has the same kernel, the JSON also has its time (`opencv_ms`). The images are noise,
the worst case for tables.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import cv2
import numpy as np
from results import Comparison, arguments, publish_rows

from depthai_ros import _core

REPETITIONS, CALLS = 7, 9
GOAL = 0.5
HEIGHT, WIDTH = 720, 1280

Call = Callable[[], Any]


def ms(call: Call) -> float:
    """CPU time of one call; the median of several, since one takes less than a timer tick."""
    times = []
    for _ in range(CALLS):
        start = time.process_time_ns()
        call()
        times.append(time.process_time_ns() - start)
    return median(times) / 1e6


def layouts() -> dict[str, tuple[int, Call, Call | None]]:
    """Kernels that move pixels. Name -> output bytes, ours, OpenCV's."""
    random = np.random.default_rng(1)
    gray = random.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    planes = random.integers(0, 256, (3, HEIGHT, WIDTH), np.uint8)
    i420 = random.integers(0, 256, (1080 * 3 // 2, 1920), np.uint8)
    bgr, full_hd = np.empty((HEIGHT, WIDTH, 3), np.uint8), np.empty((1080, 1920, 3), np.uint8)
    mirrored = np.empty_like(gray)
    return {
        "planar -> interleaved": (
            bgr.nbytes,
            lambda: _core.interleave(source=planes, destination=bgr),
            lambda: cv2.merge(list(planes), dst=bgr),
        ),
        "I420 -> bgr8, 1080p": (
            full_hd.nbytes,
            lambda: _core.bgr_from_i420(source=i420, destination=full_hd),
            lambda: cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420, dst=full_hd),
        ),
        "mirror, mono8": (
            gray.nbytes,
            lambda: _core.mirror(source=gray, destination=mirrored),
            lambda: cv2.flip(gray, 1, dst=mirrored),
        ),
    }


def values() -> dict[str, tuple[int, Call, Call | None]]:
    """Kernels that change the values of pixels."""
    random = np.random.default_rng(2)
    gray = random.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    depth = random.integers(0, 65536, (HEIGHT, WIDTH), np.uint16)
    pixels = np.arange(256, dtype=np.float32)
    colors = random.integers(0, 256, (256, 3), np.uint8)
    bgr = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    near, floats = np.empty_like(depth), np.empty((HEIGHT, WIDTH), np.float32)
    return {
        "disparity -> 32FC1": (
            floats.nbytes,
            lambda: _core.map_table(source=gray, table=pixels, destination=floats),
            lambda: cv2.LUT(gray, pixels, dst=floats),
        ),
        "disparity -> colour": (
            bgr.nbytes,
            lambda: _core.colorize(source=gray, table=colors, destination=bgr),
            lambda: cv2.applyColorMap(gray, colors.reshape(256, 1, 3), dst=bgr),
        ),
        "depth invalid -> 0": (
            depth.nbytes,
            lambda: _core.zero_above(source=depth, limit=10_000, destination=near),
            lambda: cv2.threshold(depth, 10_000, 0, cv2.THRESH_TOZERO_INV, dst=near),
        ),
        "depth -> 32FC1 m": (
            floats.nbytes,
            lambda: _core.metres(source=depth, limit=10_000, destination=floats),
            None,
        ),
    }


def measured(name: str, size: int, ours: Call, opencv: Call | None) -> Comparison:
    """One row, in GB/s of output."""
    source, destination = np.ones(size, np.uint8), np.empty(size, np.uint8)
    calls = {"ours": ours, "memcpy": lambda: np.copyto(destination, source)}
    if opencv is not None:
        calls["opencv"] = opencv
    times: dict[str, list[float]] = {way: [] for way in calls}
    for repetition in range(REPETITIONS + 1):
        for way, call in calls.items():
            used_ms = ms(call)
            if repetition:  # the first warms up
                times[way].append(used_ms)
    further = {f"{way}_ms": round(median(values), 3) for way, values in times.items()}
    rates = {way: [size / 1e6 / used_ms for used_ms in values] for way, values in times.items()}
    return Comparison(
        case=name,
        ours=rates["ours"],
        other=rates["memcpy"],
        baseline="memcpy",
        unit="GB/s",
        goal=GOAL,
        more_is_better=True,
        further=further,
    )


def main() -> None:
    """Measure every kernel."""
    output = arguments(__doc__).json
    rows = [measured(name, *row) for name, row in {**layouts(), **values()}.items()]
    publish_rows("kernels", rows, output)


if __name__ == "__main__":
    main()
