"""Paints textured rectangles into the pictures of a camera.

A face is a planar rectangle in the world, so each camera sees it through one homography, and its
disparity is an affine function of the pixel. Faces are painted far to near, each only inside its
bounding box. A face parallel to the picture covers exactly the pixels whose centres it contains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..decode import MAX_DISPARITY
from .optics import Camera, Floats
from .textures import LEVELS, Texture

Pixels = NDArray[np.uint8]

#: Below this share of the largest entry a homography's term is rounding, not perspective.
_FLAT = 1e-9
#: A smaller texture is taken already a little before it has a texel to the pixel.
_LEVEL_BIAS = 0.3
_LINEAR = cv2.INTER_LINEAR


class Faces:
    """Rectangles in the world, far to near.

    Shape   origins, rights, downs (N, 3) metres: top left corner and the two edges from it
    """

    def __init__(
        self, origins: Floats, rights: Floats, downs: Floats, textures: Sequence[Texture]
    ) -> None:
        self.origins, self.rights, self.downs = origins, rights, downs
        self.textures = tuple(textures)
        self.normals = np.cross(rights, downs)  # away from who sees the face
        self._spans = np.array([texture.span for texture in textures], np.float64)

    def moved(self, offsets: Floats, order: NDArray[np.intp]) -> Faces:
        """The same faces shifted by `offsets` (N, 3) metres, then sorted."""
        textures = [self.textures[index] for index in order]
        return Faces(
            (self.origins + offsets)[order], self.rights[order], self.downs[order], textures
        )

    def corners(self) -> Floats:
        """Shape (N, 4, 3) metres, clockwise from the top left."""
        right = self.origins + self.rights
        down = self.origins + self.downs
        return np.stack([self.origins, right, right + self.downs, down], axis=1)

    def seen_by(self, camera: Camera) -> Views:
        """Project the faces whose front the camera sees."""
        matrix, shift = camera.projection[:, :3], camera.projection[:, 3]
        image = self.corners() @ matrix.T + shift
        quads = image[..., :2] / image[..., 2:]
        first, last = quads.min(axis=1), quads.max(axis=1)
        low = np.maximum(np.ceil(first), 0)
        high = np.minimum(np.floor(last), np.array(camera.size) - 1)
        facing = ((self.origins - camera.centre) * self.normals).sum(axis=1) > 0
        # A region one pixel wide is not worth painting, and OpenCV cannot write into it.
        shown = np.flatnonzero(facing & (high > low).all(axis=1))
        texels_per_pixel = (self._spans[shown] / (last - first)[shown]).min(axis=1)
        level = np.log2(np.maximum(texels_per_pixel, 1.0)) + _LEVEL_BIAS
        levels = np.minimum(level.astype(int), LEVELS - 1)
        homographies = np.stack(
            [
                self.rights[shown] @ matrix.T / self._spans[shown, :1],
                self.downs[shown] @ matrix.T / self._spans[shown, 1:],
                self.origins[shown] @ matrix.T + shift,
            ],
            axis=2,
        )
        homographies[:, :, :2] *= 2.0 ** levels[:, None, None]
        homographies[:, :2] -= low[shown, :, None] * homographies[:, 2:]
        homographies /= homographies[:, 2:, 2:]
        regions = np.hstack([low[shown], high[shown] + 1]).astype(int)
        return Views(shown, quads[shown], regions, levels, homographies)


@dataclass(frozen=True)
class Views:
    """The n faces that have pixels in one camera's picture, far to near."""

    shown: NDArray[np.intp]  # (n,) which of the faces
    quads: Floats  # (n, 4, 2) corners, px
    regions: NDArray[np.int_]  # (n, 4) bounding box: x0, y0, behind x1, behind y1, px
    levels: NDArray[np.int_]  # (n,) size of texture with about one texel to the pixel
    homographies: Floats  # (n, 3, 3) texels of that size -> px of the region

    def upright(self) -> list[bool]:
        """Which faces lie parallel to the picture and to its edges."""
        entries = np.abs(self.homographies)
        bent = entries[:, (0, 1, 2, 2), (1, 0, 0, 1)].max(axis=1)
        flat: list[bool] = (bent <= _FLAT * entries.max(axis=(1, 2))).tolist()
        return flat


class _Repainted:
    """Planes that are painted again and again over what stands still."""

    def __init__(self, planes: Sequence[Pixels]) -> None:
        self._planes = tuple(planes)
        self._still: tuple[Pixels, ...] = ()
        self._painted: list[list[int]] = []  # regions

    def settle(self) -> None:
        """What is painted now stands still from here on."""
        self._still = tuple(plane.copy() for plane in self._planes)
        self._painted = []

    def repaint(self, faces: Faces) -> None:
        """Paint faces in place of those painted since `settle`."""
        for plane, still in zip(self._planes, self._still, strict=True):
            for x0, y0, x1, y1 in self._painted:
                plane[y0:y1, x0:x1] = still[y0:y1, x0:x1]
        self._painted = self.paint(faces)

    def paint(self, faces: Faces) -> list[list[int]]:
        """Paint faces over what is there, and say in which regions."""
        raise NotImplementedError


class Layer(_Repainted):
    """Planes of one picture that share a camera, each with the texture channel it shows."""

    def __init__(self, camera: Camera, planes: Sequence[tuple[Pixels, str]]) -> None:
        super().__init__([plane for plane, _ in planes])
        self.camera = camera
        self.planes = tuple(planes)

    def paint(self, faces: Faces) -> list[list[int]]:
        """Paint faces over what is there, and say in which regions."""
        views = faces.seen_by(self.camera)
        regions: list[list[int]] = views.regions.tolist()
        rows = zip(
            views.shown.tolist(),
            regions,
            views.levels.tolist(),
            views.upright(),
            views.homographies,
            strict=True,
        )
        for index, (x0, y0, x1, y1), level, upright, homography in rows:
            texture, size = faces.textures[index], (x1 - x0, y1 - y0)
            for plane, channel in self.planes:
                texels, region = texture.plane(channel, level), plane[y0:y1, x0:x1]
                if upright:
                    cv2.warpAffine(
                        texels, homography[:2], size, region, _LINEAR, cv2.BORDER_REPLICATE
                    )
                else:
                    cv2.warpPerspective(
                        texels, homography, size, region, _LINEAR, cv2.BORDER_TRANSPARENT
                    )
        return regions


class DisparityLayer(_Repainted):
    """The disparity picture; `camera` is the rectified right one, at the world's origin."""

    def __init__(self, camera: Camera, plane: Pixels, baseline_m: float) -> None:
        super().__init__([plane])
        self._rays = np.linalg.inv(camera.projection[:, :3])
        self._camera, self._plane = camera, plane
        self._focal_baseline = float(camera.projection[0, 0]) * baseline_m  # px * m

    def paint(self, faces: Faces) -> list[list[int]]:
        """Paint the disparity of the faces over what is there, and say in which regions."""
        views = faces.seen_by(self._camera)
        regions: list[list[int]] = views.regions.tolist()
        rows = zip(
            self._gradients(faces, views.shown),
            regions,
            views.upright(),
            views.quads,
            strict=True,
        )
        for (a, b, c), (x0, y0, x1, y1), upright, quad in rows:
            region = self._plane[y0:y1, x0:x1]
            if upright:
                region[:] = rounded_disparity(c)
            else:
                u, v = np.arange(x0, x1, dtype=float), np.arange(y0, y1, dtype=float)[:, None]
                disparity = rounded_disparity(a * u + (b * v + c))
                np.copyto(region, disparity, where=inside_quad(quad, u, v))
        return regions

    def _gradients(self, faces: Faces, shown: NDArray[np.intp]) -> Floats:
        """a, b, c of disparity = a u + b v + c for the faces that are shown, (n, 3).

        On the plane n X = n o is 1 / Z = n K^-1 (u, v, 1) / (n o), and disparity is f B / Z.
        """
        normals = faces.normals[shown]
        distances = np.sum(normals * faces.origins[shown], axis=1)
        return np.asarray(normals @ self._rays / distances[:, None] * self._focal_baseline)


def rounded_disparity(disparity: Floats | np.float64) -> Pixels:
    """What the 96-level search can say about a disparity."""
    return np.asarray(np.clip(np.rint(disparity), 0, MAX_DISPARITY), np.uint8)


def inside_quad(quad: Floats, u: Floats, v: Floats) -> NDArray[np.bool_]:
    """Which pixel centres a convex quad contains.

    Shape   quad (4, 2), u (W,), v (H, 1) -> (H, W)
    """
    behind = quad[[1, 2, 3, 0]]
    steps = behind - quad
    area = np.sum(quad[:, 0] * behind[:, 1] - behind[:, 0] * quad[:, 1])
    sign = 1.0 if area > 0 else -1.0
    inside = np.ones((len(v), len(u)), np.bool_)
    for (x, y), (dx, dy) in zip(quad, sign * steps, strict=True):
        inside &= dx * (v - y) + _FLAT >= dy * (u - x)
    return inside
