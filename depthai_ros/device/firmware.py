"""Extracts the firmware from the official Gen1 wheel: `depthai-firmware extract --help`.

The wheel's extension holds it as plain data between two exported symbols, and beside it a patch
that makes the USB 2 variant. This package contains no firmware.

Any file may be named, so every size is limited before something is read or unpacked, and whatever
is wrong with a file is a FirmwareError.
Source: docs/usb.md#firmware
"""

from __future__ import annotations

import argparse
import bz2
import hashlib
import io
import struct
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..config.paths import read_file
from ..errors import DepthaiError

#: Endings of the symbol names, before "Data" and "End".
IMAGE, PATCH = "depthai_cmd", "depthai_usb2_patch_patch"
#: Sizes that are accepted for an image, which has a few MB.
PLAUSIBLE_BYTES = range(1 << 20, 64 << 20)
PATCH_MAGIC = b"BSDIFF40"

#: Limits, several times the figures of the official wheel: bytes of a file and of an extension;
#: entries of a wheel; program headers, sections, symbols and relocations of an extension;
#: characters of a symbol's name; steps of a patch.
MAX_FILE_BYTES = 128 << 20
_MAX_ENTRIES = 10_000
_MAX_HEADERS = 1000
_MAX_SYMBOLS = 1 << 17
_MAX_RELOCATIONS = 1 << 20
_MAX_NAME = 256
_MAX_STEPS = 1 << 18

_EXTENSION = ".so"
#: What a directory entry of a zip file begins with.
_ZIP_ENTRY = b"PK\1\2"
_LOAD, _RELA, _DYNSYM = 1, 4, 11
#: Types of pointer relocations, by offset and by symbol; each x86-64, then arm64.
_RELATIVE, _ABSOLUTE = frozenset({8, 1027}), frozenset({1, 257})


class FirmwareError(DepthaiError):
    """The file contains no firmware, or a damaged one."""


def _limit(what: str, found: int, allowed: int) -> None:
    if found > allowed:
        raise FirmwareError(f"{what}: found {found}, expected at most {allowed}")


@dataclass(frozen=True, slots=True)
class _Section:
    kind: int
    offset: int
    size: int
    link: int


class _Library:
    """Symbols, relocations and segments of a 64-bit little-endian ELF file.

    Raises  FirmwareError
    """

    def __init__(self, data: bytes) -> None:
        if data[:6] != b"\x7fELF\x02\x01":
            raise FirmwareError("not a 64-bit little-endian ELF file")
        self._data = data
        ((program, section),) = self._rows("header", "<QQ", 32, 1)
        ((programs, _, sections),) = self._rows("header", "<HHH", 56, 1)
        self._segments = list(self._rows("program headers", "<IIQQQQ16x", program, programs))
        rows = self._rows("section headers", "<IIQQQQII16x", section, sections)
        self._sections = [_Section(row[1], row[4], row[5], row[6]) for row in rows]
        self._addresses: list[int] = []  # by symbol number
        self._symbols: dict[str, int] = {}  # of embedded files
        self._read_symbols()
        self._pointers = dict(self._read_pointers())

    def _part(self, what: str, offset: int, size: int) -> bytes:
        """Bytes of the file; everything is read through here."""
        if offset + size > len(self._data):
            last = offset + size
            raise FirmwareError(f"{what}: bytes {offset} to {last} are not inside the file")
        return self._data[offset : offset + size]

    def _rows(self, what: str, layout: str, offset: int, count: int) -> Iterator[tuple[Any, ...]]:
        _limit(what, count, _MAX_HEADERS)
        row = struct.Struct(layout)
        return row.iter_unpack(self._part(what, offset, count * row.size))

    def _entries(self, kind: int, layout: str, limit: int) -> Iterator[tuple[_Section, Any]]:
        """(section, row) of all tables of a kind, which have at most `limit` rows together."""
        tables = [section for section in self._sections if section.kind == kind]
        row = struct.Struct(layout)
        _limit("rows of a table", sum(table.size for table in tables) // row.size, limit)
        for table in tables:
            data = self._part("table", table.offset, table.size - table.size % row.size)
            for values in row.iter_unpack(data):
                yield table, values

    def _read_symbols(self) -> None:
        for table, (name, address) in self._entries(_DYNSYM, "<I4xQ8x", _MAX_SYMBOLS):
            self._addresses.append(address)
            if table.link >= len(self._sections):
                raise FirmwareError(f"symbol names: no section {table.link}")
            begin = self._sections[table.link].offset + name
            text = self._data[begin : begin + _MAX_NAME].partition(b"\0")[0].decode("latin-1")
            if IMAGE in text or PATCH in text:
                self._symbols[text] = address

    def _read_pointers(self) -> Iterator[tuple[int, int]]:
        """(address of a pointer to an embedded file, its value after the file is loaded)."""
        wanted = set(self._symbols.values())
        for _, (address, information, addend) in self._entries(_RELA, "<QQq", _MAX_RELOCATIONS):
            symbol, kind = information >> 32, information & 0xFFFFFFFF
            if address not in wanted:
                continue
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


def _unpacked(packed: bytes, limit: int) -> bytes:
    """The content of one bz2 stream, at most `limit` bytes."""
    unpacker = bz2.BZ2Decompressor()
    try:
        data = unpacker.decompress(packed, limit + 1)
    except (OSError, ValueError) as cause:
        raise FirmwareError(f"the patch is damaged: {cause}") from cause
    if len(data) > limit or not unpacker.eof:
        raise FirmwareError("the patch is damaged: a part of it has another size")
    return data


def apply_patch(old: bytes, patch: bytes) -> bytes:
    """Apply a BSDIFF40 patch to the old file; returns the new one.

    Raises  FirmwareError if the patch does not fit or is damaged
    """
    if patch[:8] != PATCH_MAGIC or len(patch) < 32:
        raise FirmwareError(f"the patch begins with {patch[:8]!r}, expected {PATCH_MAGIC!r}")
    control_bytes, difference_bytes, new_bytes = _patch_integers(patch[8:32])
    middle = 32 + control_bytes
    end = middle + difference_bytes
    if not 32 <= middle <= end <= len(patch) or not 0 <= new_bytes < PLAUSIBLE_BYTES.stop:
        raise FirmwareError("the patch is damaged: its sizes are not those of the file")
    control = _unpacked(patch[32:middle], 24 * _MAX_STEPS)
    difference = np.frombuffer(_unpacked(patch[middle:end], new_bytes), np.uint8)
    extra = _unpacked(patch[end:], new_bytes)
    if len(control) % 24:
        raise FirmwareError("the patch is damaged: its last step is incomplete")
    before = np.frombuffer(old, np.uint8)
    new = bytearray()
    position = difference_done = extra_done = 0
    numbers = iter(_patch_integers(control))
    for add, insert, seek in zip(numbers, numbers, numbers, strict=True):
        difference_end, extra_end = difference_done + add, extra_done + insert
        if add < 0 or insert < 0 or not 0 <= position <= len(old) - add:
            raise FirmwareError("the patch does not belong to this image")
        if difference_end > len(difference) or extra_end > len(extra):
            raise FirmwareError("the patch is damaged: a step needs more than there is")
        changes = difference[difference_done:difference_end]
        new += (changes + before[position : position + add]).tobytes()
        new += extra[extra_done:extra_end]
        difference_done, extra_done = difference_end, extra_end
        position += add + seek
    if len(new) != new_bytes:
        raise FirmwareError(f"the patch produced {len(new)} bytes, expected {new_bytes}")
    return bytes(new)


def is_wheel(data: bytes) -> bool:
    """True for a zip file."""
    return zipfile.is_zipfile(io.BytesIO(data))


def _extension_of(data: bytes) -> bytes:
    """The extension in a wheel."""
    _limit("entries of the wheel", data.count(_ZIP_ENTRY), _MAX_ENTRIES)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as wheel:
            rows = [
                row
                for row in wheel.infolist()
                if "/" not in row.filename and row.filename.endswith(_EXTENSION)
            ]
            if len(rows) != 1:
                raise FirmwareError(f"the wheel has {len(rows)} extensions, expected one")
            return _member(wheel, rows[0])
    except FirmwareError:
        raise
    except Exception as cause:  # zipfile raises a dozen kinds for damaged files
        raise FirmwareError(f"the wheel is damaged: {cause or type(cause).__name__}") from cause


def _member(wheel: zipfile.ZipFile, row: zipfile.ZipInfo) -> bytes:
    """One file of a wheel. The size that its entry claims may be wrong, so the read is limited."""
    _limit("bytes of the extension", row.file_size, MAX_FILE_BYTES)
    if row.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise FirmwareError(f"the wheel is packed by method {row.compress_type}, expected deflate")
    with wheel.open(row) as file:
        return file.read(row.file_size + 1)


def image_in(data: bytes, *, usb2: bool = False) -> bytes:
    """The firmware image in the bytes of a wheel or extension.

    Raises  FirmwareError if there is none of a plausible size
    """
    library = _Library(_extension_of(data) if is_wheel(data) else data)
    image = library.resource(IMAGE)
    if usb2:
        image = apply_patch(image, library.resource(PATCH))
    if len(image) not in PLAUSIBLE_BYTES:
        raise FirmwareError(f"the image has {len(image)} bytes, expected a few MB")
    return image


def extract(path: Path, *, usb2: bool = False) -> bytes:
    """The firmware image in a wheel or extension.

    Raises  FirmwareError if there is none of a plausible size; ConfigError if the file is not
            readable, not regular or too large
    """
    return image_in(read_file(path, MAX_FILE_BYTES), usb2=usb2)


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
    except (DepthaiError, OSError) as cause:
        where = f"{arguments.source}: " if isinstance(cause, FirmwareError) else ""
        print(f"depthai-firmware: {where}{cause}", file=sys.stderr)
        return 1
    digest = hashlib.sha256(image).hexdigest()
    print(f"{arguments.output}: {len(image)} bytes, SHA-256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
