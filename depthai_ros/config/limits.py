"""The limits of an option's value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = "bool | int | float | str | tuple[str, ...]"


@dataclass(frozen=True, slots=True)
class Range:
    """An interval of numbers, both ends included."""

    low: float
    high: float

    def allows(self, value: Value) -> bool:
        """True if the number lies inside; false for NaN."""
        return isinstance(value, (int, float)) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"between {plain(self.low)} and {plain(self.high)}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values."""

    values: tuple[bool | int | float | str, ...]

    def allows(self, value: Value) -> bool:
        """True if the value is one of them."""
        return value in self.values

    def __str__(self) -> str:
        texts = ", ".join(plain(value) for value in self.values)
        return f"one of {texts}" if len(self.values) > 1 else texts


@dataclass(frozen=True, slots=True)
class FrameName:
    """A name of a tf frame, or "": tf2 refuses a slash at its start."""

    def allows(self, value: Value) -> bool:
        """True if tf2 takes the name."""
        return isinstance(value, str) and re.fullmatch(r"(?!/)\S*", value) is not None

    def __str__(self) -> str:
        return "a frame name without blanks or a slash at its start"


@dataclass(frozen=True, slots=True)
class GridSize:
    """Columns and rows, as in 8x6: the inner corners of a checkerboard that OpenCV finds."""

    def allows(self, value: Value) -> bool:
        """True if the text is such a size."""
        sides = (
            re.fullmatch(r"([0-9]{1,2})x([0-9]{1,2})", value) if isinstance(value, str) else None
        )
        return sides is not None and all(3 <= int(side) <= 40 for side in sides.groups())

    def __str__(self) -> str:
        return "columns and rows of inner corners, each between 3 and 40, as in 8x6"


Limits: TypeAlias = "Range | Choice | FrameName | GridSize | None"


def between(low: float, high: float) -> Range:
    """Limits of a number, both ends included."""
    return Range(low, high)


def one_of(*values: bool | int | float | str) -> Choice:
    """A list of allowed values."""
    return Choice(values)


def plain(value: object) -> str:
    """A value as a user writes it: true, 0.3, 7, a word, [a, b]."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(plain, value))}]"
    return str(value)
