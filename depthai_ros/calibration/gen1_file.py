"""Reads and writes Gen1 calibration files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..cameras import (
    CALIBRATION_BYTES,
    CALIBRATION_FIELDS,
    CALIBRATION_FLOATS,
    calibration_fields,
)
from ..config.paths import read_file, replace_file, resolve_path
from ..errors import ConfigError

#: Before layout 4: one homography, right -> left.
_OLD_FLOATS = 9
#: Gen1 accepts files that are longer than a calibration.
_LARGEST_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class CalibrationFile:
    """Contents of a file: its numbers, 9 in the older form, and how 720 lines are cropped."""

    floats: tuple[float, ...]
    center_crop: bool = False

    @property
    def is_old(self) -> bool:
        """True if the file holds only one homography."""
        return len(self.floats) == _OLD_FLOATS

    def fields(self) -> dict[str, NDArray[np.float64]]:
        """The matrices and vectors by name; the older form has "H" only."""
        if self.is_old:
            return {"H": np.reshape(np.array(self.floats, np.float64), (3, 3))}
        return {
            name: np.reshape(np.array(numbers, np.float64), CALIBRATION_FIELDS[name])
            for name, numbers in calibration_fields(self.floats).items()
        }


def read(path: str) -> CalibrationFile:
    """Read a calibration file of either form, with or without the flag byte.

    Raises  ConfigError if the file cannot be read or has another size
    Source  docs/wire_format.md#calibration
    """
    content = read_file(path, _LARGEST_FILE_BYTES)
    for count, may_be_longer in ((CALIBRATION_FLOATS, True), (_OLD_FLOATS, False)):
        size = 4 * count
        if len(content) in (size, size + 1) or (may_be_longer and len(content) > size):
            floats = np.frombuffer(content, "<f4", count)
            return CalibrationFile(tuple(floats.tolist()), content[size : size + 1] == b"\x01")
    raise ConfigError(
        f"{path}: {len(content)} bytes, a calibration file has {CALIBRATION_BYTES} or "
        f"{CALIBRATION_BYTES + 1} (older ones {4 * _OLD_FLOATS} or {4 * _OLD_FLOATS + 1})"
    )


def pack(floats: Sequence[float], *, center_crop: bool) -> bytes:
    """The bytes of a file with its flag byte."""
    return np.asarray(floats, "<f4").tobytes() + bytes([center_crop])


def write(path: str, floats: Sequence[float], *, center_crop: bool) -> None:
    """Write a calibration file with its flag byte.

    Raises  ConfigError if the number of values is wrong; OSError
    """
    if len(floats) != CALIBRATION_FLOATS:
        expected = CALIBRATION_FLOATS
        raise ConfigError(f"{path}: {len(floats)} values, a calibration file has {expected}")
    replace_file(resolve_path(path), pack(floats, center_crop=center_crop))
