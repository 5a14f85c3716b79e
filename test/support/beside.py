"""What runs beside a test run, in `.ci/run`: waited for at the end, and shown as one block."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

#: As long as it may take by itself, and then some.
DEADLINE_S = 1500.0


class Beside:
    """Its folder: the output in a file of its name, the exit status as soon as there is one."""

    def __init__(self) -> None:
        folder = os.environ.pop("DEPTHAI_ROS_BESIDE", "")  # not for the runs that tests start
        self._folder = Path(folder) if folder else None

    def pytest_sessionfinish(self) -> None:
        """Before the summary, which shall show it."""
        end_s = time.monotonic() + DEADLINE_S
        while self._folder and not self._status() and time.monotonic() < end_s:
            time.sleep(0.1)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the output, and say again at the end if it failed."""
        for output in [] if self._folder is None else sorted(self._folder.glob("make *")):
            terminalreporter.section(f"{output.name}, which ran beside this")
            terminalreporter.write(output.read_text(errors="replace"))
            output.unlink()
            if (status := self._status()) != "0":
                told = f"FAILED beside pytest, see above: {output.name}, status {status or 'none'}"
                terminalreporter.write_line(told, red=True)

    def _status(self) -> str:
        """As text; "" while it runs."""
        file = self._folder / "status" if self._folder else None
        return file.read_text().strip() if file and file.exists() else ""
