"""Installs the udev rule that lets every user open a board: `sudo depthai-udev`."""

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
#: Activate the rule at once, also for boards that are already connected.
RELOAD = (
    ("udevadm", "control", "--reload"),
    ("udevadm", "trigger", "--subsystem-match=usb", f"--attr-match=idVendor={VENDOR}"),
)


def install(folder: Path) -> Path:
    """Copy the rule; returns its new path. Raises OSError, ConfigError."""
    source = resolve_path(RULE)
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(source, folder / source.name))


def _reload() -> list[str]:
    """Make udev read the rule; returns the commands that failed."""
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
        print(f"failed: {command}; plug the board in again, or reboot", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
