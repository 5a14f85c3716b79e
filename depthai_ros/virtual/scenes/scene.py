"""The synthetic scene: a room with known geometry, rendered for each camera.

Walls, floor and targets are painted once per stream, the boxes in every frame. Disparity, positions
and bounding boxes come from the geometry, never from the pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ...wire_formats import MAX_DISPARITY
from .bent import BentLayer
from .lenses import Floats32
from .optics import Floats, SceneCamera, SceneOptics, make_cameras
from .rasterizer import Faces, Layer, Pixels, Views
from .room import FACES_PER_THING, World, room_world
from .sensor_model import SensorModel
from .source import IDEAL, Realism, SceneObject, SceneView
from .surface import PairGeometry, SurfaceLayer

#: Points on the edges of a box of size 1 from the middle of its front face's lower edge; lenses
#: bend the edges.
_STEPS = np.linspace(0, 1, 5)
_EDGES = np.array(
    [
        (x - 0.5, y - 1, z)
        for x in _STEPS
        for y in _STEPS
        for z in _STEPS
        if sum(share in (0, 1) for share in (x, y, z)) >= 2
    ]
)
#: A thing is detected if at least this share of it is visible.
VISIBLE_SHARE = 0.5
#: Rows and columns of the grid in which visible shares are counted.
_SHARE_CELLS = 128
#: Rays in a row and in a column that measure the distance of a thing, and their rounding error.
_GRID, _EXACT_M = 8, 1e-9
#: Streams with textured images.
_TEXTURED = ("left", "right", "rectified_left", "rectified_right", "color", "previewout")
#: The room is painted at least about this wide, then scaled down: avoids aliasing of oblique faces.
_FINE_WIDTH = 2800
#: Seed of the sensor model.
_SEED = 17


_Layer = Layer | BentLayer | SurfaceLayer


@dataclass(frozen=True)
class _Scenery:
    """The boxes at one time, and their views in the layers of all streams."""

    time_s: float
    boxes: Faces  # far to near
    views: Mapping[_Layer, Views]


@dataclass
class _StreamImage:
    """The image of one stream: `image` is painted, `shown` is the image or its mirror image."""

    layers: tuple[_Layer, ...]
    image: Pixels
    mirrored: bool
    finish: Callable[[float, int], Any] | None = None  # makes the image from the layers
    shown: Pixels = field(init=False)
    painted: tuple[float, int] | None = None  # time and sequence

    def __post_init__(self) -> None:
        self.shown = np.empty_like(self.image) if self.mirrored else self.image

    def paint(self, scenery: _Scenery, now: tuple[float, int]) -> None:
        for layer in self.layers:
            layer.repaint(scenery.boxes, scenery.views[layer])
        if self.finish:
            self.finish(*now)
        if self.mirrored:
            cv2.flip(self.image, 1, self.shown)
        self.painted = now


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


def _paint_still(layer: Layer | BentLayer, faces: Faces) -> None:
    """Paint faces at a multiple of the size, then scale down; take them as static background."""
    canvas = layer.canvas if isinstance(layer, BentLayer) else layer
    width, height = canvas.camera.size
    factor = max(1, min(4, _FINE_WIDTH // width))
    large = (width * factor, height * factor)
    planes = tuple((np.zeros(large[::-1], np.uint8), channel) for _, channel in canvas.planes)
    Layer(canvas.camera.resampled(large), planes).begin(faces)
    for (plane, _), (fine, _) in zip(canvas.planes, planes, strict=True):
        cv2.resize(fine, (width, height), plane, interpolation=cv2.INTER_AREA)
    if isinstance(layer, BentLayer):
        layer.settle_finely([fine for fine, _ in planes], factor)
    else:
        layer.settle()


class SyntheticScene:
    """The room, or another world, as a source of images."""

    def __init__(
        self, eeprom: Mapping[str, Any], realism: Realism = IDEAL, world: World | None = None
    ) -> None:
        cv2.setNumThreads(1)
        self._world = world or room_world()
        self.name = self._world.name
        self._sizes = np.reshape([thing.size_m for thing in self._world.things], (-1, 3))
        self._calibration = SceneOptics.from_eeprom(eeprom, lens=realism.lens)
        self._sensor = SensorModel(_SEED) if realism.noise else None
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

        Shape   (N, 3) metres; 72 in the room
        """
        boards = self._world.boards
        return np.reshape([board.inner_corners() for board in boards], (-1, 3))

    def paint(self, stream: str, time_s: float, sequence: int) -> Pixels:
        """See source.Source; the images depend on the time only."""
        if stream == "color_bgr":
            return self._paint_bgr(time_s, sequence)
        return self._painted(stream, time_s, sequence).shown

    def _painted(self, stream: str, time_s: float, sequence: int) -> _StreamImage:
        found = self._stream_images.get(stream) or self._new_stream_image(stream)
        # Noise depends on the sequence, all other images on the time only.
        now = time_s, sequence if self._sensor and stream == "disparity" else 0
        if found.painted != now:
            found.paint(self._scenery_at(time_s), now)
        return found

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
        """The faces of all things at one time, far to near."""
        fronts = self._fronts_at(time_s)
        each = np.arange(FACES_PER_THING)
        faces = (self._far_to_near(fronts)[:, None] * FACES_PER_THING + each).reshape(-1)
        return self._world.boxes.moved(np.repeat(fronts, FACES_PER_THING, axis=0), faces)

    def _fronts_at(self, time_s: float) -> Floats:
        """Positions of the things, shape (N, 3), metres."""
        return np.reshape([thing.front_at(time_s) for thing in self._world.things], (-1, 3))

    def _far_to_near(self, fronts: Floats) -> NDArray[np.intp]:
        """Indices of the things by the depth of their backs, shape (N,)."""
        return np.argsort(-(fronts[:, 2] + self._sizes[:, 2]))

    def _configured(self) -> SceneView:
        if self._view is None:
            raise ConfigError("synthetic scene: configure() must come before the first image")
        return self._view

    def _new_stream_image(self, stream: str) -> _StreamImage:
        view = self._configured()
        if stream == "disparity":
            stream_image = self._disparity_image(view)
        else:
            image, layers = self._texture_layers(stream, view)
            mirrored = view.mirror_rectified and stream.startswith("rectified")
            stream_image = _StreamImage(layers, image, mirrored)
        self._stream_images[stream], self._scenery = stream_image, None  # new layers need views
        return stream_image

    def _disparity_image(self, view: SceneView) -> _StreamImage:
        image = np.zeros(view.mono_size[::-1], np.uint8)
        surface = self._surface()
        surface.settle()

        def finish(time_s: float, sequence: int) -> None:
            if self._sensor is None:
                np.clip(np.rint(surface.image), 0, MAX_DISPARITY, out=image, casting="unsafe")
                return
            texture = self._painted("rectified_right", time_s, sequence).image
            image[:] = self._sensor.measure(surface.image, texture, sequence)

        return _StreamImage((surface,), image, not view.mirror_rectified, finish)

    def _surface(self) -> SurfaceLayer:
        """The disparity of the still faces."""
        camera = self._cameras["rectified_right"]
        scale = float(camera.projection[0, 0]) * self._calibration.baseline_m  # px * m
        pair = PairGeometry(self._cameras["rectified_left"], camera)
        surface = SurfaceLayer(camera, scale, pair)
        surface.begin(self._world.still)
        return surface

    # -- ground truth

    def true_depth(self, time_s: float, camera: str = "rectified_right") -> Floats32:
        """Depth along the axis of a camera of what its pixels see, never mirrored.

        With lenses the pixels of a rectified camera are those of the device's rectified image,
        which is still distorted; a scene without lenses has those of a truly rectified one.

        Shape   (H, W) metres; NaN = nothing
        """
        surface = SurfaceLayer(self._cameras[camera])
        surface.begin(self._world.still)
        surface.begin(self._boxes_at(time_s))
        with np.errstate(divide="ignore"):
            return np.where(surface.image > 0, 1 / surface.image, np.float32(np.nan))

    def true_disparity(self, time_s: float) -> Floats32:
        """Disparity that a perfect matcher would find, never mirrored; true_depth has the pixels.

        Shape   (H, W) px; NaN = nothing
        """
        surface = self._surface()
        surface.begin(self._boxes_at(time_s))
        return np.where(surface.image > 0, surface.image, np.float32(np.nan))

    # -- textured images

    def _texture_layers(self, stream: str, view: SceneView) -> tuple[Pixels, tuple[_Layer, ...]]:
        if stream not in _TEXTURED:
            raise ConfigError(f"no scene paints stream {stream!r}, only {', '.join(_TEXTURED)}")
        image, parts = _planes(stream, view)
        layers: list[_Layer] = []
        for name, scale, planes in parts:
            camera = self._cameras[name]
            size = int(camera.size[0] * scale), int(camera.size[1] * scale)
            seen = camera.resampled(size)
            layer = BentLayer(seen, planes) if seen.lens else Layer(seen, planes)
            _paint_still(layer, self._world.still)
            layers.append(layer)
        return image, tuple(layers)

    def objects(self, time_s: float, sequence: int) -> list[SceneObject]:
        """See source.Source; without things that are mostly hidden or outside the image."""
        things, camera = self._world.things, self._cameras["preview"]
        if not things:
            return []
        fronts = self._fronts_at(time_s)
        boxes = _outlines(fronts, self._sizes, camera)
        shares = _visible_shares(boxes, self._far_to_near(fronts))
        return [
            SceneObject(
                thing.label,
                round(0.6 + 0.38 * share, 3),
                (x0, y0, x1, y1),
                self._measured(index, fronts[index], (x0, y0, x1, y1)),
            )
            for index, (thing, share, (x0, y0, x1, y1)) in enumerate(
                zip(things, shares, np.clip(boxes, 0, 1).tolist(), strict=True)
            )
            if share >= VISIBLE_SHARE
        ]

    def _measured(
        self, index: int, front: Floats, box: tuple[float, float, float, float]
    ) -> tuple[float, float, float]:
        """Position of a thing by the mean distance of what is in the middle part of its box."""
        view = self._configured()
        z_m, y_m = float(front[2]), float(front[1]) - float(self._sizes[index, 1]) / 2
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
        rays = camera.rays(np.column_stack([u.ravel() * width - 0.5, v.ravel() * height - 0.5]))
        faces = np.arange(first, first + FACES_PER_THING)
        boxes = self._world.boxes
        thing = boxes.moved(np.broadcast_to(front, boxes.origins.shape), faces)
        seen = (thing, self._world.still)
        depths = np.minimum(*(each.depths(camera.centre, rays) for each in seen))
        return np.asarray(np.where(np.abs(depths - front[2]) < _EXACT_M, front[2], depths))


def _outlines(fronts: Floats, sizes: Floats, camera: SceneCamera) -> Floats:
    """Bounding box of each thing, shape (N, 4), 0..1 of the image, not clipped."""
    points = (fronts[:, None] + sizes[:, None] * _EDGES).reshape(-1, 3)
    edges = ((camera.project(points) + 0.5) / camera.size).reshape(len(fronts), -1, 2)
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
