"""Decodes network results by the `tensors` descriptions of older Gen1 blob configurations.

One axis of a tensor gives its entries; the values of an entry are its properties, with names.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bounded import describe, is_whole
from ..errors import ConfigTypeError
from .tensors import layer_bytes
from .types import Opaque, unsigned

_log = logging.getLogger(__name__)

#: Name of an element type -> numpy dtype.
_TYPES = {"f16": "<f2", "u8": "u1"}
#: Smallest normal half-precision number; smaller numbers are read as zero.
_SMALLEST_HALF = 2.0**-14
_INDEX, _DIMENSIONS = "output_entry_iteration_index", "output_dimensions"
#: Largest tensor that the host makes; a device reports 100 detections, which have 2000 bytes.
_MOST_MADE_BYTES = 1 << 24


class PropertyNotFoundError(RuntimeError, IndexError, KeyError):
    """An entry has no such property; Gen1 releases raised different ones of the three bases."""

    __str__ = Exception.__str__


@dataclass(frozen=True, slots=True)
class TensorPlan:
    """Layout of one tensor: `count` entries of `width` properties each, `offset` in bytes."""

    name: str
    dimensions: tuple[int, ...]
    count: int
    dtype: str
    names: Mapping[str, int]
    offset: int = 0

    @property
    def elements(self) -> int:
        """Elements of the whole tensor by its declaration."""
        return math.prod(self.dimensions)

    @property
    def bytes(self) -> int:
        """Bytes of the whole tensor by its declaration."""
        return self.elements * np.dtype(self.dtype).itemsize

    @property
    def width(self) -> int:
        """Properties of one entry."""
        return self.elements // self.count

    @property
    def has_distances(self) -> bool:
        """True if each entry is a detection with position (ten properties)."""
        return self.dimensions[-1] == 10 or any(name.startswith("distance_") for name in self.names)

    @property
    def is_ssd(self) -> bool:
        """True if the entries are detections, with or without position."""
        return self.has_distances or self.dimensions[-1] == 7


# -- reading the description


def read_tensors(path: str, tensors: Sequence[Any], *, stage: int = 1) -> tuple[TensorPlan, ...]:
    """Plans for the `tensors` of a blob configuration; names of a second stage get a suffix.

    Raises  ConfigTypeError with the file, the tensor, the field and its error
    """
    return tuple(
        _read_tensor(f"{path}: tensors[{index}]", tensor, index, stage)
        for index, tensor in enumerate(tensors)
    )


def _read_tensor(where: str, tensor: Any, index: int, stage: int) -> TensorPlan:
    if not isinstance(tensor, dict):
        raise ConfigTypeError(f"{where} is {describe(tensor)}, must be an object")
    name = _field(where, tensor, "output_tensor_name", str)
    dimensions = tuple(_numbers(where, tensor, _DIMENSIONS))
    if not dimensions or 0 in dimensions:
        raise ConfigTypeError(f"{where}: {_DIMENSIONS} is {list(dimensions)}, none may be 0")
    axis = _field(where, tensor, _INDEX, int)
    if not -1 <= axis < len(dimensions):
        raise ConfigTypeError(
            f"{where}: {_INDEX} is {axis}, {_DIMENSIONS} has {len(dimensions)} entries"
        )
    type_name = _field(where, tensor, "output_properties_type", str)
    if type_name not in _TYPES:
        known = ", ".join(_TYPES)
        raise ConfigTypeError(
            f"{where}: output_properties_type is {type_name!r}, must be one of {known}"
        )
    return TensorPlan(
        name=name if stage == 1 else f"{name}_stage{index + stage}",
        dimensions=dimensions,
        count=dimensions[axis] if axis >= 0 else 1,
        dtype=_TYPES[type_name],
        names=_names(where, tensor),
    )


def _field(where: str, tensor: Mapping[str, Any], key: str, kind: type) -> Any:
    if key not in tensor:
        raise ConfigTypeError(f"{where} has no {key}, it is required")
    value = tensor[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ConfigTypeError(f"{where}: {key} is {describe(value)}, must be {_KINDS[kind]}")
    return value


#: Largest size or index in a description.
_LARGEST_SIZE = (1 << 31) - 1
_KINDS = {str: "text", int: "an integer", list: "an array"}


def _numbers(where: str, tensor: Mapping[str, Any], key: str) -> list[int]:
    numbers = _field(where, tensor, key, list)
    for number in numbers:
        if not is_whole(number, 0, _LARGEST_SIZE):
            raise ConfigTypeError(f"{where}: {key} holds {describe(number)}, must be integers")
    return list(numbers)


def _names(where: str, tensor: Mapping[str, Any]) -> dict[str, int]:
    """Property name -> position; of equal names the first one."""
    axes = _numbers(where, tensor, "output_properties_dimensions")
    mapping = _field(where, tensor, "property_key_mapping", list)
    for names in mapping:
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ConfigTypeError(
                f"{where}: property_key_mapping holds {describe(names)}, must be arrays of texts"
            )
    if len(axes) != 1 or axes[0] >= len(mapping):
        return {}
    found: dict[str, int] = {}
    for position, name in enumerate(mapping[axes[0]]):
        found.setdefault(name, position)
    return found


def bind(
    plans: Sequence[TensorPlan], layers: Sequence[Mapping[str, Any]], *, made_here: int = 0
) -> tuple[TensorPlan, ...]:
    """Plans with the offsets of the network's outputs, in the same order.

    The host makes the first `made_here` tensors; the network's output may be smaller.

    Raises  ConfigTypeError if the network has fewer or smaller outputs, or the host would make too
            large a tensor
    """
    if len(plans) > len(layers):
        raise ConfigTypeError(
            f"blob configuration declares {len(plans)} tensors, the network has {len(layers)}"
        )
    bound = []
    for index, (plan, layer) in enumerate(zip(plans, layers, strict=False)):
        if index < made_here and plan.bytes > _MOST_MADE_BYTES:
            raise ConfigTypeError(
                f"tensor {plan.name!r}: {_DIMENSIONS} {list(plan.dimensions)} means {plan.bytes} "
                f"bytes, the host makes at most {_MOST_MADE_BYTES}"
            )
        actual = layer_bytes(layer)
        if index >= made_here and plan.bytes > actual:
            raise ConfigTypeError(
                f"tensor {plan.name!r}: {_DIMENSIONS} {list(plan.dimensions)} means {plan.bytes} "
                f"bytes, output {layer['name']!r} of the network has {actual}"
            )
        bound.append(replace(plan, offset=int(layer["offset"])))
    return tuple(bound)


# -- decoding one result


class TensorEntry(Opaque):
    """One entry of one tensor: its properties by position or by name."""

    __slots__ = ("_names", "_values")
    _values: list[float]
    _names: Mapping[str, int]

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, key: int | str, /) -> float:
        if isinstance(key, str):
            return self._by_name(key)
        index = unsigned("index", key) if not _is_negative(key) else len(self)
        if index >= len(self._values):
            raise PropertyNotFoundError(f"property {key} of {len(self._values)}")
        return self._values[index]

    def _by_name(self, name: str) -> float:
        index = self._names.get(name, len(self._values))
        if index >= len(self._values):
            raise PropertyNotFoundError(
                f"no property {name!r}: property_key_mapping of the blob configuration gives "
                f"{', '.join(self._names) or 'no names'} to {len(self._values)} properties"
            )
        return self._values[index]

    def __iter__(self) -> Iterator[float]:
        return iter(self._values)


def _is_negative(key: Any) -> bool:
    return isinstance(key, (int, np.integer)) and int(key) < 0


def _make_entry(values: list[float], names: Mapping[str, int]) -> TensorEntry:
    entry = TensorEntry.__new__(TensorEntry)
    entry._values, entry._names = values, names
    return entry


@dataclass(frozen=True, slots=True)
class _Table:
    """Decoded entries of one tensor: (count, width) float32, and which rows are finite."""

    rows: NDArray[np.float32]
    is_valid: NDArray[np.bool_]
    names: Mapping[str, int]


class TensorEntryContainer(Opaque):
    """Entries of all tensors of one result; `container[i]` has entry i of each tensor."""

    __slots__ = ("_tables",)
    _tables: tuple[_Table, ...]

    def __len__(self) -> int:
        return len(self._tables[0].rows) if self._tables else 0

    def __getitem__(self, index: Any, /) -> list[TensorEntry]:
        if isinstance(index, str):
            raise KeyError(index)
        number = unsigned("index", index)
        if number >= len(self):
            raise IndexError(f"entry {number} of {len(self)}")
        found = []
        for table in self._tables:
            row = number if number < len(table.rows) else 0
            if table.is_valid[row]:
                found.append(_make_entry(table.rows[row].tolist(), table.names))
            else:
                _log.info("entry %d is skipped: it has a number that is not finite", number)
        return found

    def __iter__(self) -> Iterator[list[TensorEntry]]:
        """All entries without the empty ones."""
        return (entries for number in range(len(self)) if (entries := self[number]))


def decode_entries(plans: Sequence[TensorPlan], payload: NDArray[np.uint8]) -> TensorEntryContainer:
    """Copy the entries out of a payload.

    Raises  RuntimeError if the payload is shorter than the plans say
    """
    container = TensorEntryContainer.__new__(TensorEntryContainer)
    container._tables = tuple(_decode_table(plan, payload) for plan in plans)
    return container


def _decode_table(plan: TensorPlan, payload: NDArray[np.uint8]) -> _Table:
    end = plan.offset + plan.bytes
    if end > len(payload):
        raise RuntimeError(
            f"tensor {plan.name!r} ends at byte {end} by the blob configuration, "
            f"the result has {len(payload)} bytes"
        )
    used = plan.count * plan.width
    values = payload[plan.offset : end].view(plan.dtype)[:used].astype(np.float32)
    if plan.dtype == "<f2":
        values[np.abs(values) < _SMALLEST_HALF] = 0
    rows = values.reshape(plan.count, plan.width)
    return _Table(rows, np.asarray(np.isfinite(rows).all(axis=1)), plan.names)
