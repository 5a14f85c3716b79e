"""A textured wall at a given distance, for measuring the accuracy of depth.

The wall is parallel to the image planes. A card stands in front of it, and a part of the wall has
little texture. In the rectified right image all of them are at the same pixels at every distance.
"""

from __future__ import annotations

import numpy as np

from ...errors import ConfigError
from .optics import SceneCamera
from .rasterizer import Pixels
from .room import Face, World, stacked
from .textures import Texture, grained, plain, texture_size

#: Distances of the wall, m: from about the nearest one that 96 levels measure.
NEAREST_M, FARTHEST_M = 0.3, 20.0
#: Distance of the card divided by that of the wall.
CARD_SHARE = 0.75
#: Name -> x0, y0, x1, y1 as seen from the right camera: metres per metre of distance.
AREAS = {
    "wall": (-0.95, -0.7, 0.95, 0.7),
    "weak": (-0.45, -0.2, -0.15, 0.2),
    "card": (0.1, -0.2, 0.4, 0.2),
}
#: Standard deviation of the grey values, by area.
_CONTRASTS = {"wall": 28.0, "weak": 5.0, "card": 28.0}
#: The wall is wider by this, so that the left camera sees nothing beside it, m.
_MARGIN_M = 0.1
#: Size of a texel per metre of distance: about one texel per pixel.
_TEXEL_ANGLE = 0.001


def plane_world(distance: str) -> World:
    """The wall at a distance given as text in metres.

    Raises  ConfigError
    """
    try:
        wall_m = float(distance)
    except ValueError:
        wall_m = float("nan")
    if not NEAREST_M <= wall_m <= FARTHEST_M:
        raise ConfigError(
            f"distance of the plane is {distance!r}, must be a number from {NEAREST_M:g} to "
            f"{FARTHEST_M:g}"
        )
    return World("plane", stacked([_face(name, wall_m) for name in AREAS]))


def _face(name: str, wall_m: float) -> Face:
    z = wall_m * (CARD_SHARE if name == "card" else 1.0)
    margin_m = _MARGIN_M if name == "wall" else 0.0
    x0, y0, x1, y1 = np.array(AREAS[name]) * z + margin_m * np.array([-1, -1, 1, 1])
    size = texture_size(x1 - x0, y1 - y0, _TEXEL_ANGLE * z)
    image: Pixels = grained(plain(size, (128, 128, 128)), len(name), _CONTRASTS[name])
    right, down = np.array([x1 - x0, 0.0, 0.0]), np.array([0.0, y1 - y0, 0.0])
    return np.array([x0, y0, z]), right, down, Texture(image)


def area_pixels(name: str, camera: SceneCamera, inset: int = 0) -> tuple[slice, slice]:
    """Rows and columns of "weak" or "card" in the image of the rectified right camera.

    `inset` px are left out on each side.
    """
    x0, y0, x1, y1 = AREAS[name]
    corners = camera.project(np.array([[x0, y0, 1.0], [x1, y1, 1.0]]))
    (left, top), (right, bottom) = np.ceil(corners).astype(int).tolist()
    return slice(top + inset, bottom - inset), slice(left + inset, right - inset)
