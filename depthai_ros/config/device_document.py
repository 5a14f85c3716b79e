"""Builds the configuration document for a device (`config_h2d`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..cameras import CALIBRATION_FLOATS
from ..errors import ConfigError
from ..streams import ALIASES
from .network import NetworkConfig, check_network
from .options import OPTIONS
from .settings import (
    Settings,
    derived_streams,
    mono_size,
    rgb_size,
    stream_list,
    wire_rate_limit,
    wire_streams,
)

#: In the 12-megapixel mode the device chooses the width.
_AUTO_WIDTH_LINES = 3040


def device_config(
    settings: Settings,
    *,
    network: NetworkConfig | None = None,
    blob_sizes: Sequence[int] = (),
    calibration_floats: Sequence[float] = (),
    center_crop: bool = False,
) -> dict[str, Any]:
    """The complete document, ready for JSON.

    `blob_sizes` has one entry per network, in bytes. `calibration_floats` and `center_crop` come
    from `gen1_file.read()`; they are needed to store or override the EEPROM.

    Raises  ConfigError if the network or the calibration does not support the settings
    Source  docs/wire_format.md#configuration
    """
    network = network or NetworkConfig()
    check_network(settings, network)
    _check_calibration(settings, calibration_floats)
    document = {
        "_board": {
            "calib_data": list(map(float, calibration_floats)) or [0.0] * CALIBRATION_FLOATS,
            "mesh_left": [0.0],
            "mesh_right": [0.0],
        },
        "_load_inBlob": True,
        "_pipeline": {"_streams": _streams(settings)},
        "ai": _ai(settings, network, blob_sizes),
        "app": _section(settings, "app"),
        "board": _board(settings, bool(calibration_floats), center_crop),
        "camera": _camera(settings),
        "depth": _depth(settings),
        "ot": _section(settings, "ot"),
    }
    if _wants_video(settings):
        document["video_config"] = _video(settings)
    return document


def _section(settings: Settings, name: str) -> dict[str, Any]:
    """All options of a group; for groups whose names on the wire are those of the options."""
    start = name + "."
    return {key[len(start) :]: value for key, value in settings.items() if key.startswith(start)}


def _check_calibration(settings: Settings, floats: Sequence[float]) -> None:
    if len(floats) not in (0, CALIBRATION_FLOATS):
        raise ConfigError(
            f"calibration has {len(floats)} values, the device needs {CALIBRATION_FLOATS}"
        )
    for key in ("board_config.store_to_eeprom", "board_config.override_eeprom"):
        if settings.dialect == "ros" and settings[key] and not floats:
            raise ConfigError(f"{key} is set, it needs the values of a calibration file")


def _streams(settings: Settings) -> list[dict[str, Any]]:
    """Streams on the wire in the order of stream_list, each at the highest rate that is needed."""
    derived = derived_streams(settings)
    listed = (ALIASES.get(name, name) for name in settings["stream_list"])
    wanted = wire_streams(settings)
    entries = []
    for name in dict.fromkeys(derived.get(name, name) for name in listed):
        if name not in wanted:
            continue
        entry: dict[str, Any] = {"name": name}
        if name == "depth":
            entry["data_type"] = "uint16"
        if limit := wire_rate_limit(settings, name):
            entry["max_fps"] = limit
        entries.append(entry)
    return entries


def _ai(settings: Settings, network: NetworkConfig, blob_sizes: Sequence[int]) -> dict[str, Any]:
    sizes = [*blob_sizes, 0, 0]
    same_names = ("calc_dist_to_bb", "camera_input", "cmx_slices", "keep_aspect_ratio", "shaves")
    return {
        **{name: settings[f"ai.{name}"] for name in same_names},
        "NCEs": settings["ai.NN_engines"],
        "NN_config": dict(network.document or {"output_format": "raw"}),
        "blob0_size": sizes[0],
        "blob1_size": sizes[1],
        "num_stages": 2 if settings["ai.blob_file2"] else 1,
    }


def _board(settings: Settings, has_calibration: bool, center_crop: bool) -> dict[str, Any]:
    """The board section; as in Gen1, store and override are off without a calibration file."""
    board = _section(settings, "board_config")
    return {
        "clear-eeprom": board["clear_eeprom"],
        "store-to-eeprom": board["store_to_eeprom"] and has_calibration,
        "override-eeprom": board["override_eeprom"] and has_calibration,
        "swap-left-and-right-cameras": board["swap_left_and_right_cameras"],
        "left_fov_deg": board["left_fov_deg"],
        "rgb_fov_deg": board["rgb_fov_deg"],
        "left_to_right_distance_m": board["left_to_right_distance_cm"] / 100,
        "left_to_rgb_distance_m": board["left_to_rgb_distance_cm"] / 100,
        "name": board["name"],
        "revision": board["revision"],
        "stereo_center_crop": board["stereo_center_crop"] or center_crop,
    }


def _camera(settings: Settings) -> dict[str, Any]:
    mono_width, mono_height = mono_size(settings)
    rgb_width, rgb_height = rgb_size(settings)
    return {
        "mono": {
            "fps": settings["camera.mono.fps"],
            "resolution_h": mono_height,
            "resolution_w": mono_width,
        },
        "rgb": {
            "fps": settings["camera.rgb.fps"],
            "resolution_h": rgb_height,
            "resolution_w": 0 if rgb_height == _AUTO_WIDTH_LINES else rgb_width,
        },
    }


def _depth(settings: Settings) -> dict[str, Any]:
    return {
        "depth_limit_mm": round(settings["depth.depth_limit_m"] * 1000),
        "lr_check": settings["depth.lr_check"],
        "median_kernel_size": settings["depth.median_kernel_size"],
        "padding_factor": settings["depth.padding_factor"],
        "warp_rectify": _section(settings, "depth.warp_rectify"),
    }


def _video(settings: Settings) -> dict[str, Any]:
    """The encoder's settings; the node has no topic for B frames, see `unused.without_effect`."""
    section = _section(settings, "video_config")
    return section if settings.dialect == "gen1" else {**section, "numBFrames": 0}


def _wants_video(settings: Settings) -> bool:
    """True if the video stream is configured, or an encoder option is not at its default."""
    encoder = [option for option in OPTIONS if option.group == "video_config"]
    changed = any(settings[option.key] != option.default for option in encoder)
    return changed or "video" in stream_list(settings)
