"""The true depth of what each pixel sees, and the disparity that a stereo pair has of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...wire_formats import MAX_DISPARITY
from .bent import Canvas, bent_regions
from .lenses import Floats, Floats32, spread
from .optics import SceneCamera
from .rasterizer import Brush, Faces, Repainted, Views

Numbers = NDArray[np.floating] | float

#: Widens a face by rounding errors, px; an edge with a smaller deviation is upright or level.
_EDGE, _STRAIGHT = 1e-9, 1e-7


class PairGeometry:
    """Difference of the columns at which the rectified pair shows a point.

    With lenses the rectified images are still distorted: the difference deviates from focal length
    times baseline over depth, and depends on the pixel. The difference of the rows, up to some
    pixels, is not modelled.
    """

    def __init__(self, left: SceneCamera, right: SceneCamera) -> None:
        self._terms: list[Floats32] | None = None
        if left.lens is None or right.lens is None:
            return
        left_lens, right_lens = left.lens, right.lens
        step = (MAX_DISPARITY + 1) / 2

        def differences(pixels: Floats) -> Floats:
            """At three ideal disparities, shape (N, 2) -> (N, 3)."""
            ideal = right_lens.undistort(pixels)
            places = (left_lens.distort(ideal + [k * step, 0.0])[:, 0] for k in range(3))
            return np.stack([place - pixels[:, 0] for place in places], axis=1)

        first, middle, last = spread(differences, right.size)
        square = (first - 2 * middle + last) / (2 * step**2)
        self._terms = [first, (middle - first) / step - step * square, square]

    def disparity(self, ideal: Numbers, part: tuple[slice, slice]) -> Numbers:
        """The difference of the columns, px, from focal length * baseline / depth, px.

        Shape   (h, w), the rows and columns `part` of the image
        """
        if self._terms is None:
            return ideal
        constant, linear, square = (term[part] for term in self._terms)
        return constant + ideal * (linear + ideal * square)


class SurfaceLayer(Repainted):
    """1 / depth along a camera's axis, or the disparity of a pair; 0 = no surface.

    In the ideal image 1 / depth is an affine function of the pixel on each face. With a pair,
    `scale` is its focal length * baseline, px * m.
    """

    def __init__(
        self, camera: SceneCamera, scale: float = 1.0, pair: PairGeometry | None = None
    ) -> None:
        self._pair = pair
        self.image: Floats32 = np.zeros(camera.size[::-1], np.float32)
        self._scale, self._lens, self._size = scale, camera.lens, camera.size
        width, height = camera.size
        self._columns: NDArray[np.floating] = np.arange(width, dtype=float)[None]
        self._rows: NDArray[np.floating] = np.arange(height, dtype=float)[:, None]
        if camera.lens:
            canvas = Canvas.of(camera)
            self._corner = canvas.corner
            self._columns, self._rows = canvas.columns, canvas.rows
            camera = canvas.camera
        self._to_rays = np.linalg.inv(camera.projection[:, :3])
        super().__init__(camera, self.image)

    def paint(self, faces: Faces, views: Views) -> None:
        """Paint faces over the present image."""
        if self._lens:
            regions = views.regions + np.tile(self._corner, 2)
            views = views.placed(bent_regions(self._lens, regions, self._size))
        super().paint(faces, views)

    def _brush(self, faces: Faces, views: Views) -> Brush:
        gradients, upright = self._gradients(faces, views.shown), views.upright()

        def brush(number: int, region: Floats32) -> None:
            a, b, c = gradients[number].tolist()
            if upright[number] and not self._lens:
                region[:] = c
                return
            x0, y0, x1, y1 = views.regions[number].tolist()
            part = np.s_[y0:y1, x0:x1]
            u, v = self._columns[part], self._rows[part]
            if not self._lens:  # one row, one column
                u, v = self._columns[:, x0:x1], self._rows[y0:y1]
            found = c if upright[number] else a * u + (b * v + c)
            if self._pair:
                found = self._pair.disparity(found, part)
            np.copyto(region, found, where=inside_quad(views.quads[number], u, v))

        return brush

    def _gradients(self, faces: Faces, shown: NDArray[np.intp]) -> Floats:
        """a, b, c of scale / depth = a u + b v + c for the visible faces, (n, 3).

        The plane n X = n o meets the ray C + Z r, r = M^-1 (u, v, 1), at 1 / Z = n r / n (o - C).
        """
        normals = faces.normals[shown]
        distances = np.sum(normals * (faces.origins[shown] - self.camera.centre), axis=1)
        return np.asarray(normals @ self._to_rays / distances[:, None] * self._scale)


def inside_quad(
    quad: Floats, u: NDArray[np.floating], v: NDArray[np.floating]
) -> NDArray[np.bool_]:
    """True for the points (u, v) that a convex quad contains; u and v are broadcast.

    Shape   quad (4, 2)
    """
    behind = quad[[1, 2, 3, 0]]
    area = np.sum(quad[:, 0] * behind[:, 1] - behind[:, 0] * quad[:, 1])
    steps = (behind - quad) * (1.0 if area > 0 else -1.0)
    inside: NDArray[np.bool_] | None = None
    for (x, y), (dx, dy) in zip(quad.tolist(), steps.tolist(), strict=True):
        if abs(dx) < _STRAIGHT:  # an upright edge
            inward = u <= x + _EDGE if dy > 0 else u >= x - _EDGE
        elif abs(dy) < _STRAIGHT:
            inward = v >= y - _EDGE if dx > 0 else v <= y + _EDGE
        else:
            inward = dy * (u - x) <= dx * (v - y) + _EDGE
        inside = inward if inside is None else inside & inward
    return np.asarray(inside)
