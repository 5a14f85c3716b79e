"""Renders textured rectangles into camera images.

A face is a planar rectangle in the world: its projection to a camera is a homography. Faces are
painted far to near, each inside its bounding box. A face parallel to the image plane covers the
pixels whose centres it contains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .optics import Floats, SceneCamera
from .textures import LEVELS, Texture

Pixels = NDArray[np.uint8]

#: Entries of a homography below this share of its largest entry are rounding errors.
_FLAT = 1e-9
#: Selects the next smaller texture a little before it has one texel per pixel.
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
        self.normals = np.cross(rights, downs)  # from the front side to the back side
        self._spans = np.reshape(
            np.array([texture.span for texture in textures], np.float64), (-1, 2)
        )

    def moved(self, offsets: Floats, order: NDArray[np.intp]) -> Faces:
        """Copy, shifted by `offsets` (N, 3) metres, then sorted by `order`."""
        textures = [self.textures[index] for index in order]
        return Faces(
            (self.origins + offsets)[order], self.rights[order], self.downs[order], textures
        )

    def corners(self) -> Floats:
        """Shape (N, 4, 3) metres, clockwise from the top left."""
        right = self.origins + self.rights
        down = self.origins + self.downs
        return np.stack([self.origins, right, right + self.downs, down], axis=1)

    def depths(self, origin: Floats, rays: Floats) -> Floats:
        """Depth (z) at which rays from a point first meet a face; infinite if they meet none.

        Shape   origin (3,), rays (R, 3) -> (R,) metres
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            along = ((self.origins - origin) * self.normals).sum(axis=1) / (rays @ self.normals.T)
            points = origin + rays[:, None] * along[..., None]
            inside = along > 0
            for edges in (self.rights, self.downs):
                share = ((points - self.origins) * edges).sum(axis=2) / (edges**2).sum(axis=1)
                inside &= (share >= 0) & (share <= 1)
        return np.asarray(np.where(inside, points[..., 2], np.inf).min(axis=1))

    def seen_by(self, cameras: Sequence[SceneCamera]) -> list[Views]:
        """Project the faces that are visible from the front, for each camera in one pass."""
        projections = np.stack([camera.projection for camera in cameras])
        matrices, shifts = projections[:, :, :3].transpose(0, 2, 1), projections[:, None, :, 3]
        image = self.corners().reshape(-1, 3) @ matrices + shifts
        quads = (image[..., :2] / image[..., 2:]).reshape(len(cameras), -1, 4, 2)
        first, last = quads.min(axis=2), quads.max(axis=2)
        low = np.maximum(np.ceil(first), 0)
        sizes = np.array([camera.size for camera in cameras])
        high = np.minimum(np.floor(last), sizes[:, None] - 1)
        centres = np.stack([camera.centre for camera in cameras])
        facing = ((self.origins - centres[:, None]) * self.normals).sum(axis=2) > 0
        # Skip regions one pixel wide: OpenCV cannot write into them.
        shown = facing & (high > low).all(axis=2)
        with np.errstate(divide="ignore"):  # hidden faces may have zero width
            texels_per_pixel = (self._spans / (last - first)).min(axis=2)
        level = np.log2(np.maximum(texels_per_pixel, 1.0)) + _LEVEL_BIAS
        levels = np.minimum(level, LEVELS - 1).astype(int)
        homographies = np.stack(
            [
                self.rights @ matrices / self._spans[:, :1],
                self.downs @ matrices / self._spans[:, 1:],
                self.origins @ matrices + shifts,
            ],
            axis=3,
        )
        homographies[..., :2] *= 2.0 ** levels[..., None, None]
        homographies[..., :2, :] -= low[..., None] * homographies[..., 2:, :]
        homographies /= homographies[..., 2:, 2:]
        regions = np.concatenate([low, high + 1], axis=2).astype(int)
        found = quads, regions, levels, homographies
        return [
            Views(np.flatnonzero(rows), *(values[number, rows] for values in found))
            for number, rows in enumerate(shown)
        ]


@dataclass(frozen=True)
class Views:
    """The n faces that are visible in one camera's image, far to near."""

    shown: NDArray[np.intp]  # (n,) indices of the faces
    quads: Floats  # (n, 4, 2) corners, px
    regions: NDArray[np.int_]  # (n, 4) bounding box: x0, y0, x1, y1 (exclusive), px
    levels: NDArray[np.int_]  # (n,) texture level with about one texel per pixel
    homographies: Floats  # (n, 3, 3) texels of that level -> px of the region

    def placed(self, regions: NDArray[np.int_]) -> Views:
        """The same with other bounding boxes, without faces whose box is empty."""
        kept = (regions[:, 2:] > regions[:, :2]).all(axis=1)
        return Views(
            self.shown[kept],
            self.quads[kept],
            regions[kept],
            self.levels[kept],
            self.homographies[kept],
        )

    def upright(self) -> list[bool]:
        """True for faces parallel to the image plane with edges parallel to the image's edges."""
        entries = np.abs(self.homographies)
        bent = entries[:, (0, 1, 2, 2), (1, 0, 0, 1)].max(axis=1)
        flat: list[bool] = (bent <= _FLAT * entries.max(axis=(1, 2))).tolist()
        return flat


#: Paints face number n of the views into a region of the image.
Brush = Callable[[int, Any], None]


@dataclass(frozen=True)
class _Stamp:
    """The cached pixels of a face that does not move."""

    mask: Pixels  # 255 in pixels that the face covers
    pixels: NDArray[Any]

    @classmethod
    def cut(cls, brush: Brush, number: int, region: NDArray[Any]) -> _Stamp:
        """Paint on black and on white: covered pixels are equal in both."""
        dark, light = np.zeros_like(region), np.full_like(region, 255)
        brush(number, dark)
        brush(number, light)
        covered = (dark == light).reshape(*region.shape[:2], -1).all(axis=2)
        return cls(covered.astype(np.uint8) * 255, dark)


class Repainted:
    """An image of moving faces over a static background."""

    def __init__(self, camera: SceneCamera, image: NDArray[Any]) -> None:
        self.camera = camera
        self._image = image
        self._still = image
        self._painted: list[list[int]] = []  # regions
        #: Last place of each face, and its stamp once it was painted there twice.
        self._seen: dict[Texture, tuple[bytes, _Stamp | None]] = {}

    def settle(self) -> None:
        """Take the present image as static background."""
        self._still = self._image.copy()
        self._painted = []

    def begin(self, faces: Faces) -> None:
        """Project faces and paint them."""
        self.paint(faces, *faces.seen_by([self.camera]))

    def repaint(self, faces: Faces, views: Views) -> None:
        """Replace the faces painted last by these."""
        for x0, y0, x1, y1 in self._painted:
            self._image[y0:y1, x0:x1] = self._still[y0:y1, x0:x1]
        self.paint(faces, views)

    def paint(self, faces: Faces, views: Views) -> None:
        """Paint faces over the present image."""
        self._painted = views.regions.tolist()
        brush = self._brush(faces, views)
        rows = zip(views.shown.tolist(), self._painted, strict=True)
        for number, (index, (x0, y0, x1, y1)) in enumerate(rows):
            region, face = self._image[y0:y1, x0:x1], faces.textures[index]
            place = views.homographies[number].tobytes() + views.regions[number].tobytes()
            last_place, stamp = self._seen.get(face, (b"", None))
            if place != last_place:
                self._seen[face] = place, None
                brush(number, region)
                continue
            if stamp is None:
                stamp = _Stamp.cut(brush, number, region)
                self._seen[face] = place, stamp
            cv2.copyTo(stamp.pixels, stamp.mask, region)

    def _brush(self, faces: Faces, views: Views) -> Brush:
        raise NotImplementedError


class Layer(Repainted):
    """Planes of one image with the same camera, each with its texture channel.

    Several planes are painted at once, as one image with several channels.
    """

    def __init__(self, camera: SceneCamera, planes: Sequence[tuple[Pixels, str]]) -> None:
        self.planes = tuple(planes)
        self._parts = tuple(plane for plane, _ in planes)
        self._channels = tuple(channel for _, channel in planes)
        super().__init__(camera, self._joined())

    def _joined(self) -> Pixels:
        return self._parts[0] if len(self._parts) == 1 else np.asarray(cv2.merge(self._parts))

    def settle(self) -> None:
        """Take the present planes as static background."""
        self._image = self._joined()
        super().settle()

    def paint(self, faces: Faces, views: Views) -> None:
        """Paint faces over the present image."""
        super().paint(faces, views)
        if len(self._parts) > 1:
            cv2.split(self._image, self._parts)

    def _brush(self, faces: Faces, views: Views) -> Brush:
        levels, upright = views.levels.tolist(), views.upright()

        def brush(number: int, region: Pixels) -> None:
            texels = faces.textures[views.shown[number]].pixels(self._channels, levels[number])
            homography, size = views.homographies[number], region.shape[1::-1]
            if upright[number]:
                cv2.warpAffine(texels, homography[:2], size, region, _LINEAR, cv2.BORDER_REPLICATE)
            else:
                cv2.warpPerspective(
                    texels, homography, size, region, _LINEAR, cv2.BORDER_TRANSPARENT
                )

        return brush
