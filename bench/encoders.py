#!/usr/bin/env python3
"""Compressed images, one thread: JPEG against libjpeg alone, RVL against a limit and a memcpy.

JPEG: the library gets planes whose levels already have a JPEG's full range, and gives the same
bytes; bench/jpeg_planes.cpp measures both. The detour (bgr8, then OpenCV) and PNG are there for
comparison. The images are OpenCV's aloe; depth is that of the virtual device's room with the errors
of a matcher, and the same without a tenth of its pixels.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from aloe import SAMPLES
from depth_kernels import Call, alternating, medians
from results import Comparison, arguments, publish_rows

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test/support"))
from lens_depth import depth_through

from depthai_ros import _core
from depthai_ros.messages.image_codecs import CodecSettings, encode
from depthai_ros.virtual.scenes.source import Realism

JPEG, PNG, RVL = CodecSettings("jpeg"), CodecSettings("png"), CodecSettings("rvl")
SIZES = ((1920, 1080), (1280, 720))
JPEG_GOAL, RVL_GOAL_MB_S = 1.05, 300.0


def photo(size: tuple[int, int]) -> Any:
    """(H, W, 3) uint8."""
    image = cv2.imread(str(SAMPLES / "aloeL.jpg"))
    if image is None:
        sys.exit(f"encoders: {SAMPLES} has no images (Debian: opencv-doc)")
    return cv2.resize(image, size)


def against_libjpeg(size: tuple[int, int], folder: Path) -> list[Comparison]:
    """CPU time of the driver's JPEG and of the calls of libjpeg, in the core."""
    planes, output = folder / "planes", folder / "rows.json"
    cv2.cvtColor(photo(size), cv2.COLOR_BGR2YUV_I420).tofile(planes)
    program = Path(os.environ["DEPTHAI_ROS_BUILD"], "depthai_ros", "jpeg_planes")
    words = [str(program), str(planes), *map(str, size), str(JPEG.jpeg_quality)]
    subprocess.run([*words, "--json", str(output)], check=True, stdout=subprocess.DEVNULL)
    rows = []
    for row in json.loads(output.read_text())["jpeg_planes"]:
        pixels = size[0] * size[1]
        mb = (pixels * 3 // 2 if row["case"] == "i420" else pixels) / 1e6
        rows.append(
            Comparison(
                case=f"JPEG, {row['case']}, {size[0]}x{size[1]}",
                ours=[mb / speed * 1e3 for speed in row["ours"]],
                other=[mb / speed * 1e3 for speed in row["other"]],
                baseline="libjpeg, same planes",
                unit="ms",
                goal=JPEG_GOAL,
            )
        )
    return rows


def against(case: str, ours: Call, other: Call, baseline: str) -> Comparison:
    """CPU time in ms, without a goal."""
    times = alternating({"ours": ours, "other": other})
    return Comparison(case, times["ours"], times["other"], baseline, "ms")


def jpeg_of_a_detour() -> Comparison:
    """Colour 1920x1080: the planes, or bgr8 first and then OpenCV."""
    planes = cv2.cvtColor(photo(SIZES[0]), cv2.COLOR_BGR2YUV_I420)
    bgr = np.empty((1080, 1920, 3), np.uint8)

    def detour() -> None:
        _core.bgr_from_i420(source=planes, destination=bgr)
        cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG.jpeg_quality])

    ours = partial(encode, planes, "i420", JPEG)
    return against("JPEG or its detour, 1920x1080", ours, detour, "bgr8 and cv2.imencode")


def rvl(name: str, depth: Any) -> list[Comparison]:
    """MB/s of pixels: against the limit, and against a memcpy of them."""
    copy = np.empty_like(depth)
    coded = encode(depth, "16UC1", RVL)
    times = alternating(
        {"ours": partial(encode, depth, "16UC1", RVL), "memcpy": partial(np.copyto, copy, depth)}
    )
    mb = depth.nbytes / 1e3  # of which one in a ms is a MB/s
    row = Comparison(
        case=f"RVL, {name}, 1280x720",
        ours=[mb / used for used in times["ours"]],
        other=[RVL_GOAL_MB_S] * len(times["ours"]),
        baseline="limit",
        unit="MB/s",
        goal=1.0,
        more_is_better=True,
        further={"share_of_bytes": round(coded.size / depth.nbytes, 3), **medians(times)},
    )
    speeds = [mb / used for used in times["memcpy"]]
    return [
        row,
        replace(row, case=f"{row.case}, copied", other=speeds, baseline="memcpy", goal=None),
    ]


def png(name: str, image: Any, encoding: str) -> Comparison:
    """Level 3 against OpenCV's."""
    level = [cv2.IMWRITE_PNG_COMPRESSION, PNG.png_level]
    theirs = partial(cv2.imencode, ".png", image, level)
    row = against(f"PNG, {name}", partial(encode, image, encoding, PNG), theirs, "cv2.imencode")
    sizes = {"bytes": encode(image, encoding, PNG).size, "opencv_bytes": theirs()[1].size}
    return replace(row, further=sizes)


def main() -> None:
    """Measure every encoder."""
    output = arguments(__doc__).json
    cv2.setNumThreads(1)
    depth = depth_through(Realism(noise=True), SIZES[1])
    holes = np.where(np.random.default_rng(4).random(depth.shape) < 0.1, 0, depth)
    bgr = photo(SIZES[1])
    gray = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    with tempfile.TemporaryDirectory(prefix="depthai_ros-bench-") as folder:
        rows = [row for size in SIZES for row in against_libjpeg(size, Path(folder))]
    rows += [
        jpeg_of_a_detour(),
        *rvl("room", depth),
        *rvl("a tenth missing", holes.astype(np.uint16)),
        png("mono8, 1280x720", gray, "mono8"),
        png("bgr8, 1280x720", bgr, "bgr8"),
        png("16UC1, 1280x720", depth, "16UC1"),
    ]
    publish_rows("encoders", rows, output)


if __name__ == "__main__":
    main()
