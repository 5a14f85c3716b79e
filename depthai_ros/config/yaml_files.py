"""Reads YAML files within bounds of size, nesting and numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ..bounded import MAX_DEPTH, clean_document, clean_text
from ..errors import ConfigError
from .paths import read_file

#: Largest file; ours have at most 20 kB.
_MAX_BYTES = 1 << 18
_LONGEST_ERROR = 300
#: What the YAML library raises for text that is no YAML or has values that cannot be.
_YAML_ERRORS = (
    yaml.YAMLError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


def read_yaml(path: str | Path, *, max_bytes: int = _MAX_BYTES) -> Any:
    """The document in a YAML file. Aliases are refused, as ROS does in parameter files.

    Raises  ConfigError that begins with the path
    """
    content = read_file(path, max_bytes)
    try:
        text = content.decode("utf-8")
        _check_events(text)
        return clean_document(yaml.safe_load(text))
    except UnicodeDecodeError as cause:
        raise ConfigError(f"{path}: not YAML: byte {cause.start}: not UTF-8 text") from cause
    except _YAML_ERRORS as cause:
        words = clean_text(" ".join(str(cause).split()), _LONGEST_ERROR)
        raise ConfigError(f"{path}: not YAML: {words}") from cause


def _check_events(text: str) -> None:
    """Raises ValueError for nesting that is too deep, or an alias, which can multiply content."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"*{event.anchor} is an alias")
        starts = isinstance(event, yaml.CollectionStartEvent)
        depth += starts - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
