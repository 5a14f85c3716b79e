"""Extracts the firmware from the official Gen1 wheel: `depthai-firmware extract --help`.

The wheel's extension holds it as plain data between two exported symbols, and beside it a patch
that makes the USB 2 variant. This package contains no firmware.
Source: docs/usb.md#firmware
"""

from __future__ import annotations

import argparse
import bz2
import hashlib
import struct
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DepthaiError

#: Endings of the symbol names, before "Data" and "End".
IMAGE, PATCH = "depthai_cmd", "depthai_usb2_patch_patch"
#: Sizes that are accepted for an image, which has a few MB.
PLAUSIBLE_BYTES = range(1 << 20, 64 << 20)
PATCH_MAGIC = b"BSDIFF40"

_EXTENSION = ".so"
_LOAD, _RELA, _DYNSYM = 1, 4, 11
#: Types of pointer relocations, by offset and by symbol; each x86-64, then arm64.
_RELATIVE, _ABSOLUTE = frozenset({8, 1027}), frozenset({1, 257})


class FirmwareError(DepthaiError):
    """The file contains no firmware, or a damaged one."""


@dataclass(frozen=True, slots=True)
class _Section:
    kind: int
    offset: int
    size: int
    link: int


class _Library:
    """Symbols, relocations and segments of a 64-bit little-endian ELF file."""

    def __init__(self, data: bytes) -> None:
        if data[:6] != b"\x7fELF\x02\x01":
            raise FirmwareError("not a 64-bit little-endian ELF file")
        self._data = data
        program, section = struct.unpack_from("<QQ", data, 32)
        programs, _, sections = struct.unpack_from("<HHH", data, 56)
        self._segments = [
            struct.unpack_from("<IIQQQQ", data, program + 56 * i) for i in range(programs)
        ]
        rows = [struct.unpack_from("<IIQQQQII", data, section + 64 * i) for i in range(sections)]
        self._sections = [_Section(row[1], row[4], row[5], row[6]) for row in rows]
        symbols = list(self._read_symbols())
        self._symbols = dict(symbols)
        self._addresses = [address for _, address in symbols]  # by symbol number
        self._pointers = dict(self._read_pointers())

    def _of_kind(self, kind: int) -> Iterator[_Section]:
        return (section for section in self._sections if section.kind == kind)

    def _read_symbols(self) -> Iterator[tuple[str, int]]:
        """(name, address) of each exported symbol."""
        for table in self._of_kind(_DYNSYM):
            names = self._sections[table.link].offset
            for offset in range(table.offset, table.offset + table.size, 24):
                name, _, _, _, address = struct.unpack_from("<IBBHQ", self._data, offset)
                end = self._data.index(b"\0", names + name)
                yield self._data[names + name : end].decode("ascii", "replace"), address

    def _read_pointers(self) -> Iterator[tuple[int, int]]:
        """(address of a pointer, its value after the file is loaded)."""
        for table in self._of_kind(_RELA):
            for offset in range(table.offset, table.offset + table.size, 24):
                address, information, addend = struct.unpack_from("<QQq", self._data, offset)
                symbol, kind = information >> 32, information & 0xFFFFFFFF
                if kind in _RELATIVE:
                    yield address, addend
                elif kind in _ABSOLUTE and symbol < len(self._addresses):
                    yield address, self._addresses[symbol] + addend

    def _file_offset(self, address: int) -> int:
        for kind, _, offset, start, _, size in self._segments:
            if kind == _LOAD and start <= address <= start + size:
                return int(offset + address - start)
        raise FirmwareError(f"address {address:#x} lies in no segment")

    def _find(self, ending: str) -> int | None:
        found = [address for name, address in self._symbols.items() if name.endswith(ending)]
        return found[0] if len(found) == 1 else None

    def resource(self, name: str) -> bytes:
        """The bytes of an embedded file.

        Two symbols mark its first byte and the byte after its last; where these are not exported,
        pointers to both places are.
        """
        begin, end = self._find(f"{name}Data"), self._find(f"{name}End")
        if begin is None or end is None:
            begin = self._pointers.get(self._find(f"{name}_beginE") or 0)
            end = self._pointers.get(self._find(f"{name}_endE") or 0)
        if begin is None or end is None:
            raise FirmwareError(f"no symbols mark the place of {name}: is this the Gen1 wheel?")
        first, last = self._file_offset(begin), self._file_offset(end)
        if not 0 <= first < last <= len(self._data):
            raise FirmwareError(f"{name}: bytes {first} to {last} are not inside the file")
        return self._data[first:last]


def _patch_integers(data: bytes) -> list[int]:
    """8-byte little-endian sign-magnitude integers."""
    words = struct.unpack(f"<{len(data) // 8}Q", data)
    return [-(word & ~(1 << 63)) if word >> 63 else word for word in words]


def apply_patch(old: bytes, patch: bytes) -> bytes:
    """Apply a BSDIFF40 patch to the old file; returns the new one.

    Raises  FirmwareError if the patch does not fit or is damaged
    """
    if patch[:8] != PATCH_MAGIC:
        raise FirmwareError(f"the patch begins with {patch[:8]!r}, expected {PATCH_MAGIC!r}")
    control_bytes, difference_bytes, new_bytes = _patch_integers(patch[8:32])
    try:
        control = bz2.decompress(patch[32 : 32 + control_bytes])
        middle = 32 + control_bytes + difference_bytes
        difference = bz2.decompress(patch[32 + control_bytes : middle])
        extra = bz2.decompress(patch[middle:])
    except (OSError, ValueError) as cause:
        raise FirmwareError(f"the patch is damaged: {cause}") from cause
    new = bytearray()
    position = difference_done = extra_done = 0
    numbers = iter(_patch_integers(control))
    for add, insert, seek in zip(numbers, numbers, numbers, strict=True):
        if add < 0 or insert < 0 or not 0 <= position <= len(old) - add:
            raise FirmwareError("the patch does not belong to this image")
        changes = np.frombuffer(difference, np.uint8, add, difference_done)
        new += (changes + np.frombuffer(old, np.uint8, add, position)).tobytes()
        new += extra[extra_done : extra_done + insert]
        difference_done, extra_done = difference_done + add, extra_done + insert
        position += add + seek
    if len(new) != new_bytes:
        raise FirmwareError(f"the patch produced {len(new)} bytes, expected {new_bytes}")
    return bytes(new)


def _extension_of(path: Path) -> bytes:
    """The extension itself, or the one in a wheel."""
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as wheel:
        names = [n for n in wheel.namelist() if "/" not in n and n.endswith(_EXTENSION)]
        if len(names) != 1:
            raise FirmwareError(f"{path}: the wheel has {len(names)} extensions, expected one")
        return wheel.read(names[0])


def extract(path: Path, *, usb2: bool = False) -> bytes:
    """The firmware image in a wheel or extension.

    Raises  FirmwareError if there is none of a plausible size; OSError
    """
    library = _Library(_extension_of(path))
    image = library.resource(IMAGE)
    if usb2:
        image = apply_patch(image, library.resource(PATCH))
    if len(image) not in PLAUSIBLE_BYTES:
        raise FirmwareError(f"{path}: the image has {len(image)} bytes, expected a few MB")
    return image


_WORDS = """
The wheel: pip download depthai==1.0.0.0 --no-deps --only-binary=:all: \\
               --python-version 38 --platform manylinux2014_x86_64
"""


def main(words: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="depthai-firmware",
        description="Extracts the firmware that a board on USB needs at each start.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser(
        "extract",
        help="extract the firmware from the official Gen1 wheel",
        epilog=_WORDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.add_argument("source", type=Path, help="the wheel, or the extension in it")
    one.add_argument("-o", "--output", type=Path, default=Path("depthai.cmd"))
    one.add_argument("--usb2", action="store_true", help="the variant that stays at USB 2 speed")
    arguments = parser.parse_args(words)
    try:
        image = extract(arguments.source, usb2=arguments.usb2)
        arguments.output.write_bytes(image)
    except (FirmwareError, OSError, struct.error, zipfile.BadZipFile) as cause:
        print(f"depthai-firmware: {arguments.source}: {cause}", file=sys.stderr)
        return 1
    digest = hashlib.sha256(image).hexdigest()
    print(f"{arguments.output}: {len(image)} bytes, SHA-256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
