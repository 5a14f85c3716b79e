"""The geometry of a board: from its EEPROM, else from the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..bounded import is_number
from ..cameras import EEPROM_FIELDS, ROTATIONS_LAYOUT
from ..config.limits import between
from ..config.settings import Settings

#: Limits of the numbers that a board stores, those of the options; a distance of 0 is unknown.
_STORED_LIMITS = {
    "left_fov_deg": between(1.0, 179.0),
    "rgb_fov_deg": between(1.0, 179.0),
    "left_to_right_distance_m": between(0.001, 2.0),
    "left_to_rgb_distance_m": between(-2.0, 2.0),
}


@dataclass(frozen=True, slots=True)
class BoardGeometry:
    """The board's geometry, with which the device computes depth from disparity."""

    name: str
    revision: str
    fov_deg: float  # horizontal, of the mono cameras
    rgb_fov_deg: float
    baseline_m: float
    left_to_rgb_m: float
    swap: bool  # the device exchanges its mono cameras
    center_crop: bool  # 720 lines are the middle of 800, else their top


def stored_layout(document: Mapping[str, Any]) -> int:
    """Layout of an EEPROM; a later one is read as the newest known if it has all of its keys."""
    version = int(document.get("version", -1))
    if version > ROTATIONS_LAYOUT:
        return ROTATIONS_LAYOUT if set(EEPROM_FIELDS) <= set(document) else -1
    return version if version >= 1 else -1


def board_geometry(
    document: Mapping[str, Any], settings: Settings, file_crop: bool = False
) -> BoardGeometry:
    """Geometry of the board: a programmed EEPROM overrides the settings (see override_eeprom)."""
    given: Mapping[str, Any] = {
        "board_name": settings["board_config.name"],
        "board_rev": settings["board_config.revision"],
        "left_fov_deg": settings["board_config.left_fov_deg"],
        "rgb_fov_deg": settings["board_config.rgb_fov_deg"],
        "left_to_right_distance_m": settings["board_config.left_to_right_distance_cm"] / 100,
        "left_to_rgb_distance_m": settings["board_config.left_to_rgb_distance_cm"] / 100,
        "swap_left_and_right_cameras": settings["board_config.swap_left_and_right_cameras"],
        "stereo_center_crop": settings["board_config.stereo_center_crop"] or file_crop,
    }
    if stored_layout(document) >= 1 and not settings["board_config.override_eeprom"]:
        stored = {
            key: document[key]
            for key, value in given.items()
            if _is_usable(key, document.get(key), value)
        }
        given = {**given, **stored}
    return BoardGeometry(
        name=str(given["board_name"]),
        revision=str(given["board_rev"]),
        fov_deg=float(given["left_fov_deg"]),
        rgb_fov_deg=float(given["rgb_fov_deg"]),
        baseline_m=float(given["left_to_right_distance_m"]),
        left_to_rgb_m=float(given["left_to_rgb_distance_m"]),
        swap=bool(given["swap_left_and_right_cameras"]),
        center_crop=bool(given["stereo_center_crop"]),
    )


def _is_usable(key: str, value: Any, example: Any) -> bool:
    """True if a stored value has the right type and a plausible size."""
    if not isinstance(example, float):
        return isinstance(value, type(example))
    if not is_number(value):
        return False
    return _STORED_LIMITS[key].allows(value) or (value == 0 and key.endswith("_m"))
