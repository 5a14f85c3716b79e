"""Draws the textures of the synthetic scene: figures on fixed-seed noise, for stereo matching."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]  # B, G, R

#: Levels of a texture, each half the size; sides are multiples of 2^(LEVELS - 1), plus 1, texels.
LEVELS = 4
_GRAIN = 2 ** (LEVELS - 1)

#: Channel -> weights of B, G, R and an offset. YUV is BT.601 with 16..235, as OpenCV's I420.
_CHANNELS: dict[str, tuple[float, float, float, float]] = {
    "b": (1, 0, 0, 0),
    "g": (0, 1, 0, 0),
    "r": (0, 0, 1, 0),
    "grey": (0.114, 0.587, 0.299, 0),
    "y": (0.098, 0.504, 0.257, 16),
    "u": (0.439, -0.291, -0.148, 128),
    "v": (-0.071, -0.368, 0.439, 128),
}


class Texture:
    """One image at several sizes; channels are computed on first use.

    Texel centres are at integers, and at every level the corner texels are at the corners of the
    face; therefore the sides have 2^n * m + 1 texels.
    """

    def __init__(self, image: Pixels) -> None:
        height, width = image.shape[:2]
        assert (width % _GRAIN, height % _GRAIN) == (1, 1), "sides must be multiples of 8, plus 1"
        self.span = (width - 1, height - 1)
        self._images = [image]
        self._pixels: dict[tuple[tuple[str, ...], int], Pixels] = {}

    def pixels(self, channels: tuple[str, ...], level: int) -> Pixels:
        """The texture at one level, shape (h, w) for one channel, (h, w, n) for several."""
        key = channels, level
        if key not in self._pixels:
            while len(self._images) <= level:
                self._images.append(np.asarray(cv2.pyrDown(self._images[-1]), np.uint8))
            weights = np.array([_CHANNELS[channel] for channel in channels])
            pixels = cv2.transform(self._images[level], weights)
            self._pixels[key] = np.asarray(pixels, np.uint8)
        return self._pixels[key]


def texture_size(width_m: float, height_m: float, texel_m: float) -> tuple[int, int]:
    """(width, height) in texels for a face of that size in metres."""
    return (
        max(1, round(width_m / texel_m / _GRAIN)) * _GRAIN + 1,
        max(1, round(height_m / texel_m / _GRAIN)) * _GRAIN + 1,
    )


def noise(size: tuple[int, int], seed: int) -> NDArray[np.float32]:
    """Grey noise with detail at several scales, so that it can be matched near and far.

    Shape   (height, width), mean 0, standard deviation about 1
    """
    random = np.random.default_rng(seed)
    width, height = size
    total = np.zeros((height, width), np.float32)
    for cell in (1, 2, 4, 8, 16):
        coarse = random.standard_normal((height // cell + 2, width // cell + 2), np.float32)
        detail = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
        total += np.asarray(detail, np.float32)
    return np.asarray(total / total.std(), np.float32)


def grained(image: Pixels, seed: int, contrast: float = 22.0) -> Pixels:
    """The image with noise added."""
    height, width = image.shape[:2]
    grain = noise((width, height), seed) * contrast
    return np.clip(image + grain[..., None], 0, 255).astype(np.uint8)


def plain(size: tuple[int, int], colour: Colour) -> Pixels:
    """An image of one colour."""
    return np.full((size[1], size[0], 3), colour, np.uint8)


class Pen:
    """Draws filled shapes in coordinates 0..1 of an image."""

    def __init__(self, image: Pixels) -> None:
        self._image = image
        self._scale = np.array([image.shape[1] - 1, image.shape[0] - 1])

    def polygon(self, colour: Colour, *points: tuple[float, float]) -> None:
        """Fill a polygon."""
        corners = np.rint(np.array(points) * self._scale).astype(np.int32)
        cv2.fillPoly(self._image, [corners], colour, cv2.LINE_AA)

    def box(self, colour: Colour, x0: float, y0: float, x1: float, y1: float) -> None:
        """Fill an upright rectangle."""
        self.polygon(colour, (x0, y0), (x1, y0), (x1, y1), (x0, y1))

    def ellipse(self, colour: Colour, x: float, y: float, rx: float, ry: float) -> None:
        """Fill an upright ellipse about (x, y)."""
        angles = np.linspace(0, 2 * np.pi, 48)
        outline = zip(x + rx * np.cos(angles), y + ry * np.sin(angles), strict=True)
        self.polygon(colour, *((float(px), float(py)) for px, py in outline))


def _person(pen: Pen, clothes: Sequence[Colour]) -> None:
    shirt, trousers, hair = clothes
    skin, shoes = (140, 175, 225), (30, 30, 40)
    for side in (-1, 1):
        pen.polygon(
            trousers,
            *(
                (0.5 + side * x, y)
                for x, y in ((0.0, 0.5), (0.19, 0.5), (0.22, 0.95), (0.05, 0.95))
            ),
        )
        pen.ellipse(shoes, 0.5 + side * 0.16, 0.965, 0.13, 0.025)
        arm = ((0.2, 0.18), (0.3, 0.2), (0.42, 0.5), (0.32, 0.52))
        pen.polygon(shirt, *((0.5 + side * x, y) for x, y in arm))
        pen.ellipse(skin, 0.5 + side * 0.37, 0.535, 0.07, 0.03)
    pen.polygon(shirt, (0.24, 0.18), (0.76, 0.18), (0.71, 0.53), (0.29, 0.53))
    pen.box((235, 235, 235), 0.27, 0.3, 0.73, 0.335)
    pen.box(skin, 0.44, 0.13, 0.56, 0.19)
    pen.ellipse(hair, 0.5, 0.075, 0.19, 0.065)
    pen.ellipse(skin, 0.5, 0.09, 0.16, 0.062)
    for x in (0.43, 0.57):
        pen.ellipse((40, 30, 30), x, 0.085, 0.025, 0.008)
    pen.box((70, 70, 190), 0.44, 0.118, 0.56, 0.124)


def _bottle(pen: Pen, colours: Sequence[Colour]) -> None:
    glass, label, cap = colours
    pen.polygon(
        glass,
        (0.38, 0.06),
        (0.62, 0.06),
        (0.62, 0.28),
        (0.86, 0.42),
        (0.86, 0.98),
        (0.14, 0.98),
        (0.14, 0.42),
        (0.38, 0.28),
    )
    pen.box(cap, 0.36, 0.01, 0.64, 0.08)
    pen.box(label, 0.14, 0.52, 0.86, 0.8)
    pen.ellipse(cap, 0.5, 0.66, 0.22, 0.09)
    pen.box((240, 245, 240), 0.22, 0.44, 0.3, 0.96)


def _chair(pen: Pen, colours: Sequence[Colour]) -> None:
    wood, seat, dark = colours
    for x in (0.08, 0.84):
        pen.box(wood, x, 0.02, x + 0.08, 0.98)
    for y in (0.06, 0.18, 0.3):
        pen.box(wood, 0.1, y, 0.9, y + 0.07)
    pen.polygon(seat, (0.02, 0.56), (0.98, 0.56), (0.94, 0.47), (0.06, 0.47))
    pen.box(dark, 0.02, 0.56, 0.98, 0.6)
    pen.box(dark, 0.12, 0.76, 0.88, 0.79)


def _car(pen: Pen, colours: Sequence[Colour]) -> None:
    paint, glass, dark = colours
    pen.polygon(
        paint,
        (0.02, 0.5),
        (0.2, 0.42),
        (0.33, 0.1),
        (0.7, 0.1),
        (0.85, 0.42),
        (0.98, 0.5),
        (0.98, 0.8),
        (0.02, 0.8),
    )
    pen.polygon(glass, (0.26, 0.42), (0.36, 0.17), (0.5, 0.17), (0.5, 0.42))
    pen.polygon(glass, (0.54, 0.42), (0.54, 0.17), (0.67, 0.17), (0.78, 0.42))
    for x in (0.22, 0.78):
        pen.ellipse(dark, x, 0.8, 0.11, 0.18)
        pen.ellipse((200, 200, 200), x, 0.8, 0.05, 0.08)
    pen.box((120, 240, 255), 0.02, 0.52, 0.08, 0.6)
    pen.box((40, 40, 230), 0.92, 0.52, 0.98, 0.6)


def _table(pen: Pen, colours: Sequence[Colour]) -> None:
    wood, dark, cloth = colours
    pen.box(cloth, 0.0, 0.0, 1.0, 0.25)
    for x in (0.0, 0.9):
        pen.box(wood, x, 0.25, x + 0.1, 1.0)
    pen.box(dark, 0.1, 0.25, 0.9, 0.3)


#: Figures for the front of a box.
FIGURES: dict[str, Callable[[Pen, Sequence[Colour]], None]] = {
    "person": _person,
    "bottle": _bottle,
    "chair": _chair,
    "car": _car,
    "table": _table,
}


def figure_texture(
    figure: str, size: tuple[int, int], colours: Sequence[Colour], card: Colour, seed: int
) -> Texture:
    """A figure on a card of one colour, with noise."""
    image = plain(size, card)
    FIGURES[figure](Pen(image), colours)
    return Texture(grained(image, seed))


def surface_texture(size: tuple[int, int], colour: Colour, seed: int) -> Texture:
    """A wall, a floor or the side of a box: one colour with noise and faint tiles."""
    image = plain(size, colour)
    tile = 64
    lines = np.zeros(image.shape[:2], np.bool_)
    lines[::tile] = lines[:, ::tile] = True
    image[lines] = np.array(colour) // 2
    return Texture(grained(image, seed, contrast=28.0))


def board_texture(squares: tuple[int, int], square_texels: int) -> Texture:
    """A chessboard with a white margin one square wide.

    Corner (i, j) of the squares, counted from the top left of the board without its margin, lies
    at texel ((i + 1) * square_texels - 0.5, (j + 1) * square_texels - 0.5).
    """
    columns, rows = squares[0] + 2, squares[1] + 2
    cells = np.full((rows, columns), 235, np.uint8)
    y, x = np.mgrid[: squares[1], : squares[0]]
    cells[1:-1, 1:-1][(x + y) % 2 == 0] = 25
    image = np.kron(cells, np.ones((square_texels, square_texels), np.uint8))
    # Sides must be multiples of 8, plus 1: one more row and column of margin.
    image = np.pad(image, ((0, 1), (0, 1)), mode="edge")
    return Texture(np.asarray(np.repeat(image[..., None], 3, axis=2), np.uint8))
