"""The settings of a device that is only looked at, and its options that can change meanwhile."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

from ..config import (
    OPTIONS,
    NetworkConfig,
    Option,
    Settings,
    check_network,
    read_network_config,
    validate,
)
from ..config.limits import Choice, Range, Value
from ..config.options import BY_KEY, GROUPS
from ..config.settings import mono_size
from ..device.connect import check_selector
from ..device.live_commands import LIVE_COMMANDS
from ..errors import ConfigError
from ..streams import STREAMS
from .source import Control

#: Streams of every device, and those of one with a network.
_STREAMS = ("meta_d2h", "left", "right", "rectified_left", "rectified_right", "depth", "disparity")
_RGB_STREAMS = ("color", "jpegout")
_NETWORK_STREAMS = ("previewout", "metaout", "object_tracker")
#: A page shows no more images in a second; more would only load the link and the machine.
_RATE_HZ = 15.0
#: Points of a cloud; decimation is chosen by it.
_MOST_POINTS = 110_000
_MODELS = "package://depthai_ros/config/models/"
_VIRTUAL_NETWORK = {
    "ai.blob_file": f"{_MODELS}virtual_ssd.blob",
    "ai.blob_file_config": f"{_MODELS}mobilenet_ssd.json",
    "ai.calc_dist_to_bb": True,
}

_LIVE_KEYS = {key for row in LIVE_COMMANDS for key in (*row.keys, *row.details)}
#: The options that the device takes while it runs, and those of the filters, which the host has.
CONTROLS: Mapping[str, Option] = {
    option.key: option
    for option in OPTIONS
    if option.key in _LIVE_KEYS or (option.group == "filters" and option.changes == "live")
}


def device_settings(selector: str, values: Mapping[str, object]) -> Settings:
    """The settings for this device; `values` win over those that the page chooses.

    Raises  ConfigError for a wrong selector or a wrong value
    """
    scheme, _ = check_selector(selector)
    given: dict[str, object] = {
        "device.id": selector,
        "device.firmware": os.environ.get("DEPTHAI_FIRMWARE", ""),
        "calibration.nominal": True,
        "points.color": "rgb",
        "usb.on_insufficient": "reduce",
        **{
            f"stream.{row.name}.max_fps": _RATE_HZ
            for row in STREAMS.values()
            if row.pace == "exposure"
        },
    }
    if scheme != "usb" and "ai.blob_file" not in values:
        given |= _VIRTUAL_NETWORK
    has_network = bool((given | dict(values)).get("ai.blob_file"))
    network_streams = _NETWORK_STREAMS if has_network else ()
    given["stream_list"] = (*_STREAMS, *_RGB_STREAMS, *network_streams)
    settings = validate(given | dict(values))
    if "points.decimation" in values:
        return settings
    width, height = mono_size(settings)
    step = math.ceil(math.sqrt(width * height / _MOST_POINTS))
    return settings.replace({"points.decimation": step})


def read_network(settings: Settings) -> NetworkConfig | None:
    """How to decode the network, None = there is none. Raises ConfigError."""
    if not settings["ai.blob_file"]:
        return None
    network = read_network_config(
        settings["ai.blob_file_config"],
        confidence_threshold=settings["depth.confidence_threshold"],
    )
    check_network(settings, network)
    return network


def control(option: Option, value: Value) -> Control:
    """An option as the page shows it."""
    limits = option.limits
    low, high = (limits.low, limits.high) if isinstance(limits, Range) else (None, None)
    choices = tuple(map(str, limits.values)) if isinstance(limits, Choice) else ()
    first, second = option.key.split(".")[:2]
    group = f"{second} camera" if first == "camera" else GROUPS[option.group]
    return Control(option.key, group, value, option.meaning, option.unit, low, high, choices)


def changed(settings: Settings, key: str, value: object) -> Settings:
    """The settings with another value of a control.

    Raises  ConfigError
    """
    if key not in CONTROLS:
        raise ConfigError(f"{key} cannot change while the device runs")
    is_integer = type(BY_KEY[key].default) is int  # a browser knows one kind of number
    if is_integer and isinstance(value, float) and value.is_integer():
        value = int(value)
    return settings.replace({key: value})
