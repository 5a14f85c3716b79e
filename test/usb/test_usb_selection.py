"""Which tests a run has: all of them on the emulated bus, fewer in the guest."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from qemu.guest_selection import ALWAYS, LEFT_OUT
from usb_rig import ROOT


def collect(*words: str, **variables: str) -> str:
    """What pytest says that it would run."""
    kept = {name: text for name, text in os.environ.items() if name != "PYTEST_ADDOPTS"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *words],
        cwd=ROOT,
        env={**kept, **variables},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_no_test_is_left_out_outside_the_guest() -> None:
    assert re.search(r"^\d+ tests collected", collect(), re.MULTILINE)  # none is deselected


def test_every_name_in_the_lists_of_the_guest_is_one_of_the_shared_tests() -> None:
    shared = collect("test/usb/test_usb_sessions.py", DEPTHAI_ROS_USB_RIG="qemu").splitlines()
    names = {line.partition("::")[2] for line in shared}
    assert ALWAYS.keys() <= names
    assert [case for case in LEFT_OUT if not any(f"{case}]" in name for name in names)] == []


def test_guest_has_its_faults_the_node_and_the_sessions_that_it_always_runs() -> None:
    short, full = (
        collect("test/usb/qemu", DEPTHAI_ROS_USB_RIG="qemu", DEPTHAI_ROS_TEST_CYCLES=cycles)
        for cycles in ("25", "100")
    )
    found = [line.rpartition("/")[2].partition("::") for line in short.splitlines()]
    files = {file for file, _, name in found if name}
    assert files == {"test_guest_faults.py", "test_guest_node.py", "test_guest_sessions.py"}
    assert {name for file, _, name in found if file == "test_guest_sessions.py"} == ALWAYS.keys()
    assert (
        "test_guest_sessions.py::test_error_has_the_reason_why_a_board_does_not_open[another MX id]"
        in full
    )
