"""Installs the rule that lets every user open a board: `sudo depthai-udev`."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from ..config import resolve_path
from ..device.usb_sysfs import VENDOR
from ..errors import DepthaiError

RULE = "package://depthai_ros/config/80-depthai.rules"
FOLDER = Path("/etc/udev/rules.d")
#: So that it counts at once, for what is plugged in, too.
RELOAD = (
    ("udevadm", "control", "--reload"),
    ("udevadm", "trigger", "--subsystem-match=usb", f"--attr-match=idVendor={VENDOR}"),
)


def install(folder: Path) -> Path:
    """Copy the rule; returns where it is now. Raises OSError, ConfigError."""
    source = resolve_path(RULE)
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(source, folder / source.name))


def _reload() -> list[str]:
    """Let udev read it; the commands that did not work."""
    return [
        " ".join(command)
        for command in RELOAD
        if not shutil.which(command[0]) or subprocess.run(command, check=False).returncode
    ]


def main(words: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="depthai-udev", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"instead of {FOLDER}")
    folder = parser.parse_args(words).folder
    try:
        print(f"installed {install(folder)}")
    except (OSError, DepthaiError) as cause:
        print(f"depthai-udev: {cause}", file=sys.stderr)
        if isinstance(cause, PermissionError):
            print("depthai-udev: run it with sudo", file=sys.stderr)
        return 1
    for command in _reload() if folder == FOLDER else ():
        print(f"not done: {command}; plug the board in again, or restart", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
