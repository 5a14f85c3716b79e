"""Reads and writes Gen1 calibration files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config.paths import replace_file, resolve_path
from ..errors import ConfigError

#: Contents in order, little-endian float32. Source: docs/wire_format.md#calibration
#: Rectification left and right, intrinsics left and right (for 1280x800), rotation and
#: translation (cm) left -> right, the same of rgb, distortion left, right and rgb.
FIELDS = (
    ("R1", (3, 3)),
    ("R2", (3, 3)),
    ("M1", (3, 3)),
    ("M2", (3, 3)),
    ("R", (3, 3)),
    ("T", (3,)),
    ("M3", (3, 3)),
    ("R_rgb", (3, 3)),
    ("T_rgb", (3,)),
    ("d1", (14,)),
    ("d2", (14,)),
    ("d3", (14,)),
)
_FLOATS = sum(int(np.prod(shape)) for _, shape in FIELDS)
#: Before layout 4: one homography, right -> left.
_OLD_FLOATS = 9


@dataclass(frozen=True, slots=True)
class CalibrationFile:
    """What such a file holds: 111 numbers, or 9 in the older form, and how 720 lines are cut."""

    floats: tuple[float, ...]
    center_crop: bool = False

    @property
    def is_old(self) -> bool:
        """True if there is one homography and nothing else."""
        return len(self.floats) == _OLD_FLOATS

    def fields(self) -> dict[str, NDArray[np.float64]]:
        """The matrices and vectors by name; the older form has "H" only."""
        if self.is_old:
            return {"H": np.reshape(np.array(self.floats, np.float64), (3, 3))}
        found, start = {}, 0
        for name, shape in FIELDS:
            end = start + int(np.prod(shape))
            found[name] = np.reshape(np.array(self.floats[start:end], np.float64), shape)
            start = end
        return found


def read(path: str) -> CalibrationFile:
    """Read a calibration file: 444 bytes, or 36 in the older form, and perhaps a flag byte.

    Raises  ConfigError if the file cannot be read or has another size
    Source  docs/wire_format.md#calibration
    """
    try:
        content = resolve_path(path).read_bytes()
    except OSError as cause:
        raise ConfigError(f"{path}: {cause.strerror or cause}") from cause
    for count, may_be_longer in ((_FLOATS, True), (_OLD_FLOATS, False)):
        size = 4 * count
        if len(content) in (size, size + 1) or (may_be_longer and len(content) > size):
            floats = np.frombuffer(content, "<f4", count)
            return CalibrationFile(tuple(floats.tolist()), content[size : size + 1] == b"\x01")
    raise ConfigError(
        f"{path}: {len(content)} bytes, a calibration file has {4 * _FLOATS} or {4 * _FLOATS + 1} "
        f"(older ones {4 * _OLD_FLOATS} or {4 * _OLD_FLOATS + 1})"
    )


def pack(floats: Sequence[float], *, center_crop: bool) -> bytes:
    """The contents of a file with its flag byte."""
    return np.asarray(floats, "<f4").tobytes() + bytes([center_crop])


def write(path: str, floats: Sequence[float], *, center_crop: bool) -> None:
    """Write a calibration file with its flag byte.

    Raises  ConfigError if the number of values is not 111; OSError
    """
    if len(floats) != _FLOATS:
        raise ConfigError(f"{path}: {len(floats)} values, a calibration file has {_FLOATS}")
    replace_file(resolve_path(path), pack(floats, center_crop=center_crop))
