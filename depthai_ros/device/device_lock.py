"""Locks devices, so that two programs cannot use the same one.

A lock is one byte of a file that all programs and users share; a hash of the device's place selects
the byte. The kernel knows the owner, and frees the lock however that program ends.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import socket
import stat
import struct
import threading
from pathlib import Path

_log = logging.getLogger(__name__)

#: World-writable folders, the first that exists is used; and the environment variable that names
#: another one, for an emulated USB bus.
_FOLDERS = ("/run/lock", "/tmp")
_FOLDER_VARIABLE = "DEPTHAI_ROS_CLAIMS"
_NAME = "depthai_ros.claims"
#: struct flock of 64-bit Linux: type, whence, start, length, process.
_FLOCK = struct.Struct("@hhqqi")
#: Offsets must fit a signed 64-bit file offset.
_OFFSET_BITS = 62
_REMAP = re.compile(r"__(?:node|name):=(\S+)")


class _LockFile:
    """The lock file. It stays open: closing any descriptor of it would free every lock."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._descriptor = -1
        self._process = 0
        self._taken: set[int] = set()  # by this process, which the kernel would grant again

    def take(self, offset: int) -> str:
        """Lock one byte. Returns "", or a description of its owner."""
        with self._mutex:
            if self._process != os.getpid():  # first call, or after a fork, which inherits no lock
                self._descriptor, self._process, self._taken = -1, os.getpid(), set()
            if self._descriptor < 0:
                self._descriptor = _open()
            if offset in self._taken:
                return "this very program"
            if self._descriptor >= 0:
                try:
                    fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
                except (BlockingIOError, PermissionError):
                    return self._holder(offset)
                except OSError as cause:  # a file system without locks
                    _log.warning("devices cannot be locked: %s", cause.strerror)
            self._taken.add(offset)
            return ""

    def release(self, offset: int) -> None:
        """Free one byte."""
        with self._mutex:
            if self._process == os.getpid() and offset in self._taken:
                self._taken.remove(offset)
                if self._descriptor >= 0:
                    fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, offset)

    def _holder(self, offset: int) -> str:
        question = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, offset, 1, 0)
        answer = fcntl.fcntl(self._descriptor, fcntl.F_GETLK, question)
        kind, _, _, _, process = _FLOCK.unpack(answer)
        return _description(process) if kind != fcntl.F_UNLCK else "a program that just ended"


def _open() -> int:
    """The file's descriptor, -1 if it cannot be opened: then only the bus separates programs."""
    folder = os.environ.get(_FOLDER_VARIABLE) or next(filter(os.path.isdir, _FOLDERS))
    path = Path(folder, _NAME)
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            # In a sticky folder O_CREAT fails on a file of another user: use it only for a new one.
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
            os.fchmod(descriptor, 0o666)  # whatever the umask
    except FileExistsError:  # another program has just created it
        return _open()
    except OSError as cause:
        _log.warning("devices cannot be locked, %s: %s", path, cause.strerror)
        return -1
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        _log.warning("devices cannot be locked, %s is not a file", path)
        return -1
    return descriptor


def _description(process: int) -> str:
    """Process id, program and node of a process, as far as /proc shows them."""
    if process <= 0:
        return "a program in another container"
    try:
        words = Path(f"/proc/{process}/cmdline").read_text("utf-8", "replace").split("\0")
    except OSError:
        return f"process {process}"
    node = next((found[1] for found in map(_REMAP.fullmatch, words) if found), "")
    return f"process {process} ({_program(words)}{', node ' + node if node else ''})"


def _program(words: list[str]) -> str:
    """The name of a command line's module or script, not of its interpreter."""
    program = Path(words[0]).name
    if not program.startswith("python"):
        return program
    if "-c" in words:
        return "python -c"
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    return Path(next((word for word in words[1:] if word[:1] not in ("", "-")), program)).name


_FILE = _LockFile()


def _offset(place: str) -> int:
    """The byte that is locked for a place: a hash of its name."""
    digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - _OFFSET_BITS)


def usb_place(location: str) -> str:
    """The lock name of a board at BUS:PORT."""
    return f"usb:{location}"


def socket_place(address: str) -> str:
    """The lock name of unix:/path or tcp:host:port; the same for every spelling of one address."""
    scheme, _, rest = address.partition(":")
    if scheme == "unix":
        return f"unix:{os.path.realpath(rest)}"
    host, _, port = rest.rpartition(":")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][:2]
    except (OSError, UnicodeError):  # connecting will report it
        return address
    return f"tcp:{':'.join(map(str, found))}"


class DeviceLocks:
    """The locks of one device object, held until `release()` or the end of the process."""

    def __init__(self) -> None:
        self._places: list[str] = []

    def take(self, place: str) -> str:
        """Lock a place. Returns "", or a description of its owner."""
        if place in self._places:
            return ""
        owner = _FILE.take(_offset(place))
        if not owner:
            self._places.append(place)
        return owner

    @property
    def usb_location(self) -> str:
        """BUS:PORT of the board that was booted for this device, "" before that."""
        return next((place[4:] for place in self._places if place.startswith("usb:")), "")

    def keep_last(self) -> None:
        """Release everything but the newest lock."""
        for place in self._places[:-1]:
            _FILE.release(_offset(place))
        del self._places[:-1]

    def release(self) -> None:
        """Release everything. May be called twice."""
        for place in self._places:
            _FILE.release(_offset(place))
        self._places.clear()
