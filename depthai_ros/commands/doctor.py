"""Finds the reasons why a USB board does not work, and names the cures: `depthai-doctor`.

Boots, resets and changes nothing. Exit status 1 if a problem prevents a board from working.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .. import __version__
from ..blob_header import read_blob_header
from ..config import read_blob
from ..device import firmware
from ..device.connect import read_firmware
from ..device.processes import user_name
from ..device.usb_sysfs import BOOTED, ROM, VENDOR, UsbBoard, UsbTree
from ..errors import ConfigError, DecodeError

#: Largest amount of data in flight per board, both directions. Source: src/usb_transport.cpp
BOARD_MB = 8
#: Mbit/s of a USB 3 link; anything slower cannot carry all streams.
USB3_MBIT = 5000
HIGH_SPEED_MBIT = 480
_MARKS = {"ok": "ok  ", "hint": "hint", "bad": "BAD "}
_CONTAINER = (
    "give the container the whole bus, because a booted board is a new device: docker run "
    "-v /dev/bus/usb:/dev/bus/usb --device-cgroup-rule='c 189:* rmw'"
)
_FIRMWARE = (
    "download the official wheel (docs/usb.md has the command), then "
    "`depthai-firmware extract WHEEL -o ~/depthai.cmd` and device.firmware:=~/depthai.cmd"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check. If `level` is not "ok", it has what was expected and what to do."""

    level: str  # "ok", "hint" (works with a restriction), "bad" (does not work)
    about: str
    found: str
    expected: str = ""
    cure: str = ""

    def lines(self) -> Iterator[str]:
        """The lines to print."""
        yield f"{_MARKS[self.level]}  {self.about}: {self.found}"
        if self.expected:
            yield f"      expected: {self.expected}"
        if self.cure:
            yield f"      do: {self.cure}"


@dataclass(frozen=True, slots=True)
class Patient:
    """The input of the checks."""

    tree: UsbTree
    boards: list[UsbBoard]
    firmware: str


def _check_bus(patient: Patient) -> Iterator[Finding]:
    tree = patient.tree
    if not tree.has_sysfs():
        yield Finding(
            "bad",
            "USB",
            "/sys/bus/usb/devices does not exist",
            "a kernel with USB support, and /sys mounted",
            "load usbcore and the host controller's module (xhci_hcd); give a virtual machine a "
            "USB controller",
        )
    elif not tree.has_nodes():
        cure = _CONTAINER if tree.is_container() else "mount /dev (devtmpfs), or start udev"
        yield Finding("bad", "USB", "/dev/bus/usb does not exist", "one file per device", cure)
    elif tree.is_container():
        yield Finding(
            "hint",
            "container",
            "this is a container",
            "boards that connect later are visible in it",
            _CONTAINER,
        )


def _check_boards(patient: Patient) -> Iterator[Finding]:
    if not patient.boards and patient.tree.has_sysfs():
        yield Finding(
            "bad",
            "boards",
            f"no device of vendor {VENDOR} is connected",
            f"{VENDOR}:{ROM} (waits for firmware) or {VENDOR}:{BOOTED} (booted)",
            "check power and cable (with data lines), try another port without a hub; in a virtual "
            "machine pass both products through",
        )
    for board in patient.boards:
        if board.is_rom:
            state = "waits for firmware"
        elif board.is_booted:
            state = f"runs firmware, MX id {board.mx_id or 'unknown'}"
        else:
            yield Finding(
                "hint",
                "boards",
                f"{board}: this driver does not know the product",
                f"{VENDOR}:{ROM} or {VENDOR}:{BOOTED}",
                "unplug it and plug it in again; Gen1 boards have no boot loader",
            )
            continue
        yield Finding("ok", "boards", f"{board}, {board.speed_mbit:g} Mbit/s, {state}")


def _refusal(tree: UsbTree, board: UsbBoard) -> tuple[str, str]:
    """Why the device file cannot be opened, and the cure; ("", "") if it can."""
    cause, node = tree.refusal(board), board.node
    if cause is None:
        return "", ""
    if not isinstance(cause, PermissionError):
        return f"{node}: {cause.strerror}", "plug the board in again; in a container: " + _CONTAINER
    if cause.errno != errno.EACCES and os.access(node, os.R_OK | os.W_OK):  # a device cgroup
        return f"{node}: {cause.strerror}", _CONTAINER
    try:
        status = node.stat()
        owner = f"belongs to {user_name(status.st_uid)}, mode {status.st_mode & 0o7777:04o}"
    except OSError:
        owner = "has an unknown owner"
    return (
        f"{node} {owner}, this is {user_name(os.geteuid())}",
        "sudo depthai-udev, then plug the board in again",
    )


def _check_permission(patient: Patient) -> Iterator[Finding]:
    rules = patient.tree.rules()
    for board in patient.boards:
        found, cure = _refusal(patient.tree, board)
        if found:
            yield Finding("bad", "permission", found, "this user may read and write it", cure)
        else:
            yield Finding("ok", "permission", f"{board.node} can be opened")
    if rules:
        yield Finding("ok", "udev rule", ", ".join(map(str, rules)))
    elif not patient.tree.is_container():  # the host's rules apply there
        yield Finding(
            "hint",
            "udev rule",
            f"no rule for vendor {VENDOR}",
            "80-depthai.rules, which lets every user open boards",
            "sudo depthai-udev",
        )


def _check_users(patient: Patient) -> Iterator[Finding]:
    for board in patient.boards:
        if users := patient.tree.users(board):
            yield Finding(
                "hint",
                "in use",
                f"{board}: {', '.join(map(str, users))}",
                "no program, if you want to start a node for this board",
                "end that program first, or select another board (device.id:=usb:BUS:PORT)",
            )
        elif board.is_booted:
            yield Finding(
                "hint",
                "in use",
                f"{board} runs firmware, but no visible program has it open",
                "a board that waits for firmware",
                "nothing: the node resets such a board first; if that fails, reconnect its cable",
            )


def _check_speed(patient: Patient) -> Iterator[Finding]:
    for board in patient.boards:
        has_usb3 = patient.tree.has_usb3_port(board)
        if board.is_booted and board.speed_mbit < USB3_MBIT:
            where = "a port without USB 3" if has_usb3 is False else "a port"
            yield Finding(
                "hint",
                "speed",
                f"{board}: {board.speed_mbit:g} Mbit/s, on {where}",
                f"{USB3_MBIT} Mbit/s",
                "use a USB 3 cable (blue, nine contacts, at most 2 m) directly in a USB 3 port; "
                "with firmware for USB 2 this speed is correct, and usb.on_insufficient decides "
                "what happens if the streams need more",
            )
        elif board.is_rom and board.speed_mbit < HIGH_SPEED_MBIT:
            yield Finding(
                "bad",
                "speed",
                f"{board}: {board.speed_mbit:g} Mbit/s",
                f"{HIGH_SPEED_MBIT} Mbit/s before the boot",
                "use another cable: this one or its plug is damaged",
            )
        elif board.is_rom and has_usb3 is False:
            yield Finding(
                "hint",
                "speed",
                f"{board}: its port has no USB 3",
                "a USB 3 port, for all streams at full rate",
                "plug it into another port",
            )


def _check_power(patient: Patient) -> Iterator[Finding]:
    for board in patient.boards:
        if count := patient.tree.over_currents(board):
            yield Finding(
                "hint",
                "power",
                f"{board}: over-current switched the port off {count} times",
                "never",
                "connect a 5 V supply to the board, or use a powered hub",
            )
        if hubs := patient.tree.unpowered_hubs(board):
            yield Finding(
                "hint",
                "power",
                f"{board}: behind hub {', '.join(hubs)} without a power supply",
                "up to 900 mA for each board",
                "use a powered hub, or a port of the computer",
            )


def _check_memory(patient: Patient) -> Iterator[Finding]:
    limit_mb = patient.tree.memory_mb()
    needed_mb = BOARD_MB * max(1, len(patient.boards))
    if limit_mb is None:
        return
    if 0 < limit_mb < needed_mb:
        yield Finding(
            "bad",
            "kernel memory",
            f"usbfs_memory_mb is {limit_mb}",
            f"at least {needed_mb}, {BOARD_MB} for each board (0 = no limit)",
            "echo 64 | sudo tee /sys/module/usbcore/parameters/usbfs_memory_mb; permanently: "
            "usbcore.usbfs_memory_mb=64 on the kernel command line",
        )
    else:
        yield Finding("ok", "kernel memory", f"usbfs_memory_mb is {limit_mb}")


def _check_firmware(patient: Patient) -> Iterator[Finding]:
    expected = f"an image of {firmware.PLAUSIBLE_BYTES.start >> 20} MB or more, or the wheel"
    if not patient.firmware:
        yield Finding(
            "hint",
            "firmware",
            "not checked (--firmware PATH checks an image)",
            "a file for device.firmware: a board stores no firmware",
            _FIRMWARE,
        )
        return
    try:
        image = read_firmware(patient.firmware)
    except ConfigError as cause:
        yield Finding("bad", "firmware", str(cause), expected, _FIRMWARE)
        return
    wrong = ""
    if len(image) not in firmware.PLAUSIBLE_BYTES:
        wrong = f"{len(image)} bytes"
    elif image[:4] == b"\x7fELF":
        wrong = "a library or program (`depthai-firmware extract` reads it)"
    elif image[:15].lower().startswith((b"<!doctype", b"<html")):
        wrong = "a web page"
    if wrong:
        found = f"{patient.firmware} is {wrong}"
        yield Finding("bad", "firmware", found, expected, _FIRMWARE)
    else:
        yield Finding("ok", "firmware", f"{patient.firmware}, {len(image)} bytes")


#: In the order of the output: the bus first, the firmware last.
CHECKS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    _check_bus,
    _check_boards,
    _check_permission,
    _check_users,
    _check_speed,
    _check_power,
    _check_memory,
    _check_firmware,
)


def examine(tree: UsbTree, firmware_path: str = "") -> list[Finding]:
    """The findings of all checks, in order."""
    patient = Patient(tree, tree.boards(), firmware_path)
    return [finding for check in CHECKS for finding in check(patient)]


def examine_blob(path: str) -> list[Finding]:
    """What is in a network file. Its SHAVE and CMX counts are an assumption, and never a fault."""
    expected = "a compiled network (.blob of OpenVINO 2020)"
    try:
        blob = read_blob(path)
        if blob.lstrip()[:1] == b"{":
            found = f"{path} is JSON text, which describes a network to the virtual device"
            cure = "give a real board the compiled network instead"
            return [Finding("hint", "network", found, expected, cure)]
        header = read_blob_header(blob)
    except (ConfigError, DecodeError) as cause:
        found = str(cause) if path in str(cause) else f"{path}: {cause}"
        return [Finding("bad", "network", found, expected, "download or compile it again")]
    rows = [
        ("network", f"{path}, {len(blob)} bytes, version {header.version}, {header.stages} stages"),
        *(("input", str(tensor)) for tensor in header.inputs),
        *(("output", str(tensor)) for tensor in header.outputs),
        ("resources", f"{header.shaves} SHAVEs, {header.cmx_slices} CMX slices (an assumption)"),
    ]
    findings = [Finding("ok", about, found) for about, found in rows]
    cure = "the driver uses what the device says; only the virtual device needs the header"
    return findings + [Finding("hint", "network", note, expected, cure) for note in header.notes]


def main(words: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="depthai-doctor",
        description="Find the reasons why a USB board does not work, and name the cures.",
        epilog="Exit status: 0 = no problem found, 1 = problems marked BAD.",
    )
    parser.add_argument("--firmware", default="", metavar="PATH", help="also check this image")
    parser.add_argument(
        "--blob", default="", metavar="FILE", help="only print what is in this compiled network"
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=Path("/"),
        metavar="FOLDER",
        help="folder that contains /sys, /dev and /proc",
    )
    parser.add_argument("--version", action="version", version=__version__)
    arguments = parser.parse_args(words)
    if arguments.blob:
        findings = examine_blob(arguments.blob)
    else:
        findings = examine(UsbTree(arguments.root), arguments.firmware)
    for finding in findings:
        print(*finding.lines(), sep="\n")
    count = sum(finding.level == "bad" for finding in findings)
    print(f"problems to fix: {count}" if count else "no problem found")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
