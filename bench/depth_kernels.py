#!/usr/bin/env python3
"""Clouds, registered depth, rectification and filters, called as the node does, with one thread.

Clouds against a memcpy of the same output bytes, rectification against OpenCV's remap with
fixed-point maps, registration against a limit. The depth is a slanted wall in whole disparities
with a box before it; images are noise. `noise_ms` of the registration is its time for random depth,
which no camera gives.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from filter_rows import filter_rows
from results import Comparison, against_limit, arguments, publish_rows

from kernels import ms

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test/support"))
from depth_cameras import camera, posed, turned
from lens_depth import room_calibration, undistortion

from depthai_ros.depth.cloud import ColorProjection, PointCloudMaker
from depthai_ros.depth.rectification import Rectifier
from depthai_ros.depth.registration import Registration

REPETITIONS = 7
HEIGHT, WIDTH = 720, 1280
CLOUD_GOAL, REGISTRATION_LIMIT_MS, RECTIFICATION_GOAL = 0.5, 8.0, 1.0
BASELINE_MM = 75.0

Call = Callable[[], Any]

MONO = camera((WIDTH, HEIGHT), 71.9, "plumb_bob")
DEPTH = camera((WIDTH, HEIGHT), 71.9)
RGB = replace(camera((1920, 1080), 68.8, "rational_polynomial"), r=np.eye(3))
RGB_FROM_DEPTH = posed(turned(0.3, -0.5, 0.2), 0.0375, 0.002, 0.003)


def slanted_wall() -> Any:
    """Depth in mm, (HEIGHT, WIDTH)."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    disparity = np.floor(20 + (rows + columns) / 60)
    disparity[200:400, 300:600] = 90
    depth = (DEPTH.p[0, 0] * BASELINE_MM / disparity).astype(np.uint16)
    depth[:, :60] = 0  # the left camera does not see it
    return depth


def alternating(calls: Mapping[str, Call]) -> dict[str, list[float]]:
    """CPU time in ms of each call, in turns; the first turn warms up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for repetition in range(REPETITIONS + 1):
        for name, call in calls.items():
            used_ms = ms(call)
            if repetition:
                times[name].append(used_ms)
    return times


def medians(times: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """For the JSON file."""
    return {f"{name}_ms": round(median(values), 3) for name, values in times.items()}


def clouds(depth: Any) -> list[Comparison]:
    """The kernel of points, in GB/s of output."""
    random = np.random.default_rng(1)
    mono = random.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    bgr = random.integers(0, 256, (RGB.height, RGB.width, 3), np.uint8)
    projection = ColorProjection(RGB, RGB_FROM_DEPTH)
    colors: dict[str, tuple[Any, ...]] = {
        "xyz": (),
        "xyz, mono": (mono,),
        "xyz, rgb": (bgr, projection),
    }
    rows = []
    for decimation in (1, 2):
        maker = PointCloudMaker(DEPTH, decimation=decimation, max_depth_m=10.0)
        points = np.empty((*maker.shape, 4), np.float32)
        copy = partial(np.copyto, points, np.ones_like(points))
        for name, color in colors.items():
            make = partial(maker.make, depth, points, *color)
            times = alternating({"ours": make, "memcpy": copy})
            gb = points.nbytes / 1e6
            rows.append(
                Comparison(
                    case=f"{name}, decimation {decimation}",
                    ours=[gb / used for used in times["ours"]],
                    other=[gb / used for used in times["memcpy"]],
                    baseline="memcpy",
                    unit="GB/s",
                    goal=CLOUD_GOAL if name == "xyz" and decimation == 1 else None,
                    more_is_better=True,
                    further=medians(times),
                )
            )
    return rows


def registration(depth: Any) -> Comparison:
    """Depth of 1280x720 into the rgb camera at 1280x720."""
    kernel = Registration(DEPTH, RGB, RGB_FROM_DEPTH, width=WIDTH)
    target = np.empty((kernel.model.height, kernel.model.width), np.uint16)
    noise = np.random.default_rng(2).integers(0, 12_000, depth.shape, np.uint16)
    calls = {"ours": depth, "noise": noise}
    times = alternating({name: partial(kernel.make, z, target) for name, z in calls.items()})
    return against_limit(
        "registration, 1280x720 to 1280x720",
        times["ours"],
        REGISTRATION_LIMIT_MS,
        "ms",
        **medians(times),
    )


def undistorted(depth: Any) -> Comparison:
    """Depth of 1280x720 without the distortion of the lenses."""
    kernel = undistortion(room_calibration(lens=True), (WIDTH, HEIGHT))
    target = np.empty_like(depth)
    times = alternating({"ours": partial(kernel.make, depth, target)})
    case = "depth without distortion, 1280x720"
    return against_limit(case, times["ours"], REGISTRATION_LIMIT_MS, "ms")


def rectification() -> list[Comparison]:
    """Raw to rectified, 1280x720."""
    kernel = Rectifier(MONO)
    k, d, r, p = MONO.k, MONO.d, MONO.r, MONO.p[:, :3]
    maps = cv2.initUndistortRectifyMap(k, d, r, p, (WIDTH, HEIGHT), cv2.CV_16SC2)
    rows = []
    for name, channels in (("mono8", ()), ("bgr8", (3,))):
        shape = (HEIGHT, WIDTH, *channels)
        raw = np.random.default_rng(3).integers(0, 256, shape, np.uint8)
        ours, other = np.empty_like(raw), np.empty_like(raw)
        times = alternating(
            {
                "ours": partial(kernel.make, raw, ours),
                "opencv": partial(cv2.remap, raw, *maps, cv2.INTER_LINEAR, dst=other),
            }
        )
        rows.append(
            Comparison(
                case=f"rectification, {name}",
                ours=times["ours"],
                other=times["opencv"],
                baseline="cv2.remap, fixed point",
                unit="ms",
                goal=None if channels else RECTIFICATION_GOAL,
                further=medians(times),
            )
        )
    return rows


def main() -> None:
    """Measure every kernel."""
    output = arguments(__doc__).json
    cv2.setNumThreads(1)
    depth = slanted_wall()
    rows = [
        *clouds(depth),
        registration(depth),
        undistorted(depth),
        *rectification(),
        *filter_rows(),
    ]
    publish_rows("depth_kernels", rows, output)


if __name__ == "__main__":
    main()
