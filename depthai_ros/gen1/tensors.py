"""Descriptions of the input and output layers of a network in the Gen1 API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..bounded import describe
from ..wire_formats import TENSOR_DTYPES
from .types import Enumeration, Opaque

_TYPE_NAMES = tuple(np.dtype(code).name for code in TENSOR_DTYPES)
_TYPE_SIZES = tuple(np.dtype(code).itemsize for code in TENSOR_DTYPES)


class _DataType(Opaque):
    """Element type of a tensor; its text is the name: float16, uint8, …"""

    __slots__ = ("_name",)
    _name: str

    def __repr__(self) -> str:
        return self._name


_DataType.__name__ = "DataType"
_DataType.__qualname__ = "TensorInfo.DataType"


def _make_type(name: str) -> _DataType:
    kind = _DataType.__new__(_DataType)
    kind._name = name
    return kind


_TYPES = tuple(_make_type(name) for name in _TYPE_NAMES)
_ATTRIBUTES = (
    "name",
    "order",
    "dimensions",
    "strides",
    "data_type",
    "offset",
    "element_size",
    "index",
)
#: Dimension -> its name in the description of a tensor.
_WORDS = {1: "Width", 2: "Height", 3: "Channel", 4: "Batch"}


class TensorInfo(Opaque):
    """Description of one input or output layer of a network."""

    __slots__ = ("_layer",)
    _layer: Mapping[str, Any]

    DataType = _DataType

    class Dimension(
        Enumeration,
        members={
            "W": 1,
            "H": 2,
            "C": 3,
            "N": 4,
            "B": 4,
            "WIDTH": 1,
            "HEIGHT": 2,
            "CHANNEL": 3,
            "NUMBER": 4,
            "BATCH": 4,
        },
    ):
        """Meaning of one axis of a tensor."""

        __slots__ = ()

    @property
    def name(self) -> str:
        """Name of the layer."""
        return str(self._layer["name"])

    @property
    def order(self) -> list[Any]:
        """Meaning of each axis, outermost first."""
        return [self.Dimension(code) for code in self._layer["shape"]["order"]]

    @property
    def dimensions(self) -> list[int]:
        """Size of each axis."""
        return [int(size) for size in self._layer["shape"]["dimensions"]]

    @property
    def strides(self) -> list[int]:
        """Bytes from one element to the next along each axis."""
        return [int(stride) for stride in self._layer["shape"]["strides"]]

    @property
    def data_type(self) -> Any:
        """Type of the elements."""
        return _TYPES[int(self._layer["shape"]["data_type"])]

    @property
    def offset(self) -> int:
        """Offset of the tensor in the payload, bytes."""
        return int(self._layer["offset"])

    @property
    def element_size(self) -> int:
        """Bytes of one element."""
        return _TYPE_SIZES[int(self._layer["shape"]["data_type"])]

    @property
    def index(self) -> int:
        """Number of the layer."""
        return int(self._layer["idx"])

    def get_dimension(self, dim: Any, /) -> int:
        """Size of one axis. Raises RuntimeError if the tensor has no such axis."""
        if not isinstance(dim, self.Dimension):
            raise TypeError(f"dim is {describe(dim)}, must be a TensorInfo.Dimension")
        if dim not in self.order:
            raise RuntimeError(
                f"tensor {self.name!r} has no dimension {dim!r}, it has {self.order}"
            )
        return self.dimensions[self.order.index(dim)]

    def get_dict(self) -> dict[str, Any]:
        """All attributes by name."""
        return {name: getattr(self, name) for name in _ATTRIBUTES}

    def __repr__(self) -> str:
        axes = zip(self.order, self.dimensions, strict=True)
        element = f"{self.element_size}" + (" bytes" if self.element_size > 1 else "byte")
        offset = f"{self.offset} " + (" bytes" if self.offset > 1 else "byte")
        sizes = ", ".join(f"{_WORDS.get(int(code), '?')} : {size}" for code, size in axes)
        return "\n".join(
            (
                f"Name: {self.name}",
                f"Index: {self.index}",
                f"Element type: {self.data_type!r}",
                f"Element size:  {element}",
                f"Offset: {offset}",
                f"Dimensions: [{sizes}]",
                "",
            )
        )


def make_tensor_info(layer: Mapping[str, Any]) -> TensorInfo:
    """A `TensorInfo` for a layer of outBlob."""
    info = TensorInfo.__new__(TensorInfo)
    info._layer = layer
    return info


def layer_bytes(layer: Mapping[str, Any]) -> int:
    """Bytes from the first to the end of the last element of a layer."""
    info = make_tensor_info(layer)
    extents = zip(info.dimensions, info.strides, strict=True)
    return sum((size - 1) * stride for size, stride in extents) + info.element_size
