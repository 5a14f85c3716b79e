"""Resolves paths of package files, and replaces files atomically."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import ConfigError

#: A name from a device that may become a file name: no separator, no dot.
_SAFE_NAME = re.compile("[0-9A-Za-z_-]{1,64}")
_SCHEME = "package://"
_PACKAGE = "depthai_ros"


def resolve_path(text: str) -> Path:
    """A plain path, or package://PACKAGE/PATH in that package's share directory.

    Raises  ConfigError if the package is not installed or holds no such file
    """
    if not text.startswith(_SCHEME):
        return Path(text).expanduser()
    package, _, rest = text.removeprefix(_SCHEME).partition("/")
    roots = _share_directories(package)
    for root in roots:
        if (root / rest).exists():
            return root / rest
    looked = ", ".join(map(str, roots)) or "no installed package of this name"
    raise ConfigError(f"{text}: not found; looked in {looked}")


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


def replace_file(path: Path, content: bytes) -> None:
    """Write a file completely or not at all; creates folders, replaces an older file.

    Raises  OSError
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.write_bytes(content)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
