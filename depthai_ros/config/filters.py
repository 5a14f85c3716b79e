"""The filters on depth: their parameters, and the presets.

A preset gives parameters their values; a parameter that the user sets by itself keeps the user's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from .limits import Limits, Value, between, one_of, plain

#: Group of the options, and start of every key.
GROUP = "filters"
PREFIX = f"{GROUP}."
PRESET_KEY = f"{PREFIX}preset"


@dataclass(frozen=True, slots=True)
class FilterParameter:
    """One parameter; `key` is without PREFIX. `live`: it can change while frames arrive."""

    key: str
    default: Value
    meaning: str
    limits: Limits = None
    unit: str = ""
    live: bool = True


_ALPHA = between(0.01, 1.0)
_STEP = between(0.1, 32.0)

#: In the order in which the filters run. Steps of disparity are those of the whole depth image,
#: also after decimation.
PARAMETERS = (
    FilterParameter("threshold.enable", False, "remove depth that is too near or too far"),
    FilterParameter("threshold.min_m", 0.2, "smallest depth", between(0.0, 65.534), "m"),
    FilterParameter("threshold.max_m", 4.0, "largest depth", between(0.0, 65.534), "m"),
    FilterParameter(
        "decimation.enable",
        False,
        "make the depth image smaller: the median of what each square measured",
        live=False,
    ),
    FilterParameter(
        "decimation.size",
        2,
        "width of a square; rows and columns that fill no square are left out",
        between(2, 8),
        "px",
        live=False,
    ),
    FilterParameter("speckle.enable", False, "remove small regions that differ from all around"),
    FilterParameter(
        "speckle.min_size_px",
        100,
        "smallest region that stays, counted after decimation",
        between(1, 1_000_000),
        "px",
    ),
    FilterParameter(
        "speckle.delta_px", 1.5, "largest step of disparity inside a region", _STEP, "px"
    ),
    FilterParameter("spatial.enable", False, "smooth surfaces, not across steps of depth"),
    FilterParameter("spatial.iterations", 2, "passes over rows and columns", between(1, 5)),
    FilterParameter("spatial.alpha", 0.5, "weight of a pixel; 1 = no smoothing", _ALPHA),
    FilterParameter(
        "spatial.delta_px", 1.5, "larger steps of disparity are edges, which stay", _STEP, "px"
    ),
    FilterParameter("temporal.enable", False, "average each pixel over frames"),
    FilterParameter("temporal.alpha", 0.4, "weight of the new frame; 1 = no average", _ALPHA),
    FilterParameter(
        "temporal.delta_px",
        1.5,
        "a larger change of disparity is another surface, which shows at once",
        _STEP,
        "px",
    ),
    FilterParameter(
        "temporal.persistence",
        6,
        "a pixel that is not measured keeps its value if at least this number of the last 8 "
        "frames measured it; 0 = never",
        between(0, 8),
        "frames",
    ),
    FilterParameter(
        "temporal.max_gap_ms",
        500.0,
        "after a longer time without a frame the average starts anew",
        between(1.0, 60_000.0),
        "ms",
    ),
    FilterParameter("hole_filling.enable", False, "fill small holes between measured pixels"),
    FilterParameter(
        "hole_filling.mode",
        "farthest",
        "value of a hole: that at its left end, or the farthest or nearest one of its ends",
        one_of("left", "farthest", "nearest"),
    ),
    FilterParameter(
        "hole_filling.max_px",
        8,
        "longest hole that is filled, counted along a row or column after decimation",
        between(1, 1000),
        "px",
    ),
    FilterParameter(
        "hole_filling.delta_px",
        96.0,
        "holes between surfaces whose disparities differ by more stay; 96 = no hole does",
        between(0.1, 96.0),
        "px",
    ),
)
_DEFAULTS = {row.key: row.default for row in PARAMETERS}

#: Preset -> the values that differ from the defaults. docs/depth.md has what each one achieves;
#: `make bench ARGS=depth_accuracy` measures it.
PRESETS: dict[str, dict[str, Value]] = {
    "none": {},
    "navigation": {
        "decimation.enable": True,
        "speckle.enable": True,
        "spatial.enable": True,
        "temporal.enable": True,
        "temporal.persistence": 0,
    },
    "manipulation": {
        "speckle.enable": True,
        "spatial.enable": True,
        "spatial.alpha": 0.4,
        "temporal.enable": True,
        "temporal.alpha": 0.2,
        "temporal.persistence": 7,
        "hole_filling.enable": True,
        "hole_filling.mode": "nearest",
        "hole_filling.max_px": 12,
        "hole_filling.delta_px": 2.0,
    },
    "high_accuracy": {
        "speckle.enable": True,
        "speckle.min_size_px": 200,
        "speckle.delta_px": 1.2,
        "spatial.enable": True,
        "spatial.alpha": 0.25,
        "temporal.enable": True,
        "temporal.alpha": 0.15,
        "temporal.persistence": 0,
    },
}


def preset_values(preset: object) -> dict[str, Value]:
    """Every filter parameter, by its whole key, as a preset has it; {} for an unknown preset."""
    if not isinstance(preset, str) or preset not in PRESETS:
        return {}
    values = {**_DEFAULTS, **PRESETS[preset]}
    return {PREFIX + key: value for key, value in values.items()}


def against_preset(settings: Mapping[str, Any], given: Collection[str]) -> str:
    """The sentence about parameters that the user set against the preset, "" = there are none."""
    preset = settings[PRESET_KEY]
    wanted = preset_values(preset) if PRESETS[preset] else {}
    others = [
        f"{key} is {plain(settings[key])} (preset: {plain(value)})"
        for key, value in wanted.items()
        if key in given and settings[key] != value
    ]
    if not others:
        return ""
    return (
        f"{PRESET_KEY} is {preset}, but values that are set one by one win: {', '.join(others)}; "
        "leave them out to get those of the preset"
    )


def enabled_filters(settings: Mapping[str, Any]) -> list[str]:
    """Names of the filters that are on, in their order."""
    ends = ".enable"
    keys = [row.key for row in PARAMETERS if row.key.endswith(ends)]
    return [key.removesuffix(ends) for key in keys if settings[PREFIX + key]]


def decimation(settings: Mapping[str, Any]) -> int:
    """How many pixels of the device, along a row or column, become one; 1 = no decimation."""
    enabled = settings[f"{PREFIX}decimation.enable"]
    return int(settings[f"{PREFIX}decimation.size"]) if enabled else 1


def decimation_change(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Why a running node cannot take the new settings, "" = it can."""
    before, after = decimation(old), decimation(new)
    if before == after:
        return ""
    return (
        f"{PRESET_KEY} {new[PRESET_KEY]} has decimation {after} and the present size of depth is "
        f"for {before}: clean up the node, set it while unconfigured, and configure it again"
    )
