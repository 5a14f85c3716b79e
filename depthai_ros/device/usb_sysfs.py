"""Reads information on USB boards from /sys, /dev and /proc, or from a test tree below a root.

It changes nothing and needs no libusb: it also finds boards that libusb hides. It opens a device's
file only to learn whether it may.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..bounded import clean_text
from . import device_lock, processes
from .device_lock import usb_place
from .processes import RunningProcess

VENDOR, ROM, BOOTED = "03e7", "2485", "f63b"
#: bmAttributes of a configuration: self-powered. Source: USB 2.0, table 9-10
_SELF_POWERED = 0x40
#: bDeviceClass of a hub. Source: USB 2.0, table 11-15
_HUB_CLASS = "09"


@dataclass(frozen=True, slots=True)
class UsbBoard:
    """A device of this vendor, as /sys describes it."""

    folder: Path  # /sys/bus/usb/devices/1-1.3
    product: str  # "2485", "f63b"
    location: str  # BUS:PORT
    speed_mbit: float
    mx_id: str  # "" until it is booted
    node: Path  # /dev/bus/usb/001/004

    @property
    def port(self) -> str:
        """The kernel's name of the port: 1-1.3"""
        return self.location.replace(":", "-")

    @property
    def port_path(self) -> str:
        """The port without the number of its bus: 1.3"""
        return self.location.partition(":")[2]

    @property
    def is_rom(self) -> bool:
        """True if it waits for firmware."""
        return self.product == ROM

    @property
    def is_booted(self) -> bool:
        """True if it runs firmware."""
        return self.product == BOOTED

    def __str__(self) -> str:
        return f"{VENDOR}:{self.product} at {self.location}"


def _text(path: Path) -> str:
    """An attribute of /sys, "" if it is missing; a board may disappear at any time."""
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
        self._proc = root / "proc"

    def has_sysfs(self) -> bool:
        """False if /sys shows no USB: no USB support in the kernel, or a container."""
        return self._devices.is_dir()

    def has_nodes(self) -> bool:
        """False if there are no device nodes: a container without /dev/bus/usb."""
        return (self.root / "dev/bus/usb").is_dir()

    def is_container(self) -> bool:
        """True inside docker and podman."""
        return any((self.root / name).exists() for name in (".dockerenv", "run/.containerenv"))

    def boards(self) -> list[UsbBoard]:
        """Every device of this vendor."""
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
            mx_id=clean_text(_text(folder / "serial")) if product == BOOTED else "",
            node=self.root / f"dev/bus/usb/{bus:03}/{number:03}",
        )

    def has_usb3_port(self, board: UsbBoard) -> bool | None:
        """True if the port supports USB 3, None if the kernel does not say."""
        port = board.folder / "port"
        return (port / "peer").exists() if port.exists() else None

    def over_currents(self, board: UsbBoard) -> int:
        """How often the port was switched off for over-current since the system started."""
        return _number(board.folder / "port/over_current_count")

    def unpowered_hubs(self, board: UsbBoard) -> list[str]:
        """Bus-powered hubs between the board and the computer."""
        bus, _, ports = board.folder.name.partition("-")
        steps = ports.split(".")
        names = [f"{bus}-{'.'.join(steps[:length])}" for length in range(1, len(steps))]
        return [name for name in names if self._is_unpowered_hub(self._devices / name)]

    def _is_unpowered_hub(self, folder: Path) -> bool:
        attributes = _number(folder / "bmAttributes", 16)
        is_hub = _text(folder / "bDeviceClass") == _HUB_CLASS
        return is_hub and attributes != 0 and not attributes & _SELF_POWERED

    def memory_mb(self) -> int | None:
        """The kernel's limit of USB transfer memory, MB; 0 = no limit, None = not known."""
        path = self.root / "sys/module/usbcore/parameters/usbfs_memory_mb"
        return _number(path) if path.exists() else None

    def rules(self) -> list[Path]:
        """The udev rule files that name this vendor."""
        folders = [self.root / name for name in ("etc", "run", "usr/lib", "lib")]
        files = [path for folder in folders for path in folder.glob("udev/rules.d/*.rules")]
        return [path for path in files if VENDOR in _text(path).lower()]

    def refusal(self, board: UsbBoard) -> OSError | None:
        """Why the board's file cannot be opened, None if it can."""
        try:
            os.close(os.open(board.node, os.O_RDWR | os.O_CLOEXEC))
        except OSError as cause:
            return cause
        return None

    def users(self, board: UsbBoard) -> list[RunningProcess]:
        """The other processes that have locked the board or have its file open."""
        locker = device_lock.holder(usb_place(board.location))
        found = {locker.number: locker} if locker else {}
        for number in self._openers(board.node):
            if number not in found:
                found[number] = processes.describe(number, self._proc)
        found.pop(os.getpid(), None)
        return list(found.values())

    def _openers(self, node: Path) -> Iterator[int]:
        """Numbers of the processes that have a file open."""
        try:
            wanted = node.stat()
        except OSError:  # its board has just been unplugged
            return
        for number in processes.numbers(self._proc):
            if _has_open(self._proc / str(number), wanted):
                yield number

    def hides_users(self) -> bool:
        """True if this user cannot see the open files of each process."""
        seen = [self._proc / str(number) for number in processes.numbers(self._proc)]
        hidden = (one for one in seen if not os.access(one / "fd", os.R_OK) and one.exists())
        return self._proc / "1" not in seen or any(hidden)


def _has_open(process: Path, wanted: os.stat_result) -> bool:
    try:
        files = list((process / "fd").iterdir())
    except OSError:  # another user's, or it has just ended
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
