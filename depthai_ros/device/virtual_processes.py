"""Finds the virtual devices that run on this machine, by the command lines of the processes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from ..bounded import clean_text
from ..virtual.settings import VirtualSettings
from . import device_lock, processes
from .device_lock import socket_place
from .processes import RunningProcess

_MODULE = "depthai_ros.virtual"
#: Addresses that are looked up without asking a name server.
_ADDRESS = re.compile(r"unix:/.*|tcp:(\d+\.){3}\d+:\d+")


@dataclass(frozen=True, slots=True)
class FoundVirtualDevice:
    """A running virtual device."""

    selector: str  # unix:/path or tcp:host:port; "virtual" for one that only its program can use
    mx_id: str
    user: RunningProcess | None  # the program that uses it, None if there is none


def virtual_devices() -> Iterator[FoundVirtualDevice]:
    """The virtual devices whose processes can be seen."""
    for process in map(processes.describe, processes.numbers()):
        if _MODULE not in process.words or "-m" not in process.words:
            continue
        options = _options(process.words[process.words.index(_MODULE) + 1 :])
        address = options.get("--listen", "")
        if address:
            is_plain = _ADDRESS.fullmatch(address)
            user = device_lock.holder(socket_place(address)) if is_plain else None
        else:
            user = processes.describe(process.parent)
        values = parse_qs(options.get("--device", "").partition("?")[2])
        mx_id = values.get("mx_id", [VirtualSettings().mx_id])[0]
        yield FoundVirtualDevice(clean_text(address) or "virtual", clean_text(mx_id), user)


def _options(words: Sequence[str]) -> dict[str, str]:
    """Option -> value, of "--option value" and "--option=value"."""
    pairs = dict(itertools.pairwise(words))
    return {**pairs, **dict(word.split("=", 1) for word in words if "=" in word)}
