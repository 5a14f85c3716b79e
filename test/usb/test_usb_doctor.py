"""depthai-doctor on the emulated bus."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from test_usb_sessions import NEEDS_SETPRIV, mortal
from usb_cases import MX_ID
from usb_rig import PORT, Bench


def examined(bench: Bench, *prefix: str, **board: Any) -> tuple[int, str]:
    """The output of `depthai-doctor` on a bus with that board, and its exit status."""
    words = [
        *prefix,
        sys.executable,
        "-m",
        "depthai_ros.commands.doctor",
        "--firmware",
        str(bench.firmware),
    ]
    done = subprocess.run(
        words, env=bench.rig(board).environment, capture_output=True, text=True, check=False
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def test_doctor_reports_no_problem_with_a_healthy_board(bench: Bench) -> None:
    status, told = examined(bench)
    assert f"ok    boards: 03e7:2485 at 1:{PORT}, 480 Mbit/s, waits for firmware" in told
    assert "BAD   permission" not in told
    assert "BAD   USB" not in told
    assert "ok    firmware" in told
    assert status == ("BAD" in told)  # the rig uses the machine's own /sys/module


@NEEDS_SETPRIV
def test_doctor_reports_a_board_that_may_not_be_opened(bench: Bench) -> None:
    status, told = examined(bench, *mortal(), refuse_open=1)
    assert status == 1
    assert "BAD   permission: /dev/bus/usb/001/" in told
    assert "mode 0000" in told
    assert "sudo depthai-udev" in told


def test_doctor_names_the_program_that_has_a_board(bench: Bench) -> None:
    rig = bench.rig({})
    holder = bench.driver(rig)
    holder.good("open", selector="usb", firmware=str(bench.firmware))
    words = [sys.executable, "-m", "depthai_ros.commands.doctor"]
    told = subprocess.run(
        words, env=rig.environment, capture_output=True, text=True, check=False
    ).stdout
    assert f"in use: 03e7:f63b at 2:{PORT}: process {holder.process.pid} (" in told
    assert "MX id " + MX_ID in told
    holder.good("start", streams=["left"])  # and it was not disturbed
    assert holder.good("frames", count=3)["wrong"] == 0
