"""Opens a byte pipe to the device that a selector names.

A virtual device is started, a socket connected, a board on USB found and booted. Sockets and boards
are locked first, because several programs could open them.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .. import _core
from ..config.paths import read_file
from ..errors import ConfigError, DeviceNotFoundError
from ..virtual.settings import parse_settings
from . import firmware
from .device_lock import DeviceLocks, socket_place, usb_place

_log = logging.getLogger(__name__)

_VIRTUAL_EXIT_S = 5.0
_LOOK_S = 0.05


class VirtualProcess:
    """A virtual device as a child process that ends when its socket closes."""

    def __init__(self, text: str) -> None:
        self.settings = parse_settings(text)  # raises here, not in the child
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "depthai_ros.virtual", "--fd", str(theirs.fileno())]
        with theirs:
            # Its own session: Ctrl-C in the terminal is for the driver, which then resets it.
            self._process = subprocess.Popen(
                [*command, "--device", text],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=child_environment(),
            )
        self.transport = _core.Transport.from_fd(fd=ours.detach())

    def wait(self) -> int:
        """Wait for the end and return the exit status; kill the child after 5 s."""
        try:
            return self._process.wait(_VIRTUAL_EXIT_S)
        except subprocess.TimeoutExpired:
            _log.warning(
                "killed the virtual device, process %d: it did not end within %g s",
                self._process.pid,
                _VIRTUAL_EXIT_S,
            )
            self._process.kill()
            return self._process.wait()


def child_environment() -> dict[str, str]:
    """This environment, with this very package first on the child's path."""
    package_root = str(Path(__file__).resolve().parents[2])
    paths = [package_root, *(path for path in sys.path if path)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


@dataclass(slots=True)
class Connection:
    """A byte pipe to a device, and what finding it has shown."""

    transport: _core.Transport
    process: VirtualProcess | None = None
    mx_id: str = ""
    usb_speed: str = "UNKNOWN"
    usb_path: str = ""


@dataclass(frozen=True, slots=True)
class Wishes:
    """The arguments of `OpenDevice.open()`, and the device's locks."""

    timeout_s: float
    find_s: float | None  # to search for a board; None = timeout_s
    firmware: str
    usb2: bool
    should_stop: Callable[[], bool] | None
    locks: DeviceLocks


@contextmanager
def closed_early(link: _core.Link, should_stop: Callable[[], bool] | None) -> Iterator[None]:
    """Close the link when `should_stop()` is true; a read in this block then raises LinkError."""
    if should_stop is None:
        yield
        return
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(_LOOK_S):
            if should_stop():
                link.close()
                return

    watcher = threading.Thread(target=watch, name="connect-watch")
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


def _connect_virtual(text: str, _wishes: Wishes) -> Connection:
    process = VirtualProcess(text)
    return Connection(process.transport, process, usb_speed=process.settings.usb_speed)


def _connect_socket(scheme: str) -> Callable[[str, Wishes], Connection]:
    def connect(rest: str, wishes: Wishes) -> Connection:
        address = f"{scheme}:{rest}"
        if owner := wishes.locks.take(socket_place(address)):
            raise _busy(f"{address} is in use by {owner}")
        timeout_s = wishes.timeout_s
        return Connection(_core.Transport.connect(address=address, timeout_s=timeout_s))

    return connect


def _busy(words: str) -> DeviceNotFoundError:
    error = DeviceNotFoundError(f"{words}; end that program, or choose another device")
    error.reason = "busy"
    return error


def read_firmware(path: str, *, usb2: bool = False) -> bytes:
    """The firmware for a board on USB, from an image or from the official wheel.

    `usb2` selects the variant that stays at USB 2 speed, made with a patch in the wheel.
    Raises  ConfigError
    """
    if not path:
        raise ConfigError(
            "device.firmware is empty: a board on USB stores no firmware and needs it at each "
            "start; set it to the official Gen1 wheel, or to an image from "
            "`depthai-firmware extract`"
        )
    try:
        data = read_file(path, firmware.MAX_FILE_BYTES)
        is_wheel = firmware.is_wheel(data)
        image = firmware.image_in(data, usb2=usb2) if is_wheel else data
    except ConfigError as cause:
        raise ConfigError(f"device.firmware: {cause}") from cause
    except firmware.FirmwareError as cause:
        raise ConfigError(f"device.firmware: {path}: {cause}") from cause
    if usb2 and not is_wheel:
        raise ConfigError(
            f"usb.force_usb2 is set, but device.firmware is {path}, a finished image: set "
            "device.firmware to the official wheel, or make the image with "
            "`depthai-firmware extract --usb2` and leave usb.force_usb2 false"
        )
    if not image:
        raise ConfigError(f"device.firmware: {path} is empty")
    return image


def _connect_usb(text: str, wishes: Wishes) -> Connection:
    locks = wishes.locks
    try:
        transport = _core.open_usb(
            selector=locks.usb_location or text,  # after the first connection: the same board
            firmware=read_firmware(wishes.firmware, usb2=wishes.usb2),
            timeout_s=wishes.timeout_s,
            find_s=wishes.find_s,
            who_has=lambda location: locks.take(usb_place(location)),
            should_stop=wishes.should_stop,
        )
    except ValueError as cause:
        raise ConfigError(str(cause)) from cause
    locks.keep_last()  # earlier locks: boards booted in search of an MX id
    locks.take(usb_place(transport.location))  # on USB 3 a booted board is on another bus
    if transport.was_running:
        _log.warning("usb:%s ran firmware of an ended program and was reset", transport.location)
    return Connection(
        transport,
        mx_id=transport.mx_id,
        usb_speed=transport.speed,
        usb_path=transport.location,
    )


def split_selector(selector: str) -> tuple[str, str]:
    """Scheme and the rest of a selector; `virtual?…` is `virtual:?…`."""
    scheme, _, rest = selector.partition(":")
    if selector.startswith("virtual?"):
        return "virtual", selector.removeprefix("virtual")
    return scheme, rest


#: Selector scheme -> function that opens a byte pipe to the device.
LINKS: dict[str, Callable[[str, Wishes], Connection]] = {
    "usb": _connect_usb,
    "virtual": _connect_virtual,
    "unix": _connect_socket("unix"),
    "tcp": _connect_socket("tcp"),
}


def check_selector(selector: str) -> tuple[str, str]:
    """Scheme and the rest of a selector that can be opened. Raises ConfigError."""
    scheme, rest = split_selector(selector)
    if scheme not in LINKS:
        raise ConfigError(
            f"device selector is {selector!r}, must begin with one of {', '.join(LINKS)}"
        )
    if scheme == "virtual":
        parse_settings(rest)
    return scheme, rest
