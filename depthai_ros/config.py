"""Everything that can be configured, under one name.

    options.py         the option table
    settings.py        values of all options, checked; what follows from them
    gen1_config.py     settings from a Gen1 program's dict
    network_config.py  the files that describe a network
    device_config.py   settings as the document that the device takes

`python -m depthai_ros.config yaml|markdown [-o FILE]` writes the option table as a parameter file
or as a reference page.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path

from .device_config import device_config
from .gen1_config import from_gen1
from .limits import Value, plain
from .network_config import (
    NetworkConfig,
    check_network,
    read_blob,
    read_network_config,
    resolve_path,
)
from .options import BY_KEY, GROUPS, OPTIONS, Option
from .settings import (
    Settings,
    defaults,
    derived_streams,
    mono_size,
    rgb_size,
    stream_list,
    validate,
    wire_streams,
)

__all__ = [
    "BY_KEY",
    "OPTIONS",
    "NetworkConfig",
    "Option",
    "Settings",
    "check_network",
    "default_yaml",
    "defaults",
    "derived_streams",
    "device_config",
    "from_gen1",
    "mono_size",
    "parameters_markdown",
    "read_blob",
    "read_network_config",
    "resolve_path",
    "rgb_size",
    "stream_list",
    "validate",
    "wire_streams",
]


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
# Every parameter at its default. Generated from depthai_ros/options.py by `make docs`.
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

Generated from `depthai_ros/options.py` by `make docs`. The dotted names are those of the Gen1
configuration keys; `config/default.yaml` holds the same list as a parameter file.

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


_WRITERS: dict[str, Callable[[], str]] = {"yaml": default_yaml, "markdown": parameters_markdown}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write one of the documents to a file or to standard output."""
    parser = argparse.ArgumentParser(prog="python -m depthai_ros.config", description=main.__doc__)
    parser.add_argument("document", choices=_WRITERS)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE")
    chosen = parser.parse_args(arguments)
    text = _WRITERS[chosen.document]()
    if chosen.output:
        chosen.output.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
