"""Devices as the page shows them without ROS, and waiting for what they do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from depthai_ros.view.source import CameraSource

SIZE = (640, 400)
SMALL = {"camera.mono.resolution_h": SIZE[1]}
LEAST = {
    **SMALL,
    "ai.blob_file": "",
    "stream_list": ("meta_d2h", "left"),
    "points.color": "none",
    "reconnect.initial_delay_s": 0.1,
}
DEADLINE_S = 30.0


def until(condition: Callable[[], Any], what: str, source: CameraSource | None = None) -> Any:
    """The first true result of `condition`."""
    end_s = time.monotonic() + DEADLINE_S
    while not (result := condition()):
        told = "" if source is None else f" {source.state()} {source.log()}"
        assert time.monotonic() < end_s, f"still waiting for {what}{told}"
        time.sleep(0.01)
    return result


def pixels(source: CameraSource, name: str) -> Any:
    return until(lambda: source.image(name), name, source).pixels


def lines_with(source: CameraSource, text: str) -> tuple[str, ...]:
    lines = source.log()
    return lines if any(text in line for line in lines) else ()
