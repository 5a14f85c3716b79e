"""Which tests a run has: all of them on the emulated bus, fewer in the guest."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from qemu.guest_selection import LEFT_OUT
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


def test_every_case_that_the_guest_leaves_out_is_one_of_the_shared_tests() -> None:
    shared = collect("test/usb/test_usb_sessions.py", DEPTHAI_ROS_USB_RIG="qemu").splitlines()
    assert [case for case in LEFT_OUT if not any(f"{case}]" in name for name in shared)] == []
