"""Reads what the system knows of USB boards: /sys, /dev and /proc, or made-up ones below a root.

Nothing is opened, nothing is changed, no libusb: it also tells of boards that libusb cannot show.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

VENDOR, ROM, BOOTED = "03e7", "2485", "f63b"
#: bmAttributes of a configuration: it has a supply of its own. Source: USB 2.0, table 9-10
_SELF_POWERED = 0x40
#: What a hub calls itself. Source: USB 2.0, table 11-15 (bDeviceClass)
_HUB_CLASS = "09"


@dataclass(frozen=True, slots=True)
class UsbBoard:
    """A device of our vendor, as /sys has it."""

    folder: Path  # /sys/bus/usb/devices/1-1.3
    product: str  # "2485", "f63b"
    location: str  # BUS:PORT
    speed_mbit: float
    mx_id: str  # "" until it is booted
    node: Path  # /dev/bus/usb/001/004

    @property
    def is_rom(self) -> bool:
        """It waits for firmware."""
        return self.product == ROM

    @property
    def is_booted(self) -> bool:
        """It runs firmware."""
        return self.product == BOOTED

    def __str__(self) -> str:
        return f"{VENDOR}:{self.product} at {self.location}"


def _text(path: Path) -> str:
    """An attribute of /sys, "" if it is not there; a board may leave while it is looked at."""
    try:
        return path.read_text("utf-8", "replace").strip().strip("\0")
    except OSError:
        return ""


def _number(path: Path, base: int = 10) -> int:
    try:
        return int(_text(path), base)
    except ValueError:
        return 0


class UsbTree:
    """The USB part of a file system tree."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root
        self._devices = root / "sys/bus/usb/devices"

    def has_sysfs(self) -> bool:
        """False if the kernel has no USB, or hides it."""
        return self._devices.is_dir()

    def has_nodes(self) -> bool:
        """False if no device can be opened: a container without /dev/bus/usb."""
        return (self.root / "dev/bus/usb").is_dir()

    def is_container(self) -> bool:
        """True inside docker and podman."""
        return any((self.root / name).exists() for name in (".dockerenv", "run/.containerenv"))

    def boards(self) -> list[UsbBoard]:
        """Every device of our vendor."""
        if not self.has_sysfs():
            return []
        found = map(self._board, sorted(self._devices.iterdir()))
        return [board for board in found if board]

    def _board(self, folder: Path) -> UsbBoard | None:
        if _text(folder / "idVendor").lower() != VENDOR:
            return None
        product = _text(folder / "idProduct").lower()
        bus, number = _number(folder / "busnum"), _number(folder / "devnum")
        speed = _text(folder / "speed")
        return UsbBoard(
            folder=folder,
            product=product,
            location=f"{bus}:{folder.name.partition('-')[2]}",
            speed_mbit=float(speed) if speed.replace(".", "", 1).isdigit() else 0.0,
            mx_id=_text(folder / "serial") if product == BOOTED else "",
            node=self.root / f"dev/bus/usb/{bus:03}/{number:03}",
        )

    def has_usb3_port(self, board: UsbBoard) -> bool | None:
        """True if the port has a USB 3 half, None if the kernel does not tell."""
        port = board.folder / "port"
        return (port / "peer").exists() if port.exists() else None

    def over_currents(self, board: UsbBoard) -> int:
        """How often the port had to be switched off since the system started."""
        return _number(board.folder / "port/over_current_count")

    def unpowered_hubs(self, board: UsbBoard) -> list[str]:
        """Hubs between the board and the computer that live on the computer's current."""
        bus, _, ports = board.folder.name.partition("-")
        steps = ports.split(".")
        names = [f"{bus}-{'.'.join(steps[:length])}" for length in range(1, len(steps))]
        return [name for name in names if self._is_unpowered_hub(self._devices / name)]

    def _is_unpowered_hub(self, folder: Path) -> bool:
        attributes = _number(folder / "bmAttributes", 16)
        is_hub = _text(folder / "bDeviceClass") == _HUB_CLASS
        return is_hub and attributes != 0 and not attributes & _SELF_POWERED

    def memory_mb(self) -> int | None:
        """How much memory the kernel lets transfers have; 0 = no limit, None = not known."""
        path = self.root / "sys/module/usbcore/parameters/usbfs_memory_mb"
        return _number(path) if path.exists() else None

    def rules(self) -> list[Path]:
        """The files with rules for devices of our vendor."""
        folders = [self.root / name for name in ("etc", "run", "usr/lib", "lib")]
        files = [path for folder in folders for path in folder.glob("udev/rules.d/*.rules")]
        return [path for path in files if VENDOR in _text(path).lower()]

    def users(self, node: Path) -> Iterator[str]:
        """Every process that has the node open, as "process 1234 (name)", but for this one."""
        try:
            wanted = node.stat()
        except OSError:
            return
        for process in (self.root / "proc").glob("[0-9]*"):
            if process.name != str(os.getpid()) and _has_open(process, wanted):
                yield f"process {process.name} ({_text(process / 'comm') or '?'})"


def _has_open(process: Path, wanted: os.stat_result) -> bool:
    try:
        files = list((process / "fd").iterdir())
    except OSError:  # somebody else's, or it has just ended
        return False
    for path in files:
        try:
            found = path.stat()
        except OSError:
            continue
        if (found.st_dev, found.st_ino, found.st_rdev) == (
            wanted.st_dev,
            wanted.st_ino,
            wanted.st_rdev,
        ):
            return True
    return False
