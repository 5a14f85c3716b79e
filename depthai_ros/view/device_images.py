"""What the page shows of a device's packets: images, clouds and boxes, made one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..boxes import Box as Edges
from ..boxes import same_object
from ..cameras import NN_CAMERAS
from ..config import Settings, derived_streams, mono_size, rgb_size
from ..config.settings import configured_topics
from ..config.unused import connected
from ..errors import DecodeError
from ..messages.derived import CLOUD
from ..messages.detected_boxes import (
    device_xyz_to_optical,
    has_area,
    is_measured,
    metric_size,
    pixel_box,
    unmirrored,
    unmirrored_tracklets,
)
from ..messages.images import NO_DISPARITY, StampedPacket, sees_rectified
from ..messages.value_limits import DETECTION_LIMITS, TRACKLET_LIMITS, check_records
from ..streams import ALL_STREAMS, WORKER_OUTPUTS, Topic
from ..wire_formats import decode_detections, decode_tracklets
from .device_run import StartedRun
from .source import NO_COLOR, Box, Cloud, ImageChoice, LatestImage

#: Images that show the same as others.
_REPEATED = ("depth/unfiltered/image_raw",)
#: Topic -> the encoding in which the page gets it, and its unit, if the encoding is not its own.
_SHOWN_AS = {
    "depth/image_raw": ("32FC1", "m"),
    "depth_registered/image_raw": ("32FC1", "m"),
    "disparity/image_raw": ("disparity", "px"),
}


@dataclass(frozen=True, slots=True)
class ShownImage:
    """An image that can be shown, and how it is made from the packets of a stream on the wire."""

    choice: ImageChoice
    stream: str
    output: str  # of the workers, "" = the stream's own
    encoding: str  # "" = compressed bytes

    def exists(self, started: StartedRun) -> bool:
        """True if this device and its calibration allow the image."""
        if self.stream not in started.pipeline.streams:
            return False
        if not connected(started.settings, started.device.cameras).get(self.choice.camera, True):
            return False
        return not self.output or self.output not in started.derived.problems


def shown_images(settings: Settings) -> dict[str, ShownImage]:
    """Every image of the configured streams, by the name of its topic."""
    topics = configured_topics(settings)
    rows = (_shown_image(settings, name, topic) for name in topics for topic in topics[name])
    return {row.choice.name: row for row in rows if row is not None}


def _shown_image(settings: Settings, stream: str, topic: Topic) -> ShownImage | None:
    row, is_jpeg = ALL_STREAMS[stream], topic.message == "compressed_image"
    if topic.name in _REPEATED or topic.option or not (topic.message == "image" or is_jpeg):
        return None
    encoding, unit = _SHOWN_AS.get(topic.name, (topic.encoding, ""))
    camera = next(iter(NN_CAMERAS[settings["ai.camera_input"]]))
    camera = camera if row.camera == "nn" else row.camera
    source = derived_streams(settings).get(stream, row.made_from or row.name)
    output = stream if stream in WORKER_OUTPUTS else ""
    choice = ImageChoice(topic.name, "bgr8" if is_jpeg else topic.encoding, camera, unit)
    return ShownImage(choice, source, output, "" if is_jpeg else encoding)


def latest_image(row: ShownImage, packet: StampedPacket, started: StartedRun) -> LatestImage | None:
    """An image of a packet; None if this device does not allow it. Raises DecodeError."""
    if not row.exists(started):
        return None
    if not row.encoding:
        return LatestImage(packet.stamp_ns, data=packet.data.tobytes())
    source = started.derived.made(row.output, packet) if row.output else packet
    if source is None:
        return None
    pixels = source.converted(row.encoding).array
    if row.encoding == "disparity":
        pixels = np.where(pixels == NO_DISPARITY, np.float32(np.nan), pixels)
    return LatestImage(packet.stamp_ns, pixels=pixels)


def cloud_of(
    packet: StampedPacket, beside: StampedPacket | None, started: StartedRun, frame_id: str
) -> Cloud | None:
    """The cloud of a packet of (filtered) depth, with the colours of the one beside it.

    Raises  DecodeError
    """
    packet.beside = beside
    try:
        made = started.derived.made(CLOUD, packet)
    finally:
        packet.beside = None  # it would keep the other packet alive
    if made is None:
        return None
    array = made.points()[0].array
    rows = array.reshape(-1, array.shape[-1])
    rows = rows[np.isfinite(rows[:, 2])]
    bits = rows[:, 3].copy()  # 0x00RRGGBB: the bytes are blue, green, red, 0
    colors = np.ascontiguousarray(bits.view(np.uint8).reshape(-1, 4)[:, 2::-1])
    colors[bits.view(np.uint32) == 0] = NO_COLOR
    return Cloud(packet.stamp_ns, frame_id, np.ascontiguousarray(rows[:, :3]), colors)


def boxes_of(
    result: StampedPacket,
    tracked: StampedPacket | None,
    started: StartedRun,
    labels: Sequence[str],
    frame_id: str,
) -> tuple[Box, ...]:
    """The detections of a result, with the ids of the tracker; () for a malformed packet.

    Positions are in the frame of the depth camera, `frame_id`.
    """
    settings, size = started.settings, started.images.sizes.preview
    is_mirrored = sees_rectified(settings) and settings["depth.warp_rectify.mirror_frame"]
    try:
        rows = check_records("detection", decode_detections(result.data), DETECTION_LIMITS)
        tracks = _tracks(tracked)
    except DecodeError:
        return ()
    if is_mirrored:
        rows, tracks = unmirrored(rows), unmirrored_tracklets(tracks, size[0])
    focal_px = _preview_focal_px(started)
    found = []
    for row in rows:
        edges, number = pixel_box(row, size), int(row["label"])
        if not has_area(edges):
            continue
        position = device_xyz_to_optical(row)
        x, y, z = position.tolist()
        known = is_measured(position)
        found.append(
            Box(
                label=labels[number] if number < len(labels) else str(number),
                score=float(row["confidence"]),
                track_id=_track_id(edges, number, tracks),
                frame_id=frame_id,
                center_m=(x, y, z) if known else None,
                size_m=metric_size(edges, z, focal_px) if known else (0.0, 0.0, 0.0),
                image=(edges[0], edges[1], edges[2] - edges[0], edges[3] - edges[1]),
            )
        )
    return tuple(found)


def _tracks(packet: StampedPacket | None) -> Any:
    """Records of the tracker. Raises DecodeError."""
    if packet is None:
        return ()
    return check_records("tracklet", decode_tracklets(packet.data), TRACKLET_LIMITS)


def _track_id(edges: Edges, label: int, tracks: Any) -> str:
    """Id of the tracked object that shares most of the box, "" = none does."""
    others = (
        ((row["left"], row["top"], row["right"], row["bottom"]), str(row["id"]))
        for row in tracks
        if row["label"] == label
    )
    return same_object(edges, others)


def _preview_focal_px(started: StartedRun) -> tuple[float, float]:
    settings = started.settings
    camera, content = next(iter(NN_CAMERAS[settings["ai.camera_input"]].items()))
    size = rgb_size(settings) if camera == "rgb" else mono_size(settings)
    keep_aspect = settings["ai.keep_aspect_ratio"]
    preview = started.images.sizes.preview
    k = started.calibration.preview(content, size, preview, keep_aspect).k
    return float(k[0, 0]), float(k[1, 1])
