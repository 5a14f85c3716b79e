"""Lists the devices and the programs that use them: `depthai-list`.

Boots and changes nothing. Exit status 1 if there is no device.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .. import __version__
from ..device.usb_sysfs import VENDOR, UsbBoard, UsbTree
from ..device.virtual_processes import virtual_devices

_EPILOG = """\
states:
  unbooted   a board that waits for firmware; its id is not known before it runs
  booted     a board that runs firmware
  no access  a board that this user may not open
  unknown    a device of this vendor that this driver does not know
  virtual    a virtual device (python -m depthai_ros.virtual)

--json prints a list of objects with port, id, state, speed (Mbit/s) and holder; null is what is not
known or not there. "usb:" and the port of an unbooted board select it (device.id).

Exit status: 0 = devices were found, 1 = none. `depthai-doctor` says why a board does not work.
"""
#: Mbit/s -> how people call it; other values are printed as they are.
_SPEEDS = {
    1.5: "1.5 Mbit/s (USB 1)",
    12: "12 Mbit/s (USB 1)",
    480: "480 Mbit/s (USB 2)",
    5000: "5 Gbit/s (USB 3)",
    10000: "10 Gbit/s (USB 3)",
    20000: "20 Gbit/s (USB 3)",
}
_COLUMNS = ("port", "id", "state", "speed", "device.id", "held by")


@dataclass(frozen=True, slots=True)
class ListedDevice:
    """One line of the list; "" and 0 are what is not known or not there."""

    port: str  # 1-2.3, the kernel's name; of a virtual device its address, or "virtual"
    id: str
    state: str
    speed_mbit: float
    selector: str
    holder: str

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return {
            "port": self.port,
            "id": self.id or None,
            "state": self.state,
            "speed": self.speed_mbit or None,
            "holder": self.holder or None,
        }

    def cells(self) -> tuple[str, ...]:
        """The texts of the table's columns."""
        speed = _SPEEDS.get(self.speed_mbit, f"{self.speed_mbit:g} Mbit/s")
        port = self.port if self.port != self.selector else ""  # a long address, once is enough
        texts = (port, self.id, self.state, speed if self.speed_mbit else "")
        return tuple(text or "-" for text in (*texts, self.selector, self.holder))


def _state(tree: UsbTree, board: UsbBoard) -> str:
    if not board.is_rom and not board.is_booted:
        return "unknown"
    if tree.refusal(board):
        return "no access"
    return "unbooted" if board.is_rom else "booted"


def usb_devices(tree: UsbTree) -> Iterator[ListedDevice]:
    """The boards on USB."""
    boards = tree.boards()
    # A booted board may be on another bus than before, so the bus is named only if it has to be.
    paths = Counter(board.port_path for board in boards)
    for board in boards:
        is_only = paths[board.port_path] == 1
        place = board.port_path if is_only else board.mx_id or board.port
        yield ListedDevice(
            port=board.port,
            id=board.mx_id,
            state=_state(tree, board),
            speed_mbit=board.speed_mbit,
            selector=f"usb:{place}",
            holder=", ".join(user.text(names_own_user=True) for user in tree.users(board)),
        )


def all_devices(tree: UsbTree) -> list[ListedDevice]:
    """The boards on USB, then the virtual devices that run."""
    return [
        *usb_devices(tree),
        *(
            ListedDevice(
                port=found.selector,
                id=found.mx_id,
                state="virtual",
                speed_mbit=0,
                selector="" if found.selector == "virtual" else found.selector,
                holder=found.user.text(names_own_user=True) if found.user else "",
            )
            for found in virtual_devices()
        ),
    ]


def notes(tree: UsbTree, devices: Sequence[ListedDevice]) -> Iterator[str]:
    """What the list cannot show, and what to do."""
    if not devices:
        yield (
            f"no device of vendor {VENDOR} on USB, and no virtual device runs; "
            "depthai-doctor says what is missing"
        )
    boards = [device for device in devices if device.state != "virtual"]
    if any(device.state in ("no access", "unknown") for device in boards):
        yield "depthai-doctor says why a board cannot be used, and what to do"
    if all(device.holder for device in boards):
        return
    if tree.is_container():
        yield "programs outside this container cannot be seen"
    elif tree.hides_users():
        yield (
            "this user cannot see which files programs of other users have open; of those, only "
            "programs with this driver are listed: sudo depthai-list shows all"
        )


def table(devices: Sequence[ListedDevice]) -> Iterator[str]:
    """The lines of the list."""
    rows = [_COLUMNS, *(device.cells() for device in devices)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(map(str.ljust, row, widths)).rstrip()


def main(words: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="depthai-list",
        description="List the devices and the programs that use them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print a list for programs")
    parser.add_argument("--version", action="version", version=__version__)
    arguments = parser.parse_args(words)
    tree = UsbTree()
    devices = all_devices(tree)
    if arguments.json:
        print(json.dumps([device.as_json() for device in devices], indent=2))
    elif devices:
        print(*table(devices), sep="\n")
    for note in notes(tree, devices):
        print(f"depthai-list: {note}", file=sys.stderr)
    return 0 if devices else 1


if __name__ == "__main__":
    sys.exit(main())
