"""Base classes of the Gen1 API: opaque objects and Gen1 enumerations.

This module has no public names; those are in `depthai.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NoReturn, TypeVar

from ..bounded import describe


def integer(name: str, value: Any) -> int:
    """An integer of any kind. Raises TypeError."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {describe(value)}, must be an integer") from None


def unsigned(name: str, value: Any) -> int:
    """An integer that is not negative, as an index or a count. Raises TypeError."""
    number = integer(name, value)
    if number < 0:
        raise TypeError(f"{name} is {describe(value)}, must be an integer that is not negative")
    return number


class Opaque:
    """An object without constructor or attributes; cannot be pickled and equals only itself."""

    __slots__ = ("__weakref__",)

    def __init__(self, *_arguments: Any, **_keywords: Any) -> None:
        raise TypeError(f"depthai.{type(self).__qualname__}: No constructor defined!")

    def __reduce_ex__(self, _protocol: Any) -> NoReturn:
        raise TypeError(f"cannot pickle depthai.{type(self).__qualname__} objects")


def read_only(read: Callable[[Any], Any], doc: str) -> Any:
    """An attribute that cannot be assigned."""
    return property(read, doc=doc)


_Kind = TypeVar("_Kind", bound="Enumeration")


class Enumeration:
    """A Gen1 enumeration: named constants that equal only members of the same class.

    Use: `Class.NAME`, `Class(number)`, `Class.__members__`, `int(member)`, `member.name`. Members
    can be pickled; the class is not iterable.
    """

    __slots__ = ("_number",)
    __members__: ClassVar[dict[str, Any]] = {}
    _number: int

    def __init_subclass__(cls, members: Mapping[str, int]) -> None:
        cls.__members__ = {}
        for name, number in members.items():
            member = object.__new__(cls)
            member._number = number
            cls.__members__[name] = member
            setattr(cls, name, member)
        _KINDS[cls.__qualname__] = cls

    def __new__(cls: type[_Kind], value: Any) -> _Kind:
        number = operator.index(value)
        for member in cls.__members__.values():
            if member._number == number:
                return member  # type: ignore[no-any-return]
        unnamed = object.__new__(cls)
        unnamed._number = number
        return unnamed

    @property
    def name(self) -> str:
        """Name of the constant; the first name if several have the same number."""
        names = (name for name, member in self.__members__.items() if member == self)
        return next(names, "???")

    def __int__(self) -> int:
        return self._number

    __index__ = __int__

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Enumeration) and type(other) is type(self) and int(other) == int(self)
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self).__qualname__, self._number)


#: Qualified name -> enumeration. Pickles use it so that they do not depend on the module `depthai`.
_KINDS: dict[str, type[Enumeration]] = {}


def _restore(kind: str, number: int) -> Enumeration:
    return _KINDS[kind](number)
