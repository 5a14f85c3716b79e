"""Makes the images and points of the worker stage from packets, by the kernels of `depth/`.

The kernels get depth as `depth/image_raw` shows it: upright, limited, 0 = not measured.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..calibration.calibration import Calibration
from ..calibration.camera_model import CameraModel
from ..config import Settings
from ..config.filters import decimation
from ..config.settings import rgb_size, worker_outputs
from ..depth.cloud import ColorProjection, PointCloudMaker
from ..depth.filters import DepthFilters, decimated
from ..depth.rectification import Rectifier
from ..depth.registration import Registration
from ..depth.undistortion import DepthUndistortion
from ..errors import ConfigError
from ..streams import WORKER_OUTPUTS
from ..wire_formats import depth_scale
from .cdr import POINT_FLOATS
from .images import ImageBuffer, ImageSettings, StampedPacket

#: The wire stream of depth, the outputs that need it, and the stage of its filters.
DEPTH, CLOUD, REGISTERED, FILTERS = "depth", "points", "depth_registered", "filters"


class DerivedImages:
    """The kernels of one pipeline.

    `models` has their cameras, by CameraInfo topic and camera; `problems` the outputs that cannot
    be made, and why.
    """

    def __init__(self, settings: Settings, images: ImageSettings, calibration: Calibration) -> None:
        self._settings = settings
        self._images = images
        self.calibrate(calibration)

    @property
    def is_filtering(self) -> bool:
        """True if the workers make the images of depth."""
        return self._filters.is_active or self._undistortion is not None

    def calibrate(self, calibration: Calibration) -> None:
        """Use another calibration from the next packet on."""
        settings, images = self._settings, self._images
        self._filters = DepthFilters(settings, calibration.camera("right", images.sizes.mono))
        model = decimated(calibration.rectified(images.sizes.mono), decimation(settings))
        self._filtered = replace(
            images,
            sizes=replace(images.sizes, mono=(model.width, model.height)),
            mirrored=frozenset(),
        )
        self._undistortion = _undistortion(settings, calibration, images.sizes.mono)
        setup = _Setup(settings, images, calibration, model, self._undistortion)
        self.models = {("depth/camera_info", "right"): model}
        self.problems: dict[str, str] = {}
        makers: dict[str, _Maker] = {}
        for name in worker_outputs(settings):
            if problem := output_problem(name, settings, calibration):
                self.problems[name] = problem
                continue
            try:
                makers[name] = _MAKERS.get(name, _Rectified)(name, setup)
            except ConfigError as cause:
                self.problems[name] = _not_published(name, str(cause))
            else:
                self.models |= makers[name].models
        self._makers = makers

    def change(self, settings: Settings) -> None:
        """Use other live settings from the next packet on."""
        self._settings = settings
        self._filters.update(settings)

    def filtered(self, packet: StampedPacket) -> StampedPacket:
        """The packet of depth without distortion, and after the filters.

        Raises  DecodeError if the packet does not have the size of its stream
        """
        depth = packet.converted("16UC1").array
        image = ImageBuffer.blank(self._filters.shape, np.uint16)
        if self._undistortion is not None:
            is_last = not self._filters.is_active
            straight = image if is_last else ImageBuffer.blank(depth.shape, np.uint16)
            self._undistortion.make(depth, straight.array)
            depth = straight.array
        if self._filters.is_active:
            self._filters.apply(depth, image.array, packet.stamp_ns)
        return packet.showing(image, "16UC1", self._filtered)

    def made(self, output: str, packet: StampedPacket) -> StampedPacket | None:
        """The packet from which the messages of an output are built; None = not calibrated.

        Raises  DecodeError if the packet does not have the size of its stream
        """
        maker = self._makers.get(output)
        return None if maker is None else maker.made(packet)


def _undistortion(
    settings: Settings, calibration: Calibration, size: tuple[int, int]
) -> DepthUndistortion | None:
    """What removes the distortion from depth; None = `stereo.rectify` is device, or it has none."""
    own = calibration.with_models({})  # with which the device computes depth
    left, right = (own.camera(camera, size) for camera in ("left", "right"))
    homographies = calibration.homographies(size)
    if settings["stereo.rectify"] != "host" or not (left.d.any() or right.d.any()):
        return None
    if homographies[0] is None or homographies[1] is None:
        return None
    geometry = calibration.geometry
    return DepthUndistortion(
        left,
        right,
        (homographies[0], homographies[1]),
        measured=1000.0 * float(depth_scale(size[0], geometry.fov_deg, geometry.baseline_m)),
        undistorted=1000.0 * float(right.p[0, 0]) * calibration.baseline_m,
    )


def output_problem(name: str, settings: Settings, calibration: Calibration) -> str:
    """Why this calibration does not allow an output, and what to do; "" = it does."""
    row = WORKER_OUTPUTS[name]
    places_rgb = name == REGISTERED or (name == CLOUD and settings["points.color"] == "rgb")
    rgb = calibration.camera("rgb", rgb_size(settings))
    if row.camera != "rgb" and calibration.stereo is None:
        problem = "the mono cameras are not calibrated; calibration.nominal computes their models"
    elif (row.camera == "rgb" or places_rgb) and not rgb.k.any():
        problem = f"the rgb camera is not calibrated ({calibration.rgb_problem}); {_RGB_REMEDY}"
    elif places_rgb and calibration.rgb_from_depth() is None:
        problem = f"the pose of the rgb camera is not known; {_POSE_REMEDY}"
    else:
        return ""
    return _not_published(name, problem)


def _not_published(name: str, why: str) -> str:
    return f"{WORKER_OUTPUTS[name].topics[0].name} is not published: {why}"


_RGB_REMEDY = (
    "use rgb/set_camera_info or rgb.camera_info_url, or set calibration.nominal to compute its "
    "model from the field of view"
)
_POSE_REMEDY = (
    "set calibration.rgb_pose_file, or calibration.nominal to use the distance that the board has"
)


@dataclass(frozen=True, slots=True)
class _Setup:
    """The properties of one pipeline; `depth` is the camera of filtered depth.

    `undistortion` is what moves depth away from the device's own rectified images, None = nothing.
    """

    settings: Settings
    images: ImageSettings
    calibration: Calibration
    depth: CameraModel
    undistortion: DepthUndistortion | None


class _Maker(ABC):
    """Makes one output from packets. `models` are the cameras of its images."""

    models: Mapping[tuple[str, str], CameraModel] = MappingProxyType({})

    @abstractmethod
    def __init__(self, output: str, setup: _Setup) -> None: ...

    @abstractmethod
    def made(self, packet: StampedPacket) -> StampedPacket:
        """The packet from which the messages are built."""


class _Points(_Maker):
    """A cloud, with the colours of the packet beside it; black if there is none.

    All clouds have the same fields: many subscribers choose what they show by the first one.
    """

    def __init__(self, output: str, setup: _Setup) -> None:
        settings, images, calibration = setup.settings, setup.images, setup.calibration
        self._kernel = PointCloudMaker(
            setup.depth,
            decimation=settings["points.decimation"],
            max_depth_m=settings["points.max_depth_m"] or settings["depth.depth_limit_m"],
        )
        self._fields = "xyz" if settings["points.color"] == "none" else "xyzrgb"
        self._undistortion = setup.undistortion
        self._projection = None
        if settings["points.color"] == "rgb":
            rgb_from_depth = calibration.rgb_from_depth()
            assert rgb_from_depth is not None
            rgb = calibration.camera("rgb", images.sizes.rgb)
            self._projection = ColorProjection(rgb, rgb_from_depth)

    def made(self, packet: StampedPacket) -> StampedPacket:
        color = packet.beside
        image = ImageBuffer.blank((*self._kernel.shape, POINT_FLOATS), np.float32)
        depth = packet.converted("16UC1").array
        if color is None:
            self._kernel.make(depth, image.array)
            return packet.showing(image, self._fields, packet.settings)
        pixels = color.converted(color.stream.topics[0].encoding).array
        if self._projection is None:
            if self._undistortion is not None:
                pixels = self._undistortion.image(pixels)
            pixels = _thinned(pixels, depth.shape)
        self._kernel.make(depth, image.array, pixels, self._projection)
        return packet.showing(image, self._fields, packet.settings)


def _thinned(pixels: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The pixel in the middle of each square that decimation made one pixel of."""
    step = pixels.shape[0] // shape[0]
    return np.ascontiguousarray(
        pixels[step // 2 :: step, step // 2 :: step][: shape[0], : shape[1]]
    )


class _Registered(_Maker):
    """Depth as the rgb camera would see it."""

    def __init__(self, output: str, setup: _Setup) -> None:
        settings, images, calibration = setup.settings, setup.images, setup.calibration
        rgb_from_depth = calibration.rgb_from_depth()
        assert rgb_from_depth is not None
        self._kernel = Registration(
            setup.depth,
            calibration.camera("rgb", images.sizes.rgb),
            rgb_from_depth,
            width=settings["registration.width"],
        )
        model = self._kernel.model
        self.models = {(WORKER_OUTPUTS[output].topics[0].camera_info, "rgb"): model}
        sizes = replace(images.sizes, mono=(model.width, model.height))
        self._images = replace(images, sizes=sizes, mirrored=frozenset())

    def made(self, packet: StampedPacket) -> StampedPacket:
        width, height = self._images.sizes.mono
        image = ImageBuffer.blank((height, width), np.uint16)
        self._kernel.make(packet.converted("16UC1").array, image.array)
        return packet.showing(image, "16UC1", self._images)


class _Rectified(_Maker):
    """An image without the distortion of the lens, in the rectified camera of its camera_info."""

    def __init__(self, output: str, setup: _Setup) -> None:
        row, sizes = WORKER_OUTPUTS[output], setup.images.sizes
        size = sizes.rgb if row.camera == "rgb" else sizes.mono
        self._kernel = Rectifier(setup.calibration.camera(row.camera, size))
        self._encoding = row.topics[0].encoding

    def made(self, packet: StampedPacket) -> StampedPacket:
        source = packet.converted(self._encoding).array
        image = ImageBuffer.blank(source.shape, source.dtype)
        self._kernel.make(source, image.array)
        return packet.showing(image, self._encoding, packet.settings)


_MAKERS: dict[str, type[_Maker]] = {CLOUD: _Points, REGISTERED: _Registered}
