"""Reads the header of a compiled network (a `.blob` of OpenVINO 2020) and nothing behind it.

A file comes from anywhere: every offset and size is checked before use. The first input and the
first output stand at known places. Further entries follow one behind the other, which no file has
confirmed; where they do not add up, the entries before them are used, and `notes` says so.
Source: docs/wire_format.md#blob-header
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np

from .bounded import clean_text, shown
from .errors import DecodeError
from .wire_formats import TENSOR_DTYPES

#: First bytes of a compiled network; the letters of a program or library are capitals.
BLOB_START = b"\x7felf"
_MAGIC = 9709
_VERSION = 5
#: The fields from byte 52, little-endian: magic, file size, version, its second part, number of
#: inputs, of outputs, of stages, bytes of inputs, of outputs, two fields, CMX slices, SHAVEs, three
#: fields, offsets of the tables of inputs and outputs.
_FIELDS = struct.Struct("<18I")
_FIELDS_AT = 52
#: Index, offset in the buffer, length of the name; type, order of the axes, number of axes.
_THREE = struct.Struct("<3I")
_LONGEST_NAME, _MOST_AXES, _MOST_ENTRIES = 256, 4, 64
_LARGEST_AXIS, _LARGEST_TENSOR = 1 << 22, 1 << 28
#: Orders of the axes that name an axis by its code: 4 batch, 3 channel, 2 height, 1 width.
_AXIS_CODES = (1, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class BlobTensor:
    """An input or output: `dimensions` are outermost first, `order` has the code of each."""

    name: str
    type_code: int  # index of TENSOR_DTYPES
    dimensions: tuple[int, ...]
    order: tuple[int, ...]

    def __str__(self) -> str:
        size = "x".join(map(str, self.dimensions))
        return f"{self.name} {size} {np.dtype(TENSOR_DTYPES[self.type_code]).name}"

    def chw(self) -> tuple[int, int, int]:
        """(channels, height, width); an axis that the tensor does not have is 1."""
        sizes = dict(zip(self.order, self.dimensions, strict=True))
        return sizes.get(3, 1), sizes.get(2, 1), sizes.get(1, 1)


@dataclass(frozen=True, slots=True)
class BlobHeader:
    """The header of a compiled network. `shaves` and `cmx_slices` are an assumption.

    `notes` says what was not read; of another version neither inputs nor outputs are.
    """

    version: int
    inputs: tuple[BlobTensor, ...]
    outputs: tuple[BlobTensor, ...]
    stages: int
    shaves: int
    cmx_slices: int
    notes: tuple[str, ...] = ()


def is_compiled(blob: bytes) -> bool:
    """True if a file begins like a compiled network."""
    return blob[: len(BLOB_START)] == BLOB_START


def read_blob_header(blob: bytes) -> BlobHeader:
    """The header of a compiled network.

    Raises  DecodeError if the file is none, is incomplete, or has no readable input and output
    """
    if not is_compiled(blob):
        raise DecodeError(
            f"blob: begins with {shown(blob[:4])}, must begin with {shown(BLOB_START)}"
        )
    least = _FIELDS_AT + _FIELDS.size
    if len(blob) < least:
        raise DecodeError(f"blob: {len(blob)} bytes, its header has {least}: download it again")
    fields = _FIELDS.unpack_from(blob, _FIELDS_AT)
    magic, size, version, _, inputs, outputs, stages = fields[:7]
    if magic != _MAGIC:
        raise DecodeError(f"blob: magic number is {magic}, must be {_MAGIC}")
    if size != len(blob):
        raise DecodeError(
            f"blob: the header says {size} bytes, the file has {len(blob)}: download it again"
        )
    cmx_slices, shaves = fields[11:13]
    if version != _VERSION:
        note = f"blob: version is {version}; inputs and outputs are only read of version {_VERSION}"
        return BlobHeader(version, (), (), stages, shaves, cmx_slices, (note,))
    found_inputs, input_note = _read_table(blob, "input", inputs, fields[16])
    found_outputs, output_note = _read_table(blob, "output", outputs, fields[17])
    notes = tuple(filter(None, (input_note, output_note)))
    return BlobHeader(version, found_inputs, found_outputs, stages, shaves, cmx_slices, notes)


def _read_table(
    blob: bytes, kind: str, count: int, offset: int
) -> tuple[tuple[BlobTensor, ...], str]:
    """The entries of a table, and why it has fewer than `count`; "" = it has all."""
    if not 1 <= count <= _MOST_ENTRIES:
        raise DecodeError(f"blob: {count} {kind}s, must be 1 to {_MOST_ENTRIES}")
    found: list[BlobTensor] = []
    for index in range(count):
        try:
            tensor, offset = _read_entry(blob, f"blob: {kind} {index}", index, offset)
        except DecodeError as cause:
            if index == 0:
                raise
            return tuple(found), f"{cause}; of {count} {kind}s the first {index} are used"
        found.append(tensor)
    return tuple(found), ""


def _read_entry(blob: bytes, where: str, index: int, offset: int) -> tuple[BlobTensor, int]:
    """An entry, and the offset behind it."""
    number, _, length = _unpack(_THREE, blob, where, offset)
    if number != index:
        raise DecodeError(f"{where}: byte {offset} has number {number}, must be {index}")
    offset += _THREE.size
    if not 1 <= length <= _LONGEST_NAME or offset + length > len(blob):
        raise DecodeError(f"{where}: its name has {length} bytes, must have 1 to {_LONGEST_NAME}")
    text = blob[offset : offset + length].partition(b"\0")[0].decode("utf-8", "replace")
    offset += length
    type_code, code, axes = _unpack(_THREE, blob, where, offset)
    offset += _THREE.size
    if type_code >= len(TENSOR_DTYPES):
        raise DecodeError(f"{where}: type is {type_code}, must be 0 to {len(TENSOR_DTYPES) - 1}")
    if not 1 <= axes <= _MOST_AXES:
        raise DecodeError(f"{where}: {axes} dimensions, must be 1 to {_MOST_AXES}")
    order = tuple(code >> 4 * axis & 15 for axis in range(axes))
    if code >> 4 * axes or len(set(order)) < axes or not set(order) <= set(_AXIS_CODES):
        raise DecodeError(f"{where}: order is {code:#x}, must name {axes} axes, as 0x4321 does")
    numbers = _unpack(struct.Struct(f"<{2 * axes}I"), blob, where, offset)  # sizes, then strides
    sizes = numbers[:axes]
    if not all(1 <= size <= _LARGEST_AXIS for size in sizes) or math.prod(sizes) > _LARGEST_TENSOR:
        raise DecodeError(f"{where}: dimensions are {list(sizes[::-1])}, expected a smaller tensor")
    tensor = BlobTensor(clean_text(text), type_code, sizes[::-1], order[::-1])
    return tensor, offset + 8 * axes


def _unpack(form: struct.Struct, blob: bytes, where: str, offset: int) -> tuple[int, ...]:
    if offset + form.size > len(blob):
        raise DecodeError(f"{where}: at byte {offset}, the file has {len(blob)}")
    return form.unpack_from(blob, offset)


def resource_warning(blob: bytes, shaves: int, cmx_slices: int) -> str:
    """Why a compiled network may need more than it gets; "" if it does not, or is not known.

    The meaning of both fields is an assumption: nothing may be refused for it.
    """
    try:
        header = read_blob_header(blob)
    except DecodeError:
        return ""
    if header.shaves <= shaves and header.cmx_slices <= cmx_slices:
        return ""
    return (
        f"the network's header seems to say that it was compiled for {header.shaves} SHAVEs and "
        f"{header.cmx_slices} CMX slices, it gets {shaves} and {cmx_slices}: if the device does "
        "not run it, raise ai.shaves and ai.cmx_slices"
    )
