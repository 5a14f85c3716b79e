"""The host API on a virtual device in its own process: sessions, streams, commands, bad input."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from depthai_ros import _core, config, wire_formats
from depthai_ros.device.device import OpenDevice
from depthai_ros.device.pipeline import Frame, RunningPipeline
from depthai_ros.errors import ConfigError, DeviceNotFoundError, LinkError
from depthai_ros.streams import STREAMS, WIRE_STREAMS

BLOB = "package://depthai_ros/config/models/virtual_ssd.blob"
BLOB_CONFIG = "package://depthai_ros/config/models/mobilenet_ssd.json"
NETWORK = {"ai.blob_file": BLOB, "ai.blob_file_config": BLOB_CONFIG}


@contextmanager
def running(selector: str, **options: Any) -> Iterator[tuple[OpenDevice, RunningPipeline]]:
    """A device with a running pipeline; options with `__` for the dots."""
    values = {key.replace("__", "."): value for key, value in options.items()}
    settings = config.defaults().replace(values)
    path = settings["ai.blob_file_config"]
    network = config.read_network_config(path) if path else None
    device = OpenDevice.open(selector)
    try:
        yield device, device.start_pipeline(settings, network)
    finally:
        device.close()


def collect(
    pipeline: RunningPipeline, done: Callable[[list[Frame]], bool], deadline_s: float = 20.0
) -> list[Frame]:
    """Frames until `done(frames)` is true; fails after the deadline."""
    frames: list[Frame] = []
    end_s = time.monotonic() + deadline_s
    while not done(frames):
        assert time.monotonic() < end_s, f"only {[f.stream for f in frames]} came"
        pipeline.wait(0.5)
        frames += pipeline.frames()
    return frames


def count_of(stream: str, number: int) -> Callable[[list[Frame]], bool]:
    return lambda frames: sum(frame.stream == stream for frame in frames) >= number


def test_every_wire_stream_delivers_frames_with_its_metadata() -> None:
    periodic = [name for name in WIRE_STREAMS if name not in ("jpegout", "disparity")]
    network = {key.replace(".", "__"): value for key, value in NETWORK.items()}
    with running("virtual:pattern", stream_list=periodic, **network) as (_, pipeline):
        frames = collect(pipeline, lambda got: {f.stream for f in got} == set(periodic))
        assert pipeline.rejected() == {}
    for frame in frames:
        layout = STREAMS[frame.stream].layout
        if layout == "json":
            assert json.loads(frame.data.tobytes().rstrip(b"\0"))["sensors"]["temperature"]
        else:
            assert frame.metadata is not None
            assert frame.metadata.frame_size == len(frame.data)


def test_streams_go_on_when_another_is_closed_while_its_packet_is_made() -> None:
    options = {"camera__mono__fps": 60.0, "camera__mono__resolution_h": 720}
    with running("virtual:pattern", stream_list=["left", "right"], **options) as (_, pipeline):
        for _turn in range(30):
            collect(pipeline, count_of("left", 1))  # that of right is being made now
            pipeline.pause("right")
            collect(pipeline, count_of("left", 6))  # the device has closed its side, too
            pipeline.resume("right")
        collect(pipeline, count_of("left", 3))
        collect(pipeline, count_of("right", 3))


def test_sequence_numbers_count_up_and_pair_left_with_right() -> None:
    """Gaps are allowed: a virtual device skips exposures if it gets no processor time."""
    with running("virtual:pattern", stream_list=["left", "right"]) as (_, pipeline):
        frames = collect(pipeline, count_of("right", 20))
    left = [f.metadata for f in frames if f.stream == "left" and f.metadata]
    right = [f.metadata for f in frames if f.stream == "right" and f.metadata]
    sequences = [metadata.sequence for metadata in left]
    assert min(np.diff(sequences)) == 1
    stamps = {metadata.sequence: metadata.timestamp_ns for metadata in left}
    for metadata in right:
        if metadata.sequence in stamps:
            assert 0 <= metadata.timestamp_ns - stamps[metadata.sequence] < 1_000_000


def test_pattern_scene_arrives_pixel_by_pixel() -> None:
    with running("virtual:pattern", stream_list=["left"]) as (_, pipeline):
        frame = collect(pipeline, count_of("left", 1))[0]
    assert frame.metadata is not None
    y, x = np.mgrid[0:720, 0:1280]
    expected = (x + 2 * y + 3 * frame.metadata.sequence) % 256
    assert np.array_equal(frame.data.reshape(720, 1280), expected)


def test_max_fps_thins_a_stream_evenly() -> None:
    options = {"stream.left.max_fps": 10.0}
    settings = {key.replace(".", "__"): value for key, value in options.items()}
    with running("virtual:pattern", stream_list=["left", "right"], **settings) as (_, pipeline):
        frames = collect(pipeline, count_of("left", 5))
    sequences = [f.metadata.sequence for f in frames if f.stream == "left" and f.metadata]
    assert set(np.diff(sequences[1:])) == {3}


def test_disparity_is_not_valid_while_depth_is_requested() -> None:
    values = {"stream_list": ["depth"]}
    with running("virtual:pattern", **values) as (_, pipeline):
        depth = collect(pipeline, count_of("depth", 1))[0]
        assert pipeline.streams == ("depth",)
    assert depth.data.view("<u2").max() > 0


@pytest.mark.parametrize(("strict", "valid"), [("1", False), ("0", True)])
def test_disparity_with_distances_is_valid_only_when_the_device_is_not_strict(
    strict: str, valid: bool
) -> None:
    """A raw session may request both; the cost of the exclusion is then visible."""
    from depthai_ros.device import device as device_module

    settings = config.defaults().replace({"stream_list": ["disparity"]})
    device = OpenDevice.open(f"virtual:synthetic?strict={strict}")
    original = device_module.device_config

    def with_distances(*args: Any, **kwargs: Any) -> dict[str, Any]:
        document = original(*args, **kwargs)
        document["ai"]["calc_dist_to_bb"] = True
        return document

    try:
        device_module.device_config = with_distances
        pipeline = device.start_pipeline(settings)
        frame = collect(pipeline, count_of("disparity", 1))[0]
    finally:
        device_module.device_config = original
        device.close()
    assert bool(frame.data.any()) is valid


def test_depth_is_the_device_table_of_the_disparity() -> None:
    with running("virtual:synthetic", stream_list=["disparity"]) as (_, pipeline):
        frames = collect(pipeline, count_of("disparity", 30))
    disparities = {f.metadata.sequence: f.data for f in frames if f.metadata}
    with running("virtual:synthetic", stream_list=["depth"]) as (device, pipeline):
        frames = collect(pipeline, count_of("depth", 30))
        fov, baseline = device.eeprom["left_fov_deg"], device.eeprom["left_to_right_distance_m"]
    table = wire_formats.disparity_to_depth_table(1280, fov, baseline)
    compared = 0
    for frame in frames:
        if frame.metadata and frame.metadata.sequence in disparities:
            expected = table[disparities[frame.metadata.sequence]]
            assert np.array_equal(frame.data.view("<u2"), expected)
            compared += 1
    assert compared > 0


def test_still_arrives_once_for_one_command_and_is_a_jpeg_of_full_size() -> None:
    with running("virtual:synthetic", stream_list=["jpegout", "left"]) as (device, pipeline):
        quiet = collect(pipeline, count_of("left", 10))
        assert {f.stream for f in quiet} == {"left"}
        device.capture_still()
        frames = collect(pipeline, count_of("jpegout", 1))
        frames += collect(pipeline, count_of("left", 15))
    stills = [f for f in frames if f.stream == "jpegout"]
    assert len(stills) == 1
    assert stills[0].metadata is not None
    assert stills[0].metadata.category == wire_formats.CATEGORY_STILL
    assert cv2.imdecode(stills[0].data, cv2.IMREAD_COLOR).shape == (1080, 1920, 3)


def test_manual_exposure_darkens_the_image_and_auto_restores_it() -> None:
    with running("virtual:synthetic", stream_list=["left"]) as (device, pipeline):
        natural = collect(pipeline, count_of("left", 1))[-1].data.mean()
        device.control_camera(1, 5, "1000 400 33333")
        dark = collect(pipeline, lambda got: bool(got) and got[-1].data.mean() < 0.3 * natural)
        assert dark[-1].data.mean() > 0
        device.control_camera(1, 6)
        collect(pipeline, lambda got: bool(got) and got[-1].data.mean() > 0.9 * natural)


def test_low_confidence_threshold_makes_disparity_sparse() -> None:
    with running("virtual:synthetic", stream_list=["disparity"]) as (device, pipeline):
        full = np.count_nonzero(collect(pipeline, count_of("disparity", 1))[-1].data)
        device.set_disparity_confidence(50)
        collect(pipeline, lambda got: bool(got) and np.count_nonzero(got[-1].data) < 0.5 * full)


def test_commands_are_echoed_in_the_log() -> None:
    with running("virtual:pattern", stream_list=["meta_d2h", "left"]) as (device, pipeline):
        device.control_camera(0, 3, "120")
        device.set_autofocus_mode(1)

        def logged(frames: list[Frame]) -> bool:
            text = b"".join(f.data.tobytes() for f in frames if f.stream == "meta_d2h")
            return b"camera control 3A 3 0 120" in text and b"command 3 argument 1" in text

        collect(pipeline, logged)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("frame_size", "trailer claims"),
        ("no_trailer", "no frame trailer"),
        ("short", "no frame trailer"),
        ("shape", "expected 921600"),
    ],
)
def test_malformed_packets_are_counted_and_the_others_delivered(fault: str, reason: str) -> None:
    selector = f"virtual:pattern?fault={fault}:left:3"
    with running(selector, stream_list=["left"]) as (_, pipeline):
        frames = collect(pipeline, count_of("left", 8))
        count, words = pipeline.rejected()["left"]
    assert count >= 3
    assert reason in words
    assert all(len(frame.data) == 921_600 for frame in frames)


def test_unplugging_ends_the_wait_with_a_link_error() -> None:
    selector = "virtual:pattern?fault=unplug:left:5"
    with running(selector, stream_list=["left"]) as (_, pipeline), pytest.raises(LinkError):
        collect(pipeline, lambda _: False)


def test_closed_pipeline_keeps_no_packets_that_nobody_read() -> None:
    before = _core.buffer_counters()["in_use"]
    with running("virtual:pattern", stream_list=("left", "right")) as (_, pipeline):
        end_s = time.monotonic() + 20.0
        while _core.buffer_counters()["in_use"] < before + 8:
            assert time.monotonic() < end_s, "too few packets came"
            pipeline.wait(0.5)
        pipeline.close()
        assert _core.buffer_counters()["in_use"] == before


def test_second_pipeline_on_one_device_reconnects() -> None:
    with running("virtual:pattern", stream_list=["left"]) as (device, first):
        collect(first, count_of("left", 3))
        second = device.start_pipeline(config.defaults().replace({"stream_list": ["right"]}))
        frames = collect(second, count_of("right", 3))
        assert {frame.stream for frame in frames} == {"right"}
        assert first.wait(0.0) is False


def test_command_without_a_pipeline_is_an_error() -> None:
    device = OpenDevice.open("virtual:pattern")
    try:
        with pytest.raises(LinkError, match="no pipeline is running"):
            device.capture_still()
    finally:
        device.close()


def test_frames_outlive_the_device() -> None:
    with running("virtual:pattern", stream_list=["left"]) as (_, pipeline):
        frame = collect(pipeline, count_of("left", 1))[0]
        total = int(frame.data.sum())
    assert int(frame.data.sum()) == total


@pytest.mark.parametrize("version", [-1, 1, 2, 3, 4, 5])
def test_every_eeprom_version_is_passed_on_unchanged(version: int) -> None:
    device = OpenDevice.open(f"virtual:pattern?eeprom={version}")
    try:
        assert device.eeprom["version"] == version
        assert device.mx_id
        assert device.available_streams == WIRE_STREAMS
    finally:
        device.close()


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ("usbx", "must begin with one of usb, virtual, unix, tcp"),
        ("virtual:nosuch", "no scene 'nosuch', known are synthetic, pattern, images, video"),
        ("virtual:images", "needs a path"),
        ("virtual:pattern=x", "takes no path"),
        ("virtual:pattern?eprom=5", "no option 'eprom', known are eeprom"),
        ("virtual:pattern?eeprom=9", "eeprom is '9', must be one of -1, 1"),
        ("virtual:pattern?fault=melt:left:3", "must be KIND:STREAM:N"),
    ],
)
def test_error_for_a_malformed_selector_lists_the_allowed_values(selector: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        OpenDevice.open(selector)
    assert words in str(caught.value)


def test_error_for_a_socket_without_a_listener_names_the_address(tmp_path: Path) -> None:
    with pytest.raises(DeviceNotFoundError, match=str(tmp_path / "nobody")):
        OpenDevice.open(f"unix:{tmp_path}/nobody", timeout_s=0.2)


def test_wait_for_a_device_that_does_not_answer_can_be_ended(tmp_path: Path) -> None:
    path, should_stop = str(tmp_path / "mute"), threading.Event()

    def opening() -> None:
        with pytest.raises(LinkError):
            OpenDevice.open(f"unix:{path}", timeout_s=600.0, should_stop=should_stop.is_set)

    with socket.socket(socket.AF_UNIX) as mute, ThreadPoolExecutor() as threads:
        mute.bind(path)
        mute.listen()
        opened = threads.submit(opening)
        with mute.accept()[0] as connection:
            assert connection.recv(1), "it pings the device"
            should_stop.set()
            opened.result(20.0)


def test_missing_image_folder_is_an_error_before_any_frame(tmp_path: Path) -> None:
    with pytest.raises((ConfigError, DeviceNotFoundError)):
        OpenDevice.open(f"virtual:images={tmp_path}/nothing")


def test_pipeline_with_too_many_shaves_is_refused_with_what_to_change() -> None:
    values = {**NETWORK, "stream_list": ["metaout"], "ai.shaves": 15, "ai.cmx_slices": 15}
    settings = config.defaults().replace(values)
    device = OpenDevice.open("virtual:pattern")
    try:
        with pytest.raises(ConfigError, match=r"lower ai\.shaves"):
            device.start_pipeline(settings, config.read_network_config(BLOB_CONFIG))
    finally:
        device.close()
