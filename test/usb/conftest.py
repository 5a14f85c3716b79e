"""The USB rig as fixtures; where it cannot run, its tests are skipped and the summary says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from official_host import SERIES, official_python  # noqa: F401
from usb_rig import Bench, FarEnd, built_rig, missing


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report why the tests did not run, and the sessions with the official host."""
    if why := missing():
        terminalreporter.write_line(f"NOT RUN: test/usb, {why}", red=True)
    for line in SERIES.lines():
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def rig_program() -> Path:
    """The program of the rig, rebuilt if it is older than its sources."""
    if why := missing():
        pytest.skip(why)
    return built_rig()


@pytest.fixture(scope="session")
def far_end() -> Iterator[FarEnd]:
    """The virtual device behind every booted board."""
    device = FarEnd("pattern")
    yield device
    device.close()


@pytest.fixture
def bench(rig_program: Path, far_end: FarEnd, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(rig_program, far_end, tmp_path)
    yield made
    made.close()
