"""The settings: one checked value for every option.

`validate()` is strict: unknown keys, wrong types and contradictions are errors. Settings of a Gen1
program (`gen1/config.py`) follow Gen1's less strict rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from ..bounded import clean_text, describe, nearest, shown
from ..cameras import MONO_WIDTHS, NN_CAMERAS, RGB_WIDTHS
from ..errors import ConfigError, ConfigTypeError
from ..streams import (
    ALIASES,
    ALL_STREAMS,
    COLOR_STREAMS,
    COMPRESSED_TOPICS,
    HOST_RECTIFIED,
    STREAMS,
    WORKER_OUTPUTS,
    Stream,
    Topic,
)
from .compression import INHERITED
from .filters import PRESET_KEY, preset_values
from .limits import Value, plain
from .numbers import read_integer, read_real
from .options import BY_KEY, OPTIONS, Option

Dialect = Literal["ros", "gen1"]

#: Keys whose limits Gen1 also enforces; it passes on all others unchecked.
#: Source: docs/wire_format.md#configuration
GEN1_LIMITED = frozenset(
    {
        "depth.padding_factor",
        "depth.confidence_threshold",
        "depth.median_kernel_size",
        "ai.shaves",
        "ai.cmx_slices",
        "ai.NN_engines",
        "ot.max_tracklets",
        "ot.confidence_threshold",
        "camera.rgb.resolution_h",
        "camera.mono.resolution_h",
    }
)

#: Height of a frame -> the highest frame rate of the sensor. Source: docs/wire_format.md#cameras
_MONO_FPS = {400: 120.0, 720: 60.0, 800: 60.0}
_RGB_FPS = {1080: 118.0, 2160: 42.0}
#: Camera -> the option group with its resolution and rate.
_SENSORS = {"rgb": "rgb", "left": "mono", "right": "mono"}


class Settings(Mapping[str, Any]):
    """One value for every option; immutable."""

    __slots__ = ("_values", "dialect", "given")

    def __init__(
        self,
        values: Mapping[str, Value],
        dialect: Dialect = "ros",
        given: Collection[str] = (),
    ) -> None:
        """Take values that are already checked; other callers use `validate()`.

        `given`: the keys that the user set; the others have defaults, or values of a preset.
        """
        self._values = dict(values)
        self.dialect: Dialect = dialect
        self.given = frozenset(given)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        changed = {key: value for key, value in self.items() if value != BY_KEY[key].default}
        return f"Settings({changed!r})"

    def replace(self, changes: Mapping[str, Any]) -> Settings:
        """A copy with some values changed, checked as a whole.

        Raises  ConfigError
        """
        return validate(self.given_after(changes), self.dialect)

    def given_after(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """What the user has set, after some changes.

        A key that gets the value that it already has is no change: a whole parameter file may be
        loaded, and a preset still gives the others their values.
        """
        kept = {key: self._values[key] for key in self.given}
        return kept | {
            key: value
            for key, value in changes.items()
            if key in kept or key not in self._values or not _same(self._values[key], value)
        }


def _same(present: Value, value: Any) -> bool:
    return type(value) is type(present) and bool(value == present)


def defaults() -> Settings:
    """Every option with its default."""
    return Settings({option.key: option.default for option in OPTIONS})


def validate(values: Mapping[str, Any], dialect: Dialect = "ros") -> Settings:
    """Check values by dotted key; missing keys get the value of the preset, or their default.

    Raises  ConfigError that names each bad key, its value and the allowed values
    """
    checked: dict[str, Value] = {option.key: option.default for option in OPTIONS}
    checked |= preset_values(values.get(PRESET_KEY))
    problems: list[ConfigError] = []
    for key, value in values.items():
        try:
            checked[key] = _checked(_option(key), value, dialect)
        except ConfigError as problem:
            # Its traceback would keep the callers' objects alive until the garbage collection.
            problems.append(problem.with_traceback(None))
    inherited = {key: checked[general] for key, general in INHERITED.items() if key not in values}
    checked |= inherited
    if not problems:
        rules = _GEN1_RULES if dialect == "gen1" else _RULES
        problems = [ConfigError(text) for rule in rules if (text := rule(checked))]
    if problems:
        wrong_type = all(isinstance(problem, ConfigTypeError) for problem in problems)
        kind = ConfigTypeError if wrong_type else ConfigError
        raise kind("; ".join(map(str, problems)))
    return Settings(checked, dialect, values)


def check_value(key: str, value: Any) -> Value:
    """Check one value by itself. Raises ConfigError."""
    return _checked(_option(key), value, "ros")


def _option(key: str) -> Option:
    if key in BY_KEY:
        return BY_KEY[key]
    raise ConfigError(f"{clean_text(key)} is not an option{nearest(key, BY_KEY)}")


def _checked(option: Option, value: Any, dialect: Dialect) -> Value:
    expected, read = _READERS[type(option.default)]
    checked = read(value)
    if checked is None:
        raise ConfigTypeError(f"{option.key} is {describe(value)}, must be {expected}")
    limited = dialect == "ros" or option.key in GEN1_LIMITED
    if limited and option.limits is not None and not option.limits.allows(checked):
        found = shown(checked) if isinstance(checked, str) else plain(checked)
        raise ConfigError(f"{option.key} is {found}, must be {option.limits}")
    return checked


def _read_bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _read_str(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _read_texts(value: Any) -> tuple[str, ...] | None:
    """ROS has no empty list of strings: a list with one empty string stands for it."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(text, str) for text in value):
        return None
    return () if tuple(value) == ("",) else tuple(value)


#: Type of an option's default -> (its name in errors, function that reads a value or returns None).
_READERS: dict[type, tuple[str, Callable[[Any], Value | None]]] = {
    bool: ("true or false", _read_bool),
    int: ("an integer", read_integer),
    float: ("a number", read_real),
    str: ("text", _read_str),
    tuple: ("a list of texts", _read_texts),
}


# -- rules between values; each rule returns its error, or ""

_Values = Mapping[str, Any]
_Rule = Callable[[_Values], str]


def _streams(values: _Values) -> tuple[str, ...]:
    """The streams of stream_list by their present names, in the device's order."""
    wanted = {ALIASES.get(name, name) for name in values["stream_list"]}
    return tuple(name for name in STREAMS if name in wanted)


def _known_streams(values: _Values) -> str:
    unknown = [
        name for name in values["stream_list"] if name not in STREAMS and name not in ALIASES
    ]
    if not unknown:
        return ""
    return f"stream_list has {shown(unknown[0])}, known streams are {', '.join(STREAMS)}"


def _some_stream(values: _Values) -> str:
    if values["stream_list"]:
        return ""
    return f"stream_list is empty, must name at least one of {', '.join(STREAMS)}"


def _color_of_points(values: _Values) -> str:
    color, streams = values["points.color"], _streams(values)
    needed = COLOR_STREAMS[color]
    if "depth" not in streams or needed in ("", *streams):
        return ""
    return f"points.color is {color}, it needs {needed} in stream_list"


def _exceeds(key: str, other: str) -> _Rule:
    def rule(values: _Values) -> str:
        value, limit = values[key], values[other]
        if value <= limit:
            return ""
        return f"{key} is {plain(value)}, must not exceed {other}, which is {plain(limit)}"

    return rule


def _needs(key: str, other: str) -> _Rule:
    """A rule: if `key` is set, `other` has to be set, too."""

    def rule(values: _Values) -> str:
        return f"{key} is set, it needs {other}" if values[key] and not values[other] else ""

    return rule


def _stream_needs(stream: str, other: str) -> _Rule:
    def rule(values: _Values) -> str:
        if stream not in _streams(values) or values[other]:
            return ""
        return f"stream_list has {stream}, it needs {other}"

    return rule


def _mono_width(values: _Values) -> str:
    width, height = values["camera.mono.resolution_w"], values["camera.mono.resolution_h"]
    expected = MONO_WIDTHS[height]
    if width in (0, expected):
        return ""
    return f"camera.mono.resolution_w is {width}, must be 0 or {expected} for {height} lines"


def _highest_fps(camera: str, limits: Mapping[int, float]) -> _Rule:
    def rule(values: _Values) -> str:
        fps, height = values[f"camera.{camera}.fps"], values[f"camera.{camera}.resolution_h"]
        limit = limits.get(height, fps)
        if fps <= limit:
            return ""
        return f"camera.{camera}.fps is {plain(fps)}, must be at most {limit:g} for {height} lines"

    return rule


def _exposure_fits(camera: str) -> _Rule:
    """An exposure lasts at most one frame."""
    key, rate = f"camera.{camera}.exposure_us", f"camera.{_SENSORS[camera]}.fps"

    def rule(values: _Values) -> str:
        limit = frame_duration_us(values, camera)
        if values[key] <= limit:
            return ""
        fps = plain(values[rate])
        return f"{key} is {values[key]}, must be at most {limit}: {rate} is {fps}"

    return rule


def _region_fits(camera: str) -> _Rule:
    key = f"camera.{camera}.ae_region"

    def rule(values: _Values) -> str:
        text = values[key]
        found = re.fullmatch(r"(\d{1,4}) (\d{1,4}) (\d{1,4}) (\d{1,4})", text, re.ASCII)
        if not text:
            return ""
        if not found:
            return f"{key} is {shown(text)}, must be four numbers: X Y WIDTH HEIGHT"
        x0, y0, width, height = map(int, found.groups())
        size = image_size(values, camera)
        if width and height and x0 + width <= size[0] and y0 + height <= size[1]:
            return ""
        return f"{key} is {shown(text)}, must lie inside the image of {size[0]}x{size[1]} pixels"

    return rule


def _one_rate(values: _Values) -> str:
    """Sync needs all streams of the mono cameras at one rate, else sets are never complete."""
    camera_fps = values["camera.mono.fps"]
    rates = {
        f"stream.{name}.max_fps": values[f"stream.{name}.max_fps"]
        for name in _streams(values)
        if STREAMS[name].camera in ("left", "right")
    }
    in_effect = {min(rate or camera_fps, camera_fps) for rate in rates.values()}
    if not values["sync.enable"] or len(in_effect) < 2:
        return ""
    found = ", ".join(f"{key} is {plain(rate)}" for key, rate in rates.items())
    return f"sync.enable is set, it needs one rate for all streams of the mono cameras: {found}"


def _clear_or_store(values: _Values) -> str:
    if values["board_config.clear_eeprom"] and values["board_config.store_to_eeprom"]:
        return "board_config.clear_eeprom and board_config.store_to_eeprom exclude each other"
    return ""


_GEN1_RULES: tuple[_Rule, ...] = (_known_streams, _exceeds("ai.shaves", "ai.cmx_slices"))
_RULES: tuple[_Rule, ...] = (
    *_GEN1_RULES,
    _some_stream,
    _color_of_points,
    _stream_needs("metaout", "ai.blob_file"),
    _stream_needs("object_tracker", "ai.blob_file"),
    _needs("ai.blob_file2", "ai.blob_file"),
    _needs("ai.calc_dist_to_bb", "ai.blob_file"),
    _needs("board_config.store_to_eeprom", "depth.calibration_file"),
    _needs("board_config.override_eeprom", "depth.calibration_file"),
    _clear_or_store,
    _one_rate,
    _mono_width,
    _highest_fps("mono", _MONO_FPS),
    _highest_fps("rgb", _RGB_FPS),
    _exceeds("diagnostics.temp_warn_c", "diagnostics.temp_error_c"),
    _exceeds("reconnect.initial_delay_s", "reconnect.max_delay_s"),
    _exceeds("filters.threshold.min_m", "filters.threshold.max_m"),
    *(rule(camera) for rule in (_exposure_fits, _region_fits) for camera in _SENSORS),
)


# -- values derived from settings


def stream_list(settings: Settings) -> tuple[str, ...]:
    """The configured streams by their present names, in the device's order."""
    return _streams(settings)


def cameras_of(settings: Settings, stream: str) -> frozenset[str]:
    """The cameras whose images a stream needs."""
    row, nn_input = STREAMS[stream], settings["ai.camera_input"]
    if row.camera == "nn":
        cameras = set(NN_CAMERAS[nn_input])
        has_distances = settings["ai.calc_dist_to_bb"] and stream != "previewout"
        is_stereo = has_distances or nn_input.startswith("rectified_")
    else:
        cameras, is_stereo = {row.camera} - {""}, row.is_stereo
    return frozenset(cameras | {"left", "right"} if is_stereo else cameras)


def shows_rgb(settings: Settings) -> bool:
    """True if images of the rgb camera, which have a camera_info, are wanted."""
    rows = (STREAMS[name] for name in stream_list(settings))
    return any(
        row.sensor(settings["ai.camera_input"]) == "rgb"
        and any(topic.camera_info for topic in row.topics)
        for row in rows
    )


def derived_streams(settings: Settings) -> dict[str, str]:
    """Streams that the host makes -> the wire stream that each is made from.

    The device computes either depth or disparity; `ai.calc_dist_to_bb` needs depth. If both are
    needed, the host computes disparity from depth.

    Source  docs/wire_format.md#depth
    """
    sources = {name: STREAMS[name].made_from or name for name in _streams(settings)}
    if "depth" in sources.values() or settings["ai.calc_dist_to_bb"]:
        sources |= {name: "depth" for name in sources if STREAMS[name].content == "disparity"}
    return {name: source for name, source in sources.items() if source != name}


def wire_streams(settings: Settings) -> tuple[str, ...]:
    """The streams that the device has to send, in its order."""
    derived = derived_streams(settings)
    wanted = {derived.get(name, name) for name in _streams(settings)}
    return tuple(name for name in STREAMS if name in wanted)


def streams_fed_by(settings: Settings, wire_stream: str) -> tuple[str, ...]:
    """The configured streams that are made from this wire stream."""
    derived = derived_streams(settings)
    return tuple(name for name in _streams(settings) if derived.get(name, name) == wire_stream)


def worker_outputs(settings: Settings) -> dict[str, tuple[str, ...]]:
    """The outputs of the workers -> the streams that they need; the first sets pace and stamp."""
    streams, on_host = _streams(settings), settings["stereo.rectify"] == "host"
    color = COLOR_STREAMS[settings["points.color"]]
    outputs = {
        name: (row.made_from, *([color] if name == "points" and color else []))
        for name, row in WORKER_OUTPUTS.items()
        if on_host or name not in HOST_RECTIFIED
    }
    return {name: inputs for name, inputs in outputs.items() if set(inputs) <= set(streams)}


def is_made_on_host(settings: Settings, stream: str) -> bool:
    """True if workers rectify the images in place of this stream of the device."""
    outputs = worker_outputs(settings)
    return any(HOST_RECTIFIED[name] == stream for name in outputs if name in HOST_RECTIFIED)


def configured_topics(settings: Settings) -> dict[str, list[Topic]]:
    """The topics of each configured stream, and of each output of the workers."""
    codecs = ("", "jpeg" if settings["video_config.profile"] == "mjpeg" else "video")
    return {
        name: [
            topic
            for topic in ALL_STREAMS[name].topics
            if (not topic.option or settings[topic.option])
            and topic.codec in codecs
            and not is_made_on_host(settings, name)
        ]
        for name in (*_streams(settings), *worker_outputs(settings))
    }


class CompressedTopic(NamedTuple):
    """A topic with the images of the topic `image`; `stream.made_from` is their stream."""

    image: str
    topic: Topic
    stream: Stream


def compressed_by_device(settings: Settings) -> list[str]:
    """Compressed topics that the device sends itself, of images that the node could compress."""
    names = {topic.name for rows in configured_topics(settings).values() for topic in rows}
    return [row.name for image, row in COMPRESSED_TOPICS.items() if {image, row.name} <= names]


def compressed_topics(settings: Settings) -> dict[str, CompressedTopic]:
    """The topics that the node compresses, by name; without those that the device sends itself."""
    topics, sent = configured_topics(settings), compressed_by_device(settings)
    made = {}
    for name, rows in topics.items():
        for image in rows:
            topic = COMPRESSED_TOPICS.get(image.name)
            if topic is not None and topic.name not in sent:
                row = replace(ALL_STREAMS[name], name=topic.name, topics=(topic,), made_from=name)
                made[topic.name] = CompressedTopic(image.name, topic, row)
    return made


def stream_fps(settings: Settings, row: Stream) -> float:
    """Rate of the exposures of a stream, Hz; 0 = it does not follow a camera."""
    sensor = row.sensor(settings["ai.camera_input"]) if row.pace == "exposure" else ""
    return float(settings[f"camera.{sensor}.fps"]) if sensor else 0.0


def wire_rate_limit(settings: Settings, wire_stream: str) -> float:
    """Rate limit of a wire stream, Hz: the highest of the streams made from it; 0 = no limit."""
    users = streams_fed_by(settings, wire_stream)
    limits: list[float] = [settings[f"stream.{user}.max_fps"] for user in users]
    return max(limits) if limits and min(limits) > 0 else 0.0


def host_rate_limit(settings: Settings, stream: str) -> float:
    """Rate limit that the host applies to a stream, Hz; 0 = none, or the device applies it.

    A device limits only what is on the wire, for the fastest of the streams made from it.
    """
    source = derived_streams(settings).get(stream, stream)
    limit: float = settings[f"stream.{stream}.max_fps"]
    return limit if limit != wire_rate_limit(settings, source) else 0.0


def mono_size(settings: Mapping[str, Any]) -> tuple[int, int]:
    """(width, height) of the mono frames, px."""
    height = settings["camera.mono.resolution_h"]
    return settings["camera.mono.resolution_w"] or MONO_WIDTHS[height], height


def rgb_size(settings: Mapping[str, Any]) -> tuple[int, int]:
    """(width, height) of the colour frames, px."""
    height = settings["camera.rgb.resolution_h"]
    return RGB_WIDTHS[height], height


def image_size(settings: Mapping[str, Any], camera: str) -> tuple[int, int]:
    """(width, height) of the frames of "rgb", "left" or "right", px."""
    return rgb_size(settings) if camera == "rgb" else mono_size(settings)


def frame_duration_us(settings: Mapping[str, Any], camera: str) -> int:
    """Time from one frame of a camera to the next, in whole microseconds."""
    return int(1e6 / settings[f"camera.{_SENSORS[camera]}.fps"])
