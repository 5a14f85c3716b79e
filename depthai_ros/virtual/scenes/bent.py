"""Paints images as a real lens shows them: on an ideal canvas, which is then distorted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .lenses import Floats, Floats32, Lens, ideal_pixels
from .optics import SceneCamera
from .rasterizer import Faces, Layer, Pixels, Views

#: Columns and rows of the tiles in which changes are distorted again.
_TILE = (64, 32)
#: Ideal pixels around the image that interpolation needs.
_MARGIN = 2
#: Standard deviation of the smoothing of a finer canvas, px of the image.
_SMOOTHING = 0.35
#: Points on each side of a region whose outline is distorted, and what it may bulge between them.
_POINTS, _BULGE_PX = 4, 3


@dataclass(frozen=True, eq=False)
class Canvas:
    """The ideal image from which a lens makes an image; larger, as far as the lens sees."""

    camera: SceneCamera
    corner: NDArray[np.int_]  # column and row of its first pixel in the ideal image
    columns: Floats32  # place of each pixel of the image on the canvas, px, (H, W)
    rows: Floats32

    @classmethod
    def of(cls, camera: SceneCamera) -> Canvas:
        """The canvas of a camera that has a lens."""
        assert camera.lens is not None
        columns, rows = ideal_pixels(camera.lens, camera.size)
        first = [math.floor(place.min()) - _MARGIN for place in (columns, rows)]
        last = [math.ceil(place.max()) + _MARGIN for place in (columns, rows)]
        (x0, y0), (x1, y1) = first, last
        size = x1 + 1 - x0, y1 + 1 - y0
        ideal = SceneCamera(camera.projection, camera.size).resampled(size, (x0, y0, *size))
        return cls(ideal, np.array(first), columns - np.float32(x0), rows - np.float32(y0))


class BentLayer:
    """A layer behind a lens. Only the surroundings of moving faces are distorted in each frame."""

    def __init__(self, camera: SceneCamera, planes: Sequence[tuple[Pixels, str]]) -> None:
        assert camera.lens is not None
        self._lens, self._size = camera.lens, camera.size
        self._planes = tuple(plane for plane, _ in planes)
        canvas = Canvas.of(camera)
        self._corner, self.camera = canvas.corner, canvas.camera
        self._places = canvas.columns, canvas.rows
        self._map = cv2.convertMaps(*self._places, cv2.CV_16SC2)
        shape = canvas.camera.size[::-1]
        #: Paints the canvas.
        self.canvas = Layer(
            canvas.camera, [(np.zeros(shape, np.uint8), channel) for _, channel in planes]
        )
        self._still: tuple[Pixels, ...] = ()
        self._moving = self._tiles(np.zeros((0, 4), int))

    def settle_finely(self, planes: Sequence[Pixels], factor: int) -> None:
        """Take `planes`, the canvas at a multiple of its size, as static background."""
        self.canvas.settle()
        columns, rows = (places * factor + (factor - 1) / 2 for places in self._places)
        for plane, fine in zip(self._planes, planes, strict=True):
            smooth = cv2.GaussianBlur(fine, (0, 0), _SMOOTHING * factor) if factor > 1 else fine
            cv2.remap(smooth, columns, rows, cv2.INTER_LINEAR, plane)
        self._still = tuple(plane.copy() for plane in self._planes)

    def repaint(self, faces: Faces, views: Views) -> None:
        """Replace the faces painted last by these."""
        self.canvas.repaint(faces, views)
        moving = self._tiles(views.regions)
        for rows, columns in self._parts(self._moving & ~moving):
            for plane, still in zip(self._planes, self._still, strict=True):
                plane[rows, columns] = still[rows, columns]
        for part in self._parts(moving):
            places, fractions = (numbers[part] for numbers in self._map)
            for plane, (canvas, _) in zip(self._planes, self.canvas.planes, strict=True):
                cv2.remap(canvas, places, fractions, cv2.INTER_LINEAR, plane[part])
        self._moving = moving

    def _tiles(self, regions: NDArray[np.int_]) -> NDArray[np.bool_]:
        """Tiles of the image that show these regions of the canvas.

        Shape   (rows + 1, columns + 1); the last ones are False
        """
        (width, height), (tile_width, tile_height) = self._size, _TILE
        tiles = np.zeros((-(-height // tile_height) + 1, -(-width // tile_width) + 1), np.bool_)
        regions = regions + np.tile(self._corner, 2)
        places = bent_regions(self._lens, regions, self._size) // (_TILE * 2)
        for x0, y0, x1, y1 in places.tolist():
            tiles[y0 : y1 + 1, x0 : x1 + 1] = True
        tiles[-1], tiles[:, -1] = False, False
        return tiles

    @staticmethod
    def _parts(tiles: NDArray[np.bool_]) -> Iterator[tuple[slice, slice]]:
        """Rows and columns of each run of tiles in a row."""
        width, height = _TILE
        runs = np.flatnonzero(np.diff(tiles.ravel(), prepend=False)).reshape(-1, 2)
        for first, last in runs.tolist():
            row, column = divmod(first, tiles.shape[1])
            yield (
                slice(row * height, (row + 1) * height),
                slice(column * width, (column + last - first) * width),
            )


def bent_regions(lens: Lens, regions: NDArray[np.int_], size: tuple[int, int]) -> NDArray[np.int_]:
    """Regions of the image that contain these of the ideal image, clipped to the image.

    Shape   (n, 4) x0, y0, x1, y1 (exclusive), px -> the same
    """
    if not len(regions):
        return regions
    outline = _outline(regions.astype(float))
    bent = lens.distort(outline.reshape(-1, 2)).reshape(outline.shape)
    first = np.floor(bent.min(axis=1)) - _BULGE_PX
    last = np.ceil(bent.max(axis=1)) + _BULGE_PX
    return np.asarray(np.clip(np.hstack([first, last]).astype(int), 0, [*size, *size]))


def _outline(regions: Floats) -> Floats:
    """Points on the outlines of regions, shape (n, 4) -> (n, 4 * points, 2)."""
    steps = np.arange(_POINTS) / _POINTS
    zero, one = np.zeros(_POINTS), np.ones(_POINTS)
    shares = np.stack(
        [
            np.concatenate([steps, one, 1 - steps, zero]),
            np.concatenate([zero, steps, one, 1 - steps]),
        ],
        axis=1,
    )
    return np.asarray(regions[:, None, :2] + shares * (regions[:, None, 2:] - regions[:, None, :2]))
