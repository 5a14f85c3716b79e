"""What a row of the table of readers is, and how it is tried with one input."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Longest error text, characters.
MAX_ERROR = 4000


@dataclass(frozen=True)
class Reader:
    """Something that reads what others wrote.

    `read` gets an input, and raises nothing but the `allowed` errors; `seeds` are good inputs.
    """

    read: Callable[[bytes], object]
    allowed: tuple[type[Exception], ...]
    seeds: Sequence[bytes]


class CheckedLog(logging.Handler):
    """Formats each log record as a real handler would, and checks that it can be written."""

    def emit(self, record: logging.LogRecord) -> None:
        record.getMessage().encode()


def try_input(reader: Reader, data: bytes) -> None:
    """Read one input. Any exception is a finding."""
    try:
        reader.read(data)
    except reader.allowed as cause:
        if isinstance(cause, (RecursionError, NotImplementedError)):  # also RuntimeErrors
            raise
        words = str(cause)
        words.encode()
        assert len(words) < MAX_ERROR, f"an error text of {len(words)} characters"


def check_document(value: Any, depth: int = 0) -> None:
    """What read documents hold: finite numbers of 64 bits, text without surrogates."""
    assert depth <= 32
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, dict):
        for key, item in value.items():
            check_document(key, depth)
            check_document(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            check_document(item, depth + 1)
    elif isinstance(value, float):
        assert math.isfinite(value)
    elif isinstance(value, int):
        assert -(1 << 63) <= value < 1 << 63


def check_finite(*arrays: Any) -> None:
    """All numbers are finite."""
    for array in arrays:
        assert np.isfinite(np.asarray(array, np.float64)).all(), array
