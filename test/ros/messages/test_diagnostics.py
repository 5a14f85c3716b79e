"""Rates, losses and delays follow from the packets; levels follow the limits."""

from __future__ import annotations

import math
from typing import Any

import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from nodes import ROOT

from depthai_ros.config import validate
from depthai_ros.config.unused import Unused
from depthai_ros.messages.diagnostics import (
    STATES,
    CalibrationFacts,
    ClockFacts,
    DeviceFacts,
    Health,
    LinkFacts,
)
from depthai_ros.messages.exposure_sync import Tally
from depthai_ros.messages.stream_stats import (
    PUBLISHED,
    Passage,
    StreamCounts,
    StreamStats,
    make_stream_stats,
)
from depthai_ros.msg import DeviceStatus

MS = 1_000_000
S = 1000 * MS
OK, WARN = DiagnosticStatus.OK, DiagnosticStatus.WARN
ERROR, STALE = DiagnosticStatus.ERROR, DiagnosticStatus.STALE


def feed(stats: StreamStats, sequences: list[int], *, period_ms: float = 100 / 3) -> int:
    """One frame of 1000 bytes per period, 20 ms after its exposure; returns the time after it."""
    for number, sequence in enumerate(sequences):
        received_ns = round(number * period_ms * MS)
        stats.add(Passage(sequence, number, 1000, received_ns, 20 * MS, PUBLISHED))
    return round(len(sequences) * period_ms * MS)


def test_even_stream_shows_its_rate_and_no_loss() -> None:
    stats = StreamStats(30.0, 30.0, started_ns=0)
    figures = stats.figures(feed(stats, list(range(60))))
    assert figures.fps == pytest.approx(30, abs=1)
    assert figures.drops_percent == 0.0
    assert stats.counts() == StreamCounts({PUBLISHED: 60})
    assert figures.gap_max_ms == pytest.approx(33.3, abs=0.1)
    assert figures.latency_ms_mean == figures.latency_ms_max == 20.0
    assert figures.bytes_per_s == pytest.approx(30_000, rel=0.05)


#: expected fps, camera fps, sequence numbers, frames lost
LOSSES = [
    (30.0, 30.0, [0, 1, 2, 5, 6, 8], 3),
    (10.0, 30.0, [0, 3, 6, 9], 0),
    (10.0, 30.0, [0, 3, 9, 12], 1),
    (12.5, 30.0, [0, 2, 5, 7, 10, 12], 0),
    (30.0, 30.0, [50, 51, 0, 1], 0),  # the device restarted
    (0.0, 0.0, [0, 9, 99], 0),
]


@pytest.mark.parametrize("case", LOSSES)
def test_lost_frames_are_gaps_in_the_frame_counter(case: Any) -> None:
    expected_fps, camera_fps, sequences, lost = case
    stats = StreamStats(expected_fps, camera_fps, started_ns=0)
    feed(stats, sequences)
    assert stats.counts().of("device") == lost
    assert stats.counts().produced == len(sequences) + lost


#: numbers on the link, frame numbers, frames lost at the device
GAPS = [
    ([0, 1, 2, 3], [0, 1, 4, 5], 2),
    ([0, 3, 4, 5], [0, 3, 4, 7], 2),  # two more were lost between the link and this packet
    ([5, 6, 9], [7, 8, 12], 1),
    ([5, 6, 9], [None, None, None], 0),
]


@pytest.mark.parametrize("case", GAPS)
def test_what_came_on_the_link_was_not_lost_by_the_device(case: Any) -> None:
    serials, sequences, lost = case
    stats = StreamStats(30.0, 30.0, started_ns=0)
    for serial, sequence in zip(serials, sequences, strict=True):
        stats.add(Passage(sequence, serial, 1, 0, 0, PUBLISHED))
    assert stats.counts().of("device") == lost
    percent = 100 * (1 - len(serials) / (lost + serials[-1] - serials[0] + 1))
    assert stats.figures(S).drops_percent == pytest.approx(percent)


def test_frames_that_a_slow_network_left_out_are_no_losses() -> None:
    stats = StreamStats(30.0, 30.0, started_ns=0, steady=False)
    feed(stats, [0, 4, 8])
    assert stats.counts() == StreamCounts({PUBLISHED: 3, "skipped": 6})


def test_each_lost_packet_counts_in_the_share_of_losses() -> None:
    stats = StreamStats(30.0, 30.0, started_ns=0)
    for serial, fate in enumerate((PUBLISHED, "loop", "dds", PUBLISHED)):
        stats.add(Passage(serial, serial, 1, 0, 0, fate))
    assert stats.figures(S).drops_percent == pytest.approx(50.0)


def test_rate_ignores_frames_outside_the_window() -> None:
    stats = StreamStats(30.0, 30.0, started_ns=0)
    end_ns = feed(stats, list(range(60)))
    figures = stats.figures(end_ns + 5 * S)
    assert figures.fps == 0.0
    assert figures.silent_s == pytest.approx(5.03, abs=0.01)
    assert math.isnan(figures.latency_ms_mean)


@pytest.mark.parametrize(("silent_s", "level"), [(5.0, OK), (25.0, OK), (35.0, ERROR)])
def test_silence_of_a_slow_stream_is_judged_by_its_rate(silent_s: float, level: bytes) -> None:
    settings = validate({"stream_list": ["left", "meta_d2h"], "camera.mono.fps": 0.1})
    health = Health("oak", settings, state=DeviceStatus.STATE_STREAMING)
    health.stream_stats = make_stream_stats(settings, started_ns=0)
    message = health.diagnostics(Time(), round(silent_s * 1e9), {})
    (found,) = (row for row in message.status if row.name.endswith("stream left"))
    assert found.level == level, found.message


@pytest.mark.parametrize(
    ("key", "component", "words"),
    [
        ("diagnostics.stream_timeout_s", "stream left", "no frame for 4.0 s"),
        ("diagnostics.stale_after_s", "temperature", "not reported"),
    ],
)
def test_limits_of_time_take_effect_at_once(key: str, component: str, words: str) -> None:
    settings = validate({"stream_list": ["left", "meta_d2h"], key: 60.0})
    health = Health("oak", settings, state=DeviceStatus.STATE_STREAMING)
    health.stream_stats = make_stream_stats(settings, started_ns=0)
    health.temperatures = {"css_c": 40.0}
    for limit_s, is_late in ((60.0, False), (0.1, True)):
        health.settings = settings.replace({key: limit_s})
        message = health.diagnostics(Time(), round(4.0e9), {})
        (found,) = (row for row in message.status if row.name == f"oak: {component}")
        assert (words in found.message) == is_late, found.message


def test_expected_rate_is_the_cameras_limited_by_the_user() -> None:
    settings = validate(
        {
            "stream_list": ["left", "color", "previewout", "jpegout", "meta_d2h", "disparity"],
            "camera.mono.fps": 40.0,
            "camera.rgb.fps": 20.0,
            "stream.left.max_fps": 10.0,
            "stream.color.max_fps": 90.0,
        }
    )
    stream_stats = make_stream_stats(settings, started_ns=0)
    assert {name: stats.expected_fps for name, stats in stream_stats.items()} == {
        "meta_d2h": 0.0,
        "color": 20.0,
        "left": 10.0,
        "disparity": 40.0,
        "previewout": 20.0,
        "jpegout": 0.0,
    }
    assert not stream_stats["previewout"].is_steady


def make_health(**values: Any) -> Health:
    health = Health("oak", validate({"stream_list": ["left", "meta_d2h"]}))
    health.state = DeviceStatus.STATE_STREAMING
    health.device = DeviceFacts(mx_id="1844")
    health.stream_stats = make_stream_stats(health.settings, started_ns=0)
    for name, value in values.items():
        setattr(health, name, value)
    return health


def status(health: Health, component: str, now_ns: int = 10 * S) -> DiagnosticStatus:
    rows = {row.name: row for row in health.diagnostics(Time(), now_ns, {}).status}
    found: DiagnosticStatus = rows[f"oak: {component}"]
    return found


def warm(css_c: float) -> dict[str, Any]:
    return {"temperatures": {"css": css_c, "mss": 40.0}, "temperatures_ns": 9 * S}


#: values of Health, component, level, part of the message
LEVELS: list[tuple[dict[str, Any], str, bytes, str]] = [
    ({}, "device", OK, "streaming"),
    ({"state": DeviceStatus.STATE_BOOTING}, "device", OK, "not streaming"),
    ({"state": DeviceStatus.STATE_DISCONNECTED}, "device", ERROR, "no device"),
    ({"state": DeviceStatus.STATE_RECOVERING}, "device", WARN, "reconnecting"),
    ({"state": DeviceStatus.STATE_ERROR, "last_error": "peer left"}, "device", ERROR, "peer left"),
    ({"device": DeviceFacts(usb_speed="HIGH")}, "device", WARN, "USB 2"),
    ({"device": DeviceFacts(usb_speed="SUPER")}, "device", OK, "streaming"),
    (warm(41.5), "temperature", OK, "41.5"),
    (warm(85.0), "temperature", WARN, "85"),
    (warm(100.0), "temperature", ERROR, "100"),
    (warm(41.5) | {"temperatures_ns": 4 * S}, "temperature", STALE, "recently"),
    ({}, "temperature", STALE, "recently"),
    ({"clock": ClockFacts(1.0, 20.0, 0, 0.5)}, "clock", OK, "synchronised"),
    ({"clock": ClockFacts(1.0, -300.0, 0, 0.5)}, "clock", WARN, "300 ppm"),
    ({"clock": ClockFacts(1.0, 0.0, 2, 0.5)}, "clock", WARN, "2 times"),
    ({"calibration": CalibrationFacts("eeprom", 0.075, 883.0)}, "calibration", OK, "EEPROM"),
    ({"calibration": CalibrationFacts("file", 0.075, 883.0)}, "calibration", OK, "file"),
    ({"calibration": CalibrationFacts("nominal", 0.075, 883.0)}, "calibration", OK, "computed"),
    ({"calibration": CalibrationFacts("none")}, "calibration", WARN, "none"),
    ({"link": LinkFacts(30.0, 29.0, 38.0)}, "usb link", OK, "30.0 MB/s planned"),
    ({"link": LinkFacts(30.0, 29.0, math.nan)}, "usb link", OK, "30.0 MB/s planned"),
    ({"link": LinkFacts(40.0, 37.0, 38.0)}, "usb link", WARN, "carries 38"),
    ({}, "stream left", ERROR, "no frame for 10.0 s"),
    ({}, "stream meta_d2h", OK, "0.0 fps"),
]


@pytest.mark.parametrize("case", LEVELS, ids=lambda case: f"{case[1]} {case[3]}")
@pytest.mark.complaint(24)
def test_level_follows_values_and_limits(case: Any) -> None:
    values, component, level, words = case
    found = status(make_health(**values), component)
    assert (found.level, words in found.message) == (level, True), found


#: sequence numbers, period in ms, level, part of the message
RATES = [
    (list(range(60)), 100 / 3, OK, "fps"),
    (list(range(60)), 40.0, WARN, "expected 30"),
    ([n for n in range(60) if n % 10], 1000 / 27, WARN, "lost"),
]


@pytest.mark.parametrize("case", RATES, ids=lambda case: case[3])
@pytest.mark.complaint(24)
def test_slow_or_lossy_stream_is_a_warning(case: Any) -> None:
    sequences, period_ms, level, words = case
    health = make_health()
    now_ns = feed(health.stream_stats["left"], sequences, period_ms=period_ms)
    found = status(health, "stream left", now_ns)
    assert (found.level, words in found.message) == (level, True), found


#: new packets in complete and incomplete exposures, and gaps; percentage, stream in the warning
EXPOSURES = [
    ({"left": (9, 0, 0), "right": (9, 0, 0)}, 0, ""),
    ({"left": (9, 1, 0), "right": (9, 0, 1)}, 5, ", right is missing most often"),
    ({"left": (0, 1, 0), "right": (0, 0, 0)}, 100, ""),
]


@pytest.mark.parametrize("case", EXPOSURES, ids=lambda case: f"{case[1]} %{case[2]}")
def test_sync_report_covers_the_time_since_the_last_report(case: Any) -> None:
    new, percent, blame = case
    health = make_health(sync={"left": Tally(0, 100, 50), "right": Tally(0, 100, 20)})
    assert "left is missing most often" in status(health, "sync").message
    for stream, (complete, incomplete, missing) in new.items():
        tally = health.sync[stream]
        health.sync[stream] = Tally(
            tally.complete + complete, tally.incomplete + incomplete, tally.missing + missing
        )
    found = status(health, "sync")
    sentence = f"{percent} % of the packets belong to incomplete exposures{blame}"
    assert (found.message, found.level) == (sentence, WARN if percent else OK)
    health.sync = {"left": Tally(3, 0, 0), "right": Tally(3, 0, 0)}  # the device came back
    assert status(health, "sync").level == OK


def test_what_is_not_used_is_in_the_status_of_its_stream_and_in_one_of_its_own() -> None:
    health = make_health(temperatures_ns=10 * S)
    rows = [Unused("no left camera", "left"), Unused("FILE is not used")]
    assert health.unused.report("a", rows) == ["no left camera", "FILE is not used"]
    assert health.unused.report("a", rows) == []  # said once, and shown as long as it is so
    health.unused.report("b", [Unused("no names", "meta_d2h")])
    left, meta, own = (
        status(health, name) for name in ("stream left", "stream meta_d2h", "not used")
    )
    assert (left.level, left.message) == (ERROR, "no frame for 10.0 s; no left camera")
    assert (meta.level, meta.message) == (WARN, "0.0 fps; no names")
    assert (own.level, own.message) == (WARN, "no left camera; FILE is not used; no names")
    health.unused.report("a", [])
    health.unused.report("b", [])
    assert status(health, "stream meta_d2h").level == OK
    names = [row.name for row in health.diagnostics(Time(), S, {}).status]
    assert "oak: not used" not in names


def test_values_are_plain_numbers_as_text() -> None:
    health = make_health(clock=ClockFacts(1.25, 20.5, 0, 0.5), rejected={"left": 3})
    values = {pair.key: pair.value for pair in status(health, "clock").values}
    assert values == {"offset_s": "1.25", "drift_ppm": "20.5", "jumps": "0", "jitter_ms": "0.5"}
    left = {pair.key: pair.value for pair in status(health, "stream left").values}
    assert left["rejected"] == "3"
    counts = StreamCounts({"device": 1, "link": 2, "loop": 3, "dds": 4, PUBLISHED: 10**9})
    health.counts = {"left": counts + counts}
    left = {pair.key: pair.value for pair in status(health, "stream left").values}
    lost = {key: value for key, value in left.items() if key.startswith("lost_")}
    assert lost == {"lost_device": "2", "lost_link": "4", "lost_loop": "6", "lost_dds": "8"}
    assert (left["produced"], left["published"]) == ("2000000020", "2000000000")
    assert (left["drops_total"], left["unsubscribed"]) == ("20", "0")
    assert health.device_status(Time(), S).drops[list(health.stream_stats).index("left")] == 20


def test_every_status_and_value_is_documented() -> None:
    text = (ROOT / "docs/diagnostics.md").read_text("utf-8")
    health = make_health(
        clock=ClockFacts(1.0, 0.0, 0, 0.5),
        calibration=CalibrationFacts(),
        link=LinkFacts(30.0, 29.0, 38.0),
        sync={"NAME": Tally()},
        name_conflict="another",
    )
    health.unused.report("network", [Unused("a key")])
    statuses = health.diagnostics(Time(), 10 * S, {}).status
    components = {row.name.removeprefix("oak: ").replace("left", "NAME") for row in statuses}
    words = components - {"stream meta_d2h"} | {pair.key for row in statuses for pair in row.values}
    words |= {word for _, word, _ in STATES.values()}
    assert [word for word in sorted(words) if f"`{word}`" not in text] == []


def test_unknown_device_has_only_its_own_status() -> None:
    health = Health("oak", validate({}))
    message = health.diagnostics(Time(), 0, {})
    assert [row.name for row in message.status] == ["oak: device", "oak: memory"]
    assert math.isnan(health.device_status(Time(), 0).css_c)
