"""Locks devices for this program, so that no two take the same one.

A device is locked by one byte of one file that all programs and users share; which byte, the
device's place tells. The kernel knows who holds it, and frees it however that program ends.
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

#: Folders in which everybody may make a file, the first one that is there; and the variable that
#: names another one, for a bus that is not the machine's.
_FOLDERS = ("/run/lock", "/tmp")
_FOLDER_VARIABLE = "DEPTHAI_ROS_CLAIMS"
_NAME = "depthai_ros.claims"
#: struct flock of 64-bit Linux: type, whence, start, length, process.
_FLOCK = struct.Struct("@hhqqi")
#: What a file offset can be.
_OFFSET_BITS = 62
_REMAP = re.compile(r"__(?:node|name):=(\S+)")


class _LockFile:
    """The file, open as long as this process runs: closing it anywhere would free every lock."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._descriptor = -1
        self._process = 0
        self._taken: set[int] = set()  # by this process: the kernel would grant it again

    def take(self, offset: int) -> str:
        """Lock one byte. "" = done, else who has it."""
        with self._mutex:
            if self._process != os.getpid():  # the first time, or a fork: it inherits no lock
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
    """The file's descriptor, -1 if it cannot be had: then the bus alone keeps programs apart."""
    folder = os.environ.get(_FOLDER_VARIABLE) or next(filter(os.path.isdir, _FOLDERS))
    path = Path(folder, _NAME)
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            # Others' files in such a folder may not be opened with O_CREAT: only a new one is.
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
            os.fchmod(descriptor, 0o666)  # whatever the umask
    except FileExistsError:  # another program was quicker
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
    """Program, node and number of a process, as far as it can be seen from here."""
    if process <= 0:
        return "a program in another container"
    try:
        words = Path(f"/proc/{process}/cmdline").read_text("utf-8", "replace").split("\0")
    except OSError:
        return f"process {process}"
    node = next((found[1] for found in map(_REMAP.fullmatch, words) if found), "")
    return f"process {process} ({_program(words)}{', node ' + node if node else ''})"


def _program(words: list[str]) -> str:
    """What somebody would call a command line: its module or script, not its interpreter."""
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
    """Which byte stands for a place; whatever it is called, it is only a number."""
    digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - _OFFSET_BITS)


def usb_place(location: str) -> str:
    """The place of a board at BUS:PORT."""
    return f"usb:{location}"


def socket_place(address: str) -> str:
    """The place behind unix:/path or tcp:host:port, however it is written."""
    scheme, _, rest = address.partition(":")
    if scheme == "unix":
        return f"unix:{os.path.realpath(rest)}"
    host, _, port = rest.rpartition(":")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][:2]
    except (OSError, UnicodeError):  # connecting will tell
        return address
    return f"tcp:{':'.join(map(str, found))}"


class DeviceLocks:
    """What one device object has locked; released by `release()`, or with the process."""

    def __init__(self) -> None:
        self._places: list[str] = []

    def take(self, place: str) -> str:
        """Lock a place. "" = it is ours, else who has it."""
        if place in self._places:
            return ""
        owner = _FILE.take(_offset(place))
        if not owner:
            self._places.append(place)
        return owner

    @property
    def usb_location(self) -> str:
        """BUS:PORT of the board that this device was booted on, "" before that."""
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
