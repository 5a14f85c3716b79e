"""Locks devices, so that two programs cannot use the same one.

Each user has a file of his own for each device, in a folder that all users share, such as
/run/lock. A program locks its user's file, and then looks whether another user has locked his file
of the same device. The kernel knows which process holds a lock, and frees it however that ends.

What another user of the machine can do, and what he cannot:

- He can claim a device in his own name, one file for each device; all others then learn his process
  and his user. A lock between users means just that, and opening the device has the same effect.
- He can lock the file of somebody else for reading, because he may read it: its owner then gets no
  lock, and learns that process and user. For all others it is no claim.
- He cannot write, remove or replace the file of somebody else: it is 0644, and the folder is
  sticky. A file whose owner is not the one in its name, a link, a pipe and a file with a second
  name are not used.
- He can create a file with another user's name before that user does. That user then has no lock,
  is warned with the name of the file's owner, and goes on: as on a machine without locks, only the
  bus separates programs.
- He can choose the words of his command line (see processes.py).

If programs of two users try to lock a free device in the same moment, both may be refused.
Containers see each other's locks only if they share the folder and number their users alike.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import socket
import stat
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import processes
from .processes import RunningProcess, user_name

_log = logging.getLogger(__name__)

#: Folders for the files: the first is used in which every user can create a file and remove only
#: his own; and the environment variable that names another one, for an emulated USB bus.
_FOLDERS = ("/run/lock", "/tmp")
_FOLDER_VARIABLE = "DEPTHAI_ROS_CLAIMS"
_SHARED = stat.S_ISVTX | 0o777
#: Attempts to lock, if the file is removed or the lock is freed meanwhile.
_ATTEMPTS = 5
#: struct flock of 64-bit Linux: type, whence, start, length, process.
_FLOCK = struct.Struct("@hhqqi")


class _InUseError(Exception):
    """Another program has the device; the text describes it."""


@dataclass(frozen=True, slots=True)
class _LockedFile:
    """An open file with our lock: closing any descriptor of the file would free it."""

    path: Path
    descriptor: int

    def release(self) -> None:
        with suppress(OSError):  # somebody has emptied the folder
            self.path.unlink()
        os.close(self.descriptor)


class _HeldLocks:
    """The locks of this process, by place."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._process = 0
        self._held: dict[str, _LockedFile | None] = {}  # None: in use, but cannot be locked

    def take(self, place: str) -> str:
        """Lock a place. Returns "", or a description of its owner."""
        with self._mutex:
            if self._process != os.getpid():  # first call, or after a fork, which inherits no lock
                self._process, self._held = os.getpid(), {}
            if place in self._held:  # the kernel would grant it again
                return "this very program"
            try:
                self._held[place] = _lock(place)
            except _InUseError as cause:
                return str(cause)
            except OSError as cause:
                what = f"{cause.filename or _folder()}: {cause.strerror or cause}"
                _log.warning("this device cannot be locked, %s", what)
                self._held[place] = None
            return ""

    def holder(self, place: str) -> RunningProcess | None:
        """The process that has locked a place, None if none has; locks nothing."""
        with self._mutex:
            if self._process == os.getpid() and place in self._held:
                return processes.describe(os.getpid())  # opening the file would free it
            try:
                return next(_holders(place), None)
            except OSError:  # no folder: nobody has locked anything
                return None

    def release(self, place: str) -> None:
        """Free a place."""
        with self._mutex:
            if self._process == os.getpid() and (locked := self._held.pop(place, None)):
                locked.release()


def _folder() -> Path:
    named = os.environ.get(_FOLDER_VARIABLE)
    if named:
        return Path(named)
    return next((Path(folder) for folder in _FOLDERS if _is_shared(folder)), Path(_FOLDERS[-1]))


def _is_shared(folder: str) -> bool:
    try:
        return Path(folder).stat().st_mode & _SHARED == _SHARED
    except OSError:
        return False


def _path(place: str, user: int) -> Path:
    """A user's lock file of a place: a hash, because a place may be no file name."""
    digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return _folder() / f"depthai_ros.{digest}.{user}"


def _lock(place: str) -> _LockedFile:
    """Lock a place. Raises _InUseError, OSError."""
    own = _path(place, os.geteuid())
    for _ in range(_ATTEMPTS):
        descriptor = _open(own, os.O_RDWR | os.O_CREAT, os.geteuid())
        try:
            holder = _lock_file(descriptor) or str(next(_holders(place, but=own), ""))
            if not holder and _is_at(own, descriptor):
                os.fchmod(descriptor, 0o644)  # whatever the umask: others look who holds it
                return _LockedFile(own, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if holder:
            raise _InUseError(holder)
    raise _InUseError("programs that start and end all the time")


def _open(path: Path, flags: int, owner: int) -> int:
    """A regular file of this owner that has no other name. Raises OSError."""
    safe = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        descriptor = os.open(path, flags | safe, 0o644)
    except OSError as cause:
        cause.strerror = f"{cause.strerror}{_owned_by_another(path)}"
        raise
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_uid == owner and found.st_nlink <= 1:
        return descriptor
    os.close(descriptor)
    raise OSError(0, f"not a lock file of {user_name(owner)}{_owned_by_another(path)}", str(path))


def _owned_by_another(path: Path) -> str:
    try:
        owner = path.lstat().st_uid
    except OSError:
        return ""
    return f", it belongs to {user_name(owner)}" if owner != os.geteuid() else ""


def _lock_file(descriptor: int) -> str:
    """Lock an open file. Returns "", or a description of the process that prevents it."""
    for _ in range(_ATTEMPTS):
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            if holder := _holder(descriptor, fcntl.F_WRLCK):
                return str(holder)
        else:
            return ""
    return "a program that has just ended"


def _is_at(path: Path, descriptor: int) -> bool:
    """False if the program that held the lock before has removed the file."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _holders(place: str, but: Path | None = None) -> Iterator[RunningProcess]:
    """The processes that have locked a place with a file of their users; `but` is left out."""
    own = _path(place, os.geteuid())
    for path in own.parent.iterdir():
        user = path.suffix[1:]
        if path.stem != own.stem or path == but or not user.isdecimal():
            continue
        try:
            descriptor = _open(path, os.O_RDONLY, int(user))
        except OSError:  # not a lock file, or just removed
            continue
        # Only its owner can write it, so only he can hold what excludes reading.
        holder = _holder(descriptor, fcntl.F_RDLCK)
        os.close(descriptor)
        if holder:
            yield holder


def _holder(descriptor: int, kind: int) -> RunningProcess | None:
    """The process that prevents a lock of this kind, None if none does."""
    question = _FLOCK.pack(kind, os.SEEK_SET, 0, 0, 0)
    found, _, _, _, process = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
    return None if found == fcntl.F_UNLCK else processes.describe(process)


_HELD = _HeldLocks()


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


def holder(place: str) -> RunningProcess | None:
    """The process that has locked a place, None if none has. Locks nothing."""
    return _HELD.holder(place)


class DeviceLocks:
    """The locks of one device object, held until `release()` or the end of the process."""

    def __init__(self) -> None:
        self._places: list[str] = []

    def take(self, place: str) -> str:
        """Lock a place. Returns "", or a description of its owner."""
        if place in self._places:
            return ""
        owner = _HELD.take(place)
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
            _HELD.release(place)
        del self._places[:-1]

    def release(self) -> None:
        """Release everything. May be called twice."""
        for place in self._places:
            _HELD.release(place)
        self._places.clear()
