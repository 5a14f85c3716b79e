"""The mosaic of `make pictures` has every picture in its place, with its name and its boxes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from picture_mosaic import (
    COLUMNS,
    GAP,
    PICTURE_HEIGHT,
    TILE_WIDTH,
    TITLE_HEIGHT,
    WIDTH,
    Box,
    Tile,
    coloured,
    jpeg,
    mosaic,
)

TOOLS = Path(__file__).resolve().parents[2] / "tools"
#: Sizes of pictures, rows before columns: wide, square, larger and smaller than a tile.
SIZES = ((720, 1280), (300, 300), (1080, 1920), (90, 160))
GREYS = (60, 110, 160, 210)


def plain(grey: int, size: tuple[int, int]) -> Any:
    return np.full((*size, 3), grey, np.uint8)


def picture_of(page: Any, number: int) -> Any:
    """The part of the mosaic where a tile's picture is."""
    row, column = divmod(number, COLUMNS)
    y = GAP + row * (TITLE_HEIGHT + PICTURE_HEIGHT + GAP) + TITLE_HEIGHT
    x = GAP + column * (TILE_WIDTH + GAP)
    return page[y : y + PICTURE_HEIGHT, x : x + TILE_WIDTH]


def test_every_tile_shows_its_picture_in_its_place() -> None:
    pictures = [plain(grey, size) for grey, size in zip(GREYS, SIZES, strict=True)]
    page = mosaic([Tile("left/image_raw", "Image", picture) for picture in pictures])
    assert page.shape == (2 * (TITLE_HEIGHT + PICTURE_HEIGHT + GAP) + GAP, WIDTH, 3)
    for number, grey in enumerate(GREYS):
        shown = picture_of(page, number)
        assert shown[PICTURE_HEIGHT // 2, TILE_WIDTH // 2].tolist() == [grey] * 3


def test_title_is_written_above_the_picture() -> None:
    named, nameless = (mosaic([Tile(name, name, plain(90, SIZES[0]))]) for name in ("name", ""))
    different = np.argwhere((named != nameless).any(axis=2))
    assert different.size
    assert different[:, 0].max() < GAP + TITLE_HEIGHT


def test_box_is_drawn_where_it_was_found_and_its_facts_beside_the_picture() -> None:
    box = Box((0.25, 0.5, 0.5, 0.75), "a", "a car", "score 0.75")
    shown = picture_of(mosaic([Tile("preview", "Image", plain(0, (300, 300)), [box])]), 0)
    side = PICTURE_HEIGHT
    lit = np.argwhere(shown[side // 2 :, :side].any(axis=2))  # the word stands above the box
    assert np.abs(lit.min(axis=0) - (0, side // 4)).max() <= 2
    assert np.abs(lit.max(axis=0) - (side // 4, side // 2)).max() <= 2
    assert np.ptp(shown[:, side + 1 :]) > 100  # text on its ground


@pytest.mark.parametrize("nearest_is_large", [False, True])
def test_near_is_red_far_is_blue_and_unknown_is_grey(nearest_is_large: bool) -> None:
    values = np.zeros((90, 160), np.float32)
    values[:, 60:110], values[:, 110:] = 1, 5
    picture = coloured(values, "m", nearest_is_large)
    unknown, small, large = (picture[100, column] for column in (50, 260, 460))
    near, far = (large, small) if nearest_is_large else (small, large)
    assert np.ptp(unknown) == 0
    assert near.argmax() == 2
    assert far.argmax() == 0


def test_picture_is_written_in_the_best_quality_that_fits() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (200, 200, 3)).astype(np.uint8)
    large, small = jpeg(noise, 1 << 20), jpeg(noise, 40_000)
    assert len(small) <= 40_000 < len(large)
    assert cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR).shape == noise.shape
    with pytest.raises(ValueError, match="does not fit into 100 bytes"):
        jpeg(noise, 100)


def test_program_says_what_it_does() -> None:
    command = [sys.executable, TOOLS / "pictures", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "picture of every topic" in done.stdout
    assert "--output" in done.stdout
