#!/usr/bin/env python3
"""Every stream at full rate through the Gen1 API, each as an array: lost frames, and CPU time.

A frame is lost if its sequence number is missing between the first and the last of its stream;
`ours` of these were dropped by the host's queue, the others never left the device.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from results import Comparison, arguments, publish_rows

from depthai_ros import _core, depthai

DURATION_S = 10.0
MODELS = Path(__file__).resolve().parents[1] / "config/models"
#: All streams that are sent without a request and are numbered.
STREAMS = (
    *("left", "right", "rectified_left", "rectified_right", "depth", "disparity"),
    *("disparity_color", "color", "video", "previewout", "metaout", "object_tracker"),
)
CONFIG = {
    "streams": list(STREAMS),
    "ai": {
        "blob_file": str(MODELS / "virtual_ssd.blob"),
        "blob_file_config": str(MODELS / "mobilenet_ssd.json"),
    },
}


def read(packet: Any) -> int:
    """Read the contents as a program would; returns the number of bytes."""
    if isinstance(packet, depthai.NNetPacket):
        return len([found.get_dict() for found in packet.getDetectedObjects()])
    return int(packet.getData().nbytes)


def collect(pipeline: depthai.CNNPipeline) -> dict[str, dict[str, Any]]:
    """By stream: sequence numbers, bytes, time for reading."""
    found: dict[str, dict[str, Any]] = {
        name: {"numbers": [], "bytes": 0, "read_s": 0.0} for name in STREAMS
    }
    end_s = time.monotonic() + DURATION_S
    while time.monotonic() < end_s:
        results, packets = pipeline.get_available_nnet_and_data_packets(blocking=True)
        for packet in (*results, *packets):
            name = getattr(packet, "stream_name", "metaout")
            start_s = time.perf_counter()
            found[name]["bytes"] += read(packet)
            found[name]["read_s"] += time.perf_counter() - start_s
            found[name]["numbers"].append(packet.getMetadata().getSequenceNum())
    return found


def copy_s(size: int) -> float:
    """Time for a plain copy of the same number of bytes into new memory."""
    source = np.ones(max(size, 1), np.uint8)
    start_s = time.perf_counter()
    for _ in range(20):
        source.copy()
    return (time.perf_counter() - start_s) / 20


def main() -> None:
    """Measure and print."""
    output = arguments(__doc__).json
    os.environ.setdefault("DEPTHAI_DEVICE", "virtual")
    _core.keep_large_buffers()
    device = depthai.Device()
    pipeline = device.create_pipeline(CONFIG)
    assert pipeline is not None
    used_s = time.process_time()
    found = collect(pipeline)
    used_s = time.process_time() - used_s
    dropped = pipeline._feed.dropped()
    rows = []
    for name, stream in found.items():
        numbers = stream["numbers"]
        sent = max(numbers) - min(numbers) + 1
        each_s = stream["read_s"] / len(numbers)
        further = {
            "dropped_by_host": dropped.get(name, 0),
            "read_ms": round(each_s * 1e3, 3),
            "copy_ms": round(copy_s(stream["bytes"] // len(numbers)) * 1e3, 3),
        }
        counts = ([len(numbers)], [sent])
        rows.append(
            Comparison(name, *counts, "sent", "frames", more_is_better=True, further=further)
        )
    publish_rows("gen1_api", rows, output)
    print(f"CPU of the program: {used_s / DURATION_S:.0%} of one core")
    frames = sum(len(stream["numbers"]) for stream in found.values())
    megabytes_s = sum(stream["bytes"] for stream in found.values()) / DURATION_S / 1e6
    print(
        f"getData() on {len(found)} streams at full rate: {frames} frames, {megabytes_s:.0f} MB/s; "
        f"{sum(dropped.values())} lost by the host"
    )


if __name__ == "__main__":
    main()
