"""The room of the synthetic scene: its objects, their positions and paths.

World coordinates are those of optics.py. All surfaces are planar rectangles; the moving objects are
boxes that follow smooth paths without rotation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .optics import Floats
from .rasterizer import Faces
from .textures import Colour, Texture, board_texture, figure_texture, surface_texture, texture_size

#: Top left corner, the two edges from it (metres), texture.
Face = tuple[Floats, Floats, Floats, Texture]


@dataclass(frozen=True)
class Swing:
    """One coordinate of a path: middle + reach * sin(2 pi t / period + phase)."""

    middle: float
    reach: float = 0.0
    period_s: float = 1.0
    phase: float = 0.0

    def at(self, time_s: float) -> float:
        """The coordinate at one time, metres."""
        angle = 2 * math.pi * math.fmod(time_s, self.period_s) / self.period_s
        return self.middle + self.reach * math.sin(angle + self.phase)


@dataclass(frozen=True)
class Thing:
    """A box on a path; x, y, z: middle of the lower edge of its front face, metres."""

    figure: str
    label: int  # class of the 21-class MobileNet-SSD list
    size_m: tuple[float, float, float]  # width, height, depth
    x: Swing
    y: Swing
    z: Swing
    colours: tuple[Colour, ...]
    card: Colour

    def front_at(self, time_s: float) -> Floats:
        """(x, y, z) at one time, metres."""
        return np.array([self.x.at(time_s), self.y.at(time_s), self.z.at(time_s)])


FLOOR_Y_M, CEILING_Y_M, BACK_Z_M, WALL_X_M = 0.8, -1.7, 6.5, 4.3
_TABLE_Y_M = 0.36
_FLOOR = Swing(FLOOR_Y_M)

#: No two boxes intersect, and of two boxes that overlap in an image the one with the nearer back is
#: in front. Therefore painting them in the order of their backs is correct.
THINGS = (
    Thing(
        "person",
        15,
        (0.62, 1.72, 0.24),
        Swing(0.0, 0.8, 14),
        _FLOOR,
        Swing(3.8, 0.4, 19),
        ((60, 60, 200), (120, 70, 40), (40, 60, 90)),
        (205, 215, 195),
    ),
    Thing(  # leaves the view of all cameras and comes back
        "person",
        15,
        (0.6, 1.64, 0.24),
        Swing(0.0, 3.75, 31, 0.6),
        _FLOOR,
        Swing(5.0, 0.3, 17),
        ((90, 160, 60), (60, 60, 60), (30, 120, 200)),
        (215, 205, 225),
    ),
    Thing(
        "chair",
        9,
        (0.52, 0.92, 0.42),
        Swing(-0.66, 0.08, 11),
        _FLOOR,
        Swing(2.5, 0.2, 13),
        ((50, 100, 160), (60, 150, 210), (30, 60, 100)),
        (200, 225, 225),
    ),
    Thing(
        "car",
        7,
        (0.8, 0.36, 0.45),
        Swing(0.85, 0.12, 9),
        _FLOOR,
        Swing(2.45, 0.4, 12, 1.0),
        ((40, 40, 190), (220, 200, 150), (35, 35, 35)),
        (190, 215, 205),
    ),
    Thing(
        "table",
        11,
        (0.44, 0.44, 0.4),
        Swing(0.15),
        _FLOOR,
        Swing(1.05),
        ((60, 90, 140), (40, 60, 90), (150, 140, 90)),
        (120, 130, 140),
    ),
    Thing(  # on the table, never near the edge of an image
        "bottle",
        5,
        (0.13, 0.36, 0.1),
        Swing(0.14, 0.1, 8),
        Swing(_TABLE_Y_M),
        Swing(1.21, 0.1, 10),
        ((70, 120, 40), (220, 235, 240), (50, 50, 180)),
        (225, 215, 205),
    ),
)

#: Size of a texel per metre of distance: about one texel per pixel.
_TEXEL_ANGLE = 0.001
_ROOM_TEXEL_M = 0.006
FACES_PER_THING = 4


@dataclass(frozen=True)
class Chessboard:
    """A chessboard target; `origin`: top left corner, `right`: direction of its rows."""

    origin: tuple[float, float, float]
    right: tuple[float, float, float]  # unit vector
    square_m: float

    squares = (7, 5)
    square_texels = 8

    def edges(self) -> tuple[Floats, Floats, Floats]:
        """Origin, right edge and down edge of the face, between texel centres, metres."""
        texel_m = self.square_m / self.square_texels
        columns, rows = ((count + 2) * self.square_texels for count in self.squares)
        down = np.array([0.0, rows * texel_m, 0.0])
        return np.array(self.origin), np.array(self.right) * columns * texel_m, down

    def inner_corners(self) -> Floats:
        """Corners where four squares meet, shape (24, 3), metres."""
        origin, right, down = self.edges()
        steps = np.array(self.squares) + 2
        texel_shift = 0.5 / self.square_texels
        i, j = np.meshgrid(np.arange(2, steps[0] - 1), np.arange(2, steps[1] - 1))
        along = (i.reshape(-1, 1) - texel_shift) / steps[0] * right
        below = (j.reshape(-1, 1) - texel_shift) / steps[1] * down
        return np.asarray(origin + along + below)


#: Placed where no object ever hides them.
BOARDS = (
    Chessboard((-2.8, -1.6, 4.5), (1.0, 0.0, 0.0), 0.09),
    Chessboard((1.75, -1.6, 4.3), (math.cos(0.5), 0.0, math.sin(0.5)), 0.09),
    Chessboard((-1.55, 0.38, 2.2), (1.0, 0.0, 0.0), 0.05),
)


def no_faces() -> Faces:
    """None."""
    nothing = np.zeros((0, 3))
    return Faces(nothing, nothing, nothing, ())


@dataclass(frozen=True, eq=False)
class World:
    """What a synthetic scene shows."""

    name: str
    still: Faces  # faces that never move, far to near
    things: tuple[Thing, ...] = ()
    boxes: Faces = field(default_factory=no_faces)  # of all things, each at the origin
    boards: tuple[Chessboard, ...] = ()


def room_world() -> World:
    """The room with its things."""
    return World("synthetic", room_faces(), THINGS, box_faces(), BOARDS)


def stacked(rows: Sequence[Face]) -> Faces:
    origins, rights, downs, textures = zip(*rows, strict=True)
    return Faces(np.array(origins), np.array(rights), np.array(downs), textures)


def _surface(
    origin: tuple[float, float, float],
    right: tuple[float, float, float],
    down: tuple[float, float, float],
    colour: Colour,
    seed: int,
) -> Face:
    lengths = float(np.linalg.norm(right)), float(np.linalg.norm(down))
    texture = surface_texture(texture_size(*lengths, _ROOM_TEXEL_M), colour, seed)
    return np.array(origin), np.array(right), np.array(down), texture


def room_faces() -> Faces:
    """The static faces, far to near."""
    wide, high = 2 * WALL_X_M, FLOOR_Y_M - CEILING_Y_M
    near, far = 1.4, BACK_Z_M
    deep = far - near
    rows = [
        _surface((-WALL_X_M, CEILING_Y_M, far), (wide, 0, 0), (0, high, 0), (165, 175, 170), 1),
        _surface((-WALL_X_M, FLOOR_Y_M, far), (wide, 0, 0), (0, 0, -deep), (105, 130, 150), 2),
        _surface((-WALL_X_M, CEILING_Y_M, near), (wide, 0, 0), (0, 0, deep), (190, 190, 185), 3),
        _surface((-WALL_X_M, CEILING_Y_M, near), (0, 0, deep), (0, high, 0), (150, 145, 180), 4),
        _surface((WALL_X_M, CEILING_Y_M, far), (0, 0, -deep), (0, high, 0), (180, 155, 140), 5),
    ]
    target = board_texture(Chessboard.squares, Chessboard.square_texels)
    rows += [(*board.edges(), target) for board in BOARDS]
    return stacked(rows)


def _faces_of(thing: Thing, seed: int) -> list[Face]:
    """Top, left, right and front of a box at the origin, in this order."""
    width, height, depth = thing.size_m
    left, right, top = -width / 2, width / 2, -height
    across, into, down = np.array([width, 0, 0]), np.array([0, 0, depth]), np.array([0, height, 0])
    sizes = [
        texture_size(*lengths, _TEXEL_ANGLE * thing.z.middle)
        for lengths in ((width, depth), (depth, height), (depth, height), (width, height))
    ]
    side = (thing.card[0] // 2, thing.card[1] // 2, thing.card[2] // 2)
    plain = [surface_texture(size, side, seed + i) for i, size in enumerate(sizes[:3])]
    front = figure_texture(thing.figure, sizes[3], thing.colours, thing.card, seed + 3)
    return [
        (np.array([left, top, depth]), across, -into, plain[0]),
        (np.array([left, top, depth]), -into, down, plain[1]),
        (np.array([right, top, 0]), into, down, plain[2]),
        (np.array([left, top, 0]), across, down, front),
    ]


def box_faces() -> Faces:
    """The faces of all boxes, each box at the origin."""
    rows = [row for i, thing in enumerate(THINGS) for row in _faces_of(thing, 100 + 10 * i)]
    return stacked(rows)
