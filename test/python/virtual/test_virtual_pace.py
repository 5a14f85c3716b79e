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
from depthai_ros.virtual.frame_scheduler import PACKET_FAULTS
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


def test_faults_that_may_be_asked_for_are_those_that_there_are() -> None:
    assert tuple(PACKET_FAULTS) == FAULTS
    document = Path(__file__).resolve().parents[3] / "docs" / "virtual_device.md"
    table = document.read_text(encoding="utf-8").partition("### Faults")[2].partition("\n#")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == FAULTS
