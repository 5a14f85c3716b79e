#!/usr/bin/env python3
"""Packets from an emulated USB board through the transport, and through bare libusb loops.

The board of test/usb floods an emulated bus (umockdev); bench/usb_throughput.cpp reads it both ways
in turns. The cost of the emulation is the same for both.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from results import Comparison, arguments, publish_rows

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test/support"))
from usb_rig import PORT, Rig, built_rig, missing

#: Bytes of a packet, packets of one measurement: metadata, left, color.
CASES = ((3_660, 1_000), (921_656, 60), (3_110_456, 20))


def measured(program: Path, size: int, packets: int, folder: Path) -> list[dict[str, Any]]:
    """The rows of one packet size."""
    board = {"port": PORT, "state": "booted", "socket": "", "flood": size}
    rig = Rig(built_rig(), [board])
    try:
        output = folder / f"{size}.json"
        words = [str(program), str(size), str(packets), "--json", str(output)]
        subprocess.run(words, env=rig.environment, check=True)
    finally:
        rig.close()
    rows: list[dict[str, Any]] = json.loads(output.read_text())["usb_throughput"]
    return rows


def main() -> None:
    """Measure and print."""
    output = arguments(__doc__).json
    if why := missing():
        sys.exit(f"usb_throughput: {why}")
    program = Path(os.environ["DEPTHAI_ROS_BUILD"], "depthai_ros", "usb_throughput")
    with tempfile.TemporaryDirectory(prefix="depthai_ros-bench-") as folder:
        rows = [
            Comparison(**row)
            for size, packets in CASES
            for row in measured(program, size, packets, Path(folder))
        ]
    publish_rows("usb_throughput", rows, output)


if __name__ == "__main__":
    main()
