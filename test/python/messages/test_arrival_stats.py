"""Rate, drops and latency of simulated arrivals."""

from __future__ import annotations

from typing import Any

import pytest

from depthai_ros.messages.arrival_stats import (
    Arrival,
    ArrivalStats,
    ArrivalSummary,
    drops_by_stage,
    percentile,
)
from depthai_ros.messages.stream_stats import StreamCounts

MS = 1_000_000


def _arrivals(
    stamps_ms: list[float], latency_ms: float = 5.0, size_bytes: int = 1000
) -> list[Arrival]:
    return [
        Arrival(int(stamp * MS) + 10**18, int((stamp + latency_ms) * MS) + 10**18, size_bytes)
        for stamp in stamps_ms
    ]


def _figures(
    arrivals: list[Arrival], expected_fps: float | None, duration_s: float
) -> ArrivalSummary:
    stats = ArrivalStats(expected_fps=expected_fps)
    stats.add(arrivals)
    return stats.figures(duration_s)


@pytest.mark.parametrize(
    ("stamps_ms", "expected_fps", "drops"),
    [
        pytest.param([0, 100, 200, 300], 10.0, 0, id="every period"),
        pytest.param([0, 100, 400, 500], 10.0, 2, id="two missing at once"),
        pytest.param([0, 200, 400], 10.0, 2, id="every second one missing"),
        pytest.param([0, 104, 197, 301], 10.0, 0, id="jitter is not a loss"),
        pytest.param([0, 100, 100, 200], 10.0, 0, id="two with one stamp"),
        pytest.param([0, 66.7, 100, 166.7, 200], 20.0, 0, id="30 Hz thinned out to 20 Hz"),
        pytest.param([0], 10.0, 0, id="one alone"),
        pytest.param([], 10.0, 0, id="none"),
        pytest.param([0, 500], None, None, id="no rate to expect"),
    ],
)
def test_gaps_between_stamps_are_drops(
    stamps_ms: list[float], expected_fps: float | None, drops: int | None
) -> None:
    assert _figures(_arrivals(stamps_ms), expected_fps, 1.0).drops == drops


def test_late_arrival_is_latency_not_a_drop() -> None:
    early, late = _arrivals([0, 100]), _arrivals([200, 300], latency_ms=450.0)
    figures = _figures(early + late, 10.0, 1.0)
    assert figures.drops == 0
    assert figures.latency_mean_ms == pytest.approx((5 + 5 + 450 + 450) / 4)
    assert figures.latency_p99_ms == pytest.approx(450)


def test_rates_are_averages_over_the_whole_duration() -> None:
    figures = _figures(_arrivals([0, 50, 100, 150], size_bytes=500_000), 20.0, 0.5)
    assert (figures.count, figures.fps, figures.mb_s) == (4, 8.0, 4.0)


def test_messages_without_a_stamp_have_neither_latency_nor_drops() -> None:
    stats = ArrivalStats(expected_fps=10.0, stamped=False)
    stats.add([Arrival(0, 10**18, 100)] * 3)
    figures = stats.figures(1.0)
    assert (figures.count, figures.drops, figures.latency_mean_ms) == (3, None, None)
    assert figures.summary("a/msg/B")["latency_ms"] == {"mean": None, "p99": None}


def test_summary_has_exactly_the_documented_keys() -> None:
    summary = _figures(_arrivals([0, 100]), 10.0, 1.0).summary("sensor_msgs/msg/Image")
    assert summary == {
        "type": "sensor_msgs/msg/Image",
        "count": 2,
        "fps": 2.0,
        "expected_fps": 10.0,
        "drops": 0,
        "lost": {},
        "latency_ms": {"mean": 5.0, "p99": 5.0},
        "mb_s": 0.002,
    }


#: messages missing at the subscriber; losses of the streams that feed the topic; drops by stage
MISSING: list[tuple[int, list[dict[str, int]], list[int]]] = [
    (0, [{"device": 3}], [0, 0, 0, 0]),  # published before the subscriber came
    (9, [{"device": 3, "link": 2, "loop": 1, "published": 100}], [3, 2, 1, 3]),
    (4, [{"device": 3, "link": 2}], [3, 1, 0, 0]),
    (9, [{"dds": 2, "unsubscribed": 7}], [0, 0, 0, 9]),
    (9, [{"skipped": 7}], [7, 0, 0, 2]),  # a slow network
    (3, [{"link": 5}, {"device": 1}], [1, 0, 0, 2]),  # one of two streams is enough
    (3, [], [0, 0, 0, 3]),
]


@pytest.mark.parametrize("case", MISSING)
def test_drops_are_the_nodes_losses_and_the_subscribers(case: Any) -> None:
    drops, feeding, expected = case
    lost = drops_by_stage(drops, [StreamCounts(row) for row in feeding])
    assert list(lost) == ["device", "link", "loop", "dds"]
    assert list(lost.values()) == expected


def test_drops_may_have_further_stages() -> None:
    lost = drops_by_stage(9, [StreamCounts({"worker.points": 4, "loop": 1})])
    assert lost == {"device": 0, "link": 0, "loop": 1, "worker.points": 4, "dds": 4}


def test_counts_are_read_as_they_are_reported() -> None:
    counts = StreamCounts(
        {"device": 1, "worker.points": 2, "dds": 3, "published": 40, "skipped": 5}
    )
    values = {key: str(value) for key, value in counts.values().items()}
    again = StreamCounts.read({**values, "fps": "30.0", "lost_loop": "nan", "lost_x": "9"})
    assert again.values() == counts.values()
    assert (again.produced, again.lost_total) == (46, 6)
    later = again + StreamCounts({"published": 2, "link": 1})
    assert later.since(again).values() == StreamCounts({"published": 2, "link": 1}).values()
    assert again.since(later) == again, "the node began anew"


@pytest.mark.parametrize(
    ("count", "share", "expected"), [(100, 0.99, 98), (101, 0.99, 99), (2, 0.5, 0), (1, 0.99, 0)]
)
def test_percentile_is_the_nearest_rank(count: int, share: float, expected: float) -> None:
    assert percentile([float(value) for value in range(count)], share) == expected
