"""Reads parameter files of ROS as a node does: which of their parameters apply to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..bounded import clean_text, shown
from ..errors import ConfigError
from .yaml_files import read_yaml

#: Parts of a node name's pattern in a parameter file; a longer one matches nothing.
_LONGEST_PATTERN = 32
#: Names of other nodes in a sentence.
_LISTED = 3


def parameters_in(path: Path, node: str) -> dict[str, Any]:
    """The parameters in a file that apply to the node with this full name, as flat keys.

    Raises  ConfigError if it is not a parameter file
    """
    document = read_yaml(path)
    found: dict[str, Any] = {}
    for pattern, parameters in _sections(document, "", path):
        if _applies(pattern, node):
            found.update(_flat(parameters))
    return found


def _applies(pattern: str, node: str) -> bool:
    return _matches(pattern.strip("/").split("/"), node.strip("/").split("/"))


def _sections(
    document: Any, pattern: str, path: str | Path
) -> Iterable[tuple[str, Mapping[str, Any]]]:
    if not isinstance(document, dict):
        raise ConfigError(
            f"{path}: not a parameter file: it must contain '/**: ros__parameters: …', "
            f"see config/default.yaml"
        )
    for key, value in document.items():
        if key == "ros__parameters":
            if not isinstance(value, (dict, type(None))):
                raise ConfigError(f"{path}: ros__parameters is {shown(value)}, must be a mapping")
            yield pattern, value or {}
        else:
            yield from _sections(value, f"{pattern}/{str(key).strip('/')}", path)


def _matches(pattern: Sequence[str], name: Sequence[str]) -> bool:
    """Match wildcards as in ROS: * is one part of a name, ** any number of parts."""
    if not pattern:
        return not name
    if len(pattern) > _LONGEST_PATTERN:
        return False
    if pattern[0] == "**":
        return any(_matches(pattern[1:], name[start:]) for start in range(len(name) + 1))
    return bool(name) and pattern[0] in ("*", name[0]) and _matches(pattern[1:], name[1:])


def _flat(parameters: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in parameters.items():
        nested = isinstance(value, dict)
        flat.update(_flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value})
    return flat


def for_other_nodes(path: str | Path, node: str) -> str:
    """A sentence if a file has parameters, but none for the node with this full name, else "".

    Raises  ConfigError if it is not a parameter file
    """
    sections = list(_sections(read_yaml(path), "", path))
    patterns = [pattern for pattern, parameters in sections if parameters]
    if not patterns or any(_applies(pattern, node) for pattern in patterns):
        return ""
    more = ", …" if len(patterns) > _LISTED else ""
    names = ", ".join(map(clean_text, patterns[:_LISTED]))
    return f"{path} has parameters for {names}{more}, none for {node}: the file is not used"


def given_files(words: Sequence[str]) -> list[str]:
    """The parameter files in the arguments of a node."""
    found, for_ros = [], False
    for word, following in pairwise([*words, ""]):
        if word in ("--ros-args", "--"):
            for_ros = word == "--ros-args"
        elif for_ros and word == "--params-file":
            found.append(following)
    return found
