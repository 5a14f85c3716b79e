"""Serialises the raw output of a network as an NNTensors message.

The device packs all output layers into one block with gaps and its own strides. The message has
them densely packed, each after its name and shape; they are copied once, into the outgoing buffer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..errors import DecodeError
from ..wire_formats import tensor_view
from . import cdr

#: Dimension code -> its letter. Source: docs/wire_format.md#tensors
_AXES = {1: "W", 2: "H", 3: "C", 4: "N"}
_LONGEST_NAME = 255


class RawOutput:
    """The output layers of one pipeline that the device does not decode.

    Names and shapes of the layers do not change: they are serialised once.
    """

    def __init__(self, layers: Sequence[Mapping[str, Any]] = ()) -> None:
        """`layers` are entries of outBlob's `output_layers`; checked with the first payload."""
        self._layers = tuple(layers)
        self._fields: list[bytes] = []

    def serialized(
        self, stamp_ns: int, frame_id: str, payload: NDArray[np.uint8]
    ) -> cdr.Serialized:
        """The message of one `metaout` payload.

        Shape   (n,) uint8
        Raises  DecodeError if the description of a layer is malformed, or exceeds the payload
        """
        tensors = [tensor_view(payload, layer) for layer in self._layers]
        size = sum(tensor.nbytes for tensor in tensors)
        if size > len(payload):  # possible with strides of 0
            raise DecodeError(f"tensors have {size} bytes, the payload has {len(payload)}")
        if not self._fields:
            self._fields = [
                _fields(layer, tensor) for layer, tensor in zip(self._layers, tensors, strict=True)
            ]
        content, end = self._written(tensors)
        prefix = cdr.tensors_prefix(stamp_ns, frame_id, len(tensors))
        return cdr.Serialized(content, end, prefix)

    def _written(self, tensors: Sequence[NDArray[Any]]) -> tuple[_core.Buffer, int]:
        """A buffer with all tensors and their fields, and the number of bytes used in it."""
        room = sum(
            len(fields) + _padded(tensor.nbytes)
            for fields, tensor in zip(self._fields, tensors, strict=True)
        )
        buffer = _core.Buffer(size=room)
        content = memoryview(buffer)
        start = end = 0
        for fields, tensor in zip(self._fields, tensors, strict=True):
            elements = start + len(fields)
            content[start:elements] = fields
            target: NDArray[Any] = np.ndarray(tensor.shape, tensor.dtype, content, elements)
            np.copyto(target, tensor)
            end = elements + tensor.nbytes
            start = elements + _padded(tensor.nbytes)
            content[end:start] = bytes(start - end)
        return buffer, end


def _padded(size: int) -> int:
    """Size rounded up to a multiple of four, where the next tensor begins."""
    return (size + 3) // 4 * 4


def _fields(layer: Mapping[str, Any], tensor: NDArray[Any]) -> bytes:
    name = str(layer["name"])
    if len(name) > _LONGEST_NAME:
        raise DecodeError(f"a tensor's name has {len(name)} characters, at most {_LONGEST_NAME}")
    readable = name.replace("\0", "").encode("utf-8", "replace").decode()
    axes = _axes(layer["shape"].get("order"), tensor.ndim)
    return cdr.tensor_fields(readable, tensor.dtype.name, axes, tensor.shape, tensor.nbytes)


def _axes(order: Any, count: int) -> str:
    """One letter for each axis; "" if their order is not known."""
    if not isinstance(order, list) or len(order) != count:
        return ""
    return "".join(_AXES.get(code, "?") if isinstance(code, int) else "?" for code in order)
