"""Reads and writes Gen1 calibration files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
from . import stereo_model

#: Before layout 4: one homography, right -> left.
_OLD_FLOATS = 9
#: Early releases: fields of a file with homographies in place of rotations, without distortion.
_EARLY_FIELDS: dict[str, tuple[int, ...]] = {
    "H1": (3, 3),
    "H2": (3, 3),
    **{name: CALIBRATION_FIELDS[name] for name in ("M1", "M2", "R", "T")},
}
_EARLY_FLOATS = sum(map(math.prod, _EARLY_FIELDS.values()))
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
        return _shaped(self.floats, CALIBRATION_FIELDS)


def _shaped(
    floats: Sequence[float], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[np.float64]]:
    fields = calibration_fields(floats, shapes)
    return {name: np.reshape(np.array(fields[name], np.float64), shapes[name]) for name in shapes}


def read(path: str) -> CalibrationFile:
    """Read a calibration file of any form, with or without the flag byte.

    Raises  ConfigError if the file cannot be read, has another size, or is an early one whose
            numbers are no calibration
    Source  docs/wire_format.md#calibration
    """
    content = read_file(path, _LARGEST_FILE_BYTES)
    for count, may_be_longer in (
        (CALIBRATION_FLOATS, True),
        (_EARLY_FLOATS, False),
        (_OLD_FLOATS, False),
    ):
        size = 4 * count
        if len(content) in (size, size + 1) or (may_be_longer and len(content) > size):
            floats = tuple(np.frombuffer(content, "<f4", count).tolist())
            if count == _EARLY_FLOATS:
                floats = _from_early(path, floats)
            return CalibrationFile(floats, content[size : size + 1] == b"\x01")
    raise ConfigError(
        f"{path}: {len(content)} bytes, a calibration file has {CALIBRATION_BYTES} or "
        f"{CALIBRATION_BYTES + 1} (older ones {4 * _EARLY_FLOATS}, {4 * _EARLY_FLOATS + 1}, "
        f"{4 * _OLD_FLOATS} or {4 * _OLD_FLOATS + 1})"
    )


def _from_early(path: str, floats: Sequence[float]) -> tuple[float, ...]:
    """The numbers of a file of today. Raises ConfigError."""
    fields = _shaped(floats, _EARLY_FIELDS)
    try:
        for name, numbers in fields.items():
            stereo_model.check_numbers(name, numbers)
        return tuple(stereo_model.from_early_file(fields).floats(None))
    except stereo_model.UnusableError as cause:
        raise ConfigError(f"{path}: not a calibration: {cause}") from None


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
