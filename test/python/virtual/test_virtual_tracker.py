"""Ids, states and limits of the tracker."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from depthai_ros.virtual.tracker import (
    LOST,
    MAX_LOST_FRAMES,
    MIN_OVERLAP,
    NEW,
    TRACKED,
    Tracker,
    overlap,
)
from depthai_ros.wire_formats import DETECTION, MAX_TRACKLETS, decode_tracklets, encode_tracklets

SIZE = (300, 300)
NOTHING = np.zeros(0, DETECTION)
Row = tuple[int, float, float, float, float, float]  # label, confidence, box


def detections(*rows: Row) -> NDArray[Any]:
    found = np.zeros(len(rows), DETECTION)
    for row, values in zip(found, rows, strict=True):
        for name, value in zip(DETECTION.names or (), values, strict=False):
            row[name] = value
    return found


def person(x: float, y: float = 0.5, confidence: float = 0.9, label: int = 15) -> Row:
    return label, confidence, x - 0.1, y - 0.2, x + 0.1, y + 0.2


def states(tracklets: NDArray[Any]) -> list[tuple[int, int]]:
    return [(int(row["id"]), int(row["status"])) for row in tracklets]


def test_box_is_in_pixels_and_survives_encoding() -> None:
    tracklets = Tracker(20, 0.5).update(detections((15, 0.9, 0.1, 0.2, 0.5, 1.0)), (300, 200))
    (row,) = decode_tracklets(np.frombuffer(encode_tracklets(tracklets), np.uint8).copy())
    assert row.tolist() == (30, 40, 150, 200, 0, 15, NEW)


def test_moving_object_keeps_its_id() -> None:
    tracker = Tracker(20, 0.5)
    assert states(tracker.update(detections(person(0.2)), SIZE)) == [(0, NEW)]
    for step in range(1, 15):
        tracklets = tracker.update(detections(person(0.2 + 0.04 * step)), SIZE)
        assert states(tracklets) == [(0, TRACKED)]
        assert tracklets[0]["left"] == round((0.1 + 0.04 * step) * 300)


def test_crossing_objects_keep_the_better_overlap() -> None:
    tracker = Tracker(20, 0.5)
    tracker.update(detections(person(0.40), person(0.50)), SIZE)
    # Both detections overlap both objects; the one with higher confidence is the second object.
    tracklets = tracker.update(detections(person(0.49, confidence=0.95), person(0.41)), SIZE)
    by_id = {int(row["id"]): int(row["left"]) for row in tracklets}
    assert by_id == {0: round(0.31 * 300), 1: round(0.39 * 300)}


def test_object_of_another_class_gets_a_new_id() -> None:
    tracker = Tracker(20, 0.5)
    tracker.update(detections(person(0.5)), SIZE)
    assert states(tracker.update(detections(person(0.5, label=9)), SIZE)) == [(0, LOST), (1, NEW)]


def test_object_that_jumps_gets_a_new_id() -> None:
    tracker = Tracker(20, 0.5)
    tracker.update(detections(person(0.2)), SIZE)
    assert states(tracker.update(detections(person(0.8)), SIZE)) == [(0, LOST), (1, NEW)]


def test_lost_object_is_found_again_with_its_id() -> None:
    tracker = Tracker(20, 0.5)
    tracker.update(detections(person(0.5)), SIZE)
    for _ in range(MAX_LOST_FRAMES):
        assert states(tracker.update(NOTHING, SIZE)) == [(0, LOST)]
    assert states(tracker.update(detections(person(0.5)), SIZE)) == [(0, TRACKED)]


def test_finding_an_object_again_resets_its_lost_frames() -> None:
    tracker = Tracker(20, 0.5)
    for _ in range(3):
        tracker.update(detections(person(0.5)), SIZE)
        for _ in range(MAX_LOST_FRAMES):
            assert states(tracker.update(NOTHING, SIZE)) == [(0, LOST)]


def test_object_lost_for_too_long_is_removed_and_its_id_is_not_reused() -> None:
    tracker = Tracker(20, 0.5)
    tracker.update(detections(person(0.5)), SIZE)
    for _ in range(MAX_LOST_FRAMES):
        tracker.update(NOTHING, SIZE)
    assert states(tracker.update(NOTHING, SIZE)) == []
    assert states(tracker.update(detections(person(0.5)), SIZE)) == [(1, NEW)]


@pytest.mark.parametrize(("limit", "kept"), [(1, 1), (3, 3), (20, 20), (99, MAX_TRACKLETS)])
def test_objects_beyond_the_limit_are_dropped_lowest_confidence_first(
    limit: int, kept: int
) -> None:
    found = detections(
        *(person(0.1 + 0.1 * (i % 5), 0.03 * i, confidence=0.5 + 0.01 * i) for i in range(25))
    )
    tracklets = Tracker(limit, 0.5).update(found, (3000, 3000))
    assert len(tracklets) == kept
    assert tracklets["id"].tolist() == list(range(kept))
    assert tracklets[0]["top"] == round(3000 * max(0, 0.03 * 24 - 0.2))


def test_objects_below_the_confidence_threshold_are_not_tracked() -> None:
    tracker = Tracker(20, 0.5)
    assert len(tracker.update(detections(person(0.5, confidence=0.49)), SIZE)) == 0
    assert len(tracker.update(detections(person(0.5, confidence=0.5)), SIZE)) == 1
    assert states(tracker.update(detections(person(0.5, confidence=0.49)), SIZE)) == [(0, LOST)]


def test_overlap_is_intersection_over_union() -> None:
    cases = [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1.0),
        ((0, 0, 2, 2), (1, 0, 3, 2), 1 / 3),
        ((0, 0, 2, 2), (2, 0, 4, 2), 0.0),
        ((0, 0, 4, 4), (1, 1, 2, 2), 1 / 16),
    ]
    for one, other, expected in cases:
        assert overlap(one, other) == pytest.approx(expected)
        assert overlap(other, one) == pytest.approx(expected)
    assert 0 < MIN_OVERLAP < 1
