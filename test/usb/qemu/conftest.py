"""Runs the USB tests in a QEMU guest instead of on the emulated bus; `make test-usb` runs them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from guest import HERE, LIBRARIES, UNPACKED, Guest, missing
from guest_bench import FIGURES, GuestBench
from guest_selection import is_left_out
from usb_rig import IN_GUEST, ROOT, FarEnd, compile_if_older

if not IN_GUEST:
    collect_ignore_glob = ["test_*.py"]

#: Sources shared by both rigs; the other sources in the folder above are for umockdev.
SHARED_SOURCES = ("board.cpp", "life.cpp", "place.cpp")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave single cases out, of this folder only: the hook is given the items of the whole run."""
    here = [item for item in items if item.path.is_relative_to(HERE)]
    out = [item for item in here if is_left_out(item.path.name, item.name)]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report why the tests did not run, or their measurements."""
    if not IN_GUEST:
        terminalreporter.write_line("test/usb/qemu is not run; `make test-usb` runs it")
    elif why := missing():
        terminalreporter.write_line(f"NOT RUN: test/usb/qemu, {why}", red=True)
    elif FIGURES:
        terminalreporter.section("in the guest")
        terminalreporter.write_line("\n".join(FIGURES))


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Report the duration of each test."""
    if report.when != "call" or not report.passed:
        return None
    return "passed", ".", f"PASSED in {report.duration:.1f} s"


@pytest.fixture(scope="session")
def peer_program() -> Path:
    """The program that emulates the boards, rebuilt if it is older than its sources."""
    if why := missing():
        pytest.skip(why)
    folder = Path(os.environ.get("DEPTHAI_ROS_BUILD") or ROOT / "build") / "usb_rig"
    folder.mkdir(parents=True, exist_ok=True)
    sources = [*sorted(HERE.glob("*.cpp")), *(HERE.parent / name for name in SHARED_SOURCES)]
    paths = [f"-L{folder}" for folder in LIBRARIES]
    headers = ["-isystem", str(UNPACKED / "usr/include")]
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        program = folder / "usbredir_peer"
        compile_if_older(program, sources, *headers, *paths, "-lusbredirparser")
    return program


@pytest.fixture(scope="session")
def guest(peer_program: Path) -> Iterator[Guest]:
    """One guest for all tests."""
    made = Guest(peer_program)
    yield made
    made.close()


@pytest.fixture
def bench(guest: Guest, far_end: FarEnd, tmp_path: Path) -> Iterator[GuestBench]:
    made = GuestBench(guest, far_end, tmp_path)
    yield made
    made.close()
