"""Lays pictures of topics out side by side, each with its name and what was found in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

WIDTH, COLUMNS, GAP = 1600, 3, 10
TILE_WIDTH = (WIDTH - GAP) // COLUMNS - GAP
PICTURE_HEIGHT, TITLE_HEIGHT = TILE_WIDTH * 9 // 16, 56
_GROUND, _TITLE, _INK, _FAINT = (30, 26, 24), (56, 47, 42), (255, 255, 255), (205, 190, 175)
_FONT, _STRONG_FONT = cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX
_STRIP_HEIGHT, _BAR_HEIGHT, _ENTRY_HEIGHT = 25, 12, 54


@dataclass(frozen=True)
class Box:
    """What was found in a picture; the corners x0, y0, x1, y1 are shares of its size.

    `words` stand at the box, `name` and `facts` beside the picture.
    """

    corners: tuple[float, float, float, float]
    words: str
    name: str
    facts: str


@dataclass(frozen=True)
class Tile:
    """One picture (bgr), two lines of text above it, and boxes that are drawn into it."""

    topic: str
    type: str
    picture: Pixels
    boxes: Sequence[Box] = ()


def _colour(number: int) -> Colour:
    """A light colour of its own for each number."""
    hsv = np.array([[[(100 + number * 67) % 180, 150, 255]]], np.uint8)
    blue, green, red = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return blue, green, red


def _write(
    canvas: Any, words: str, corner: tuple[int, int], size: float, colour: Colour, font: int = _FONT
) -> None:
    """Text whose left end and base line are at a corner."""
    cv2.putText(canvas, words, corner, font, size, colour, 1, cv2.LINE_AA)


def _width(words: str, size: float) -> int:
    return int(cv2.getTextSize(words, _FONT, size, 1)[0][0])


def coloured(values: NDArray[Any], unit: str, nearest_is_large: bool) -> Pixels:
    """A picture of measured values: near is red, far is blue, what is unknown (0 or less) is grey.

    A bar below says which values the two ends of the colours are: the least and the largest.
    """
    known = np.isfinite(values) & (values > 0)
    low, high = (float(edge) for edge in np.quantile(values[known], (0, 1)))
    share = np.where(known, (values - low) / max(high - low, 1e-6), 0)
    share = share if nearest_is_large else 1 - share
    picture: Any = cv2.applyColorMap(np.rint(share * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    picture[~known] = (70, 70, 70)
    picture = cv2.resize(picture, (TILE_WIDTH, PICTURE_HEIGHT), interpolation=cv2.INTER_AREA)
    _draw_bar(picture, f"{low:.1f} {unit}", f"{high:.1f} {unit}", nearest_is_large)
    return np.asarray(picture, np.uint8)


def _draw_bar(picture: Any, low: str, high: str, nearest_is_large: bool) -> None:
    strip = picture[-_STRIP_HEIGHT:]
    strip[:] = _TITLE
    left, right = _width(low, 0.54) + 20, TILE_WIDTH - _width(high, 0.54) - 20
    ramp = np.linspace(0, 255, right - left).astype(np.uint8)[None]
    ramp = ramp if nearest_is_large else ramp[:, ::-1]
    top = (_STRIP_HEIGHT - _BAR_HEIGHT) // 2
    strip[top : top + _BAR_HEIGHT, left:right] = cv2.applyColorMap(ramp, cv2.COLORMAP_TURBO)
    _write(strip, low, (10, _STRIP_HEIGHT - 8), 0.54, _INK)
    _write(strip, high, (right + 10, _STRIP_HEIGHT - 8), 0.54, _INK)


def _draw_box(picture: Any, box: Box, colour: Colour) -> None:
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = (
        round(share * size) for share, size in zip(box.corners, (width, height) * 2, strict=True)
    )
    cv2.rectangle(picture, (x0, y0), (x1, y1), colour, 2)
    ground = _width(box.words, 0.5) + 6
    left, bottom = max(0, min(x0 - 1, width - ground)), max(y0, 18)
    cv2.rectangle(picture, (left, bottom - 18), (left + ground, bottom), colour, cv2.FILLED)
    _write(picture, box.words, (left + 3, bottom - 5), 0.5, (0, 0, 0))


def _fitted(picture: Pixels) -> Pixels:
    """The picture as large as a tile allows, its proportions kept."""
    height, width = picture.shape[:2]
    factor = min(TILE_WIDTH / width, PICTURE_HEIGHT / height)
    size = round(width * factor), round(height * factor)
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)


def _drawn(tile: Tile) -> Pixels:
    canvas = np.full((TITLE_HEIGHT + PICTURE_HEIGHT, TILE_WIDTH, 3), _TITLE, np.uint8)
    _write(canvas, tile.topic, (10, 25), 0.7, _INK, _STRONG_FONT)
    _write(canvas, tile.type, (10, 47), 0.54, _FAINT)
    picture = _fitted(tile.picture)
    height, width = picture.shape[:2]
    for number, box in enumerate(tile.boxes):
        _draw_box(picture, box, _colour(number))
        x, y = width + 14, TITLE_HEIGHT + _ENTRY_HEIGHT * number
        _write(canvas, box.name, (x, y + 24), 0.62, _colour(number), _STRONG_FONT)
        _write(canvas, box.facts, (x, y + 44), 0.52, _FAINT)
    left = 0 if tile.boxes else (TILE_WIDTH - width) // 2
    canvas[TITLE_HEIGHT : TITLE_HEIGHT + height, left : left + width] = picture
    return canvas


def mosaic(tiles: Sequence[Tile]) -> Pixels:
    """All tiles in rows of COLUMNS, (H, WIDTH, 3) bgr."""
    rows = -(-len(tiles) // COLUMNS)
    pitch_x, pitch_y = TILE_WIDTH + GAP, TITLE_HEIGHT + PICTURE_HEIGHT + GAP
    canvas = np.full((rows * pitch_y + GAP, WIDTH, 3), _GROUND, np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, COLUMNS)
        y, x = GAP + row * pitch_y, GAP + column * pitch_x
        canvas[y : y + pitch_y - GAP, x : x + TILE_WIDTH] = _drawn(tile)
    return canvas


def jpeg(picture: Pixels, most_bytes: int) -> bytes:
    """The picture as JPEG, in the best quality that fits.

    Raises  ValueError if none does
    """
    for quality in range(95, 30, -5):
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(data) <= most_bytes:
            return data
    raise ValueError(f"the picture does not fit into {most_bytes} bytes")
