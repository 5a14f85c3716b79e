"""Small files of the kinds that hold firmware."""

from __future__ import annotations

import bz2
import io
import struct
import zipfile


def sign_magnitude(value: int) -> bytes:
    return struct.pack("<Q", abs(value) | (value < 0) << 63)


def make_patch(
    steps: list[tuple[int, int, int]], difference: bytes, extra: bytes, size: int
) -> bytes:
    control = bz2.compress(b"".join(sign_magnitude(n) for step in steps for n in step))
    changes = bz2.compress(difference)
    head = b"BSDIFF40" + b"".join(map(sign_magnitude, (len(control), len(changes), size)))
    return head + control + changes + bz2.compress(extra)


IMAGE = bytes(range(200))
NEW = bytes(value + 1 for value in IMAGE) + b"usb2"
PATCH = make_patch([(len(IMAGE), 4, 0)], bytes([1]) * len(IMAGE), b"usb2", len(NEW))


def symbol(name: int, address: int) -> bytes:
    return struct.pack("<IBBHQQ", name, 0, 0, 1, address, 0)


def section(kind: int, offset: int, size: int, link: int = 0) -> bytes:
    return struct.pack("<IIQQQQIIQQ", 0, kind, 0, 0, offset, size, link, 0, 0, 0)


def make_library(
    *, sections: bytes = b"", symbols: bytes = b"", names: bytes = b"", base: int = 0x1000
) -> bytes:
    """An extension with both files: by symbols for the image, by pointers for the patch.

    Layout: header, one segment, image, patch, pointers, names, symbols, relocations, sections.
    """
    head_bytes = 64 + 56
    image, patch = head_bytes, head_bytes + len(IMAGE)
    pointers = patch + len(PATCH)
    text = [b"gf_1_depthai_cmdData", b"gf_1_depthai_cmdEnd"]
    text += [b"f_2_depthai_usb2_patch_patch_beginE", b"f_2_depthai_usb2_patch_patch_endE"]
    strings = b"\0" + b"\0".join(text) + b"\0" + names
    places = [image, image + len(IMAGE), pointers, pointers + 8]
    table = symbols + b"".join(
        symbol(strings.index(name), base + place) for name, place in zip(text, places, strict=True)
    )
    targets = (patch, patch + len(PATCH))
    moves = b"".join(
        struct.pack("<QQq", base + pointers + 8 * index, 8, base + place)
        for index, place in enumerate(targets)
    )
    at_names = pointers + 16
    at_symbols = at_names + len(strings)
    at_moves = at_symbols + len(table)
    at_sections = at_moves + len(moves)
    rows = section(3, at_names, len(strings))
    rows += section(11, at_symbols, len(table), link=0) + section(4, at_moves, len(moves))
    rows += sections
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, at_sections, 0, 64, 56, 1, 64, 0, 0)
    header = header[:60] + struct.pack("<HH", len(rows) // 64, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, at_sections, at_sections, 1)
    return header + segment + IMAGE + PATCH + bytes(16) + strings + table + moves + rows


def make_wheel(
    content: bytes, name: str = "depthai.so", method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("depthai/data.txt", "nothing")
        archive.writestr(name, content)
    return file.getvalue()
