"""Resolves paths, reads files within bounds, and replaces files atomically."""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path
from typing import Any

from ..bounded import read_json, shown
from ..errors import ConfigError, DecodeError

#: A name from a device that may become a file name: no separator, no dot.
_SAFE_NAME = re.compile("[0-9A-Za-z_-]{1,64}")
_SCHEME = "package://"
_ANY_SCHEME = re.compile("([a-zA-Z][a-zA-Z0-9+.-]*)://")
_PACKAGE = "depthai_ros"
#: Longest path and longest name in it, bytes. Source: limits.h of Linux
_LONGEST_PATH, _LONGEST_NAME = 4095, 255
#: Largest JSON file: a description of a network; ours have 2 kB.
_JSON_BYTES = 1 << 20
#: Smallest read of a file; some files of the kernel report a size of 0.
_LEAST_READ_BYTES = 1 << 16
_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def resolve_path(text: str) -> Path:
    """A plain path, file:///PATH, or package://PACKAGE/PATH in that package's share directory.

    Raises  ConfigError if no file can have this path, ~USER is not known, the package is not
            installed or holds no such file, or it is another kind of URL
    """
    _check_path(text)
    if not text.startswith(_SCHEME):
        if scheme := _ANY_SCHEME.match(text):
            return _local_path(text, scheme[1])
        try:
            return Path(text).expanduser()
        except RuntimeError:
            user = Path(text).parts[0]
            raise ConfigError(f"{text}: there is no home folder of {user}") from None
    package, _, rest = text.removeprefix(_SCHEME).partition("/")
    roots = _share_directories(package)
    for root in roots:
        if (root / rest).exists():
            return root / rest
    looked = ", ".join(map(str, roots)) or "no installed package of this name"
    raise ConfigError(f"{text}: not found; looked in {looked}")


def _local_path(url: str, scheme: str) -> Path:
    path = url.removeprefix(f"{scheme}://")
    if scheme != "file" or not path.startswith("/"):
        raise ConfigError(f"{url}: must be a path, file:///PATH or {_SCHEME}PACKAGE/PATH")
    return Path(path)


def _check_path(text: str) -> None:
    try:
        path = os.fsencode(text)
    except ValueError:  # a lone surrogate
        path = b"\0"
    longest = max(map(len, path.split(b"/")))
    if b"\0" in path or len(path) > _LONGEST_PATH or longest > _LONGEST_NAME:
        raise ConfigError(
            f"{shown(text)} cannot be a path: it has a character that no path has, more than "
            f"{_LONGEST_PATH} bytes, or a name of more than {_LONGEST_NAME}"
        )


def _share_directories(package: str) -> list[Path]:
    """Possible folders of a package's files: beside its sources, or in an install prefix."""
    roots = [Path(__file__).resolve().parents[2]] if package == _PACKAGE else []
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    roots += [Path(prefix, "share", package) for prefix in prefixes if prefix]
    if package == _PACKAGE:
        # An install prefix is the parent of lib/python3.X/site-packages/depthai_ros.
        roots += [parent / "share" / package for parent in Path(__file__).resolve().parents]
    return [root for root in roots if root.is_dir()]


def safe_name(text: str) -> str:
    """The text if it may be a file name, else "": letters, digits, _ and -, at most 64."""
    return text if _SAFE_NAME.fullmatch(text) else ""


def read_file(path: str | Path, max_bytes: int) -> bytes:
    """The content of a regular file of at most this size.

    Raises  ConfigError that begins with the path
    """
    place = resolve_path(str(path))
    try:
        _check_regular(path, place.stat())
        # O_NONBLOCK: what has become a pipe since then would wait for its writer.
        descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            _check_regular(path, status)
            room = min(max_bytes, max(status.st_size, _LEAST_READ_BYTES))
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                content = b"" if status.st_size > max_bytes else file.read(room + 1)
        finally:
            os.close(descriptor)
    except OSError as cause:
        raise ConfigError(f"{path}: {cause.strerror or cause}") from cause
    if status.st_size > max_bytes or len(content) > room:
        raise ConfigError(f"{path}: more than {room} bytes")
    return content


def read_json_file(path: str | Path) -> Any:
    """The document in a JSON file, as `read_json`.

    Raises  ConfigError that begins with the path
    """
    content = read_file(path, _JSON_BYTES)
    try:
        return read_json(content, what=str(path), max_bytes=_JSON_BYTES)
    except DecodeError as cause:
        raise ConfigError(str(cause)) from cause


def _check_regular(path: str | Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = next((words for test, words in _KINDS if test(status.st_mode)), "no file")
        raise ConfigError(f"{path}: {kind}, must be a regular file")


def replace_file(path: Path, content: bytes) -> None:
    """Write a file completely or not at all; creates folders, replaces an older regular file.

    Raises  OSError; ConfigError if the path is a folder, link, pipe or device, or no path
    """
    _check_path(str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(path):
        _check_regular(path, path.lstat())
    # Nobody can place a link here beforehand: the name is random, and the file must be new.
    new = path.parent / f".{secrets.token_hex(8)}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(new, flags, 0o666), "wb") as file:
        try:
            file.write(content)
            file.flush()
            new.replace(path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
