"""Finds the padding bytes of a serialised message."""

from __future__ import annotations

from typing import Any

from rosidl_parser.definition import (
    AbstractNestedType,
    AbstractSequence,
    AbstractString,
    BasicType,
    NamespacedType,
)

_SIZES = {
    "boolean": 1, "octet": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4,
    "uint32": 4, "float": 4, "int64": 8, "uint64": 8, "double": 8,
}  # fmt: skip
_ENCAPSULATION = 4


class _Walk:
    """Walks through a message in the order of plain CDR."""

    def __init__(self) -> None:
        self.position = _ENCAPSULATION
        self.gaps: set[int] = set()

    def pass_numbers(self, size: int, count: int = 1) -> None:
        if count:
            gap = -(self.position - _ENCAPSULATION) % size
            self.gaps |= set(range(self.position, self.position + gap))
            self.position += gap + size * count

    def pass_value(self, kind: Any, value: Any) -> None:
        if isinstance(kind, BasicType):
            self.pass_numbers(_SIZES[kind.typename])
        elif isinstance(kind, AbstractString):
            self.pass_numbers(4)
            self.position += len(value.encode()) + 1
        elif isinstance(kind, NamespacedType):
            self.pass_message(value)
        else:
            assert isinstance(kind, AbstractNestedType)
            if isinstance(kind, AbstractSequence):
                self.pass_numbers(4)
            if isinstance(kind.value_type, BasicType):
                self.pass_numbers(_SIZES[kind.value_type.typename], len(value))
            else:
                for item in value:
                    self.pass_value(kind.value_type, item)

    def pass_message(self, message: Any) -> None:
        for field, kind in zip(
            message.get_fields_and_field_types(), message.SLOT_TYPES, strict=True
        ):
            self.pass_value(kind, getattr(message, field))


def gaps(message: Any) -> set[int]:
    """Positions of padding bytes; ROS does not initialise them."""
    walk = _Walk()
    walk.pass_message(message)
    return walk.gaps


def without_gaps(serialized: bytes, message: Any) -> bytes:
    """The serialised bytes without padding."""
    walk = _Walk()
    walk.pass_message(message)
    assert walk.position == len(serialized)
    return bytes(byte for place, byte in enumerate(serialized) if place not in walk.gaps)
