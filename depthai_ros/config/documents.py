"""Writes the documents that follow from the option table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby

from .limits import Value, plain
from .options import GROUPS, OPTIONS, Option


def _grouped() -> list[tuple[str, list[Option]]]:
    """Options by group, in the order of GROUPS; what shares a section stands together."""
    places = {group: place for place, group in enumerate(GROUPS)}
    for option in OPTIONS:
        for section in _sections(option.key):
            places.setdefault(section, len(places))
    ordered = sorted(OPTIONS, key=lambda option: [places[name] for name in _sections(option.key)])
    return [(group, list(rows)) for group, rows in groupby(ordered, lambda option: option.group)]


def _sections(key: str) -> list[str]:
    """a.b.c -> a, a.b, a.b.c"""
    words = key.split(".")
    return [".".join(words[: count + 1]) for count in range(len(words))]


# -- parameter file

_YAML_HEAD = """\
# Every parameter at its default. Generated from depthai_ros/config/options.py by `make docs`.
# Copy what you want to change into a file of your own; a list with one empty text is empty.
/**:
  ros__parameters:
"""


def default_yaml() -> str:
    """config/default.yaml: each option at its default, with meaning, unit and limits."""
    lines: list[str] = []
    for group, options in _grouped():
        lines += ["", f"    # -- {GROUPS[group]}"]
        open_sections: list[str] = []
        for option in options:
            *sections, name = option.key.split(".")
            common = _common_start(sections, open_sections)
            lines += [
                f"{_indent(depth)}{section}:"
                for depth, section in enumerate(sections)
                if depth >= common
            ]
            open_sections = sections
            margin = _indent(len(sections))
            lines += textwrap.wrap(
                _remark(option),
                100,
                initial_indent=f"{margin}# ",
                subsequent_indent=f"{margin}#   ",
            )
            lines.append(f"{margin}{name}: {_yaml_value(option.default)}")
    return _YAML_HEAD + "\n".join(lines[1:]) + "\n"


def _common_start(one: Sequence[str], other: Sequence[str]) -> int:
    """How many items two lists have in common at their start."""
    pairs = list(zip(one, other, strict=False))
    return next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))


def _indent(depth: int) -> str:
    return "  " * (depth + 2)


def _remark(option: Option) -> str:
    notes = [f"[{option.unit}]"] if option.unit else []
    notes += [f"({option.limits})"] if option.limits else []
    notes += ["(can be changed while streaming)"] if option.live else []
    return " ".join([option.meaning, *notes])


def _yaml_value(value: Value) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]" if value else '[""]'
    if isinstance(value, bool):
        return plain(value)
    return f'"{value}"' if isinstance(value, str) else repr(value)


# -- reference page

_MARKDOWN_HEAD = """\
# Parameters

Generated from `depthai_ros/config/options.py` by `make docs`. The dotted names are those of the
Gen1 configuration keys; `config/default.yaml` holds the same list as a parameter file.

A parameter is read once, when the node starts, unless its last column says *live*. Values out of
bounds, wrong types, contradictions and unknown names are refused with a reason.

**Live** parameters may be set while the node runs. A request is carried out as a whole or not at
all: every value is checked, also against the others; then what concerns the device is sent to it;
and only when the device has received it the answer is success. While nothing streams (the node is
inactive, or the device is away) a value is kept and sent at the next start; the values that count
are sent at every start, also after the device was lost. At their defaults nothing is sent and the
device is left to itself. A device does not tell what it has set: a parameter's value is what it was
told last. A parameter that is not live may be "set" to the value it has: so a whole file can be
loaded into the node that was started with it.
"""


def parameters_markdown() -> str:
    """docs/parameters.md: one table per group."""
    lines = [_MARKDOWN_HEAD]
    for group, options in _grouped():
        lines += [f"## {GROUPS[group]}", "", *_markdown_table(options), ""]
    return "\n".join(lines)


def _markdown_table(options: Iterable[Option]) -> list[str]:
    rows = ["| parameter | default | unit | allowed | meaning | |", "|---|---|---|---|---|---|"]
    for option in options:
        either = "true, false" if isinstance(option.default, bool) else ""
        cells = (
            f"`{option.key}`",
            f"`{_yaml_value(option.default)}`",
            option.unit,
            str(option.limits or either),
            option.meaning,
            "live" if option.live else "",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return rows
