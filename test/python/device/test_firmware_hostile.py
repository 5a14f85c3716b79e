"""Firmware files of any content give the image, or one FirmwareError; sizes are limited first."""

from __future__ import annotations

import bz2
import os
import random
import resource
import socket
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from firmware_files import IMAGE, NEW, PATCH, make_library, make_patch, make_wheel, section, symbol

from depthai_ros.device import firmware
from depthai_ros.device.connect import read_firmware
from depthai_ros.errors import ConfigError

MIB = 1 << 20
#: What reading a file may take beyond the memory that is in use, bytes.
ROOM_BYTES = 150 * MIB
#: Rounds of each mutation loop; `make test` replays the same ones.
ROUNDS = int(os.environ.get("DEPTHAI_ROS_MUTATIONS", "1500"))


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firmware, "PLAUSIBLE_BYTES", range(1, 8 * MIB))
    monkeypatch.setattr(firmware, "MAX_FILE_BYTES", 16 * MIB)


LIBRARY = make_library()
WHEEL = make_wheel(LIBRARY)


def edited(data: bytes, *changes: tuple[int, str, int]) -> bytes:
    """The data with numbers (offset, struct format, value) in it."""
    copy = bytearray(data)
    for offset, layout, value in changes:
        struct.pack_into(layout, copy, offset, value)
    return bytes(copy)


def in_directory(offset: int, layout: str, value: int) -> bytes:
    """The wheel with a changed entry of its extension; the local header is changed likewise."""
    central = WHEEL.rindex(b"PK\1\2")
    local = WHEEL.rindex(b"PK\3\4")
    near = (local + offset - 2, layout, value)  # the entry has one field of 2 bytes more
    return edited(WHEEL, (central + offset, layout, value), near)


def inflating(size: int) -> bytes:
    """A wheel whose extension inflates to `size` zeros, but claims 1000."""
    data = make_wheel(bytes(size))
    central, local = data.rindex(b"PK\1\2"), data.rindex(b"PK\3\4")
    return edited(data, (central + 24, "<I", 1000), (local + 22, "<I", 1000))


def patched_by(patch: bytes) -> bytes:
    """An extension whose patch is another one of the same size."""
    return LIBRARY.replace(PATCH, patch[: len(PATCH)].ljust(len(PATCH), b"\0"))


SECTIONS = struct.unpack_from("<Q", LIBRARY, 40)[0]
SYMBOLS = SECTIONS + 64
MANY = symbol(0, 0) * 200_000
#: Name -> (function that makes the file's bytes, words of the error).
FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "not a 64-bit"),
    "text": (lambda: b"hello" * 1000, "not a 64-bit"),
    "32-bit": (lambda: edited(LIBRARY, (4, "B", 1)), "not a 64-bit"),
    "header only": (lambda: LIBRARY[:20], "header"),
    "no tables": (lambda: LIBRARY[:64], "not inside the file"),
    "half": (lambda: LIBRARY[: len(LIBRARY) // 2], "not inside the file"),
    "far segments": (lambda: edited(LIBRARY, (32, "<Q", 2**64 - 1)), "not inside the file"),
    "far sections": (lambda: edited(LIBRARY, (40, "<Q", 2**63)), "not inside the file"),
    "many segments": (lambda: edited(LIBRARY, (56, "<H", 65535)), "at most 1000"),
    "many sections": (lambda: edited(LIBRARY, (60, "<H", 65535)), "at most 1000"),
    "symbols outside": (lambda: edited(LIBRARY, (SYMBOLS + 24, "<Q", 2**40)), "not inside"),
    "endless symbols": (lambda: edited(LIBRARY, (SYMBOLS + 32, "<Q", 2**62)), "rows of a table"),
    "many symbols": (lambda: make_library(symbols=MANY), "at most 131072"),
    "tables over each other": (
        lambda: make_library(sections=section(11, 0, 2 * MIB) * 900, names=bytes(2 * MIB)),
        "rows of a table",
    ),
    "no name table": (lambda: edited(LIBRARY, (SYMBOLS + 40, "<I", 99)), "no section 99"),
    "names outside": (lambda: edited(LIBRARY, (SECTIONS + 24, "<Q", 2**60)), "no symbols mark"),
    "long names": (
        lambda: make_library(symbols=symbol(150, 0) * 100_000, names=b"depthai_cmd" * 100_000),
        "",  # they are ignored
    ),
    "no segment": (lambda: edited(LIBRARY, (64, "<I", 2)), "no segment"),
    "image outside": (lambda: edited(LIBRARY, (64 + 8, "<Q", 2**50)), "not inside the file"),
    "wheel without extension": (lambda: make_wheel(LIBRARY, "depthai/x.so"), "0 extensions"),
    "wheel of text": (lambda: make_wheel(b"hello"), "not a 64-bit"),
    "wheel, cut": (lambda: WHEEL[200:], "damaged"),
    "wheel, encrypted": (lambda: in_directory(8, "<H", 1), "encrypted"),
    "wheel, wrong checksum": (lambda: in_directory(16, "<I", 1), "damaged"),
    "wheel, unknown method": (lambda: in_directory(10, "<H", 97), "method 97, expected deflate"),
    "wheel, newer version": (lambda: in_directory(6, "<H", 255), "damaged"),
    "wheel, lzma": (lambda: make_wheel(LIBRARY, method=zipfile.ZIP_LZMA), "method 14"),
    "wheel, noise": (lambda: WHEEL.replace(b"\x7fELF", b"")[:300] + WHEEL[320:], "damaged"),
    "bomb": (lambda: make_wheel(bytes(24 * MIB)), "bytes of the extension"),
    "bomb that claims 1000 bytes": (lambda: inflating(24 * MIB), "damaged"),
    "bomb of entries": (lambda: WHEEL + b"PK\1\2" * 20_000 + WHEEL, "entries of the wheel"),
}
#: Name -> (patch, words of the error).
PATCHES: dict[str, tuple[bytes, str]] = {
    "short": (b"BSDIFF40", "begins with"),
    "negative sizes": (edited(PATCH, (8, "<Q", 1 << 63 | 5)), "sizes"),
    "sizes beyond": (edited(PATCH, (16, "<Q", 2**62)), "sizes"),
    "endless result": (edited(PATCH, (24, "<Q", 2**40)), "sizes"),
    "negative result": (edited(PATCH, (24, "<Q", 1 << 63 | 5)), "sizes"),
    "no bz2": (PATCH[:32] + bytes(len(PATCH) - 32), "damaged"),
    "cut": (PATCH[:-5], "damaged"),
    "odd control": (
        b"BSDIFF40"
        + struct.pack("<QQQ", len(bz2.compress(b"123")), 14, 0)
        + bz2.compress(b"123")
        + bz2.compress(b"") * 2,
        "incomplete",
    ),
    "negative step": (make_patch([(-4, 0, 0)], b"", b"", 4), "does not belong"),
    "step beyond": (make_patch([(4, 0, 2**62), (4, 0, 0)], bytes(8), b"", 8), "does not belong"),
    "step back": (make_patch([(4, 0, -9), (4, 0, 0)], bytes(8), b"", 8), "does not belong"),
    "too few differences": (make_patch([(9, 0, 0)], bytes(4), b"", 9), "needs more"),
    "too few extra bytes": (make_patch([(0, 9, 0)], b"", b"1234", 9), "needs more"),
    "bomb": (make_patch([(4, 0, 0)], bytes(24 * MIB), b"", 4), "another size"),
    "steps without end": (make_patch([(0, 0, 0)] * (1 << 19), b"", b"", 0), "another size"),
}


@pytest.fixture
def little_memory() -> object:
    """Allows this process only a little more address space than it uses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM_BYTES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_made_files_are_valid() -> None:
    assert firmware.image_in(LIBRARY) == firmware.image_in(WHEEL) == IMAGE
    assert firmware.image_in(WHEEL, usb2=True) == NEW


@pytest.mark.parametrize("name", FILES)
def test_hostile_file_is_one_error(name: str, little_memory: object, tmp_path: Path) -> None:
    make, words = FILES[name]
    path = tmp_path / "file"
    path.write_bytes(make())
    if not words:
        assert firmware.extract(path) == IMAGE
        return
    with pytest.raises(firmware.FirmwareError, match=words):
        firmware.extract(path)


@pytest.mark.parametrize("name", PATCHES)
def test_hostile_patch_is_one_error(name: str, little_memory: object) -> None:
    patch, words = PATCHES[name]
    with pytest.raises(firmware.FirmwareError, match=words):
        firmware.apply_patch(IMAGE, patch)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(path))


def make_endless(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


#: Name -> (function that makes the file, words of the error).
PLACES: dict[str, tuple[Callable[[Path], None], str]] = {
    "fifo": (lambda path: os.mkfifo(path), "must be a regular file"),
    "folder": (lambda path: path.mkdir(), "must be a regular file"),
    "socket": (make_socket, "must be a regular file"),
    "endless": (lambda path: path.symlink_to("/dev/zero"), "must be a regular file"),
    "terminal": (lambda path: path.symlink_to("/dev/tty"), "must be a regular file"),
    "sparse": (make_endless, "more than 16777216 bytes"),
    "loop": (lambda path: path.symlink_to(path), "Too many levels"),
    "nothing": (lambda path: None, "No such file"),
    "empty": (lambda path: path.write_bytes(b"") and None, "is empty"),
    "memory of a process": (lambda path: path.symlink_to("/proc/self/mem"), "is empty|/file: "),
    "wheel": (lambda path: path.write_bytes(inflating(MIB)) and None, "the wheel is damaged"),
}


@pytest.mark.parametrize("name", PLACES)
def test_driver_refuses_the_file_in_one_sentence(
    name: str, little_memory: object, tmp_path: Path
) -> None:
    make, words = PLACES[name]
    make(tmp_path / "file")
    with pytest.raises(ConfigError, match=f"device.firmware: .*({words})") as error:
        read_firmware(str(tmp_path / "file"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", ["~nosuchuser/x", "a\0b", "x" * 5000, "\udcff"])
def test_path_that_names_no_file_is_one_sentence(path: str) -> None:
    with pytest.raises(ConfigError, match=r"device.firmware: "):
        read_firmware(path)


#: Numbers at the ends of the fields' ranges.
EDGES = [0, 1, 0x7F, 0xFF, 0xFFFF, 2**31, 2**32 - 1, 2**63, 2**64 - 1]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The data after one to four random changes."""
    copy = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(copy) or 1)
        size = chance.choice((1, 2, 4, 8))
        match chance.randrange(5):
            case 0:
                copy[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                value = chance.choice(EDGES) & (1 << 8 * size) - 1
                copy[place : place + size] = value.to_bytes(size, "little")
            case 2:
                del copy[place : place + chance.randrange(64)]
            case 3:
                other = chance.randrange(len(copy) or 1)
                copy[place:place] = copy[other : other + chance.randrange(64)]
            case 4:
                copy[place : place + 8 * size] = chance.randbytes(8 * size)
    return bytes(copy)


def check_wheel(data: bytes) -> None:
    firmware.image_in(data, usb2=True)


def check_patch(data: bytes) -> None:
    assert len(firmware.apply_patch(IMAGE, data)) < 8 * MIB


@pytest.mark.parametrize(
    ("data", "read"),
    [
        (LIBRARY, check_wheel),
        (WHEEL, check_wheel),
        (make_wheel(LIBRARY, method=zipfile.ZIP_STORED), check_wheel),
        (PATCH, check_patch),
    ],
    ids=["library", "wheel", "wheel, stored", "patch"],
)
def test_mutated_file_gives_an_image_or_one_error(
    data: bytes, read: Callable[[bytes], None], little_memory: object
) -> None:
    chance = random.Random(7)
    refused = 0
    for _ in range(ROUNDS):
        sample = mutated(data, chance)
        try:
            read(sample)
        except firmware.FirmwareError:
            refused += 1
    assert ROUNDS / 10 < refused <= ROUNDS
