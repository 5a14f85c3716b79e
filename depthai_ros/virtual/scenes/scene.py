"""The synthetic scene: a room with known geometry, rendered for each camera.

Walls, floor and targets are painted once per stream, the boxes in every frame. Disparity, positions
and bounding boxes come from the geometry, never from the pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from .optics import Floats, SceneCamera, SceneOptics, make_cameras
from .rasterizer import DisparityLayer, Faces, Layer, Pixels, Views
from .room import BOARDS, FACES_PER_THING, THINGS, box_faces, room_faces
from .source import SceneObject, SceneView

_SIZES = np.array([thing.size_m for thing in THINGS])
#: Corners of a box of size 1 from the middle of its front face's lower edge.
_CORNERS = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-1, 0) for z in (0, 1)])
#: A thing is detected if at least this share of it is visible.
VISIBLE_SHARE = 0.5
#: Rows and columns of the grid in which visible shares are counted.
_SHARE_CELLS = 128
#: Rays in a row and in a column that measure the distance of a thing, and their rounding error.
_GRID, _EXACT_M = 8, 1e-9
#: Streams with textured images.
_TEXTURED = ("left", "right", "rectified_left", "rectified_right", "color", "previewout")
#: The room is painted at least about this wide, then scaled down: avoids aliasing of oblique faces.
_FINE_WIDTH = 2560


@dataclass(frozen=True)
class _Scenery:
    """The boxes at one time, and their views in the layers of all streams."""

    time_s: float
    boxes: Faces  # far to near
    views: Mapping[Layer | DisparityLayer, Views]


@dataclass
class _StreamImage:
    """The image of one stream: `image` is painted, `shown` is the image or its mirror image."""

    layers: tuple[Layer | DisparityLayer, ...]
    image: Pixels
    mirrored: bool
    shown: Pixels
    time_s: float | None = None

    def paint(self, scenery: _Scenery) -> None:
        for layer in self.layers:
            layer.repaint(scenery.boxes, scenery.views[layer])
        if self.mirrored:
            cv2.flip(self.image, 1, self.shown)


def _planes(stream: str, view: SceneView) -> tuple[Pixels, tuple[tuple[str, float, Any], ...]]:
    """The image of a stream, and its parts: camera, scale, planes with their channels."""
    width, height = view.rgb_size
    if stream == "color":
        image = np.zeros((height * 3 // 2, width), np.uint8)
        chroma = image.reshape(-1)[width * height :].reshape(2, height // 2, width // 2)
        luma = (image[:height], "y")
        return image, (
            ("rgb", 1.0, (luma,)),
            ("rgb", 0.5, ((chroma[0], "u"), (chroma[1], "v"))),
        )
    if stream == "previewout":
        image = np.zeros((3, view.preview_size[1], view.preview_size[0]), np.uint8)
        channels = ("b", "g", "r") if view.nn_camera == "rgb" else ("grey",) * 3
        return image, (("preview", 1.0, tuple(zip(image, channels, strict=True))),)
    image = np.zeros(view.mono_size[::-1], np.uint8)
    return image, ((stream, 1.0, ((image, "grey"),)),)


def _paint_finely(layer: Layer, faces: Faces) -> None:
    """Paint faces at a multiple of the size, then scale down."""
    width, height = layer.camera.size
    factor = min(4, _FINE_WIDTH // width)
    large = (width * factor, height * factor)
    planes = tuple((np.zeros(large[::-1], np.uint8), channel) for _, channel in layer.planes)
    Layer(layer.camera.resampled(large), planes).begin(faces)
    for (plane, _), (fine, _) in zip(layer.planes, planes, strict=True):
        cv2.resize(fine, (width, height), plane, interpolation=cv2.INTER_AREA)


class SyntheticScene:
    """The room as a source of images."""

    name = "synthetic"

    def __init__(self, eeprom: Mapping[str, Any]) -> None:
        cv2.setNumThreads(1)
        self._calibration = SceneOptics.from_eeprom(eeprom)
        self._room = room_faces()
        self._boxes = box_faces()
        self._view: SceneView | None = None
        self._cameras: dict[str, SceneCamera] = {}
        self._stream_images: dict[str, _StreamImage] = {}
        self._bgr: tuple[float, Pixels] | None = None
        self._scenery: _Scenery | None = None

    def configure(self, view: SceneView) -> None:
        """Set the image sizes; the background of a stream is painted with its first image."""
        self._view = view
        self._cameras = make_cameras(self._calibration, view)
        self._stream_images, self._bgr, self._scenery = {}, None, None

    def camera(self, name: str) -> SceneCamera:
        """One camera of the present view; optics.make_cameras has the names."""
        return self._cameras[name]

    def landmarks(self) -> Floats:
        """World points of the chessboard corners; they are never hidden.

        Shape   (72, 3) metres
        """
        return np.concatenate([board.inner_corners() for board in BOARDS])

    def paint(self, stream: str, time_s: float, sequence: int) -> Pixels:
        """See source.Source; the images depend on the time only."""
        if stream == "color_bgr":
            return self._paint_bgr(time_s, sequence)
        stream_image = self._stream_images.get(stream) or self._new_stream_image(stream)
        if stream_image.time_s != time_s:
            stream_image.paint(self._scenery_at(time_s))
            stream_image.time_s = time_s
        return stream_image.shown

    def _paint_bgr(self, time_s: float, sequence: int) -> Pixels:
        if self._bgr is None or self._bgr[0] != time_s:
            image = self.paint("color", time_s, sequence)
            bgr = cv2.cvtColor(image, cv2.COLOR_YUV2BGR_I420)
            self._bgr = time_s, np.asarray(bgr, np.uint8)
        return self._bgr[1]

    def _scenery_at(self, time_s: float) -> _Scenery:
        """Boxes and views of one time, shared by all streams."""
        scenery = self._scenery
        if scenery is None or scenery.time_s != time_s:
            boxes = self._boxes_at(time_s)
            layers = [layer for each in self._stream_images.values() for layer in each.layers]
            views = boxes.seen_by([layer.camera for layer in layers])
            scenery = _Scenery(time_s, boxes, dict(zip(layers, views, strict=True)))
            self._scenery = scenery
        return scenery

    def _boxes_at(self, time_s: float) -> Faces:
        fronts = _fronts_at(time_s)
        each = np.arange(FACES_PER_THING)
        faces = (_far_to_near(fronts)[:, None] * FACES_PER_THING + each).reshape(-1)
        return self._boxes.moved(np.repeat(fronts, FACES_PER_THING, axis=0), faces)

    def _configured(self) -> SceneView:
        if self._view is None:
            raise ConfigError("synthetic scene: configure() must come before the first image")
        return self._view

    def _new_stream_image(self, stream: str) -> _StreamImage:
        view = self._configured()
        if stream == "disparity":
            image = np.zeros(view.mono_size[::-1], np.uint8)
            camera = self._cameras["rectified_right"]
            surface = DisparityLayer(camera, image, self._calibration.baseline_m)
            surface.begin(self._room)
            layers: tuple[Layer | DisparityLayer, ...] = (surface,)
            mirrored = not view.mirror_rectified
        else:
            image, layers = self._texture_layers(stream, view)
            mirrored = view.mirror_rectified and stream.startswith("rectified")
        shown = np.empty_like(image) if mirrored else image
        for layer in layers:
            layer.settle()
        stream_image = _StreamImage(layers, image, mirrored, shown)
        self._stream_images[stream], self._scenery = stream_image, None  # new layers need views
        return stream_image

    def _texture_layers(self, stream: str, view: SceneView) -> tuple[Pixels, tuple[Layer, ...]]:
        if stream not in _TEXTURED:
            raise ConfigError(f"no scene paints stream {stream!r}, only {', '.join(_TEXTURED)}")
        image, parts = _planes(stream, view)
        layers = []
        for name, scale, planes in parts:
            camera = self._cameras[name]
            size = int(camera.size[0] * scale), int(camera.size[1] * scale)
            layer = Layer(camera.resampled(size), planes)
            if size[0] <= _FINE_WIDTH // 2:
                _paint_finely(layer, self._room)
            else:
                layer.begin(self._room)
            layers.append(layer)
        return image, tuple(layers)

    def objects(self, time_s: float, sequence: int) -> list[SceneObject]:
        """See source.Source; without things that are mostly hidden or outside the image."""
        camera = self._cameras["preview"]
        fronts = _fronts_at(time_s)
        boxes = _outlines(fronts, camera)
        shares = _visible_shares(boxes, _far_to_near(fronts))
        return [
            SceneObject(
                thing.label,
                round(0.6 + 0.38 * share, 3),
                (x0, y0, x1, y1),
                self._measured(index, fronts[index], (x0, y0, x1, y1)),
            )
            for index, (thing, share, (x0, y0, x1, y1)) in enumerate(
                zip(THINGS, shares, np.clip(boxes, 0, 1).tolist(), strict=True)
            )
            if share >= VISIBLE_SHARE
        ]

    def _measured(
        self, index: int, front: Floats, box: tuple[float, float, float, float]
    ) -> tuple[float, float, float]:
        """Position of a thing by the mean distance of what is in the middle part of its box."""
        view = self._configured()
        z_m, y_m = float(front[2]), float(front[1]) - THINGS[index].size_m[1] / 2
        corners = np.array(box).reshape(2, 2)
        corners = corners.mean(axis=0) + (corners - corners.mean(axis=0)) * view.padding_factor
        depths = self._depths(index, front, corners)
        measured = depths[depths <= view.depth_limit_m]
        if measured.size == 0:
            return 0.0, 0.0, 0.0
        away = 1.0 if (measured == z_m).all() else float(measured.mean()) / z_m
        return float(front[0]) * away, y_m * away, z_m * away

    def _depths(self, index: int, front: Floats, corners: Floats) -> Floats:
        """Distances of a grid in a part of the preview, with one thing in the room, metres.

        Shape   corners (2, 2), 0..1 of the preview -> (n,); a point of the front has exactly its z
        """
        camera, first = self._cameras["preview"], index * FACES_PER_THING
        steps = (np.arange(_GRID) + 0.5) / _GRID
        u, v = np.meshgrid(*(low + (high - low) * steps for low, high in corners.T))
        width, height = camera.size
        pixels = np.stack([u.ravel() * width - 0.5, v.ravel() * height - 0.5, np.ones(u.size)])
        rays = np.linalg.solve(camera.projection[:, :3], pixels).T
        faces = np.arange(first, first + FACES_PER_THING)
        thing = self._boxes.moved(np.broadcast_to(front, self._boxes.origins.shape), faces)
        depths = np.minimum(*(each.depths(camera.centre, rays) for each in (thing, self._room)))
        return np.asarray(np.where(np.abs(depths - front[2]) < _EXACT_M, front[2], depths))


def _fronts_at(time_s: float) -> Floats:
    """Positions of THINGS, shape (N, 3), metres."""
    return np.array([thing.front_at(time_s) for thing in THINGS])


def _far_to_near(fronts: Floats) -> NDArray[np.intp]:
    """Indices of THINGS by the depth of their backs, shape (N,)."""
    return np.argsort(-(fronts[:, 2] + _SIZES[:, 2]))


def _outlines(fronts: Floats, camera: SceneCamera) -> Floats:
    """Bounding box of each thing, shape (N, 4), 0..1 of the image, not clipped."""
    corners = (fronts[:, None] + _SIZES[:, None] * _CORNERS).reshape(-1, 3)
    edges = ((camera.project(corners) + 0.5) / camera.size).reshape(len(fronts), -1, 2)
    return np.hstack([edges.min(axis=1), edges.max(axis=1)])


def _visible_shares(boxes: Floats, order: NDArray[np.intp]) -> list[float]:
    """Share of each box that is inside the image and not hidden by a nearer box.

    Shape   boxes (N, 4), 0..1, not clipped; order (N,) far to near
    """
    cells = np.full((_SHARE_CELLS, _SHARE_CELLS), -1, np.int8)
    edges = np.rint(boxes * _SHARE_CELLS).astype(int)
    inside = np.clip(edges, 0, _SHARE_CELLS)
    for index in order.tolist():
        x0, y0, x1, y1 = inside[index]
        cells[y0:y1, x0:x1] = index
    areas = np.maximum(1, (edges[:, 2] - edges[:, 0]) * (edges[:, 3] - edges[:, 1]))
    return [float(np.count_nonzero(cells == i) / area) for i, area in enumerate(areas)]
