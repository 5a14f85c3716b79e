"""What a picture source of the virtual device is, whichever scene it shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ...cameras import ROTATIONS_LAYOUT
from ...errors import ConfigError


@dataclass(frozen=True)
class SceneView:
    """What the session asks a source to paint; sizes are (width, height) in pixels."""

    mono_size: tuple[int, int]  # (1280, 720), (1280, 800), (640, 400)
    rgb_size: tuple[int, int]  # (1920, 1080), (3840, 2160), (4056, 3040)
    preview_size: tuple[int, int]  # the network's input
    keep_aspect_ratio: bool  # preview: True centred crop, False whole picture squeezed
    nn_camera: str  # rgb, left, right, rectified_left, rectified_right
    mirror_rectified: bool  # True: rectified_* mirrored; False: disparity mirrored
    center_crop: bool  # 720 lines are cut from the middle of 800, else from the top


@dataclass(frozen=True)
class SceneObject:
    """One thing that the network would find, and where it is.

    Units   box: 0..1 of the preview picture (its outer edges), clipped to the picture;
            position: metres, centre of the front face, rectified right camera, optical axes
            (x right, y down, z forward); not a number where the source does not know it
    """

    label: int  # class of the 21-class MobileNet-SSD list
    confidence: float
    box: tuple[float, float, float, float]  # x_min, y_min, x_max, y_max
    position_m: tuple[float, float, float]


class Source(Protocol):
    """Paints what the cameras see.

    All pictures asked for with one `time_s` show the same instant. The same stream at the same
    time and sequence gives the same pixels. The array may be painted over by the next `paint()`
    of the same stream.
    """

    name: str

    def configure(self, view: SceneView) -> None:
        """Prepare for another set of sizes; forgets what was painted before."""

    def paint(self, stream: str, time_s: float, sequence: int) -> NDArray[np.uint8]:
        """Paint one picture of one stream.

        Shape   left, right, rectified_*, disparity: (H, W); color: (H * 3 / 2, W) I420;
                color_bgr: (H, W, 3); previewout: (3, h, w), planes B, G, R; all uint8
        Units   disparity: px, 0 = none, at most 95; all others 0..255
        """
        ...

    def objects(self, time_s: float, sequence: int) -> list[SceneObject]:
        """What is to be found in the preview picture of that instant."""
        ...


def _synthetic(path: str, eeprom: Mapping[str, Any]) -> Source:
    from .scene import SyntheticScene

    return SyntheticScene(eeprom)


def _pattern(path: str, eeprom: Mapping[str, Any]) -> Source:
    from .pattern import PatternSource

    return PatternSource()


def _images(path: str, eeprom: Mapping[str, Any]) -> Source:
    from .replay import ImageReplay

    return ImageReplay(path, eeprom)


def _video(path: str, eeprom: Mapping[str, Any]) -> Source:
    from .replay import VideoReplay

    return VideoReplay(path, eeprom)


class SceneKind(NamedTuple):
    """A scene by name. Makers import late: OpenCV is loaded for what is shown only."""

    make: Callable[[str, Mapping[str, Any]], Source]
    path: str  # what follows "=", "" = nothing
    eeprom: int  # layout that fits: recorded pictures come without intrinsics


SCENES = {
    "synthetic": SceneKind(_synthetic, "", ROTATIONS_LAYOUT),
    "pattern": SceneKind(_pattern, "", ROTATIONS_LAYOUT),
    "images": SceneKind(_images, "DIR", -1),
    "video": SceneKind(_video, "FILE", -1),
}


def make_source(text: str, eeprom: Mapping[str, Any]) -> Source:
    """Make the source that `text` names; `eeprom` is the document the device announces.

    Raises  ConfigError if the name is unknown or its path is missing or cannot be read
    """
    name, _, path = text.partition("=")
    if name not in SCENES or bool(path) != bool(SCENES[name].path):
        known = ", ".join(key + (f"={row.path}" if row.path else "") for key, row in SCENES.items())
        raise ConfigError(f"scene is {text!r}, must be one of {known}")
    return SCENES[name].make(path, eeprom)
