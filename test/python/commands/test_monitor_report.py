"""The table and the verdict of the monitor."""

from __future__ import annotations

import pytest

from depthai_ros.commands.monitor_report import TopicRow, table, verdict
from depthai_ros.messages.arrival_stats import ArrivalSummary

GOOD = ArrivalSummary(300, 30.0, 30.0, 0, 3.21, 9.87, 27.6)
SLOW = ArrivalSummary(250, 25.0, 30.0, 0, 3.0, 9.0, 20.0)
LOSSY = ArrivalSummary(298, 29.8, 30.0, 2, 3.0, 9.0, 27.0)
LOST = {"device": 1, "link": 0, "loop": 0, "dds": 1}
LOCATED = ArrivalSummary(298, 29.8, 30.0, 2, 3.0, 9.0, 27.0, LOST)
LOSSIER = ArrivalSummary(291, 29.1, 30.0, 9, 3.0, 9.0, 27.0)
ONCE = ArrivalSummary(1, 0.1, None, None, None, None, 0.0)


def _row(name: str, figures: ArrivalSummary) -> TopicRow:
    return TopicRow(name, "sensor_msgs/msg/Image", True, figures)


ALL_WELL = "all 1 with a rate at 95% of it or more"


@pytest.mark.parametrize(
    ("rows", "lost", "expected"),
    [
        ([("/a", GOOD), ("/b", ONCE)], {}, ["2 topics in 10.0 s", ALL_WELL, "no drops"]),
        (
            [("/a", GOOD), ("/b", SLOW)],
            {},
            [
                "2 topics in 10.0 s",
                "below 95% of the expected rate: /b (25.0/30)",
                "no drops",
            ],
        ),
        (
            [("/a", LOSSY), ("/b", GOOD), ("/c", LOSSIER), ("/d", LOSSY), ("/e", LOSSY)],
            {},
            [
                "5 topics in 10.0 s",
                "all 5 with a rate at 95% of it or more",
                "drops: /c (9), /a (2), /d (2) and 1 more",
            ],
        ),
        ([("/a", LOSSY)], {}, ["1 topics in 10.0 s", ALL_WELL, "drops: /a (2)"]),
        (
            [("/a", LOCATED), ("/b", GOOD)],
            {"device": 2, "link": 0, "loop": 1, "dds": 0},
            [
                "2 topics in 10.0 s",
                "all 2 with a rate at 95% of it or more",
                "drops: /a (2: device 1, dds 1)",
                "frames that the node reports as lost: device 2, loop 1",
                "1 messages were lost between the node and this monitor",
            ],
        ),
    ],
)
def test_verdict_names_slow_topics_and_drops(
    rows: list[tuple[str, ArrivalSummary]], lost: dict[str, int], expected: list[str]
) -> None:
    assert verdict([_row(*row) for row in rows], 10.0, lost).split("; ") == expected


def test_table_is_aligned_and_shows_unknown_values_as_dashes() -> None:
    title, good, once = table([_row("/oak/left/image_raw", GOOD), _row("/oak/info", ONCE)])
    assert len(title) == len(good) == len(once)
    assert good.split()[1:] == [
        "sensor_msgs/Image",
        "30.00",
        "30.00",
        "27.60",
        "-",
        "0",
        "3.2",
        "9.9",
    ]
    assert table([_row("/a", LOCATED)])[1].endswith("9.0  device 1, dds 1")
    assert once.split()[1:] == ["sensor_msgs/Image", "0.10", "-", "0.00", "-", "-", "-", "-"]


def test_ratio_is_raw_bytes_for_each_byte_that_arrived() -> None:
    row = _row("/oak/left/image_raw/compressed", GOOD)._replace(raw_bytes=9_200_000)
    assert table([row])[1].split()[4:6] == ["27.60", "10.0"]
    assert row.summary()["compression_ratio"] == 10.0
    for unknown in (_row("/a", GOOD), _row("/a", ONCE)._replace(raw_bytes=100)):
        assert unknown.summary()["compression_ratio"] is None


def test_table_without_topics_has_only_its_titles() -> None:
    assert len(table([])) == 1
