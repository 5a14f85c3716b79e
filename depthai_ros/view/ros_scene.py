"""Converts detections, camera models and transforms to what the scene shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bounded import clean_text
from ..boxes import Box as Edges
from ..boxes import same_object
from .ros_images import stamp_ns
from .source import Box, CameraView, FramePose

#: Most boxes, frames and steps from a frame to its root that are shown.
_MOST_BOXES, _MOST_FRAMES, _DEEPEST = 100, 1000, 64
#: Longest translation of a frame, m; nothing on the page is farther away.
_FARTHEST_M = 1e5
#: Tracklets belong to detections whose stamps differ by less than this.
_SAME_FRAME_NS = 200_000_000
_CLASS_CHARACTERS = 40
#: Vertical field of view where no calibration gives one.
_UNKNOWN_FOV_RAD = math.radians(45.0)


# -- boxes


def boxes(
    flat: Any, spatial: Any, tracked: Any, names: Mapping[str, str] | None = None
) -> tuple[Box, ...]:
    """The detections of one frame, with their positions and the ids of the tracker.

    `flat` and `tracked` are vision_msgs/Detection2DArray, `spatial` a Detection3DArray of the same
    frame as `flat`; each may be None. `names` are the texts of numbered classes.
    """
    names = names or {}
    placed = list(spatial.detections[:_MOST_BOXES]) if spatial is not None else []
    tracks = list(tracked.detections[:_MOST_BOXES]) if tracked is not None else []
    if flat is not None and tracked is not None and not _is_near(flat, tracked):
        tracks = []
    base = flat if flat is not None else tracked
    rows = list(base.detections[:_MOST_BOXES]) if base is not None else []
    found = []
    for row in rows:
        name, score = _best(row)
        match = next((other for other in placed if _best(other) == (name, score)), None)
        if match is not None:  # both arrays have the same order
            placed = placed[placed.index(match) + 1 :]
        edges = _edges(row)
        track_id = row.id if base is tracked else _track_id(edges, name, tracks)
        found.append(_box(names.get(name, name), score, track_id, match, edges, spatial))
    if not rows:
        for row in placed:
            name, score = _best(row)
            found.append(_box(names.get(name, name), score, "", row, None, spatial))
    return tuple(found)


def _is_near(one: Any, other: Any) -> bool:
    return abs(stamp_ns(one.header) - stamp_ns(other.header)) < _SAME_FRAME_NS


def _best(row: Any) -> tuple[str, float]:
    """Class and score of the first hypothesis."""
    if not row.results:
        return "", 0.0
    hypothesis = row.results[0].hypothesis
    return str(hypothesis.class_id), float(hypothesis.score)


def _edges(row: Any) -> Edges | None:
    """Left, top, right, bottom in the image, px; None if they are no numbers."""
    centre, half_x, half_y = row.bbox.center.position, row.bbox.size_x / 2, row.bbox.size_y / 2
    edges = (centre.x - half_x, centre.y - half_y, centre.x + half_x, centre.y + half_y)
    return edges if all(map(math.isfinite, edges)) else None


def _track_id(edges: Edges | None, name: str, tracks: Sequence[Any]) -> str:
    """Id of the tracked object of this class that shares most of the box, "" = none does."""
    known = ((_edges(row), str(row.id)) for row in tracks if _best(row)[0] == name)
    others = ((other, track_id) for other, track_id in known if other is not None)
    return same_object(edges, others) if edges is not None else ""


def _box(
    label: str, score: float, track_id: str, placed: Any, edges: Edges | None, spatial: Any
) -> Box:
    centre: tuple[float, float, float] | None = None
    size = (0.0, 0.0, 0.0)
    if placed is not None:
        at, extent = placed.bbox.center.position, placed.bbox.size
        place = (float(at.x), float(at.y), float(at.z))
        size = (float(extent.x), float(extent.y), float(extent.z))
        if all(abs(number) < _FARTHEST_M for number in (*place, *size)):  # False for NaN
            centre = place
        else:
            size = (0.0, 0.0, 0.0)
    return Box(
        label=clean_text(label, _CLASS_CHARACTERS),
        score=score if math.isfinite(score) else 0.0,
        track_id=clean_text(track_id, _CLASS_CHARACTERS),
        frame_id=clean_text(spatial.header.frame_id) if centre is not None else "",
        center_m=centre,
        size_m=size,
        image=(edges[0], edges[1], edges[2] - edges[0], edges[3] - edges[1]) if edges else None,
    )


def class_names(message: Any) -> dict[str, str]:
    """Number of a class as text -> its name, of a vision_msgs/LabelInfo."""
    return {str(row.class_id): clean_text(row.class_name) for row in message.class_map[:10_000]}


# -- cameras


def camera_view(camera: str, image: str, info: Any) -> CameraView | None:
    """The view of a camera by its CameraInfo; None without a size."""
    width, height = int(info.width), int(info.height)
    if not (0 < width < 1 << 16 and 0 < height < 1 << 16):
        return None
    focal_px = next((f for f in (float(info.p[5]), float(info.k[4])) if 0 < f < 1e9), 0.0)
    fov = 2 * math.atan(height / 2 / focal_px) if focal_px else _UNKNOWN_FOV_RAD
    return CameraView(camera, clean_text(info.header.frame_id), width, height, fov, image)


# -- transforms

#: Child frame -> its parent, and its pose there (4, 4).
Transforms = Mapping[str, tuple[str, NDArray[np.float64]]]


def transforms(message: Any) -> dict[str, tuple[str, NDArray[np.float64]]]:
    """The transforms of a tf2_msgs/TFMessage; those that cannot be are left out."""
    found = {}
    for row in message.transforms[:_MOST_FRAMES]:
        child, parent = clean_text(row.child_frame_id), clean_text(row.header.frame_id)
        pose = _pose(row.transform)
        if child and parent and child != parent and pose is not None:
            found[child] = parent, pose
    return found


def _pose(transform: Any) -> NDArray[np.float64] | None:
    at, turn = transform.translation, transform.rotation
    place = np.array([at.x, at.y, at.z])
    q = np.array([turn.x, turn.y, turn.z, turn.w])
    length = float(np.linalg.norm(q))
    if not ((np.abs(place) < _FARTHEST_M).all() and 0.5 < length < 2.0):  # False for NaN
        return None
    x, y, z, w = q / length
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = place
    return pose


def frame_poses(known: Transforms, shown: Iterable[str]) -> tuple[FramePose, ...]:
    """All frames of the tree with the most of the `shown` frames, in its root, which is first."""
    votes: dict[str, int] = {}
    for frame in shown:
        root = _root(known, frame)
        if root and (frame in known or root in {parent for parent, _ in known.values()}):
            votes[root] = votes.get(root, 0) + 1
    if not votes:
        for frame in known:
            if root := _root(known, frame):
                votes[root] = votes.get(root, 0) + 1
    if not votes:
        return ()
    best = max(votes, key=lambda name: votes[name])
    poses: dict[str, NDArray[np.float64]] = {best: np.eye(4)}
    members = [frame for frame in list(known)[:_MOST_FRAMES] if _root(known, frame) == best]
    for frame in members:
        _place(known, frame, poses)
    rows = [FramePose(best, "", poses[best])]
    return (*rows, *(FramePose(frame, known[frame][0], poses[frame]) for frame in members))


def _root(known: Transforms, frame: str) -> str:
    """The root of a frame's tree; "" if parents form a circle, or are too many."""
    for _ in range(_DEEPEST):
        if frame not in known:
            return frame
        frame = known[frame][0]
    return ""


def _place(known: Transforms, frame: str, poses: dict[str, NDArray[np.float64]]) -> None:
    """Add the poses of a frame and its parents in the root, which has one already."""
    above = []
    while frame not in poses:
        above.append(frame)
        frame = known[frame][0]
    for child in reversed(above):
        poses[child] = poses[known[child][0]] @ known[child][1]
