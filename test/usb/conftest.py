"""Fixtures of the USB rig; where the rig cannot run, its tests are skipped with a red line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from official_host import SERIES, official_python  # noqa: F401
from usb_rig import Bench, FarEnd, built_rig, missing


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report tests that could not run, and figures."""
    if why := missing():
        terminalreporter.write_line(f"NOT RUN: test/usb, {why}", red=True)
    for line in SERIES.lines():
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def rig_program() -> Path:
    """The rig, rebuilt if older than its sources; the preload library is beside it."""
    if why := missing():
        pytest.skip(why)
    return built_rig()


@pytest.fixture(scope="session")
def far_end() -> Iterator[FarEnd]:
    """The device's side of the session for each booted board."""
    device = FarEnd("pattern")
    yield device
    device.close()


@pytest.fixture
def bench(rig_program: Path, far_end: FarEnd, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(rig_program, far_end, tmp_path)
    yield made
    made.close()
