"""depthai-doctor on the emulated bus."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from test_usb_sessions import NEEDS_SETPRIV, mortal
from usb_cases import MX_ID
from usb_rig import PORT, Bench


def examined(bench: Bench, *prefix: str, **board: Any) -> tuple[int, str]:
    """Exit status and output of `depthai-doctor` on a bus with that board."""
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


def test_doctor_reports_a_healthy_board_as_ok(bench: Bench) -> None:
    status, output = examined(bench)
    assert f"ok    boards: 03e7:2485 at 1:{PORT}, 480 Mbit/s, waits for firmware" in output
    assert "BAD   permission" not in output
    assert "BAD   USB" not in output
    assert "ok    firmware" in output
    assert status == ("BAD" in output)  # /sys/module is that of the machine and may have problems


@NEEDS_SETPRIV
def test_doctor_reports_a_board_without_permission(bench: Bench) -> None:
    status, output = examined(bench, *mortal(), refuse_open=1)
    assert status == 1
    assert "BAD   permission: /dev/bus/usb/001/" in output
    assert "mode 0000" in output
    assert "sudo depthai-udev" in output


def test_doctor_reports_the_process_that_uses_a_board(bench: Bench) -> None:
    rig = bench.rig({})
    holder = bench.driver(rig)
    holder.good("open", selector="usb", firmware=str(bench.firmware))
    words = [sys.executable, "-m", "depthai_ros.commands.doctor"]
    output = subprocess.run(
        words, env=rig.environment, capture_output=True, text=True, check=False
    ).stdout
    assert f"in use: 03e7:f63b at 2:{PORT}: process {holder.process.pid} (" in output
    assert "MX id " + MX_ID in output
    holder.good("start", streams=["left"])  # its session still works
    assert holder.good("frames", count=3)["wrong"] == 0
