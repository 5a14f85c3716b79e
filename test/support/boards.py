"""A virtual board that a test can plug in and unplug."""

from __future__ import annotations

import sys
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen


class Board:
    """A listening virtual device; `unplug` kills its process."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "device"
        self._process: Popen[str] | None = None

    @property
    def selector(self) -> str:
        return f"unix:{self._path}"

    @property
    def pid(self) -> int:
        """The process of the device that is plugged in."""
        assert self._process is not None
        return self._process.pid

    def plug(self, description: str = "pattern") -> None:
        command = [sys.executable, "-m", "depthai_ros.virtual", "--listen", self.selector]
        command += ["--device", description]
        process = self._process = Popen(
            command, stdout=PIPE, stdin=DEVNULL, text=True, start_new_session=True
        )
        assert process.stdout is not None
        assert "waits at" in process.stdout.readline()

    def unplug(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()
