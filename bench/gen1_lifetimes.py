#!/usr/bin/env python3
"""Open a device, stream 5 frames, close it, 200 times: the growth of threads, files, memory.

The first turns, in which libraries fill their caches, are not counted.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from results import Comparison, arguments, publish_rows

from depthai_ros import depthai

TURNS = 200
WARM_UP = 10
BLOB = str(Path(__file__).resolve().parents[1] / "config/models/virtual_ssd.blob")
CONFIG = {"streams": ["left", "metaout"], "ai": {"blob_file": BLOB}}


def once() -> None:
    """One life of a device."""
    device = depthai.Device()
    pipeline = device.create_pipeline(CONFIG)
    assert pipeline is not None
    frames = 0
    while frames < 5:
        results, packets = pipeline.get_available_nnet_and_data_packets(blocking=True)
        frames += len([packet.getData() for packet in packets])
        frames += len([result.get_tensor(0) for result in results])


def state() -> dict[str, int]:
    """Threads, open files, resident kilobytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "threads": threading.active_count(),
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "resident_kb": pages * os.sysconf("SC_PAGE_SIZE") // 1024,
    }


def main() -> None:
    """Measure and print."""
    output = arguments(__doc__).json
    os.environ.setdefault("DEPTHAI_DEVICE", "virtual:pattern")
    for _ in range(WARM_UP):
        once()
    before, start_s = state(), time.monotonic()
    for _ in range(TURNS):
        once()
    after, each_s = state(), (time.monotonic() - start_s) / TURNS
    rows = [
        Comparison(what, [after[what]], [value], "before", what) for what, value in before.items()
    ]
    publish_rows("gen1_lifetimes", rows, output)
    print(f"{each_s:.2f} s for each of {TURNS}")


if __name__ == "__main__":
    main()
