"""Tracks detections from frame to frame, like the device's object tracker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..boxes import Box, overlap
from ..wire_formats import MAX_TRACKLETS, TRACKLET, TRACKLET_STATUS

NEW, TRACKED, LOST = (TRACKLET_STATUS.index(name) for name in ("NEW", "TRACKED", "LOST"))
#: Minimum overlap (intersection over union) of a detection with the last box of its track.
MIN_OVERLAP = 0.3
#: A track is removed after this many frames without a detection.
MAX_LOST_FRAMES = 30


@dataclass(slots=True)
class _Track:
    id: int
    label: int
    box: Box
    status: int = NEW
    lost_frames: int = 0

    def follow(self, box: Box) -> None:
        self.box, self.status, self.lost_frames = box, TRACKED, 0

    def miss(self) -> None:
        self.status = LOST
        self.lost_frames += 1


class Tracker:
    """Tracks by overlap; ids increase from 0 and are not reused."""

    def __init__(self, max_tracklets: int, confidence_threshold: float) -> None:
        self._max_tracklets = min(max_tracklets, MAX_TRACKLETS)
        self._confidence_threshold = confidence_threshold
        self._tracks: list[_Track] = []
        self._next_id = 0

    def update(self, detections: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
        """Update with the detections of one frame and return the tracklets.

        Shape   (n,) DETECTION -> (m,) TRACKLET, m <= max_tracklets, oldest first
        Units   `size` is (width, height) of the NN input; boxes are in its pixels
        """
        confident = detections[detections["confidence"] >= self._confidence_threshold]
        best_first = confident[np.argsort(-confident["confidence"], kind="stable")]
        found = [(int(row["label"]), _pixels(row, size)) for row in best_first]
        taken = self._match(found)
        fresh = [item for index, item in enumerate(found) if index not in taken]
        self._tracks = [t for t in self._tracks if t.lost_frames <= MAX_LOST_FRAMES]
        for label, box in fresh[: max(0, self._max_tracklets - len(self._tracks))]:
            self._tracks.append(_Track(self._next_id, label, box))
            self._next_id += 1
        return self._rows(size)

    def _match(self, found: list[tuple[int, Box]]) -> set[int]:
        """Assign detections to the tracks they overlap most; returns their indices."""
        pairs = [
            (overlap(track.box, box), number, index)
            for number, track in enumerate(self._tracks)
            for index, (label, box) in enumerate(found)
            if label == track.label
        ]
        followed: set[int] = set()
        taken: set[int] = set()
        for shared, number, index in sorted(pairs, key=lambda pair: -pair[0]):
            if shared >= MIN_OVERLAP and number not in followed and index not in taken:
                self._tracks[number].follow(found[index][1])
                followed.add(number)
                taken.add(index)
        for number, track in enumerate(self._tracks):
            if number not in followed:
                track.miss()
        return taken

    def _rows(self, size: tuple[int, int]) -> NDArray[Any]:
        rows = np.zeros(len(self._tracks), TRACKLET)
        for row, track in zip(rows, self._tracks, strict=True):
            left, top, right, bottom = map(round, track.box)
            row["left"], row["top"] = max(0, left), max(0, top)
            row["right"], row["bottom"] = min(size[0], right), min(size[1], bottom)
            row["id"], row["label"], row["status"] = track.id, track.label, track.status
        return rows


def _pixels(row: NDArray[Any], size: tuple[int, int]) -> Box:
    width, height = size
    return (
        float(row["x_min"]) * width,
        float(row["y_min"]) * height,
        float(row["x_max"]) * width,
        float(row["y_max"]) * height,
    )
