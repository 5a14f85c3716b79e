"""Reads the nested configuration that Gen1 programs pass to `create_pipeline`."""

from __future__ import annotations

import difflib
import logging
import math
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..bounded import clean_text, describe, shown
from ..cameras import MONO_WIDTHS, RATE_CONTROL_MODES, VIDEO_PROFILES
from ..config.limits import Value
from ..config.numbers import read_integer, read_real
from ..config.options import BY_KEY, OPTIONS
from ..config.settings import Settings, validate
from ..errors import ConfigTypeError
from ..streams import ALIASES

_log = logging.getLogger(__name__)

#: Sections of the dict. Source: docs/wire_format.md#configuration
_SECTIONS = ("depth", "ai", "ot", "board_config", "camera", "video_config", "app")
#: Required keys of a section, if the section is present.
_REQUIRED = {
    "camera.rgb": ("resolution_h", "fps"),
    "camera.mono": ("resolution_h", "fps"),
}
#: Encoder settings that accept a number -> names in the order of the numbers.
_NUMBERED = {
    "video_config.rateCtrlMode": RATE_CONTROL_MODES,
    "video_config.profile": VIDEO_PROFILES,
}


def from_gen1(config: Mapping[str, Any]) -> Settings:
    """Settings from a nested Gen1 dict.

    Types follow Gen1: numbers accept bool, integers truncate floats, None means an absent text,
    unknown keys are ignored. Without "streams" no stream is requested.

    Raises  ConfigTypeError for a wrong type or a missing required key; ConfigError for a value
            that Gen1 does not allow
    """
    config = _section("config", config)
    values: dict[str, Any] = {}
    _tell_of_unknown("", config, ("streams", *_SECTIONS))
    for name in _SECTIONS:
        if name in config:
            _read_section(name, _section(name, config[name]), values)
    _read_streams(config.get("streams"), values)
    _mend(values)
    return validate(values, "gen1")


#: Words of the node's parameters in error texts -> words of a Gen1 program.
_GEN1_WORDS = (
    (re.compile(r"\bstream_list\b"), "streams"),
    (re.compile(r"\bstream\.(\w+)\.max_fps\b"), r"max_fps of stream \1"),
    (re.compile(r"\bdevice\.firmware\b"), "the firmware (cmd_file or DEPTHAI_FIRMWARE)"),
    (re.compile(r"\busb\.force_usb2\b"), "usb2_mode"),
)


def gen1_words(text: str) -> str:
    """An error text with the words of a Gen1 program: `streams` for `stream_list`."""
    for pattern, words in _GEN1_WORDS:
        text = pattern.sub(words, text)
    return text


def _section(path: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigTypeError(f"{path} is {describe(value)}, must be a dict")
    return value


def _read_section(path: str, section: Mapping[str, Any], values: dict[str, Any]) -> None:
    """Collect the known keys of a section and of its subsections."""
    for key in _REQUIRED.get(path, ()):
        if key not in section:
            raise ConfigTypeError(f"{path} has no {key}, it is required")
    inner = {option.key[len(path) + 1 :].partition(".")[0] for option in _below(path)}
    _tell_of_unknown(path + ".", section, inner)
    for key in sorted(inner & set(section)):
        option = BY_KEY.get(f"{path}.{key}")
        if option is None:
            name = f"{path}.{key}"
            _read_section(name, _section(name, section[key]), values)
        elif option.scope == "pipeline":
            value = _convert(option.key, option.default, section[key])
            if value is not None:
                values[option.key] = value


def _tell_of_unknown(prefix: str, section: Mapping[str, Any], known: Iterable[str]) -> None:
    """Warn of unknown keys, which Gen1 ignores without a message."""
    for key in section:
        if key not in known:
            nearest = difflib.get_close_matches(str(key), known, n=1, cutoff=0.6)
            advice = f", the nearest is {prefix}{nearest[0]}" if nearest else ""
            _log.warning("%s%s is not known and ignored%s", prefix, clean_text(str(key)), advice)


def _below(path: str) -> Iterable[Any]:
    return (row for row in OPTIONS if row.key.startswith(path + ".") and row.scope == "pipeline")


def _convert(key: str, default: Value, value: Any) -> Value | None:
    """One value by Gen1's rules; None = treat the key as absent."""
    if key in _NUMBERED:
        return _encoder_name(_NUMBERED[key], value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(default, str):
        value = os.fspath(value) if isinstance(value, os.PathLike) else value
        if value is None or isinstance(value, str):
            return value
        raise _wrong(key, value, "text")
    if isinstance(default, bool):
        if isinstance(value, bool):
            return value
        raise _wrong(key, value, "true or false")
    if not isinstance(value, (bool, int, float)):
        raise _wrong(key, value, "a number")
    return _number(key, default, value)


def _number(key: str, default: Value, value: float) -> int | float:
    real = read_real(+value)  # Gen1 accepts true as 1
    if real is None or not math.isfinite(real):
        raise _wrong(key, value, "a finite number")
    if isinstance(default, float):
        return real
    whole = read_integer(int(value))
    if whole is None:
        raise _wrong(key, value, "an integer of at most 64 bits")
    return whole


def _wrong(key: str, value: Any, expected: str) -> ConfigTypeError:
    return ConfigTypeError(f"{key} is {describe(value)}, must be {expected}")


def _encoder_name(names: tuple[str, ...], value: Any) -> str | None:
    """Name of an encoder setting from a name in any letter case or a number; None if unknown."""
    if isinstance(value, str):
        return value.lower() if value.lower() in names else None
    if isinstance(value, (int, np.integer)) and 0 <= value < len(names):
        return names[int(value)]
    return None


def _read_streams(streams: Any, values: dict[str, Any]) -> None:
    if streams is None:
        streams = ()
    items = [streams] if isinstance(streams, str) else streams
    if not isinstance(items, (list, tuple)):
        raise _wrong("streams", streams, "a list")
    names = []
    for item in items:
        entry = {"name": item} if isinstance(item, str) else _section("an entry of streams", item)
        if not isinstance(entry.get("name"), str):
            raise ConfigTypeError(f"an entry of streams is {shown(item)}, it needs a name")
        names.append(entry["name"])
        key = f"stream.{_present_name(entry['name'])}.max_fps"
        if key in BY_KEY and entry.get("max_fps") is not None:
            limit = _convert(key, 0.0, entry["max_fps"])
            if limit is not None:
                values[key] = limit
    values["stream_list"] = tuple(dict.fromkeys(names))


def _present_name(name: str) -> str:
    return ALIASES.get(name, name)


def _mend(values: dict[str, Any]) -> None:
    """Replace values that Gen1 accepts but no device supports."""
    height = values.get("camera.mono.resolution_h", 720)
    width = values.get("camera.mono.resolution_w", 0)
    if height in MONO_WIDTHS and width not in (0, MONO_WIDTHS[height]):
        _log.warning("camera.mono.resolution_w %s is not that of %s lines, ignored", width, height)
        values["camera.mono.resolution_w"] = 0
    if values.get("depth.warp_rectify.use_mesh"):
        values["depth.warp_rectify.use_mesh"] = False
