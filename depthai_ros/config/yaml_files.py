"""Reads YAML files within bounds of size, nesting and numbers.

Scalars are those of YAML 1.2 and of the YAML parsers of ROS: 1e-05 is a number, 1:30 and 2020-01-01
are text. Of YAML 1.1 only yes, no, on and off remain, which rcl reads as truth values, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from ..bounded import MAX_DEPTH, NumberError, clean_document, clean_text, shown, to_integer
from ..errors import ConfigError
from .paths import read_file

#: Largest file; ours have at most 20 kB.
_MAX_BYTES = 1 << 18
_LONGEST_ERROR = 300
_TAG = "tag:yaml.org,2002:"
#: First line of the files of OpenCV, which is no directive of YAML: "%YAML:1.0".
_OPENCV_DIRECTIVE = re.compile(r"\A%YAML:")
_TRUTHS = {
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}
_NUMBER_START = list("-+.0123456789")


class _Loader(yaml.SafeLoader):
    """Knows the scalars of YAML 1.2, sequences, mappings, and !!opencv-matrix as a mapping."""

    def check(self) -> None:
        """Raises MarkedYAMLError for nesting that is too deep, or an alias."""
        depth = 0
        while self.check_event():
            event: Any = self.get_event()  # type: ignore[no-untyped-call]
            if isinstance(event, yaml.AliasEvent):  # it can multiply content
                raise _error(f"*{event.anchor} is an alias, write the value itself", event)
            starts = isinstance(event, yaml.CollectionStartEvent)
            depth += starts - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise _error(f"nested deeper than {MAX_DEPTH} levels", event)


def _error(problem: str, place: Any) -> yaml.MarkedYAMLError:
    """`place` is an event or a node."""
    return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)


def _integer(text: str) -> int:
    base = {"0x": 16, "0o": 8}.get(text.lstrip("+-")[:2].lower(), 10)
    return to_integer(text, base)


def _real(text: str) -> float:
    return float(text.replace(".", "", 1) if text[-1:].isalpha() else text)


_REAL = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
#: Name of a scalar type -> pattern of the texts that have it, their first characters, converter,
#: words of an error. Source: YAML 1.2.2, 10.3.2 (core schema)
_SCALARS: dict[str, tuple[str, list[str], Callable[[str], Any], str]] = {
    "bool": (
        "|".join(each for text in _TRUTHS for each in (text, text.title(), text.upper())),
        list("tTfFyYnNoO"),
        lambda text: _TRUTHS[text.lower()],
        "neither true nor false",
    ),
    "int": ("[-+]?(?:[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+)", _NUMBER_START, _integer, "not an integer"),
    "float": (
        rf"{_REAL}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN|Nan)",
        _NUMBER_START,
        _real,
        "not a number",
    ),
    "null": ("~|null|Null|NULL|", [*"~nN", ""], lambda _text: None, "not null"),
}


def _scalar_constructor(name: str) -> Callable[[_Loader, yaml.ScalarNode], Any]:
    pattern, _, convert, problem = _SCALARS[name]

    def construct(loader: _Loader, node: yaml.ScalarNode) -> Any:
        text = loader.construct_scalar(node)
        if not re.fullmatch(pattern, text):
            raise _error(f"{shown(text)} is {problem}", node)
        return convert(text)

    return construct


def _unknown_tag(_loader: _Loader, node: yaml.Node) -> Any:
    tag = str(node.tag)
    tag = "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag
    raise _error(f"the tag {tag} is not known", node)


_Loader.yaml_implicit_resolvers = {}  # without those of YAML 1.1
for _name, _row in _SCALARS.items():
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_row[0]})\\Z"), _row[1])
_Loader.yaml_constructors = {
    **{_TAG + name: _scalar_constructor(name) for name in _SCALARS},
    _TAG + "str": yaml.SafeLoader.construct_yaml_str,
    _TAG + "seq": yaml.SafeLoader.construct_yaml_seq,
    _TAG + "map": yaml.SafeLoader.construct_yaml_map,
    _TAG + "opencv-matrix": yaml.SafeLoader.construct_yaml_map,
    None: _unknown_tag,
}


def read_yaml(path: str | Path, *, max_bytes: int = _MAX_BYTES) -> Any:
    """The document in a YAML file. Aliases are refused, as ROS does in parameter files.

    Raises  ConfigError that begins with the path
    """
    return read_yaml_lines(path, max_bytes=max_bytes)[0]


def read_yaml_lines(path: str | Path, *, max_bytes: int = _MAX_BYTES) -> tuple[Any, dict[str, int]]:
    """As `read_yaml`, and the line of each key: of "a: {b: 1}" those of "a" and "a.b".

    Raises  ConfigError that begins with the path
    """
    content = read_file(path, max_bytes)
    try:
        text = _OPENCV_DIRECTIVE.sub("# ", content.decode("utf-8-sig"))
        _Loader(text).check()
        loader = _Loader(text)
        root = loader.get_single_node()
        document = None if root is None else loader.construct_document(root)
        return clean_document(document), dict(_lines(root))
    except UnicodeDecodeError as cause:
        raise ConfigError(f"{path}: not YAML: byte {cause.start}: not UTF-8 text") from cause
    except (yaml.YAMLError, NumberError) as cause:
        words = clean_text(_reason(cause), _LONGEST_ERROR)
        raise ConfigError(f"{path}: not YAML: {words}") from cause


def _lines(node: yaml.Node | None, prefix: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{prefix}{key.value}"
            yield name, key.start_mark.line + 1
            yield from _lines(value, f"{name}.")


def _reason(cause: Exception) -> str:
    """One sentence with the place."""
    if isinstance(cause, yaml.MarkedYAMLError) and cause.problem_mark:
        mark, problem = cause.problem_mark, cause.problem
        if problem == "found unhashable key":
            problem = "a key that is a list or a mapping"
        return f"line {mark.line + 1} column {mark.column + 1}: {problem}"
    if isinstance(cause, yaml.reader.ReaderError):
        return f"character {cause.position} is U+{cause.character:04X}, which YAML does not allow"
    return " ".join(str(cause).split())


def yaml_number(value: float) -> str:
    """The text of a number, which every YAML parser reads as that number: with a point.

    "2e-05" is text in YAML 1.1, which many programs read; 2.0e-05 is a number there, too.
    """
    mantissa, e, exponent = repr(float(value)).partition("e")
    return f"{mantissa}.0{e}{exponent}" if e and "." not in mantissa else mantissa + e + exponent
