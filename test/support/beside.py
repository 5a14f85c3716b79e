"""Waits for the commands that `.ci/run` runs beside the tests, and prints their output at once."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

#: Longer than the commands can take by themselves.
DEADLINE_S = 1500.0


class Beside:
    """A folder with the output of each command and, once all have ended, who failed or 0."""

    def __init__(self) -> None:
        folder = os.environ.pop("DEPTHAI_ROS_BESIDE", "")  # not for test runs that tests start
        self._folder = Path(folder) if folder else None

    def pytest_sessionfinish(self) -> None:
        """Wait before the summary is printed."""
        end_s = time.monotonic() + DEADLINE_S
        while self._folder and not self._status() and time.monotonic() < end_s:
            time.sleep(0.1)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the outputs, and a red line if a command failed."""
        for output in [] if self._folder is None else sorted(self._folder.glob("make *")):
            terminalreporter.section(f"{output.name}, which ran beside this")
            terminalreporter.write(output.read_text(errors="replace"))
            output.unlink()
        if self._folder and (status := self._status()) != "0":
            told = f"FAILED beside pytest, see above: {status or 'no exit status'}"
            terminalreporter.write_line(told, red=True)

    def _status(self) -> str:
        """The text of the file; "" while a command runs."""
        file = self._folder / "status" if self._folder else None
        return file.read_text().strip() if file and file.exists() else ""
