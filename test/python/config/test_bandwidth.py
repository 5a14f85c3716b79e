"""The planned data rates equal those of the device, and are reduced to fit the link."""

from __future__ import annotations

import math
import time
from itertools import pairwise
from typing import Any

import pytest

from depthai_ros.config import bandwidth, defaults, device_config
from depthai_ros.config.bandwidth import CAPACITY_MB_S, fitted, plan
from depthai_ros.config.settings import Settings
from depthai_ros.device.device import OpenDevice
from depthai_ros.errors import ConfigError
from depthai_ros.streams import STREAMS


def settings(*streams: str, **options: Any) -> Settings:
    """Options with `__` for the dots."""
    values = {key.replace("__", "."): value for key, value in options.items()}
    return defaults().replace({"stream_list": list(streams), **values})


#: settings, MB/s: the product of width, height, bytes per pixel and rate
NEEDS: list[tuple[Settings, float]] = [
    (settings("left"), 1280 * 720 * 30e-6),
    (settings("left", "right", camera__mono__resolution_h=400), 2 * 640 * 400 * 30e-6),
    (settings("depth", camera__mono__fps=15.0), 2 * 1280 * 720 * 15e-6),
    (settings("depth", "disparity"), 2 * 1280 * 720 * 30e-6),  # one is made from the other
    (settings("disparity_color"), 1280 * 720 * 30e-6),
    (settings("color"), 1.5 * 1920 * 1080 * 30e-6),
    (settings("color", camera__rgb__resolution_h=2160), 6 * 1920 * 1080 * 30e-6),
    (settings("video"), 8.5 / 8),
    (settings("video", camera__rgb__fps=10.0), 8.5 / 8),  # cbr: the same bits for fewer frames
    (settings("jpegout"), 0.0),  # on demand
    (settings("left", stream__left__max_fps=10.0), 1280 * 720 * 10e-6),
    (settings("left", stream__left__max_fps=20.0), 1280 * 720 * 20e-6),
    (settings("left", stream__left__max_fps=12.0), 1280 * 720 * 12e-6),
    (settings("previewout"), 3 * 300 * 300 * 30e-6),
    (settings("previewout", ai__camera_input="left_right"), 2 * 3 * 300 * 300 * 30e-6),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "mb_s"), NEEDS, ids=lambda row: str(row))
@pytest.mark.complaint(4)
def test_planned_rate_is_the_sum_of_the_streams(wanted: Settings, mb_s: float) -> None:
    assert plan(wanted, "SUPER").planned_mb_s == pytest.approx(mb_s, rel=1e-6)


def test_every_stream_can_be_planned() -> None:
    wanted = settings(*STREAMS, ai__blob_file="any.blob")
    assert plan(wanted, "SUPER").planned_mb_s > 0
    for name in STREAMS:
        alone = plan(settings(name, ai__blob_file="any.blob"), "SUPER")
        assert alone.planned_mb_s > 0 or STREAMS[name].pace == "request", name


def test_packets_have_the_planned_size_and_come_at_the_planned_rate() -> None:
    """The plan against the virtual device: packet sizes, and gaps in the frame counter."""
    limits = {"left": 12.0, "right": 20.0, "depth": 7.0, "color": 0.0, "previewout": 9.0}
    given = {f"stream__{name}__max_fps": limit for name, limit in limits.items()}
    wanted = settings(*limits, camera__mono__resolution_h=400, **given)
    planned = plan(wanted, "UNKNOWN")
    device = OpenDevice.open("virtual:pattern")
    try:
        pipeline = device.start_pipeline(wanted)
        seen: dict[str, list[int]] = {name: [] for name in limits}
        end_s = time.monotonic() + 20.0
        while min(map(len, seen.values())) < 4:
            assert time.monotonic() < end_s, seen
            pipeline.wait(0.5)
            for frame in pipeline.frames():
                assert frame.metadata is not None
                size = planned.streams_mb_s[frame.stream] * 1e6 / planned.rates_hz[frame.stream]
                assert frame.data.size == round(size), frame.stream
                seen[frame.stream].append(frame.metadata.sequence)
    finally:
        device.close()
    for stream, sequences in seen.items():
        spacing = 30.0 / planned.rates_hz[stream]
        gaps = [late - early for early, late in pairwise(sequences[1:])]
        assert sum(gaps) > spacing * len(gaps) - 1.0, stream


def test_link_that_is_wide_enough_or_not_known_changes_nothing() -> None:
    wanted = settings("left", "right", "depth", "color", usb__on_insufficient="fail")
    for speed in ("SUPER", "SUPER_PLUS", "UNKNOWN", ""):
        assert fitted(wanted, speed) == (wanted, "")
    assert math.isnan(plan(wanted, "UNKNOWN").capacity_mb_s)
    assert not plan(wanted, "UNKNOWN").is_too_much


def test_every_stream_has_a_size_and_faster_links_carry_more() -> None:
    for stream in STREAMS:
        assert bandwidth._packet_bytes(defaults(), stream, 1) > 0, stream
    assert list(CAPACITY_MB_S.values()) == sorted(CAPACITY_MB_S.values())


def test_preview_rate_follows_the_networks_input_size() -> None:
    wanted = settings("previewout")
    assert plan(wanted, "HIGH", 3 * 640 * 352).planned_mb_s == pytest.approx(3 * 640 * 352 * 30e-6)


def test_warning_about_a_slow_link_lists_streams_and_remedies() -> None:
    wanted = settings("left", "color")
    same, words = fitted(wanted, "HIGH")
    assert same is wanted
    for word in (
        "121.0 MB/s",
        "color 93.3, left 27.6",
        "speed HIGH carries about 38 MB/s",
        "USB 3 port",
    ):
        assert word in words
    with pytest.raises(ConfigError, match=r"color 93.3, left 27.6.*stream.NAME.max_fps"):
        fitted(settings("left", "color", usb__on_insufficient="fail"), "HIGH")


#: Settings for a HIGH link, and the reduced rates.
SQUEEZED: list[tuple[Settings, dict[str, float]]] = [
    (settings("color", "left"), {"color": 7.5, "left": 7.5}),
    (settings("color", "left", "meta_d2h", "video"), {"color": 7.5, "left": 7.5}),
    (settings("depth", "disparity", "color"), {"depth": 7.5, "disparity": 7.5, "color": 7.5}),
    (settings("color", "left", stream__left__max_fps=10.0), {"color": 10.0, "left": 10 / 3}),
    (settings("color", "left", camera__rgb__fps=10.0), {"color": 5.0, "left": 15.0}),
    (
        settings("color", "previewout", ai__camera_input="left_right"),
        {"color": 10.0, "previewout": 10.0},
    ),
]


@pytest.mark.parametrize(("wanted", "rates_hz"), SQUEEZED, ids=lambda row: str(row))
def test_image_rates_are_reduced_to_the_capacity_of_the_link(
    wanted: Settings, rates_hz: dict[str, float]
) -> None:
    changed, words = fitted(wanted.replace({"usb.on_insufficient": "reduce"}), "HIGH")
    limits = {name: changed[f"stream.{name}.max_fps"] for name in rates_hz}
    assert limits == pytest.approx(rates_hz)
    assert plan(changed, "HIGH").planned_mb_s <= CAPACITY_MB_S["HIGH"]
    assert fitted(changed, "HIGH") == (changed, "")
    assert "lowered color to" in words
    sent = {
        row["name"]: row.get("max_fps") for row in device_config(changed)["_pipeline"]["_streams"]
    }
    assert sent["color"] == pytest.approx(rates_hz["color"])


def test_rates_that_cannot_be_reduced_are_refused() -> None:
    fast = {"video_config__bitrate": 100_000_000, "usb__on_insufficient": "reduce"}
    with pytest.raises(ConfigError, match="even without images"):
        fitted(settings("video", "left", **fast), "FULL")
