"""Converts diagnostics, the status of the device and log lines to what the page shows."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

from ..bounded import clean_text
from ..messages.device_log import TEMPERATURES
from ..messages.diagnostics import STATES
from ..messages.stream_stats import StreamCounts
from ..msg import DeviceStatus
from .source import Level, State, StreamRow

#: Level of a DiagnosticStatus -> ours.
_LEVELS: dict[int, Level] = {0: "ok", 1: "warn", 2: "error", 3: "stale"}
#: A part whose values are old, as all are at the start, says nothing about the whole.
_SEVERITY: tuple[Level, ...] = ("stale", "ok", "warn", "error")
_MOST_ROWS, _TEXT = 200, 500
#: A node that reports nothing for this time does not run any more, or is too busy.
_SILENT_S = 6.0
#: Level of a log line -> its word. Source: rcl_interfaces/msg/Log
_WORDS = {10: "DEBUG", 20: "INFO", 30: "WARN", 40: "ERROR", 50: "FATAL"}

NO_REPORT = State("", "disconnected", "stale", "no report yet", "", {}, "", ())


def state_of_diagnostics(message: Any, name: str) -> State | None:
    """The state in a DiagnosticArray of the node with this name, None if it is of others."""
    rows = {}
    prefix = f"{name}: "
    for row in message.status[:_MOST_ROWS]:
        if row.name.startswith(prefix):
            rows[row.name.removeprefix(prefix)] = row
    if "device" not in rows:
        return None
    device = _values(rows["device"])
    worst = max(["device", *rows], key=lambda part: _SEVERITY.index(_level(rows[part].level)))
    level = _level(rows[worst].level)
    text = clean_text(rows[worst].message, _TEXT)
    temperatures = _values(rows["temperature"]) if "temperature" in rows else {}
    known = {part: _number(temperatures.get(f"{part}_c")) for part in TEMPERATURES}
    return State(
        node="",
        device=device.get("state", ""),
        level=level,
        text=text if level == "ok" or worst == "device" else f"{clean_text(worst)}: {text}",
        link=_link(device.get("usb_speed", ""), rows.get("usb link")),
        temperatures_c={part: value for part, value in known.items() if math.isfinite(value)},
        last_error=device.get("last_error", ""),
        streams=tuple(
            _stream(part.removeprefix("stream "), row)
            for part, row in rows.items()
            if part.startswith("stream ")
        ),
    )


def _values(row: Any) -> dict[str, str]:
    return {clean_text(pair.key): clean_text(pair.value, _TEXT) for pair in row.values[:_MOST_ROWS]}


def _level(level: Any) -> Level:
    return _LEVELS.get(_as_int(level or 0), "error")


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _link(speed: str, row: Any) -> str:
    """Speed of the link, and how much of it is used."""
    if row is None:
        return speed
    values = _values(row)
    used, capacity = _number(values.get("measured_mb_s")), _number(values.get("capacity_mb_s"))
    texts = [speed] if speed else []
    if math.isfinite(used):
        limit = f" of {capacity:.0f}" if math.isfinite(capacity) else ""
        texts.append(f"{used:.1f}{limit} MB/s")
    return ", ".join(texts)


def _stream(name: str, row: Any) -> StreamRow:
    values = _values(row)
    return StreamRow(
        name=clean_text(name),
        level=_level(row.level),
        text=clean_text(row.message, _TEXT),
        fps=_number(values.get("fps")),
        expected_fps=_number(values.get("fps_expected")),
        latency_ms=_number(values.get("latency_ms_mean")),
        mb_s=_number(values.get("bytes_per_s")) / 1e6,
        lost=StreamCounts.read(values).lost,
    )


def state_of_status(message: Any) -> State:
    """The state in a DeviceStatus, until the first diagnostics arrive."""
    level, word, sentence = STATES.get(message.state, STATES[DeviceStatus.STATE_ERROR])
    temperatures = {part: float(getattr(message, f"{part}_c")) for part in TEMPERATURES}
    columns = (message.stream_names, message.fps, message.expected_fps, message.latency_ms)
    rows = list(zip(*columns, strict=False))[:_MOST_ROWS]
    return State(
        node="",
        device=word,
        level=_level(level),
        text=sentence,
        link=clean_text(message.usb_speed),
        temperatures_c={part: c for part, c in temperatures.items() if math.isfinite(c)},
        last_error="",
        streams=tuple(
            StreamRow(clean_text(name), "ok", "", fps, expected, latency, math.nan, {})
            for name, fps, expected, latency in rows
        ),
    )


def after_silence(state: State, node: str, silent_s: float, period_s: object = None) -> State:
    """The state if the last report is this old; the node sends one every `period_s`.

    A node that was killed stays in the ROS graph for a while; it does not report any more.
    """
    limit_s = _SILENT_S + (2 * period_s if isinstance(period_s, float) else 0.0)
    if silent_s <= limit_s:
        return state
    text = f"{node} has reported nothing for {silent_s:.0f} s"
    return replace(state, level="stale", text=text)


# -- the log


def logger_name(node: str) -> str:
    """The name of the logger of a node: /robot1/oak -> robot1.oak."""
    return node.strip("/").replace("/", ".")


def log_line(message: Any, logger: str) -> str:
    """A rcl_interfaces/msg/Log as one line; "" if another node wrote it."""
    if message.name != logger and not message.name.startswith(f"{logger}."):
        return ""
    clock = time.strftime("%H:%M:%S", time.localtime(max(0, message.stamp.sec)))
    level = _WORDS.get(_as_int(message.level), "INFO")
    return f"{clock} {level}: {clean_text(message.msg, _TEXT)}"


def _as_int(level: Any) -> int:
    return level[0] if isinstance(level, bytes) else int(level)
