"""Reads numbers of unknown type, from parameter files, launch arguments and programs."""

from __future__ import annotations

from ..bounded import is_whole


def read_integer(value: object) -> int | None:
    """An integer of at most 64 bits, else None; truth values are no numbers."""
    return value if is_whole(value) else None


def read_real(value: object) -> float | None:
    """A number of either type as a float, else None; truth values are no numbers.

    NaN and infinity are returned: no limit of an option allows them.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
