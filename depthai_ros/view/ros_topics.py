"""Which topics of a node the page can show, and the messages of those that it shows.

A feed takes messages serialised: what is not looked at is never decoded.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..errors import DecodeError
from ..streams import ALL_STREAMS, TRANSPORTS
from ..wire_formats import CAMERAS
from .source import ImageChoice

T = TypeVar("T")

IMAGE, COMPRESSED_IMAGE = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
#: Images that belong to a preview of a camera, not to its lens, are the last choice for it.
_FRUSTUM_RANKS = ("image_rect_color", "image_rect", "image_raw")
#: Unit of images that are measured, by encoding; by name, where the encoding does not say it.
_UNITS = {"16UC1": "m", "32FC1": "m"}
_UNIT_OF = {"disparity/image_raw": "px"}
#: Image topic of the stream table -> its encoding, its camera.
_KNOWN = {
    topic.name.removesuffix("/compressed"): (topic.encoding.partition(";")[0], row.camera)
    for row in ALL_STREAMS.values()
    for topic in row.topics
    if topic.message in ("image", "compressed_image")
}
#: Share of a period after which the next message is in time: messages do not come evenly.
_EARLY = 0.75


@dataclass(frozen=True, slots=True)
class ImageTopic:
    """An image, and the topic from which the page takes it, by its full name."""

    choice: ImageChoice
    topic: str
    type_name: str


def image_topics(announced: Mapping[str, str], node: str) -> dict[str, ImageTopic]:
    """The images among the topics that a node has announced (name -> type), by name of the choice.

    Each is taken compressed where the node offers that, as its encoding needs it, else raw.
    """
    kinds: dict[str, dict[str, str]] = {}
    for full, type_name in announced.items():
        name = full.removeprefix(f"{node}/")
        if type_name == IMAGE:
            kinds.setdefault(name, {})[""] = full
        elif type_name == COMPRESSED_IMAGE:
            image, _, transport = name.rpartition("/")
            if transport in TRANSPORTS.values():
                kinds.setdefault(image, {})[transport] = full
    order = {name: number for number, name in enumerate(_KNOWN)}
    found = {}
    for name in sorted(kinds, key=lambda name: (order.get(name, len(order)), name)):
        offered = kinds[name]
        choice = _choice(name, offered)
        best = TRANSPORTS.get(choice.encoding, "compressed")
        transport = next(kind for kind in (best, "", *offered) if kind in offered)
        found[name] = ImageTopic(
            choice, offered[transport], COMPRESSED_IMAGE if transport else IMAGE
        )
    return found


def _choice(name: str, offered: Mapping[str, str]) -> ImageChoice:
    encoding, camera = _KNOWN.get(name, ("", ""))
    if not encoding:
        encoding = "16UC1" if "compressedDepth" in offered and "depth" in name else "bgr8"
    if camera not in CAMERAS:
        words = [word for word in name.split("/") if word in CAMERAS]
        camera = words[-1] if words else ""
    return ImageChoice(name, encoding, camera, _UNIT_OF.get(name) or _UNITS.get(encoding, ""))


def frustum_images(images: Mapping[str, ImageTopic]) -> dict[str, str]:
    """Camera -> the image that shows best what it sees."""

    def rank(name: str) -> tuple[bool, int]:
        last = name.rpartition("/")[2]
        is_part = "preview" in name or "still" in name or last not in _FRUSTUM_RANKS
        position = len(_FRUSTUM_RANKS) if is_part else _FRUSTUM_RANKS.index(last)
        return bool(images[name].choice.unit), position

    found: dict[str, str] = {}
    for name in sorted(images, key=rank):
        if camera := images[name].choice.camera:
            found.setdefault(camera, name)
    return found


def camera_info_of(image: str, node: str, announced: Mapping[str, str]) -> str:
    """The full name of the camera_info beside an image; "" if the node has none."""
    full = image if image.startswith("/") else f"{node}/{image}"
    beside = f"{full.rpartition('/')[0]}/camera_info"
    return beside if announced.get(beside) == CAMERA_INFO else ""


class _KeptMessage(Generic[T]):
    """One message; it is decoded once."""

    __slots__ = ("is_decoded", "raw", "value")

    def __init__(self, raw: bytes) -> None:
        self.raw, self.is_decoded = raw, False
        self.value: T | None = None


class TopicFeed(Generic[T]):
    """The newest messages of one topic; they are decoded when somebody asks.

    `kept` messages are kept. `wants` looks at the bytes and says whether to keep a message.
    """

    def __init__(
        self,
        decode: Callable[[bytes], T],
        *,
        kept: int = 1,
        wants: Callable[[bytes], bool] | None = None,
    ) -> None:
        self.max_fps = 0.0  # 0 = every message is kept
        self.arrived_s = 0.0  # monotonic time of the last message that was kept, 0 = none
        self.failure = ""  # why the last message could not be decoded
        self._decode, self._wants = decode, wants
        self._due_s = 0.0
        self._rows: deque[_KeptMessage[T]] = deque(maxlen=kept)
        self._reading = threading.Lock()
        self._last: T | None = None

    def arrive(self, raw: bytes) -> None:
        """The callback of the subscription."""
        now_s = time.monotonic()
        if self.max_fps > 0:
            period_s = 1.0 / self.max_fps
            if now_s < self._due_s - (1 - _EARLY) * period_s:
                return
            self._due_s = max(self._due_s + period_s, now_s)
        if self._wants is None or self._wants(raw):
            self.arrived_s = now_s
            self._rows.append(_KeptMessage(raw))

    def forget(self) -> None:
        """As if no message had arrived."""
        with self._reading:
            self._rows.clear()
            self._last, self.arrived_s, self.failure = None, 0.0, ""

    def newest(self) -> T | None:
        """The newest message that can be decoded; None before the first one."""
        with self._reading:
            if self._rows:
                value = self._value(self._rows[-1])
                self._last = self._last if value is None else value
            return self._last

    def all(self) -> list[T]:
        """The messages that are kept, oldest first."""
        with self._reading:
            values = [self._value(row) for row in list(self._rows)]
        return [value for value in values if value is not None]

    def take(self) -> list[T]:
        """As `all`, and keep none of them."""
        with self._reading:
            values = [self._value(self._rows.popleft()) for _ in range(len(self._rows))]
        return [value for value in values if value is not None]

    def _value(self, row: _KeptMessage[T]) -> T | None:
        if not row.is_decoded:
            row.is_decoded = True
            try:
                row.value, self.failure = self._decode(row.raw), ""
            except DecodeError as cause:
                self.failure = str(cause)
            row.raw = b""
        return row.value


@dataclass(frozen=True, slots=True)
class Demand:
    """A topic to receive. One on which many nodes publish needs a deeper queue."""

    topic: str
    message_type: Any
    feed: TopicFeed[Any]
    depth: int = 2
