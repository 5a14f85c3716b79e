#!/usr/bin/env python3
"""Depth against ground truth: without filters, with each filter by itself, and with each preset.

A wall at 1, 2 and 4 m with the errors of the virtual device's sensor model, and the aloe pair of
Debian's opencv-doc, in disparity. `--draw DIR` also draws depth before and after the filters.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from accuracy import FIGURES, LARGER, PROMISES, WITHIN, Scene, configurations, is_kept, measure
from aloe import SAMPLES, AloeFigures, aloe_depth, aloe_figures
from numpy.typing import NDArray
from results import Comparison, print_table, publish_rows

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test/support"))
from lens_depth import depth_through, room_calibration, share_wrong, undistortion

from depthai_ros.virtual.scenes.eeprom import eeprom_document
from depthai_ros.virtual.scenes.source import Realism, SceneView, make_source

DISTANCES_M = (1.0, 2.0, 4.0)
SIZE = (1280, 720)
FRAMES, SETTLE = 24, 12
PICTURE, MOST_BYTES = "depth_filters.jpg", 200_000
#: What is drawn, with its filters; depth beyond this is not.
SHOWN = (
    ("room", "raw"),
    ("room", "navigation"),
    ("room", "manipulation"),
    ("room", "high_accuracy"),
    ("aloe", "raw"),
    ("aloe", "manipulation"),
)
SHOWN_MM = 7000
#: The room is shown at this time, s; two boxes move.
ROOM_S = 3.0


def wall_rows(distance_m: float) -> list[Comparison]:
    """Print the table of one distance; returns what the presets promise, against raw."""
    scene = Scene(SIZE, distance_m, FRAMES)
    found = {name: measure(scene, row, SETTLE) for name, row in configurations().items()}
    print(f"\nwall at {distance_m:g} m")
    print_table(
        [
            {"filters": name, **{each: f"{getattr(row, each):.2f}" for each in FIGURES}}
            for name, row in found.items()
        ]
    )
    raw = found["raw"]
    broken = [
        f"{preset}: {each}"
        for preset, promised in PROMISES.items()
        for each in promised
        if not is_kept(each, found[preset], raw)
    ]
    print("every preset keeps its promises" if not broken else f"BROKEN: {', '.join(broken)}")
    return [
        Comparison(
            case=f"{preset}, {distance_m:g} m: {each}",
            ours=[abs(getattr(found[preset], each))],
            other=[abs(getattr(raw, each))],
            baseline="raw",
            unit="mm" if each.endswith("_mm") else "%",
            goal=WITHIN.get(each, 1.0),
            more_is_better=each in LARGER,
        )
        for preset, promised in PROMISES.items()
        for each in promised
    ]


def print_aloe() -> None:
    """The table of the real pair."""
    print("\naloe pair, disparity")
    if not SAMPLES.is_dir():
        print(f"the images of Debian's opencv-doc are not in {SAMPLES}")
        return
    rows: dict[str, AloeFigures] = {
        name: aloe_figures(settings)
        for name, settings in configurations().items()
        if name not in ("threshold", "temporal")  # the pair has no metres and is one frame
    }
    print_table([{"filters": name, **row.texts()} for name, row in rows.items()])


def lens_row() -> Comparison:
    """The room through lenses: pixels that are wrong by a step of disparity or more."""
    depth = depth_through(Realism(lens=True), SIZE)
    moved = np.empty_like(depth)
    undistortion(room_calibration(lens=True), SIZE).make(depth, moved)
    return Comparison(
        case="room through lenses, wrong by a step: stereo.rectify host",
        ours=[100 * share_wrong(moved)],
        other=[100 * share_wrong(depth)],
        baseline="stereo.rectify device",
        unit="%",
        goal=0.1,
    )


# -- depth before and after


def room_depth(settings: Mapping[str, Any]) -> NDArray[np.uint16]:
    """The last of some frames of the synthetic room, through filters."""
    source = make_source("synthetic", eeprom_document(5), Realism(noise=True))
    source.configure(SceneView(SIZE, (1920, 1080), (300, 300), True, "rgb", True, True))
    scene = Scene(SIZE, 2.0, 0)
    scene.frames = [
        scene.depth(source.paint("disparity", ROOM_S + number / 30, number))
        for number in range(FRAMES)
    ]
    return scene.filtered(settings)[1][-1]


def draw(folder: Path) -> None:
    """Depth of the room and of the aloe pair, before and after, as one image."""
    sys.path.append(str(Path(__file__).resolve().parents[1] / "tools"))
    from picture_mosaic import Tile, coloured, jpeg, mosaic

    tiles = []
    for title, name in SHOWN:
        if title == "aloe" and not SAMPLES.is_dir():
            continue
        settings = configurations()[name]
        depth = room_depth(settings) if title == "room" else aloe_depth(settings)
        height, width = depth.shape
        metres = np.where((depth > 0) & (depth < SHOWN_MM), depth / 1000, 0)
        shown = cv2.resize(metres, SIZE, interpolation=cv2.INTER_NEAREST)
        image = coloured(shown, "m", nearest_is_large=False)
        tiles.append(Tile(f"{title}: {name}", f"{width} x {height}", image))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PICTURE).write_bytes(jpeg(mosaic(tiles), MOST_BYTES))
    print(folder / PICTURE)


def main() -> None:
    """Measure, print, and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    parser.add_argument("--draw", type=Path, metavar="DIR", help=f"write {PICTURE} to DIR")
    chosen = parser.parse_args()
    rows = [row for distance_m in DISTANCES_M for row in wall_rows(distance_m)]
    print_aloe()
    print()
    publish_rows("depth_accuracy", [*rows, lens_row()], chosen.json)
    if chosen.draw:
        draw(chosen.draw)


if __name__ == "__main__":
    main()
