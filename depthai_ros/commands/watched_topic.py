"""One topic that the monitor watches: its messages stay serialised, only their stamps are read."""

from __future__ import annotations

import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from rclpy.serialization import deserialize_message

from ..messages.arrival_stats import Arrival, ArrivalStats, ArrivalSummary
from ..msg import DeviceStatus

#: Stamp of a message that begins with a Header or a Time, after the 4-byte encapsulation header.
#: Source: OMG DDSI-RTPS 2.3, section 10.5
_STAMP = struct.Struct("<4xiI")
_NS_PER_S = 1_000_000_000
#: Most messages between two updates that are read.
_UNREAD = 100
#: Types whose messages are all read, and coded images, of which the last one says enough; the
#: message packages of video may be missing here.
_READ = ("depthai_ros/msg/DeviceStatus", "diagnostic_msgs/msg/DiagnosticArray")
CODED = (
    "sensor_msgs/msg/CompressedImage",
    "ffmpeg_image_transport_msgs/msg/FFMPEGPacket",
    "foxglove_msgs/msg/CompressedVideo",
)


class WatchError(Exception):
    """Topics or messages are missing; the text names them."""


class Watched:
    """One topic: its subscription, and the messages since the last `collect`."""

    def __init__(self, name: str, type_name: str, *, retained: bool, required: bool) -> None:
        self.name = name
        self.type_name = type_name
        self.message_type = message_class(type_name)
        self.retained = retained
        self.required = required
        self._is_read = type_name in (*_READ, *CODED, "sensor_msgs/msg/CameraInfo")
        kept = _UNREAD if type_name in _READ else 1
        self.unread: deque[bytes] = deque(maxlen=kept)  # messages, if their content is read
        self.is_foreign = False  # a message could not be read
        self.delivered = False
        self._stamped = begins_with_header(self.message_type) and not retained
        self._arrivals: list[Arrival] = []
        self.stats = ArrivalStats(stamped=self._stamped)
        self.raw_bytes: int | None = None  # of the raw image, if this one is compressed

    def callback(self) -> Callable[[bytes], None]:
        """The subscription callback for serialised messages; it keeps three numbers of each."""
        append, unpack, clock = self._arrivals.append, _STAMP.unpack_from, time.time_ns
        stamped, keeps = self._stamped, self._is_read

        def arrived(message: bytes) -> None:
            now_ns = clock()
            # A message that is too short for its type comes from a program without ROS.
            has_stamp = stamped and len(message) >= _STAMP.size
            seconds, nanoseconds = unpack(message) if has_stamp else (0, 0)
            append(Arrival(seconds * _NS_PER_S + nanoseconds, now_ns, len(message)))
            if keeps:
                self.unread.append(message)

        return arrived

    def messages(self) -> Iterator[Any]:
        """The messages since the last call; any that cannot be read are reported once."""
        while self.unread:
            message = read_message(self.unread.popleft(), self.message_type)
            if message is not None:
                yield message
            elif not self.is_foreign:
                self.is_foreign = True
                print(
                    f"warning: {self.name}: messages that are no {self.type_name} of this version "
                    "are ignored",
                    file=sys.stderr,
                )

    def collect(self) -> None:
        """Add the messages that arrived to the statistics."""
        self.delivered = self.delivered or bool(self._arrivals)
        self.stats.add(self._arrivals)
        self._arrivals.clear()

    def restart(self) -> None:
        """Reset the statistics."""
        self.stats = ArrivalStats(expected_fps=self.stats.expected_fps, stamped=self._stamped)

    def figures(self, duration_s: float) -> ArrivalSummary:
        """The results; a retained message that arrived before the restart is included as one."""
        figures = self.stats.figures(duration_s)
        if figures.count or not (self.retained and self.delivered):
            return figures
        kept = ArrivalStats(stamped=False)
        kept.add([Arrival(0, 0, 0)])
        return kept.figures(duration_s)


def message_class(type_name: str) -> Any:
    """The class of `package/msg/Name`. Raises WatchError if it is not installed."""
    package, _, name = type_name.partition("/msg/")
    try:
        return getattr(import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError) as cause:
        raise WatchError(f"messages of type {type_name} are not installed here: {cause}") from cause


def begins_with_header(message_type: Any) -> bool:
    """True if a serialised message starts with its stamp."""
    fields = list(message_type.get_fields_and_field_types().values())
    return bool(fields) and fields[0] in ("std_msgs/Header", "builtin_interfaces/Time")


def read_message(message: bytes, message_type: Any) -> Any:
    """The message in these bytes, None if they are none of this version's type."""
    try:
        found = deserialize_message(message, message_type)
    except (RuntimeError, ValueError, MemoryError):  # rmw's error is a RuntimeError
        return None
    if isinstance(found, DeviceStatus):
        lists = (found.stream_names, found.fps, found.expected_fps, found.drops, found.latency_ms)
        return found if len({len(values) for values in lists}) == 1 else None
    return found
