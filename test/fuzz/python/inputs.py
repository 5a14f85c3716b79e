"""Makes the inputs of the readers from the bytes of a fuzzer.

An input that begins with a zero byte is a list of choices: a seed document, and what is changed in
it. Any other input is the text itself, so that a kept document can be read by people.
"""

from __future__ import annotations

import copy
import json
import os
import struct
from collections.abc import Callable, Sequence
from typing import Any

#: Most changes in one document, and most copies of a list or text; values of a document above which
#: nothing is copied.
_MOST_CHANGES, _MOST_COPIES, _LARGEST = 8, 300, 1500
_DEEPEST = 50
#: Deeper than any document may be.
_NESTED: list[Any] = []
for _ in range(40):
    _NESTED = [_NESTED]
#: Values for a document of JSON.
HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 100, 255, 256, 1000, 1 << 16, (1 << 31) - 1, 1 << 31,
    -(1 << 31), (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, -(1 << 63), 10**400, 0.0, -0.0,
    0.5, 1.5, -0.5, 1e-300, 1e39, 1e300, -1e300, float("nan"), float("inf"), "", "0", "x", "a.b",
    "../x", "/x", "\ud800", "\0", "\x1b[2J\n", "n" * 300, [], {}, [0], [[]], [1, [1, 2]], {"": 0},
    [None], ["x"], _NESTED, [1] * 9, [0.0] * 9, [1e300] * 14, "raw", "detection", "YOLO",
)  # fmt: skip


class Choices:
    """Numbers from bytes; zeros after their end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        """True while bytes remain."""
        return self._at < len(self._data)

    def bytes(self, count: int) -> bytes:
        """The next bytes."""
        found = self._data[self._at : self._at + count]
        self._at += count
        return found.ljust(count, b"\0")

    def below(self, limit: int) -> int:
        """A number from 0 to limit - 1."""
        size = 1 if limit <= 256 else 2 if limit <= 1 << 16 else 4
        return int.from_bytes(self.bytes(size), "little") % limit

    def of(self, values: Sequence[Any]) -> Any:
        """One of the values."""
        return values[self.below(len(values))]

    def rest(self) -> bytes:
        """All bytes that remain."""
        found = self._data[self._at :]
        self._at = len(self._data)
        return found


# -- documents


def _place(document: Any, choices: Choices) -> tuple[Any, Any]:
    """(container, key) of a place in a document."""
    holder = document
    while True:
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        key = choices.of(keys)
        inner = holder[key]
        if not (isinstance(inner, (dict, list)) and inner) or choices.below(6) == 0:
            return holder, key
        holder = inner


def _number(choices: Choices) -> int | float:
    if choices.below(2):
        return choices.below(1 << 16) - (1 << 15)
    (number,) = struct.unpack("<d", choices.bytes(8))
    return float(number)


def _text(choices: Choices) -> str:
    return choices.bytes(choices.below(40)).decode("utf-8", "surrogateescape")


def _size(value: Any, depth: int = 0) -> int:
    """Values and characters in a document; a very deep one is large, too."""
    if isinstance(value, (dict, list, tuple)):
        if depth > _DEEPEST:
            return _LARGEST
        inner = value.values() if isinstance(value, dict) else value
        return 1 + sum(_size(each, depth + 1) for each in inner)
    return len(value) if isinstance(value, str) else 1


def _copied(value: Any) -> Any:
    return copy.deepcopy(value) if _size(value) < _LARGEST else value


def _copies(value: Any, choices: Choices) -> Any:
    """A list or text many times, or a list of a value."""
    count = choices.below(_MOST_COPIES)
    if not isinstance(value, (list, str)):
        return [value] * 3
    return value * min(count, _LARGEST // max(1, _size(value)))


def _change(document: Any, choices: Choices, values: Sequence[Any]) -> None:
    """Change one place of a document."""
    holder, key = _place(document, choices)
    kind = choices.below(8)
    if kind < 3:
        holder[key] = _copied(choices.of(values))
    elif kind == 3:
        holder[key] = _number(choices)
    elif kind == 4:
        del holder[key]
    elif kind == 5:
        other, name = _place(document, choices)
        if _size(document) < _LARGEST:
            holder[key] = copy.deepcopy(other[name])
    elif kind == 6:
        holder[key] = _copies(holder[key], choices)
    elif isinstance(holder, dict):
        holder[_text(choices)] = _copied(choices.of(values))
    else:
        holder[key] = _text(choices)


def document(choices: Choices, seeds: Sequence[Any], values: Sequence[Any] = HOSTILE) -> Any:
    """One of the seeds with some changes."""
    found = copy.deepcopy(choices.of(seeds))
    for _ in range(choices.below(_MOST_CHANGES)):
        if not found:
            break
        _change(found, choices, values)
    return found


def text(data: bytes, seeds: Sequence[Any], write: Callable[[Any], str] = json.dumps) -> bytes:
    """The text of a document: that in `data`, or the one that its choices make."""
    if data[:1] != b"\0":
        return data
    return write(document(Choices(data[1:]), seeds)).encode("utf-8", "surrogatepass")


def seeds_of(documents: Sequence[Any], write: Callable[[Any], str] = json.dumps) -> list[bytes]:
    """Inputs that stand for each of the documents, as text and as choices."""
    changes = bytes(range(16, 112))
    return [
        *(write(each).encode() for each in documents),
        *(bytes([0, index % 256]) + changes for index, _ in enumerate(documents)),
    ]


# -- files


class MemoryFile:
    """A regular file in memory that readers open by its path."""

    def __init__(self) -> None:
        self._descriptor = os.memfd_create("fuzz")
        self.path = f"/proc/self/fd/{self._descriptor}"

    def holding(self, content: bytes) -> str:
        """The path, after the content was replaced."""
        os.truncate(self._descriptor, 0)
        os.pwrite(self._descriptor, content, 0)
        return self.path
