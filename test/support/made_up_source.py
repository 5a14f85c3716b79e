"""A source of the page without a camera: images, a waving cloud, boxes, numbers, controls."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from depthai_ros.view.source import (
    BOXES,
    CLOUD,
    Action,
    Box,
    CameraView,
    Cloud,
    Control,
    FramePose,
    ImageChoice,
    LatestImage,
    State,
    StreamRow,
)

CHOICES = (
    ImageChoice("rgb/image_raw", "bgr8", "rgb"),
    ImageChoice("rgb/preview/image_raw", "bgr8", "rgb"),
    ImageChoice("left/image_raw", "mono8", "left"),
    ImageChoice("right/image_raw", "mono8", "right"),
    ImageChoice("depth/image_raw", "16UC1", "right", "m"),
    ImageChoice("disparity", "32FC1", "right", "px"),
)
CONTROLS = (
    Control("camera.mono.auto_exposure", "camera", True, "Let the camera choose the exposure."),
    Control(
        "camera.mono.exposure_us", "camera", 8000, "Exposure time.", "µs", 1, 33000
    ),
    Control("camera.rgb.brightness", "camera", 0, "Brightness of the colour camera.", "", -10, 10),
    Control(
        "camera.rgb.effect", "camera", "off", "Effect.", choices=("off", "mono", "negative")
    ),
    Control("depth.confidence", "depth", 0.75, "Least confidence of a measurement.", "", 0.0, 1.0),
    Control(
        "stream_list", "streams", ("left", "depth"), "Streams of the device.",
        choices=("left", "right", "depth", "color"),
    ),
    Control("frame_prefix", "node", "oak", "Prefix of the frames."),
)  # fmt: skip
ACTIONS = (
    Action("capture_still", "Take a still image", "One image in the full size of the sensor."),
    Action("deactivate", "Deactivate the node", "Stop all streams."),
)
OPTICAL = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], np.float64)
#: A value that the node refuses, though its range has it.
REFUSED = ("camera.mono.exposure_us", 13)


def _pose(y_m: float, optical: bool = True) -> NDArray[np.float64]:
    pose: NDArray[np.float64] = OPTICAL.copy() if optical else np.eye(4)
    pose[1, 3] = y_m
    return pose


@dataclass
class MadeUpSource:
    """Everything moves with the clock; `sets`, `acts` and `wants` keep what the page asked for."""

    image_hz: float = 15.0
    cloud_hz: float = 10.0
    points: int = 20_000
    title: str = "oak"
    sets: list[tuple[str, object]] = field(default_factory=list)
    acts: list[str] = field(default_factory=list)
    wants: list[tuple[frozenset[str], dict[str, float]]] = field(default_factory=list)
    node: str = "active"
    device: str = "streaming"
    choices: tuple[ImageChoice, ...] = ()
    answers: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.answers.set()
        self.choices = CHOICES
        self.values = {control.key: control.value for control in CONTROLS}
        self._made: dict[Any, tuple[int, Any]] = {}
        draw = np.random.default_rng(1).random((self.points, 2), np.float32)
        self._plane = draw

    @property
    def wanted(self) -> frozenset[str]:
        """What the page wants now."""
        return self.wants[-1][0] if self.wants else frozenset()

    def images(self) -> tuple[ImageChoice, ...]:
        return self.choices

    def want(self, names: frozenset[str], max_fps: Mapping[str, float]) -> None:
        self.wants.append((names, dict(max_fps)))

    def _is_live(self, name: str) -> bool:
        return self.device == "streaming" and name in self.wanted

    def _at(self, what: str, hz: float, make: Any) -> Any:
        number = int(time.monotonic() * hz)
        before = self._made.get(what)
        if before is None or before[0] != number:
            before = self._made[what] = number, make(number, int(number / hz * 1e9))
        return before[1]

    def image(self, name: str) -> LatestImage | None:
        if not self._is_live(name):
            before = self._made.get(name)
            return before[1] if before else None
        choice = next(choice for choice in CHOICES if choice.name == name)
        make = self._measured if choice.unit else self._image
        found: LatestImage = self._at(name, self.image_hz, lambda n, ns: make(choice, n, ns))
        return found

    def _image(self, choice: ImageChoice, number: int, stamp_ns: int) -> LatestImage:
        width, height = (300, 300) if "preview" in choice.name else (640, 360)
        image = np.zeros((height, width, 3), np.uint8)
        image[:] = np.linspace(30, 200, width, dtype=np.uint8)[None, :, None]
        if choice.encoding == "bgr8":
            image[:, :, 0] = np.linspace(200, 60, height, dtype=np.uint8)[:, None]
        x = number * 7 % width
        cv2.circle(image, (x, height // 2), height // 6, (60, 180, 255), -1)
        if "preview" in choice.name:
            return LatestImage(stamp_ns, pixels=image)
        return LatestImage(stamp_ns, data=cv2.imencode(".jpg", image)[1].tobytes())

    def _measured(self, choice: ImageChoice, number: int, stamp_ns: int) -> LatestImage:
        columns = np.linspace(0, 6, 640, dtype=np.float32)[None] + number / 10
        depth = np.repeat(2.5 + np.sin(columns), 400, axis=0).astype(np.float32)
        depth[:, :40] = np.nan
        return LatestImage(stamp_ns, pixels=depth * (20 if choice.unit == "px" else 1))

    def cloud(self) -> Cloud | None:
        if not self._is_live(CLOUD):
            return None
        found: Cloud = self._at(CLOUD, self.cloud_hz, self._cloud)
        return found

    def _cloud(self, number: int, stamp_ns: int) -> Cloud:
        x, y = (self._plane[:, 0] - 0.5) * 3, (self._plane[:, 1] - 0.5) * 2
        z = 2 + 0.3 * np.sin(3 * x + number / 5) + 0.2 * np.cos(4 * y)
        colors = np.stack([self._plane[:, 0] * 255, self._plane[:, 1] * 255, 0 * x + 140], 1)
        points = np.stack([x, y, z], 1).astype(np.float32)
        return Cloud(stamp_ns, "oak_right_optical_frame", points, colors.astype(np.uint8))

    def boxes(self) -> tuple[Box, ...]:
        if not self._is_live(BOXES):
            return ()
        shift = 0.5 * math.sin(int(time.monotonic() * 15) / 15)
        return (
            Box(
                "person", 0.87, "3", "oak_right_optical_frame", (shift, 0.1, 1.9), (0.5, 1.0, 0.3),
                (120 + 60 * shift, 80.0, 60.0, 120.0),
            ),
        )  # fmt: skip

    def cameras(self) -> tuple[CameraView, ...]:
        return tuple(
            CameraView(name, f"oak_{name}_optical_frame", 640, 360, 0.75, f"{name}/image_raw")
            for name in ("left", "right", "rgb")
        )

    def frames(self) -> tuple[FramePose, ...]:
        places = {"left": 0.0375, "right": -0.0375, "rgb": 0.0}
        cameras = [
            FramePose(f"oak_{name}_optical_frame", "oak", _pose(y_m))
            for name, y_m in places.items()
        ]
        return (FramePose("oak", "", _pose(0.0, optical=False)), *cameras)

    def state(self) -> State:
        is_live = self.device == "streaming"
        names = ("left", "right", "depth", "color")
        wave = math.sin(time.monotonic())
        streams = tuple(
            StreamRow(
                name, "ok" if number else "warn", "" if number else "22.1 Hz, expected 30",
                30.0 - 6 * (number == 0) + wave, 30.0, 12.0 + number + wave, 7.0 + number,
                {"link": 3 * (number == 0)},
            )
            for number, name in enumerate(names)
        )  # fmt: skip
        return State(
            self.node, self.device, "ok" if is_live else "error",
            "" if is_live else "unplugged, searching", "SUPER (5 Gbit/s)",
            {"css": 41.2, "mss": 40.1}, "" if is_live else "device lost: no such device",
            streams if is_live else (),
        )  # fmt: skip

    def log(self) -> tuple[str, ...]:
        return ("[INFO] device opened", "[WARN] <img src=x onerror=alert(1)> was left out")

    def controls(self) -> tuple[Control, ...]:
        return tuple(replace(control, value=self.values[control.key]) for control in CONTROLS)

    def set(self, key: str, value: object) -> str:
        self.answers.wait(5)
        self.sets.append((key, value))
        if (key, value) == REFUSED:
            return "13 is said to bring bad luck"
        self.values[key] = value  # type: ignore[assignment]
        return ""

    def actions(self) -> tuple[Action, ...]:
        return ACTIONS

    def act(self, key: str) -> str:
        self.acts.append(key)
        return f"{key} is done"

    def robot(self) -> str:
        return ""

    def close(self) -> None:
        """There is nothing to close."""
