"""What the page shows and changes: the seam between its sources and what draws it.

`RosSource` (a running node) and `DeviceSource` (a device, without ROS) have the same form. The page
asks with `want` for what a browser shows, reads what is newest, and changes values; only `set` and
`act` wait. Every method may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

#: What `want` names besides image topics.
CLOUD, BOXES = "points", "boxes"
#: Why nothing can be changed on such a page.
READ_ONLY = "this page only shows: depthai-view was started with --read-only"
#: Grey of points that have no colour: the rgb camera does not see them, or no image came in time.
NO_COLOR = 110
#: Level of a state, as in the diagnostics.
Level = Literal["ok", "warn", "error", "stale"]


@dataclass(frozen=True, slots=True)
class ImageChoice:
    """An image that can be shown. `unit` is "m" for depth, "px" for disparity, else ""."""

    name: str  # the topic below the node: left/image_raw
    encoding: str  # mono8, bgr8, 16UC1 or 32FC1
    camera: str  # left, right or rgb; "" = unknown
    unit: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class LatestImage:
    """The newest image of a choice: compressed bytes as they came, or pixels.

    `data` is JPEG or PNG of an 8-bit image; else `pixels` are (H, W) or (H, W, 3) uint8 BGR, or
    (H, W) float32 in the unit of the choice, NaN = not measured.
    """

    stamp_ns: int
    data: bytes = b""
    pixels: NDArray[np.uint8] | NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Cloud:
    """Measured points, in the frame of `frame_id`: (N, 3) float32 m, (N, 3) uint8 RGB."""

    stamp_ns: int
    frame_id: str
    points: NDArray[np.float32]
    colors: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Box:
    """One detection or tracklet. 3-D in `frame_id`, m; `image` is its box in the preview, px."""

    label: str
    score: float
    track_id: str  # "" = not tracked
    frame_id: str
    center_m: tuple[float, float, float] | None  # None = no position
    size_m: tuple[float, float, float]
    image: tuple[float, float, float, float] | None  # x, y of the corner, width, height


@dataclass(frozen=True, slots=True, eq=False)
class CameraView:
    """A camera: its frame and its field of view; `image` is the choice to show on it."""

    camera: str
    frame_id: str
    width: int
    height: int
    fov_y_rad: float
    image: str


@dataclass(frozen=True, slots=True, eq=False)
class FramePose:
    """A frame of the TF tree in the root frame, (4, 4)."""

    name: str
    parent: str
    pose: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StreamRow:
    """Figures of one stream of the node, as in /diagnostics."""

    name: str
    level: Level
    text: str
    fps: float
    expected_fps: float
    latency_ms: float
    mb_s: float
    lost: Mapping[str, int]  # by stage, since the node started


@dataclass(frozen=True, slots=True)
class State:
    """State of node and device. `node` is the lifecycle state, "gone", or "" without ROS."""

    node: str
    device: str  # disconnected, booting, streaming, recovering or error
    level: Level
    text: str
    link: str
    temperatures_c: Mapping[str, float]
    last_error: str
    streams: tuple[StreamRow, ...]


@dataclass(frozen=True, slots=True)
class Control:
    """A parameter that can change now: one of `choices` if there are any, low <= value <= high."""

    key: str
    group: str
    value: bool | int | float | str | tuple[str, ...]
    meaning: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """A service or a lifecycle transition, as a button."""

    key: str
    label: str
    meaning: str


class CameraSource(Protocol):
    """One camera. `close` ends it; afterwards nothing of it is left."""

    title: str

    def images(self) -> tuple[ImageChoice, ...]: ...
    def want(self, names: frozenset[str], max_fps: Mapping[str, float]) -> None:
        """Receive exactly these (images, CLOUD, BOXES), at most at these rates."""

    def image(self, name: str) -> LatestImage | None: ...
    def cloud(self) -> Cloud | None: ...
    def boxes(self) -> tuple[Box, ...]: ...
    def cameras(self) -> tuple[CameraView, ...]: ...
    def frames(self) -> tuple[FramePose, ...]: ...
    def state(self) -> State: ...
    def log(self) -> tuple[str, ...]:
        """The last lines of the node's log, oldest first."""

    def controls(self) -> tuple[Control, ...]: ...
    def set(self, key: str, value: object) -> str:
        """Change a parameter; returns "" or the reason of the refusal. Waits at most 5 s."""

    def actions(self) -> tuple[Action, ...]: ...
    def act(self, key: str) -> str:
        """Call a service or a transition; a sentence about the result. Waits at most 30 s."""

    def robot(self) -> str:
        """The URDF of `robot_description`, "" = there is none."""

    def close(self) -> None: ...
