"""Streams of the Gen1 device in this process: contents, the queue, lifetimes, recovery."""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gen1_devices import BLOB, DEADLINE_S, DETECTION, packets_of, start, until

from depthai_ros import depthai, wire_formats
from depthai_ros.device import pipeline as device_pipeline
from depthai_ros.gen1 import session
from depthai_ros.virtual.scenes.eeprom import M1_LEFT

pytestmark = pytest.mark.usefixtures("virtual_by_default")


# -- streams


def test_every_stream_has_its_documented_shape(device: depthai.Device) -> None:
    names = ["left", "right", "rectified_left", "rectified_right", "depth", "previewout"]
    names += ["color", "video", "meta_d2h", "object_tracker", "disparity", "disparity_color"]
    found = packets_of(start(device, streams=names, ai=DETECTION), *names)
    mono, one = (720, 1280), lambda name: (found[name].size(),)
    expected: dict[str, Any] = dict.fromkeys(names[:4], (mono, np.uint8))
    expected |= {name: (one(name), np.uint8) for name in names[6:10]}
    expected |= {
        "depth": (mono, np.uint16),
        "previewout": ((3, 300, 300), np.uint8),
        "disparity": (mono, np.uint8),
        "disparity_color": ((*mono, 3), np.uint8),
    }
    for name, (shape, dtype) in expected.items():
        data = found[name].getData()
        assert (name, data.shape, data.dtype) == (name, shape, dtype)
        assert data.flags.owndata
        assert data.flags.writeable
        assert found[name].size() == data.nbytes
        with pytest.raises(AttributeError):
            found[name].stream_name = "x"  # type: ignore[misc]


def test_disparity_and_disparity_color_arrive_together(device: depthai.Device) -> None:
    pipeline = start(device, streams=["disparity", "disparity_color"])
    pairs: dict[int, dict[str, Any]] = {}

    def pair() -> Any:
        for packet in pipeline.get_available_data_packets():
            number = packet.getMetadata().getSequenceNum()  # type: ignore[union-attr]
            pairs.setdefault(number, {})[packet.stream_name] = packet
        return next((both for both in pairs.values() if len(both) == 2), None)

    both = until(pair)
    disparity = both["disparity"].getData()
    assert disparity.max() == 95
    expected = wire_formats.disparity_color_table()[disparity]
    assert np.array_equal(both["disparity_color"].getData(), expected)
    assert both["disparity"].getMetadata().getFrameBytesPP() == 1
    assert both["disparity_color"].getMetadata().getFrameBytesPP() == 3


def test_disparity_with_depth_is_computed_from_depth(device: depthai.Device) -> None:
    pipeline = start(device, streams=["disparity", "depth", "disparity_color"])
    found = packets_of(pipeline, "disparity", "depth", "disparity_color")
    y, x = np.mgrid[0:720, 0:1280]
    number = found["disparity"].getMetadata().getSequenceNum()  # type: ignore[union-attr]
    truth = 1 + (x + 2 * y + 3 * number) % 95
    truth[truth == 1] = 0  # its depth exceeds 16 bits
    disparity = found["disparity"].getData()
    assert np.array_equal(disparity, truth)
    assert found["depth"].getData().min() > 0


@pytest.mark.parametrize(
    ("name", "dtype", "dimensions"),
    [
        ("depth_raw", np.uint16, 2),
        ("depth_mm_h", np.uint16, 2),
        ("depth_sipp", np.uint16, 2),
        ("depth_color_h", np.uint8, 3),
        ("raw_color", np.uint8, 1),
    ],
)
def test_packets_have_the_older_stream_name_of_the_configuration(
    device: depthai.Device, name: str, dtype: Any, dimensions: int
) -> None:
    data = packets_of(start(device, streams=[name]), name)[name].getData()
    assert data.dtype == dtype
    assert data.ndim == dimensions


def test_preview_without_a_network_is_flat(device: depthai.Device) -> None:
    packet = packets_of(start(device, streams=["previewout"]), "previewout")["previewout"]
    assert packet.getData().ndim == 1


@pytest.mark.parametrize(
    "streams", [None, [], "left", ["left", "left"], [{"name": "left"}], ("right", "left")]
)
def test_streams_are_requested_in_several_forms(device: depthai.Device, streams: Any) -> None:
    pipeline = start(device, streams=streams)
    if streams:
        assert packets_of(pipeline, "left")["left"].getData().shape == (720, 1280)
    else:
        assert pipeline.get_available_nnet_and_data_packets() == ([], [])


def test_left_that_is_not_first_is_accepted_with_a_warning(
    device: depthai.Device, caplog: pytest.LogCaptureFixture
) -> None:
    packets_of(start(device, streams=["right", "left"]), "left", "right")
    assert "left" in caplog.text


@pytest.mark.parametrize(
    ("lines", "shape"), [(400, (400, 640)), (720, (720, 1280)), (800, (800, 1280))]
)
def test_shapes_and_matrices_follow_the_current_pipeline(
    device: depthai.Device, lines: int, shape: tuple[int, int]
) -> None:
    for resolution in (800, lines):
        mono = {"resolution_h": resolution, "fps": 30}
        pipeline = start(device, streams=["left"], camera={"mono": mono})
    assert packets_of(pipeline, "left")["left"].getData().shape == shape
    expected = M1_LEFT.copy()
    expected[:2] *= 0.5 if lines == 400 else 1
    expected[1, 2] -= 40 if lines == 720 else 0
    assert np.allclose(device.get_left_intrinsic(), expected, rtol=1e-6)


def test_numpy_scalars_paths_and_tuples_are_accepted(device: depthai.Device) -> None:
    pipeline = start(
        device,
        streams=("previewout", {"name": "left", "max_fps": np.float32(10)}),
        ai={"blob_file": Path(BLOB), "shaves": np.int64(7), "blob_file_config": None},
        depth={"lr_check": np.bool_(True), "type": None},
        unknown={"it's": "True"},
    )
    packets_of(pipeline, "previewout", "left")


# -- the queue


def test_data_packets_are_without_metaout(device: depthai.Device) -> None:
    pipeline = start(device, streams=["metaout", "previewout"], ai=DETECTION)
    seen: set[str] = set()
    for _ in range(20):
        packets = pipeline.get_available_data_packets(blocking=True)
        assert isinstance(packets, depthai.DataPacketList)
        seen |= {packet.stream_name for packet in packets}
    assert seen == {"previewout"}
    results, packets = pipeline.get_available_nnet_and_data_packets(True)
    assert isinstance(results, depthai.NNetPacketList)
    assert isinstance(packets, depthai.DataPacketList)


@pytest.mark.parametrize("streams", [["left"], ["left", "right"], ["disparity", "disparity_color"]])
def test_queue_keeps_the_newest_thirty_of_all_streams(
    device: depthai.Device, streams: list[str]
) -> None:
    mono = {"resolution_h": 400, "fps": 120}
    pipeline = start(device, streams=streams, camera={"mono": mono})
    first = packets_of(pipeline, *streams)[streams[0]].getMetadata()
    assert first is not None
    assert device._session is not None
    link = device._session.device
    until(lambda: link.link_counters()["packets_in"] > 80 * len(streams))
    numbers = [p.getMetadata().getSequenceNum() for p in pipeline.get_available_data_packets()]  # type: ignore[union-attr]
    assert len(numbers) == 30
    assert sorted(numbers) == numbers
    assert numbers[0] > first.getSequenceNum() + 20


def test_sync_delivers_a_result_right_before_its_preview(device: depthai.Device) -> None:
    app = {"sync_video_meta_streams": True}
    pipeline = start(device, streams=["previewout", "metaout"], ai=DETECTION, app=app)
    feed = pipeline._feed
    packets: list[Any] = []
    while len(packets) < 20:
        packets += feed.take(blocking=True)
    if not isinstance(packets[0], depthai.NNetPacket):
        packets.pop(0)
    for result, preview in zip(packets[0:-1:2], packets[1::2], strict=False):
        assert isinstance(result, depthai.NNetPacket)
        assert result.getMetadata().getSequenceNum() == preview.getMetadata().getSequenceNum()


def test_two_threads_share_the_packets(device: depthai.Device) -> None:
    pipeline = start(device, streams=["left", "right"])
    found: list[list[tuple[str, int]]] = [[], []]

    def read(mine: list[tuple[str, int]]) -> None:
        while len(mine) < 20:
            for packet in pipeline.get_available_data_packets(True):
                mine.append((packet.stream_name, packet.getMetadata().getSequenceNum()))  # type: ignore[union-attr]
                device.send_disparity_confidence_threshold(200)

    threads = [threading.Thread(target=read, args=(mine,)) for mine in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
    assert not set(found[0]) & set(found[1])


# -- ends


def test_pipeline_ends_with_the_device_even_during_a_blocking_call() -> None:
    device = depthai.Device()
    pipeline = start(device, streams=["jpegout"])
    results: list[Any] = []
    reader = threading.Thread(
        target=lambda: results.append(pipeline.get_available_nnet_and_data_packets(True))
    )
    reader.start()
    assert reader.is_alive()
    del device
    gc.collect()
    reader.join(DEADLINE_S)
    assert results == [([], [])]
    assert pipeline.get_available_data_packets() == []


def test_packets_and_arrays_outlive_pipeline_and_device() -> None:
    device = depthai.Device()
    pipeline = start(device, streams=["left", "metaout"], ai=DETECTION)
    found = packets_of(pipeline, "left", "metaout")
    array = found["left"].getData()
    copy, packet, result = array.copy(), found["left"], found["metaout"]
    del device, pipeline, found
    assert np.array_equal(packet.getData(), copy)
    array[:] = 0
    assert np.array_equal(packet.getData(), copy)
    del packet
    array[:] = 1
    assert result.getDetectedObjects()[0].label == 15  # type: ignore[attr-defined]


def test_dropping_the_pipeline_leaves_the_device_usable(device: depthai.Device) -> None:
    pipeline = start(device, streams=["left"])
    packets_of(pipeline, "left")
    del pipeline
    assert device.get_pipeline().get_available_data_packets(True)
    assert packets_of(start(device, streams=["right"]), "right")


def test_second_pipeline_ends_the_first(device: depthai.Device) -> None:
    first = start(device, streams=["left"])
    second = start(device, streams=["right"])
    assert first.get_available_data_packets(True) == []
    assert set(packets_of(second, "right")) == {"right"}
    assert device.create_pipeline({"ai": {"shaves": 99}}) is None
    assert second.get_available_data_packets(True) == []
    with pytest.raises(RuntimeError):
        device.get_pipeline()


def test_opening_and_closing_leaves_no_threads_or_files() -> None:
    def once() -> None:
        device = depthai.Device("virtual:pattern", False)
        start(device, streams=["left"]).get_available_data_packets(True)
        del device
        gc.collect()  # it is part of a cycle

    once()
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(5):
        once()
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) <= files  # noqa: PTH208


# -- recovery


def test_unplugged_device_is_reopened_for_the_same_pipeline() -> None:
    device = depthai.Device("virtual:pattern?fault=unplug:left:10", False)
    pipeline = start(device, streams=["left"])
    device.reset_device_changed()
    numbers = []
    while len(numbers) < 25:
        packets = pipeline.get_available_data_packets(blocking=True)
        numbers += [packet.getMetadata().getSequenceNum() for packet in packets]  # type: ignore[union-attr]
    assert numbers.count(numbers[0]) > 1
    assert device.is_device_changed()
    assert device.get_pipeline() is pipeline
    device._close()


def test_device_that_sends_no_packets_is_reopened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_pipeline, "WATCHDOG_S", 1.0)
    device = depthai.Device("virtual:pattern?fault=mute:left:5", False)
    pipeline = start(device, streams=["left"])
    device.reset_device_changed()
    numbers: list[int] = []
    while len(numbers) < 6:
        packets = pipeline.get_available_data_packets(blocking=True)
        numbers += [packet.getMetadata().getSequenceNum() for packet in packets]  # type: ignore[union-attr]
    assert numbers[4] <= numbers[0]
    assert device.is_device_changed()
    device._close()


@pytest.mark.parametrize("streams", [[], ["jpegout"]])
def test_watchdog_ignores_a_pipeline_without_periodic_streams(
    monkeypatch: pytest.MonkeyPatch, device: depthai.Device, streams: list[str]
) -> None:
    monkeypatch.setattr(device_pipeline, "WATCHDOG_S", 0.1)
    pipeline = start(device, streams=streams)
    device.reset_device_changed()
    time.sleep(0.8)  # three checks of the watchdog
    assert not device.is_device_changed()
    assert device.get_pipeline() is pipeline


def test_device_that_cannot_be_reopened_ends_the_pipeline(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(session, "_ATTEMPTS", 2)
    device = depthai.Device("virtual:pattern?fault=unplug:left:3", False)
    pipeline = start(device, streams=["left"])
    device._session.device.selector = "unix:/nobody/here"  # type: ignore[union-attr]
    until(lambda: "is gone" in caplog.text)
    assert pipeline.get_available_data_packets(True) == []
    with pytest.raises(RuntimeError):
        device.get_pipeline()
    device._close()
