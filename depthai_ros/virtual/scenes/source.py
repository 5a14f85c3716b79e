"""The interface of all scenes, and their factory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ...cameras import ROTATIONS_LAYOUT
from ...errors import ConfigError


@dataclass(frozen=True)
class SceneView:
    """Configuration of a source; sizes are (width, height) in pixels."""

    mono_size: tuple[int, int]  # (1280, 720), (1280, 800), (640, 400)
    rgb_size: tuple[int, int]  # (1920, 1080), (3840, 2160), (4056, 3040)
    preview_size: tuple[int, int]  # the network's input
    keep_aspect_ratio: bool  # preview: True = centred crop, False = whole image, distorted
    nn_camera: str  # rgb, left, right, rectified_left, rectified_right
    mirror_rectified: bool  # True: rectified_* mirrored; False: disparity mirrored
    center_crop: bool  # 720 lines: True = middle of the 800 lines, False = top
    padding_factor: float = 0.3  # part of an object's box in which its distance is measured
    depth_limit_m: float = math.inf  # a greater distance is not measured


@dataclass(frozen=True)
class SceneObject:
    """One object for the network to detect.

    Units   box: 0..1 of the preview image (its outer edges), clipped to the image;
            position: metres, rectified right camera, optical axes (x right, y down, z forward):
            the centre of the front face, at the mean distance in the middle part of the box;
            0, 0, 0 if nothing there is within the limit; NaN if the source does not know it
    """

    label: int  # class of the 21-class MobileNet-SSD list
    confidence: float
    box: tuple[float, float, float, float]  # x_min, y_min, x_max, y_max
    position_m: tuple[float, float, float]


@dataclass(frozen=True)
class Realism:
    """What the cameras of a synthetic scene have in common with real ones."""

    lens: bool = False  # lenses with distortion
    noise: bool = False  # disparity with the errors of a matcher


IDEAL = Realism()


class Source(Protocol):
    """Renders the camera images of one scene.

    All images with the same `time_s` show the same instant. The same stream, time and sequence give
    the same pixels. The next `paint()` of a stream may overwrite the array of the one before.
    """

    name: str

    def configure(self, view: SceneView) -> None:
        """Set sizes and options; discards cached images."""

    def paint(self, stream: str, time_s: float, sequence: int) -> NDArray[np.uint8]:
        """Render one image of one stream.

        Shape   left, right, rectified_*, disparity: (H, W); color: (H * 3 / 2, W) I420;
                color_bgr: (H, W, 3); previewout: (3, h, w), planes B, G, R; all uint8
        Units   disparity: px, 0 = none, at most 95; all others 0..255
        """
        ...

    def objects(self, time_s: float, sequence: int) -> list[SceneObject]:
        """The objects visible in the preview image of that instant."""
        ...


def _synthetic(path: str, eeprom: Mapping[str, Any], realism: Realism) -> Source:
    from .scene import SyntheticScene

    return SyntheticScene(eeprom, realism)


def _plane(path: str, eeprom: Mapping[str, Any], realism: Realism) -> Source:
    from .plane import plane_world
    from .scene import SyntheticScene

    return SyntheticScene(eeprom, realism, plane_world(path))


def _pattern(path: str, eeprom: Mapping[str, Any], realism: Realism) -> Source:
    from .pattern import PatternSource

    return PatternSource()


def _images(path: str, eeprom: Mapping[str, Any], realism: Realism) -> Source:
    from .replay import ImageReplay

    return ImageReplay(path, eeprom)


def _video(path: str, eeprom: Mapping[str, Any], realism: Realism) -> Source:
    from .replay import VideoReplay

    return VideoReplay(path, eeprom)


class SceneKind(NamedTuple):
    """A scene by name. Makers import late: each loads only the modules it needs."""

    make: Callable[[str, Mapping[str, Any], Realism], Source]
    path: str  # what follows "=", "" = nothing
    eeprom: int  # default layout; recorded images have no known intrinsics
    realistic: bool = False  # options of Realism count


SCENES = {
    "synthetic": SceneKind(_synthetic, "", ROTATIONS_LAYOUT, realistic=True),
    "pattern": SceneKind(_pattern, "", ROTATIONS_LAYOUT),
    "images": SceneKind(_images, "DIR", -1),
    "video": SceneKind(_video, "FILE", -1),
    "plane": SceneKind(_plane, "METRES", ROTATIONS_LAYOUT, realistic=True),
}


def make_source(text: str, eeprom: Mapping[str, Any], realism: Realism = IDEAL) -> Source:
    """Make the source `SCENE[=PATH]`; `eeprom` is the document in `config_d2h`.

    `realism` counts for realistic scenes only.

    Raises  ConfigError if the name is unknown or its path is missing or cannot be read
    """
    name, _, path = text.partition("=")
    if name not in SCENES or bool(path) != bool(SCENES[name].path):
        known = ", ".join(key + (f"={row.path}" if row.path else "") for key, row in SCENES.items())
        raise ConfigError(f"scene is {text!r}, must be one of {known}")
    return SCENES[name].make(path, eeprom, realism)
