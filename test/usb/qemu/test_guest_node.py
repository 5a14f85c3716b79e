"""The whole node in the guest: rclpy, Fast DDS, and a board that is replugged."""

from __future__ import annotations

import sys

from guest import HERE
from guest_bench import FIGURES, GuestBench
from usb_rig import PORT

#: Starting Python with ROS 2 twice is slow in the emulation.
STARTS_WITHIN_S = 110.0

COLOR_OFF = "\x1b[0m"


def test_node_publishes_bit_exact_images_and_survives_a_replug(bench: GuestBench) -> None:
    rig = bench.rig({})
    program = bench.program(sys.executable, str(HERE / "node_program.py"), str(bench.firmware))
    program.begin("images", count=20)
    assert bench.guest.wait_for_output(lambda: bool(program.process.lines), STARTS_WITHIN_S)
    started = program.answer()
    assert started["wrong"] == 0
    assert min(started["counts"].values()) > 5, bench.guest.console_tail()
    pid = program.good("node")["pid"]
    rig.tell(f"{PORT} replug")
    program.good("pause")
    again = program.good("images", count=10)
    assert again["wrong"] == 0
    assert sum(again["counts"].values()) >= sum(started["counts"].values()) + 10
    node = program.good("node")
    assert (node["pid"], node["status"]) == (pid, None)
    (line,) = [line for line in bench.guest.console_tail().splitlines() if "is back" in line]
    FIGURES.append(f"replug: {line.partition('[oak]: ')[2].removesuffix(COLOR_OFF)}")
    assert program.good("close")["status"] == 0
