"""Converts detections and tracklets to vision messages.

Boxes are in pixels of the preview image. Positions are in metres in the optical frame of the
rectified right camera, in which the device measures them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseWithCovariance, Quaternion, Vector3
from numpy.typing import NDArray
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox2D,
    BoundingBox3D,
    Detection2D,
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    Point2D,
    Pose2D,
)

from ..boxes import SAME_OBJECT_IOU, Box, overlap
from ..msg import Tracklet, TrackletArray
from .cdr import DisparityEnds
from .detected_boxes import (
    device_xyz_to_optical,
    has_area,
    is_measured,
    metric_size,
    pixel_box,
)

#: Standard deviation of a disparity, px; the variance of a measured distance follows from it.
DISPARITY_SIGMA_PX = 0.5
_DEPTH_VARIANCE = 14  # z, z in a row-major 6x6 covariance
_UPRIGHT = Quaternion(x=0.0, y=0.0, z=0.0, w=1.0)


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """Properties of the network that results depend on.

    `decoded`: the device decodes its output to detections. `mirrored`: its input is mirrored.
    `cameras` feed it; a result without metadata belongs to the first. `from_depth` maps points from
    the depth camera's optical frame to a camera's. `focal_px` is the focal length of the preview,
    (0, 0) = not known.
    """

    decoded: bool
    mirrored: bool = False
    cameras: tuple[str, ...] = ("rgb",)
    labels: tuple[str, ...] = ()
    named_classes: bool = True
    threshold: float = 0.0
    track_threshold: float = 0.0
    method: str = ""
    label_topic: str = ""
    focal_px: tuple[float, float] = (0.0, 0.0)
    from_depth: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def class_id(self, label: int) -> str:
        """Name of a class; its number as text if it has no name, or with `ai.class_id` index."""
        if self.named_classes and 0 <= label < len(self.labels):
            return self.labels[label]
        return str(label)


@dataclass(frozen=True, slots=True)
class Track:
    """One tracked object in one frame; `box` in px, `age` in frames since it was new."""

    id: int
    label: int
    status: int
    box: Box
    age: int


@dataclass(slots=True)
class ResultHistory:
    """The last detections and tracklets. Only one thread uses it."""

    tracks: tuple[Track, ...] = ()
    _detected: NDArray[Any] | None = None
    _detected_ns: int = -1
    _preview_size: tuple[int, int] = (1, 1)

    def detected(self, stamp_ns: int, boxes: NDArray[Any]) -> None:
        """Store the detections of one frame, until the next."""
        self._detected, self._detected_ns = boxes.copy(), stamp_ns

    def tracked(self, tracklets: NDArray[Any], preview_size: tuple[int, int]) -> None:
        """Store the tracklets of one frame; ids that vanished are listed once as removed.

        Shape   (count,) wire_formats.TRACKLET
        """
        self._preview_size = preview_size
        width, height = preview_size
        known = {track.id: track for track in self.tracks if track.status != STATUS_REMOVED}
        tracks = []
        for row in tracklets:
            left, right = (min(max(int(row[edge]), 0), width) for edge in ("left", "right"))
            top, bottom = (min(max(int(row[edge]), 0), height) for edge in ("top", "bottom"))
            before = known.pop(int(row["id"]), None)
            age = before.age + 1 if before is not None else 0
            box = (float(left), float(top), float(right), float(bottom))
            tracks.append(Track(int(row["id"]), int(row["label"]), int(row["status"]), box, age))
        tracks += [replace(gone, status=STATUS_REMOVED) for gone in known.values()]
        self.tracks = tuple(tracks)

    def matches(self, stamp_ns: int) -> dict[int, Any]:
        """By track id: the detection of the same object in the same frame.

        Shape   one record of wire_formats.DETECTION each
        """
        if self._detected is None or self._detected_ns != stamp_ns:
            return {}
        boxes = [(pixel_box(row, self._preview_size), row) for row in self._detected]
        found = {}
        for track in (track for track in self.tracks if track.status in _SEEN):
            shared = [
                overlap(track.box, box) if int(row["label"]) == track.label else 0.0
                for box, row in boxes
            ]
            best = int(np.argmax(shared)) if shared else 0
            if shared and shared[best] >= SAME_OBJECT_IOU:
                found[track.id] = boxes[best][1]
        return found


STATUS_REMOVED: int = Tracklet.STATUS_REMOVED
_SEEN = (Tracklet.STATUS_NEW, Tracklet.STATUS_TRACKED)


def _bounding_box(box: Box) -> BoundingBox2D:
    left, top, right, bottom = box
    centre = Point2D(x=(left + right) / 2, y=(top + bottom) / 2)
    return BoundingBox2D(
        center=Pose2D(position=centre, theta=0.0), size_x=right - left, size_y=bottom - top
    )


def _hypothesis(class_id: str, score: float) -> ObjectHypothesis:
    return ObjectHypothesis(class_id=class_id, score=score)


def detections_2d(
    header: Header, boxes: NDArray[Any], size: tuple[int, int], network: NetworkFacts
) -> Detection2DArray:
    """All detections whose box has an area inside the preview image.

    Shape   (count,) wire_formats.DETECTION
    Units   px of the preview image of `size` (width, height)
    """
    message = Detection2DArray(header=header)
    for row in boxes:
        box = pixel_box(row, size)
        if not has_area(box):
            continue
        hypothesis = _hypothesis(network.class_id(int(row["label"])), float(row["confidence"]))
        result = ObjectHypothesisWithPose(hypothesis=hypothesis)
        message.detections.append(
            Detection2D(header=header, results=[result], bbox=_bounding_box(box))
        )
    return message


def detections_3d(
    header: Header,
    boxes: NDArray[Any],
    size: tuple[int, int],
    network: NetworkFacts,
    stereo: DisparityEnds,
) -> Detection3DArray:
    """All detections with a measured distance; the others are in the 2D array only.

    Shape   (count,) wire_formats.DETECTION
    Units   m, optical axes; the extent along z is unknown and set to the smaller of the two others
    """
    message = Detection3DArray(header=header)
    for row in boxes:
        box = pixel_box(row, size)
        position = device_xyz_to_optical(row)
        if not (has_area(box) and is_measured(position)):
            continue
        x, y, z = position.tolist()
        centre = Point(x=x, y=y, z=z)
        hypothesis = _hypothesis(network.class_id(int(row["label"])), float(row["confidence"]))
        message.detections.append(
            Detection3D(
                header=header,
                results=[
                    ObjectHypothesisWithPose(
                        hypothesis=hypothesis, pose=_measured_pose(centre, stereo)
                    )
                ],
                bbox=BoundingBox3D(
                    center=Pose(position=centre, orientation=_UPRIGHT),
                    size=_vector(metric_size(box, z, network.focal_px)),
                ),
            )
        )
    return message


def _measured_pose(centre: Point, stereo: DisparityEnds) -> PoseWithCovariance:
    pose = PoseWithCovariance(pose=Pose(position=centre, orientation=_UPRIGHT))
    scale = stereo.focal_px * stereo.baseline_m
    if scale > 0.0:
        pose.covariance[_DEPTH_VARIANCE] = (centre.z**2 / scale * DISPARITY_SIGMA_PX) ** 2
    return pose


def _vector(xyz: tuple[float, float, float]) -> Vector3:
    return Vector3(x=xyz[0], y=xyz[1], z=xyz[2])


def tracklets(
    header: Header,
    tracks: tuple[Track, ...],
    size: tuple[int, int],
    network: NetworkFacts,
    matches: Mapping[int, Any],
    from_depth: NDArray[np.float64] | None,
) -> TrackletArray:
    """All tracklets, with a position where a detection of the same object has one.

    Shape   matches: one wire_formats.DETECTION by track id; from_depth: (4, 4), depth camera's
            optical axes to the header's frame, None = not known
    Units   px of the preview image of `size` (width, height); m
    """
    message = TrackletArray(header=header, image_width=size[0], image_height=size[1])
    for track in tracks:
        tracklet = Tracklet(
            id=track.id,
            label=track.label,
            class_id=network.class_id(track.label),
            status=track.status,
            bbox=_bounding_box(track.box),
            age=track.age,
        )
        if track.id in matches and from_depth is not None:
            position = device_xyz_to_optical(matches[track.id])
            x, y, z = (from_depth @ np.append(position, 1.0))[:3].tolist()
            tracklet.has_position = is_measured(position)
            tracklet.position = Point(x=x, y=y, z=z) if tracklet.has_position else Point()
        message.tracklets.append(tracklet)
    return message


def tracked_detections(
    header: Header, tracks: tuple[Track, ...], network: NetworkFacts, matches: Mapping[int, Any]
) -> Detection2DArray:
    """The objects that the tracker sees in this frame, for tools that know vision_msgs only.

    Shape   matches: one wire_formats.DETECTION by track id
    """
    message = Detection2DArray(header=header)
    for track in tracks:
        if track.status not in _SEEN or not has_area(track.box):
            continue
        # The tracker reports no confidence; it is at least this threshold.
        matched = matches.get(track.id)
        score = network.track_threshold if matched is None else float(matched["confidence"])
        result = ObjectHypothesisWithPose(
            hypothesis=_hypothesis(network.class_id(track.label), score)
        )
        message.detections.append(
            Detection2D(
                header=header,
                results=[result],
                bbox=_bounding_box(track.box),
                id=str(track.id),
            )
        )
    return message
