"""Limits of time and size follow the configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from depthai_ros.config import read_network_config, validate
from depthai_ros.config.settings import wire_streams
from depthai_ros.device.device import OpenDevice
from depthai_ros.device.pipeline import WATCHDOG_S, watchdog_s
from depthai_ros.errors import ConfigError
from depthai_ros.rates import longest_silence_s

#: settings -> the watchdog, s
WATCHDOGS: list[tuple[dict[str, Any], float]] = [
    ({"stream_list": ["left"]}, WATCHDOG_S),
    ({"stream_list": ["left"], "camera.mono.fps": 0.1}, 30.0),
    ({"stream_list": ["left"], "camera.mono.fps": 0.5}, 6.0),
    ({"stream_list": ["left"], "stream.left.max_fps": 0.05}, 60.0),
    ({"stream_list": ["left", "color"], "camera.mono.fps": 0.1}, WATCHDOG_S),
    ({"stream_list": ["left", "meta_d2h"], "camera.mono.fps": 0.1}, WATCHDOG_S),
    ({"stream_list": ["meta_d2h"], "stream.meta_d2h.max_fps": 0.1}, 30.0),
    ({"stream_list": ["jpegout"]}, WATCHDOG_S),
]


@pytest.mark.parametrize(("values", "expected_s"), WATCHDOGS)
def test_watchdog_is_a_multiple_of_the_configured_rate(
    values: dict[str, Any], expected_s: float
) -> None:
    settings = validate(values)
    assert watchdog_s(settings, wire_streams(settings)) == pytest.approx(expected_s)


def test_watchdog_looks_at_open_streams_only() -> None:
    settings = validate({"stream_list": ["left", "color"], "camera.mono.fps": 0.1})
    assert watchdog_s(settings, ["left"]) == pytest.approx(30.0)


@pytest.mark.parametrize("rates_hz", [(), (0.0,), (-1.0,), (1e300,)])
def test_streams_without_a_rate_have_the_least_limit(rates_hz: tuple[float, ...]) -> None:
    assert longest_silence_s(3.0, *rates_hz) == 3.0


def blob(folder: Path, height: int, width: int) -> str:
    path = folder / "network.blob"
    outputs = [{"name": "out", "type": "float16", "dimensions": [1, 2, height, width]}]
    path.write_text(json.dumps({"input": [3, height, width], "outputs": outputs}))
    return str(path)


def test_windows_follow_the_size_of_the_network(tmp_path: Path) -> None:
    values = {"stream_list": ["previewout", "metaout"], "ai.blob_file": blob(tmp_path, 1280, 1280)}
    device = OpenDevice.open("virtual:pattern")
    try:
        pipeline = device.start_pipeline(validate(values))
        sizes: dict[str, int] = {}
        while len(sizes) < 2:
            assert pipeline.wait(10.0)
            sizes |= {frame.stream: len(frame.data) for frame in pipeline.frames()}
            assert pipeline.rejected() == {}
    finally:
        device.close()
    assert sizes == {"previewout": 3 * 1280 * 1280, "metaout": 2 * 2 * 1280 * 1280}


def test_network_that_no_window_fits_is_refused_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("depthai_ros.device.device.NETWORK_PACKET_BYTES", 2 << 20)
    values = {"stream_list": ["previewout", "left"], "ai.blob_file": blob(tmp_path, 1024, 1024)}
    device = OpenDevice.open("virtual:pattern")
    try:
        with pytest.raises(
            ConfigError, match=r"3145784 bytes on stream previewout, at most 2097152"
        ):
            device.start_pipeline(validate(values))
    finally:
        device.close()


def test_selector_of_a_virtual_device_needs_no_scene() -> None:
    device = OpenDevice.open("virtual?eeprom=3")
    assert device.eeprom["version"] == 3
    device.close()
    with pytest.raises(ConfigError, match="has no option 'x'"):
        OpenDevice.open("virtual?x=3")


def test_blob_configuration_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "network.json"
    path.write_bytes(b"\xef\xbb\xbf" + b'{"mappings": {"labels": ["cat"]}}')
    assert read_network_config(str(path)).labels == ("cat",)
