"""Headers of compiled networks: files with sizes and tensors, and nothing to execute."""

from __future__ import annotations

import struct
from collections.abc import Sequence

F16, U8 = 0, 1
SIZE = 1024
#: Name, dimensions (outermost first), type code.
Tensor = tuple[str, Sequence[int], int]
SSD_OUTPUT: Tensor = ("detection_out", (1, 1, 200, 7), F16)


def entry(index: int, tensor: Tensor) -> bytes:
    """One entry of a table of inputs or outputs."""
    name, dimensions, code = tensor
    sizes = list(dimensions[::-1])
    strides = [1 if code else 2]
    for size in sizes[:-1]:
        strides.append(strides[-1] * size)
    text = name.encode() + b"\0"
    text = text.ljust(-(-len(text) // 16) * 16, b"\0")
    order = {4: 0x4321, 3: 0x321, 2: 0x43}[len(sizes)]
    return (
        struct.pack("<3I", index, 0, len(text))
        + text
        + struct.pack("<3I", code, order, len(sizes))
        + struct.pack(f"<{2 * len(sizes)}I", *sizes, *strides)
    )


def compiled_network(
    inputs: Sequence[Tensor], outputs: Sequence[Tensor], *, shaves: int = 4, version: int = 5
) -> bytearray:
    """A file of SIZE bytes with the header of a network."""
    blob = bytearray(SIZE)
    blob[:4] = b"\x7felf"
    tables = [
        b"".join(entry(index, tensor) for index, tensor in enumerate(rows))
        for rows in (inputs, outputs)
    ]
    second = 192 + -(-len(tables[0]) // 64) * 64
    counts = (len(inputs), len(outputs), 1, 0, 0, 1, 0, shaves, shaves, 1, 1, 0)
    struct.pack_into("<20I", blob, 52, 9709, SIZE, version, 0, *counts, 192, second, SIZE, SIZE)
    for offset, table in zip((192, second), tables, strict=True):
        blob[offset : offset + len(table)] = table
    return blob
