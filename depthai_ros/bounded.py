"""Reads JSON, text and numbers that a device, a file or a user wrote, within bounds.

Everything here expects hostile input: sizes and depths are checked before parsing, numbers are
finite, and text can be printed and sent in messages.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from array import array
from collections.abc import Iterable
from typing import Any, TypeGuard

from .errors import DecodeError

#: Deepest nesting of a document; the deepest known one, outBlob, has 5 levels.
MAX_DEPTH = 32
#: Smallest and largest integer of 64 bits, and the most characters of one.
_MIN_INTEGER, _MAX_INTEGER, _INTEGER_CHARACTERS = -(1 << 63), (1 << 63) - 1, 20
#: Longest text of a device for a field of a message, characters.
MAX_FIELD = 128
_SHOWN = 80

#: A string (also one without an end), or one bracket.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{]|[\]}]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
#: Characters that move the cursor, start another line, or turn the direction of writing.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


# -- text


def nearest(name: str, known: Iterable[str]) -> str:
    """ ", the nearest is NAME" for a name that is not known; "" if none is like it."""
    found = difflib.get_close_matches(name, known, n=1)
    return f", the nearest is {found[0]}" if found else ""


def clean_text(text: str, limit: int = MAX_FIELD) -> str:
    r"""Text for one line of a log or a field of a message: control characters become \x1b, \n, …

    `limit` is the largest number of characters; of a longer text the beginning remains, and "…".
    """
    shown = _CONTROL.sub(_escaped, without_surrogates(text[: limit + 1]))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def without_surrogates(text: str) -> str:
    """The text with U+FFFD for each lone surrogate, which no message and no file can hold."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def shown(value: object, limit: int = _SHOWN) -> str:
    """A value as in Python source, short and on one line, for error messages."""
    if isinstance(value, str):
        value = value[:limit]
    elif isinstance(value, int) and abs(value) > -_MIN_INTEGER:
        return f"a number of {value.bit_length()} bits"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a long integer in a list, or very many lists
        text = f"a {type(value).__name__}"
    return clean_text(text, limit)


def describe(value: object) -> str:
    """A value and its type, for error messages; an array of ROS is a list of numbers to a user."""
    if isinstance(value, array):
        value = value.tolist()
    return f"{shown(value)} ({type(value).__name__})"


# -- numbers


def is_whole(value: object, low: int = _MIN_INTEGER, high: int = _MAX_INTEGER) -> TypeGuard[int]:
    """True for an integer within these bounds; truth values are no numbers."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_number(
    value: object, low: float = -math.inf, high: float = math.inf
) -> TypeGuard[int | float]:
    """True for a number of either type within these bounds, which exclude NaN."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def number(value: object, what: str, low: float, high: float) -> float:
    """A finite number of either type within these bounds.

    Raises  DecodeError
    """
    if not is_number(value, low, high):
        raise DecodeError(f"{what} is {shown(value)}, must be a number from {low:g} to {high:g}")
    return float(value)


def whole(value: object, what: str, low: int, high: int) -> int:
    """An integer within these bounds.

    Raises  DecodeError
    """
    if not is_whole(value, low, high):
        raise DecodeError(f"{what} is {shown(value)}, must be an integer from {low} to {high}")
    return value


# -- documents


def read_json(data: bytes | str, *, what: str, max_bytes: int, max_depth: int = MAX_DEPTH) -> Any:
    """The document in a JSON text. Its numbers are finite, its integers have at most 64 bits, and
    its strings hold no lone surrogates.

    Raises  DecodeError that begins with `what`
    """
    if len(data) > max_bytes:
        raise DecodeError(f"{what}: {len(data)} bytes, at most {max_bytes}")
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
        if _is_deeper(text, max_depth):
            raise DecodeError(f"{what}: nested deeper than {max_depth} levels")
        document = json.loads(
            text, parse_constant=_no_constant, parse_float=_finite, parse_int=to_integer
        )
        return clean_document(document)
    except UnicodeDecodeError as cause:
        raise DecodeError(f"{what}: byte {cause.start}: not UTF-8 text") from cause
    except json.JSONDecodeError as cause:
        where = f"line {cause.lineno} column {cause.colno}"
        raise DecodeError(f"{what}: {where}: {cause.msg}") from cause
    except NumberError as cause:
        raise DecodeError(f"{what}: {cause}") from cause


def device_json(packet: Any, *, what: str, max_bytes: int) -> dict[str, Any]:
    """The JSON object in a device's packet: its text ends at the first zero byte.

    Bytes that are not UTF-8 become U+FFFD: a blank EEPROM has some in its names.
    Raises  DecodeError that begins with `what`
    """
    text = bytes(packet).split(b"\0", 1)[0].decode("utf-8", "replace")
    document = read_json(text, what=what, max_bytes=max_bytes)
    if not isinstance(document, dict):
        raise DecodeError(f"{what}: {shown(document)}, must be a JSON object")
    return document


class NumberError(ValueError):
    """A number that no document may hold."""


def _no_constant(text: str) -> float:
    raise NumberError(f"{text}, must be a finite number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise NumberError(f"{clean_text(text, _SHOWN)}, must be a finite number")
    return value


def to_integer(text: str, base: int = 10) -> int:
    """The integer; a longer text gives one that is too large."""
    return int(text, base) if len(text) <= _INTEGER_CHARACTERS else _MAX_INTEGER + 1


def _is_deeper(text: str, max_depth: int) -> bool:
    """True if brackets outside strings are nested deeper; stops there."""
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        first = match[0][0]
        depth += 1 if first in "[{" else -1 if first in "]}" else 0
        if depth > max_depth:
            return True
    return False


def clean_document(value: Any) -> Any:
    """A document without lone surrogates; its depth has to be bounded.

    Raises  NumberError for an integer of more than 64 bits
    """
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, list):
        return [clean_document(item) for item in value]
    if isinstance(value, dict):
        return {clean_document(key): clean_document(item) for key, item in value.items()}
    if isinstance(value, int) and not _MIN_INTEGER <= value <= _MAX_INTEGER:
        raise NumberError("an integer has more than 64 bits")
    return value
