"""Checks the JSON documents that a host sends: the values that the virtual device reads.

Each document has one table, path -> rule. `name[]` stands for every element of a list; a `?` marks
a key that may be missing. Objects on the way to a value need no row. Everything else in a document
is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..bounded import is_number, is_whole, read_json, shown
from ..cameras import (
    CALIBRATION_FLOATS,
    MONO_WIDTHS,
    RATE_CONTROL_MODES,
    RGB_WIDTHS,
    VIDEO_PROFILES,
)
from ..errors import DecodeError
from ..streams import CONFIG_H2D_BYTES
from ..wire_formats import MAX_TRACKLETS, TENSOR_DTYPES

_TEXT_LIMIT = 64
#: x264 and x265 make no more.
MAX_B_FRAMES = 16


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value must be, in words and as a test."""

    words: str
    accepts: Callable[[Any], bool]


def _number(low: float, high: float) -> Rule:
    """A finite number; NaN lies in no range."""
    return Rule(
        f"a number between {low:g} and {high:g}",
        lambda value: is_number(value, low, high),
    )


def _integer(low: int, high: int) -> Rule:
    return Rule(
        f"an integer between {low} and {high}",
        lambda value: is_whole(value, low, high),
    )


def _one_of(values: Iterable[Any]) -> Rule:
    allowed = tuple(values)
    return Rule(
        f"one of {', '.join(map(str, allowed))}",
        lambda value: type(value) is type(allowed[0]) and value in allowed,
    )


def _named(names: tuple[str, ...]) -> Rule:
    """A choice by its name in any letter case, or by its number."""
    allowed = {*names, *map(str, range(len(names)))}
    return Rule(
        f"one of {', '.join(names)}",
        lambda value: type(value) in (str, int) and str(value).lower() in allowed,
    )


def _list(low: int, high: int) -> Rule:
    size = f"{low}" if low == high else f"{low} to {high}"
    return Rule(
        f"a list of {size} elements",
        lambda value: isinstance(value, list) and low <= len(value) <= high,
    )


_OBJECT = Rule("an object", lambda value: isinstance(value, dict))
_FLAG = Rule("true or false", lambda value: isinstance(value, bool))
#: A lone surrogate is not printable.
_TEXT = Rule(
    f"printable text of at most {_TEXT_LIMIT} characters",
    lambda value: isinstance(value, str) and len(value) <= _TEXT_LIMIT and value.isprintable(),
)
_FPS = _number(0.1, 1000)
_MAX_FPS = Rule(
    "0 (no limit) or a number between 0.001 and 1000",
    lambda value: is_number(value, 0, 0) or is_number(value, 0.001, 1000),
)
_DEGREES = _number(1, 179)
_SHARE = _number(0, 1)

#: The parts of config_h2d that the device also reads from a second configuration.
BOARD: Mapping[str, Rule] = {
    "board": _OBJECT,
    "board.clear-eeprom?": _FLAG,
    "board.store-to-eeprom?": _FLAG,
    "board.override-eeprom": _FLAG,
    "board.swap-left-and-right-cameras?": _FLAG,
    "board.stereo_center_crop": _FLAG,
    "board.left_fov_deg": _DEGREES,
    "board.rgb_fov_deg": _DEGREES,
    "board.left_to_right_distance_m": _number(0, 100),
    "board.left_to_rgb_distance_m?": _number(-100, 100),
    "board.name?": _TEXT,
    "board.revision?": _TEXT,
    "_board?.calib_data?": _list(0, 10 * CALIBRATION_FLOATS),
    "_board?.calib_data?[]": _number(-1e9, 1e9),
}

#: Source: docs/wire_format.md#configuration
CONFIG: Mapping[str, Rule] = {
    "_pipeline._streams": _list(0, 64),
    "_pipeline._streams[].name": _TEXT,
    "_pipeline._streams[].max_fps?": _MAX_FPS,
    "ai.camera_input": _TEXT,  # an unknown one is read as rgb
    "ai.calc_dist_to_bb": _FLAG,
    "ai.keep_aspect_ratio": _FLAG,
    "ai.shaves": _integer(0, 64),
    "ai.cmx_slices": _integer(0, 64),
    "ai.NN_config": _OBJECT,
    "ai.NN_config.confidence_threshold?": _SHARE,
    "ai.NN_config.NN_specific_metadata?": _OBJECT,
    "ai.NN_config.NN_specific_metadata?.confidence_threshold?": _SHARE,
    "app.enable_reconfig?": _FLAG,
    "app.sync_sequence_numbers?": _FLAG,
    "app.sync_video_meta_streams": _FLAG,
    **BOARD,
    "camera.mono.fps": _FPS,
    "camera.mono.resolution_h": _one_of(sorted(MONO_WIDTHS)),
    "camera.rgb.fps": _FPS,
    "camera.rgb.resolution_h": _one_of(sorted(RGB_WIDTHS)),
    "depth.padding_factor": _SHARE,
    "depth.depth_limit_mm": _number(-1e12, 1e12),
    "depth.warp_rectify?": _OBJECT,
    "depth.warp_rectify?.mirror_frame?": _FLAG,
    "ot.max_tracklets": _integer(0, MAX_TRACKLETS),
    "ot.confidence_threshold": _SHARE,
    "video_config?": _OBJECT,
    "video_config?.profile?": _named(VIDEO_PROFILES),
    "video_config?.rateCtrlMode?": _named(RATE_CONTROL_MODES),
    "video_config?.bitrate?": _number(0, 1e9),
    "video_config?.keyframeFrequency?": _number(0, 1e6),
    "video_config?.numBFrames?": _integer(0, MAX_B_FRAMES),
    "video_config?.quality?": _number(0, 100),
}

#: The description of a network. Source: docs/virtual_device.md#network
NETWORK: Mapping[str, Rule] = {
    "input": _list(3, 3),
    "input[]": _integer(1, 4096),
    "outputs": _list(1, 64),
    "outputs[].name": _TEXT,
    "outputs[].type": _one_of(np.dtype(code).name for code in TENSOR_DTYPES),
    "outputs[].dimensions": _list(1, 4),
    "outputs[].dimensions[]": _integer(1, 1 << 22),
    "outputs[].values?": _list(0, 1 << 20),
    "outputs[].values?[]": _number(-1e9, 1e9),
    "shaves?": _integer(0, 64),
}


def read_document(
    title: str, text: bytes, rules: Mapping[str, Rule], *, partial: bool = False
) -> dict[str, Any]:
    """A document whose values follow the rules; `partial`: every key may be missing.

    Raises  DecodeError with the path, the value and what was expected
    """
    document: dict[str, Any] = read_json(text, what=title, max_bytes=CONFIG_H2D_BYTES)
    for path, rule in rules.items():
        for where, value in _values(title, document, path.split("."), rule, partial):
            _require(where, value, rule)
    return document


def _require(where: str, value: Any, rule: Rule) -> None:
    if not rule.accepts(value):
        raise DecodeError(f"{where} is {shown(value)}, expected {rule.words}")


def _values(
    where: str, value: Any, steps: list[str], rule: Rule, partial: bool
) -> Iterator[tuple[str, Any]]:
    """(path, value) of each place in a document that a row of a table stands for."""
    if not steps:
        yield where, value
        return
    step, *rest = steps
    _require(where, value, _OBJECT)
    key = step.removesuffix("[]").removesuffix("?")
    if key not in value:
        if partial or "?" in step:
            return
        expected = rule if not rest and not step.endswith("[]") else _OBJECT
        raise DecodeError(f"{where} has no {key}, expected {expected.words}")
    place = f"{where}.{key}"
    if not step.endswith("[]"):
        yield from _values(place, value[key], rest, rule, partial)
        return
    for index, element in enumerate(value[key]):
        yield from _values(f"{place}[{index}]", element, rest, rule, partial)
