"""Shared parts of the Gen1 tests: pipelines, and waiting for packets."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from depthai_ros import depthai

MODELS = Path(__file__).resolve().parents[2] / "config/models"
BLOB = str(MODELS / "virtual_ssd.blob")
DETECTION = {"blob_file": BLOB, "blob_file_config": str(MODELS / "mobilenet_ssd.json")}
DEADLINE_S = 15.0


def until(condition: Callable[[], Any], what: str = "") -> Any:
    """Wait until the condition is true; returns its value."""
    end_s = time.monotonic() + DEADLINE_S
    while not (result := condition()):
        assert time.monotonic() < end_s, what
        time.sleep(0.005)
    return result


def packets_of(pipeline: depthai.CNNPipeline, *names: str) -> dict[str, depthai.DataPacket]:
    """Wait for each of these streams; returns the newest packet of each stream."""
    found: dict[str, Any] = {}

    def complete() -> bool:
        results, packets = pipeline.get_available_nnet_and_data_packets()
        found.update({packet.stream_name: packet for packet in packets})
        found.update(dict.fromkeys(["metaout"], results[-1]) if results else {})
        return set(names) <= set(found)

    until(complete, f"{sorted(found)} of {names}")
    return found


def start(device: depthai.Device, **config: Any) -> depthai.CNNPipeline:
    pipeline = device.create_pipeline(config)
    assert pipeline is not None
    return pipeline


def logs_of(pipeline: depthai.CNNPipeline, *expected: str) -> None:
    """Wait until the device has logged all of these texts."""
    lines: list[str] = []

    def complete() -> bool:
        for packet in pipeline.get_available_data_packets():
            if packet.stream_name == "meta_d2h":
                lines.extend(json.loads(packet.getDataAsStr()).get("logs", []))
        return all(any(words in line for line in lines) for words in expected)

    until(complete, f"{lines}")
