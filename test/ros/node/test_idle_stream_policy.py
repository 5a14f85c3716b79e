"""Streams without subscribers stop, and resume."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from depthai_ros import _core, config
from depthai_ros.device.device import OpenDevice
from depthai_ros.device.pipeline import Frame, RunningPipeline
from depthai_ros.node.idle_streams import Change, IdleStreamPolicy

STREAMS = ("meta_d2h", "color", "left", "right", "metaout", "jpegout")
HOLD_S = 5.0

#: case, [(second, streams with subscribers, streams opened again, streams closed)]
COURSES: list[tuple[str, list[tuple[float, set[str], tuple[str, ...], tuple[str, ...]]]]] = [
    (
        "a stream without subscribers stops after the hold time",
        [
            (0.0, {"left"}, (), ()),
            (4.9, {"left"}, (), ()),
            (5.0, {"left"}, (), ("color", "right", "metaout")),
            (60.0, {"left"}, (), ()),
        ],
    ),
    (
        "it comes back at once, and stays for the hold time",
        [
            (0.0, set(), (), ()),
            (5.0, {"left"}, (), ("color", "right", "metaout")),
            (6.0, {"left", "color"}, ("color",), ()),
            (7.0, {"left"}, (), ()),
            (10.9, {"left"}, (), ()),
            (11.0, {"left"}, (), ("color",)),
        ],
    ),
    (
        "a short absence is no absence",
        [
            (0.0, {"left", "color", "right", "metaout"}, (), ()),
            (4.0, set(), (), ()),
            (5.0, {"left", "color", "right", "metaout"}, (), ()),
            (9.0, set(), (), ()),
            (9.9, {"left", "color", "right", "metaout"}, (), ()),
        ],
    ),
    (
        "the smallest continues without any subscriber, until another stream has one",
        [
            (0.0, set(), (), ()),
            (5.0, set(), (), ("color", "right", "metaout")),
            (50.0, set(), (), ()),
            (51.0, {"metaout"}, ("metaout",), ("left",)),
            (52.0, {"left"}, ("left",), ()),
            (60.0, {"color"}, ("color",), ("left", "metaout")),
            (61.0, set(), (), ()),
            (70.0, set(), ("left",), ("color",)),
        ],
    ),
]


@pytest.mark.parametrize("course", COURSES, ids=lambda course: course[0])
def test_streams_stop_and_start_by_demand(course: Any) -> None:
    thinning = IdleStreamPolicy(STREAMS, HOLD_S)
    for now_s, wanted, start, stop in course[1]:
        assert thinning.decide(wanted, now_s) == Change(start, stop), now_s


def test_nothing_stops_without_a_hold_time() -> None:
    thinning = IdleStreamPolicy(STREAMS, 0.0)
    assert all(thinning.decide(set(), now_s) == Change() for now_s in (0.0, 1e6, 1e9))


@pytest.mark.parametrize("streams", [(), ("meta_d2h",), ("jpegout", "meta_d2h")])
def test_streams_without_a_rate_never_stop(streams: tuple[str, ...]) -> None:
    thinning = IdleStreamPolicy(streams, 1.0)
    assert all(thinning.decide(set(), float(now_s)) == Change() for now_s in range(9))


def collect(pipeline: RunningPipeline, done: Callable[[list[Frame]], bool]) -> list[Frame]:
    frames: list[Frame] = []
    end_s = time.monotonic() + 20.0
    while not done(frames):
        assert time.monotonic() < end_s, f"only {[frame.stream for frame in frames]} came"
        pipeline.wait(0.5)
        frames += pipeline.frames()
    return frames


def count(frames: list[Frame], stream: str) -> int:
    return sum(frame.stream == stream for frame in frames)


def test_closed_stream_stops_while_others_continue_and_starts_again() -> None:
    values = {"stream_list": ["left", "right", "color"], "camera.mono.resolution_h": 400}
    device = OpenDevice.open("virtual:pattern")
    try:
        pipeline = device.start_pipeline(config.defaults().replace(values))
        collect(pipeline, lambda got: {frame.stream for frame in got} == {"left", "right", "color"})
        for _ in range(3):
            pipeline.pause("left")
            # Packets on their way may still come; then only those of the others.
            collect(pipeline, lambda got: count(got, "right") >= 10)
            assert count(collect(pipeline, lambda got: count(got, "right") >= 10), "left") == 0
            pipeline.resume("left")
            frames = collect(pipeline, lambda got: count(got, "left") >= 5)
            assert count(frames, "right") > 0
        assert pipeline.rejected() == {}
    finally:
        device.close()


def test_device_that_goes_on_sending_a_closed_stream_does_no_harm() -> None:
    """Real firmware may ignore the request; it has not been tested."""
    here, there = _core.Transport.pair()
    host, device = (
        _core.Link(transport=here, role="host"),
        _core.Link(transport=there, role="device"),
    )
    queue = _core.PacketQueue()
    host.ping()
    window = {"name": "left", "window_bytes": 1024}
    for _ in range(3):
        host.open_stream(**window, queue=queue)
        device.open_stream(**window)  # the first time; then it is open already
        device.write(name="left", parts=[b"wanted"])
        host.close_stream(name="left")
        device.write(name="left", parts=[b"unwanted"])
    assert [bytes(packet.buffer) for packet in queue.take()] == [b"wanted", b"unwanted"] * 3
    assert host.is_up
    assert device.is_up
    host.close()
    device.close()
