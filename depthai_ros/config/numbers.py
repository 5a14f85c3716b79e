"""Reads numbers of unknown type, from parameter files, launch arguments and programs."""

from __future__ import annotations

#: Integers have at most 64 bits, like those of ROS parameters and of the device.
_INTEGERS = range(-(1 << 63), 1 << 63)


def read_integer(value: object) -> int | None:
    """An integer of at most 64 bits, else None; truth values are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int) or value not in _INTEGERS:
        return None
    return value


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
