"""Pace of the virtual device: a slow machine drops exposures (camera) or delays them (receiver)."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from depthai_ros import config
from depthai_ros.device.device import OpenDevice
from depthai_ros.errors import ConfigError
from depthai_ros.virtual.frame_scheduler import PACKET_FAULTS, stereo_lag_s
from depthai_ros.virtual.settings import FAULTS, parse_settings

LIMIT_S = 20.0
#: Longer than the device's buffers last.
STARVED_S = 0.7


def sequences(pace: str) -> list[int]:
    """Sequence numbers of one stream while the device's process is paused once."""
    device = OpenDevice.open(f"virtual:pattern?pace={pace}")
    pipeline = device.start_pipeline(config.defaults().replace({"stream_list": ["left"]}))
    assert device._process
    number = device._process._process.pid
    seen: list[int] = []
    has_starved = False
    end_s = time.monotonic() + LIMIT_S
    while len(seen) < 30 and time.monotonic() < end_s:
        if len(seen) >= 5 and not has_starved:
            has_starved = True
            os.kill(number, signal.SIGSTOP)
            threading.Event().wait(STARVED_S)
            os.kill(number, signal.SIGCONT)
        pipeline.wait(0.2)
        seen += [frame.metadata.sequence for frame in pipeline.frames() if frame.metadata]
    device.close()
    return seen


def test_exposures_are_dropped_at_pace_camera_and_delayed_at_pace_receiver() -> None:
    missed = {
        pace: seen[-1] - seen[0] + 1 - len(seen)
        for pace in ("camera", "receiver")
        if (seen := sequences(pace))
    }
    assert missed["receiver"] == 0
    assert missed["camera"] > 0


def test_unknown_pace_is_refused() -> None:
    with pytest.raises(ConfigError, match="one of camera, receiver"):
        parse_settings("pattern?pace=slow")


@pytest.mark.parametrize("text", ["5", "5:1", "nan:1", "0:9999", "a:b", ""])
def test_impossible_stereo_lag_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"stereo_lag_ms is .* must be LOW:HIGH"):
        parse_settings(f"pattern?stereo_lag_ms={text}")


def arrivals(lag: str, exposures: int) -> list[tuple[int, str]]:
    """(sequence, stream) of preview and disparity in the order of arrival."""
    device = OpenDevice.open(f"virtual:pattern?pace=receiver&{lag}")
    values = {"stream_list": ["previewout", "disparity"], "app.sync_sequence_numbers": True}
    pipeline = device.start_pipeline(config.defaults().replace(values))
    seen: list[tuple[int, str]] = []
    end_s = time.monotonic() + LIMIT_S
    while len(seen) < 2 * exposures and time.monotonic() < end_s:
        pipeline.wait(0.2)
        seen += [
            (frame.metadata.sequence, frame.stream) for frame in pipeline.frames() if frame.metadata
        ]
    device.close()
    assert len(seen) >= 2 * exposures
    return seen


def preview_is_first(seen: list[tuple[int, str]]) -> dict[int, bool]:
    """Exposure -> the preview came before the disparity; without exposures at the ends."""
    first = dict(reversed(seen))
    both = [number for number in first if sum(row[0] == number for row in seen) == 2]
    return {number: first[number] == "previewout" for number in sorted(both)}


def test_preview_and_stereo_arrive_in_both_orders_and_always_the_same_way() -> None:
    limits = parse_settings("pattern").stereo_lag_ms
    found = preview_is_first(arrivals("", 120))
    print(f"preview first in {sum(found.values())} of {len(found)} exposures")
    assert 0.2 < sum(found.values()) / len(found) < 0.5
    assert found == {number: stereo_lag_s(number, limits) > 0 for number in found}


def test_lag_of_several_frames_keeps_each_stream_in_order() -> None:
    seen = arrivals("stereo_lag_ms=-200:200", 30)
    for stream in ("previewout", "disparity"):
        numbers = [number for number, name in seen if name == stream]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_video_with_b_frames_has_each_exposure_once() -> None:
    pytest.importorskip("av")
    device = OpenDevice.open("virtual:pattern?pace=receiver")
    values = {"stream_list": ["video"], "video_config.numBFrames": 2}
    pipeline = device.start_pipeline(config.validate(values, "gen1"))
    seen: list[int] = []
    end_s = time.monotonic() + LIMIT_S
    while len(seen) < 8 and time.monotonic() < end_s:
        pipeline.wait(0.2)
        seen += [frame.metadata.sequence for frame in pipeline.frames() if frame.metadata]
    device.close()
    assert len(seen) >= 8
    assert seen == list(range(seen[0], seen[0] + len(seen)))


def test_faults_that_may_be_asked_for_are_those_that_there_are() -> None:
    assert tuple(PACKET_FAULTS) == FAULTS
    document = Path(__file__).resolve().parents[3] / "docs" / "virtual_device.md"
    table = document.read_text(encoding="utf-8").partition("### Faults")[2].partition("\n#")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == FAULTS
