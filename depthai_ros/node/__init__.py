"""The camera node; the only package here that imports rclpy, and only when the node is used."""

from __future__ import annotations

import os
import pwd
import resource
import signal
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .node import CameraNode

__all__ = ["CameraNode", "main"]

#: With less, libraries fail to load, or end the process when they cannot start a thread.
_ADDRESS_SPACE_BYTES = 1 << 30
#: With less, Fast DDS ends the process by SIGBUS; with a little more, it uses UDP.
_SHARED_MEMORY, _SHARED_MEMORY_BYTES = "/dev/shm", 64 << 10
_EXIT_CONFIG = 2


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; returns the exit status."""
    if missing := _missing():
        print(missing)
        return _EXIT_CONFIG
    # No traceback from an unfinished import, and no "process has died" from launch.
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    _find_home()
    from .node import main as run

    return run(args)


def _find_home() -> None:
    """Give rcl a folder for its log: it ends the process if HOME is not set."""
    if any(os.environ.get(name) for name in ("HOME", "ROS_HOME", "ROS_LOG_DIR")):
        return
    try:
        os.environ["HOME"] = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        os.environ["ROS_LOG_DIR"] = tempfile.gettempdir()


def _missing() -> str:
    """Why the system cannot run the node's libraries, "" if it can."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if 0 <= limit < _ADDRESS_SPACE_BYTES:  # -1: none
        need = _ADDRESS_SPACE_BYTES >> 20
        return f"the address space is limited to {limit >> 20} MiB, must be {need}: see `ulimit -v`"
    try:
        shared = os.statvfs(_SHARED_MEMORY)
    except OSError:  # Fast DDS uses UDP
        return ""
    is_writable = not shared.f_flag & os.ST_RDONLY
    if is_writable and (free := shared.f_bavail * shared.f_frsize) < _SHARED_MEMORY_BYTES:
        return f"{_SHARED_MEMORY} has {free} free bytes, Fast DDS needs {_SHARED_MEMORY_BYTES}"
    return ""


def __getattr__(name: str) -> Any:
    if name == "CameraNode":
        from .node import CameraNode

        return CameraNode
    raise AttributeError(name)
