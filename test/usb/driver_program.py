"""Executes actions with the driver: one JSON line per action on stdin, one answer on stdout."""

from __future__ import annotations

import functools
import json
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from depthai_ros import config
from depthai_ros.device.device import OpenDevice
from depthai_ros.device.pipeline import Frame, RunningPipeline
from depthai_ros.errors import DepthaiError

LIMIT_S = 20.0 * float(os.environ.get("DEPTHAI_ROS_USB_SLOW", "1"))


class Warnings(logging.Handler):
    """Keeps the texts of warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


WARNINGS = Warnings()


class Program:
    """The actions, on one device at a time."""

    device: OpenDevice | None = None
    pipeline: RunningPipeline | None = None

    def open(self, selector: str, firmware: str, timeout_s: float = 3.0) -> dict[str, Any]:
        self.device = OpenDevice.open(selector, firmware=firmware, timeout_s=timeout_s)
        return {
            "mx_id": self.device.mx_id,
            "usb_speed": self.device.usb_speed,
            "usb_path": self.device.usb_path,
            "warnings": WARNINGS.texts,
        }

    def start(self, streams: list[str], **options: Any) -> dict[str, Any]:
        assert self.device
        settings = config.defaults().replace({"stream_list": streams, **options})
        self.pipeline = self.device.start_pipeline(settings)
        return {}

    def frames(self, count: int) -> dict[str, Any]:
        """Collect `count` frames; returns the count per stream and the number of wrong frames."""
        assert self.pipeline
        counts: dict[str, int] = {}
        wrong = 0
        end_s = time.monotonic() + LIMIT_S
        while sum(counts.values()) < count and time.monotonic() < end_s:
            self.pipeline.wait(0.5)
            for frame in self.pipeline.frames():
                counts[frame.stream] = counts.get(frame.stream, 0) + 1
                wrong += not follows_pattern(self.pipeline, frame)
        return {"counts": counts, "wrong": wrong, "rejected": self.pipeline.rejected()}

    def cut(self) -> dict[str, Any]:
        """Close the link of a running pipeline."""
        assert self.device
        self.device._link.close()
        return {}

    def reset(self) -> dict[str, Any]:
        """Reset the board but do not close the device."""
        assert self.device
        self.device.reset()
        return {}

    def close(self) -> dict[str, Any]:
        if self.device:
            self.device.close()
        self.device = self.pipeline = None
        return {}

    def resources(self) -> dict[str, Any]:
        return {
            "descriptors": len(list(Path("/proc/self/fd").iterdir())),
            "threads": len(list(Path("/proc/self/task").iterdir())),
            "python_threads": threading.active_count(),
        }


@functools.cache
def _first_image(width: int, height: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width].astype(np.uint8)
    return x + 2 * y


def follows_pattern(pipeline: RunningPipeline, frame: Frame) -> bool:
    """True if every byte of the frame equals the formula of the pattern scene."""
    assert frame.metadata
    width, height = pipeline.sizes.rgb if frame.stream == "color" else pipeline.sizes.mono
    step = 3 * frame.metadata.sequence + (64 if frame.stream == "right" else 0)
    luma = _first_image(width, height) + np.uint8(step % 256)
    pixels = frame.data[: luma.size].reshape(luma.shape)
    return bool(np.array_equal(pixels, luma)) and bool((frame.data[luma.size :] == 128).all())


def main() -> None:
    logging.getLogger().addHandler(WARNINGS)
    program = Program()
    for line in sys.stdin:
        action, arguments = json.loads(line)
        start_s = time.monotonic()
        try:
            answer = getattr(program, action)(**arguments)
        except DepthaiError as error:
            answer = {
                "error": type(error).__name__,
                "reason": getattr(error, "reason", ""),
                "text": str(error),
            }
        answer["seconds"] = time.monotonic() - start_s
        print(json.dumps(answer), flush=True)
    program.close()


if __name__ == "__main__":
    main()
