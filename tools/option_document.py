"""Generates config/default.yaml and docs/parameters.md from the option table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from depthai_ros.config.compression import dotted
from depthai_ros.config.filters import GROUP, PARAMETERS, PREFIX, PRESETS, preset_values
from depthai_ros.config.limits import Value, plain
from depthai_ros.config.options import GROUPS, OPTIONS, Option
from depthai_ros.config.yaml_files import yaml_number


def _grouped() -> list[tuple[str, list[Option]]]:
    """Options by group, in the order of GROUPS; options of one section are adjacent."""
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
# Every parameter with its default. Generated from depthai_ros/config/options.py by `make docs`.
# Copy the entries to change into your own file. [""] is the empty list.
/**:
  ros__parameters:
"""


def default_yaml() -> str:
    """config/default.yaml: each option with its default, meaning, unit and limits.

    Those of one topic are left out: what a file sets wins over the parameter for all topics.
    """
    lines: list[str] = []
    for group, options in _grouped():
        lines += ["", f"    # -- {GROUPS[group]}"]
        of_topics = [option.key for option in options if option.topic]
        lines += [
            f"    # For one topic: {key}; docs/parameters.md has them" for key in of_topics[:1]
        ]
        open_sections: list[str] = []
        for option in options:
            if option.topic:
                continue
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
    notes += ["(can be changed while streaming)"] if option.changes == "live" else []
    return " ".join([option.meaning, *notes])


def _yaml_value(value: Value) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]" if value else '[""]'
    if isinstance(value, bool):
        return plain(value)
    if isinstance(value, str):
        return f'"{value}"'
    return yaml_number(value) if isinstance(value, float) else str(value)


# -- reference page

_MARKDOWN_HEAD = """\
# Parameters

Generated from `depthai_ros/config/options.py` by `make docs`. The dotted names are those of the
Gen1 configuration keys; `config/default.yaml` has the same list as a parameter file.

Every source (file, command line, `ros2 param set`) is checked in the same way: values out of
bounds, wrong types, contradictions and unknown names are refused with a reason. Integers are
accepted for floats.

## When a parameter can change

The last column says it, and so does `ros2 param describe`:

| changes | can be set | has its effect |
|---|---|---|
| live | in every state | at once; `reconnect.*` from the next loss of the device on |
| inactive | while the node is not active | at the next activation |
| unconfigured | while the node is unconfigured, also after a refused configure | at the next one |
| never | in the file, the launch file or with `-p` | at the start of the process |

A request is applied as a whole or not at all: every value is checked, also against the others;
values for the device are sent to it; and the answer is success only after the device has received
them. In another state the request is refused, and the reason names the transition that helps. A
value that a parameter has already is accepted in every state. The parameters of one request, as
`ros2 param load` sends it, are set together if that is possible, so their order is free; else one
by one.

While nothing streams (the node is inactive, or the device is lost) a **live** value is stored and
sent at the next start. Values that differ from the default are sent at every start, also after a
reconnect; for a default nothing is sent. The device cannot be queried: a parameter shows the last
value sent.

Another **profile** needs no other process:

    ros2 lifecycle set /oak deactivate
    ros2 lifecycle set /oak cleanup
    ros2 param set /oak stream_list "[left, right, depth]"
    ros2 lifecycle set /oak configure
    ros2 lifecycle set /oak activate

`qos_overrides.*` change while the node is unconfigured, too. If `tf.*` change, consumers that have
the earlier frames keep them.

**Wrong parameters** at the start: with `autostart` the node ends. Without, it refuses the configure
transition, shows each wrong parameter with its default, and can be mended: `ros2 param set` a right
value; `ros2 param delete` a name that is no parameter, or a wrong value, to use the default. As
long as something is wrong, the answer says what.
"""


def parameters_markdown() -> str:
    """docs/parameters.md: one table per group."""
    lines = [_MARKDOWN_HEAD]
    for group, options in _grouped():
        presets = _preset_table() if group == GROUP else []
        table = _markdown_table(options)
        lines += [f"## {GROUPS[group]}", "", *table, *presets, *_topics(options), ""]
    return "\n".join(lines)


def _preset_table() -> list[str]:
    """What each preset of the filters gives; the rows that no preset changes are left out."""
    names = [name for name, values in PRESETS.items() if values]
    keys = [row.key for row in PARAMETERS if any(row.key in PRESETS[name] for name in names)]
    values = {name: preset_values(name) for name in names}
    rows = [f"| preset | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for key in keys:
        cells = (f"`{_yaml_value(values[name][PREFIX + key])}`" for name in names)
        rows.append(f"| `{PREFIX}{key}` | {' | '.join(cells)} |")
    return ["", *rows]


def _markdown_table(options: Iterable[Option]) -> list[str]:
    rows = [
        "| parameter | default | unit | allowed | meaning | changes |",
        "|---|---|---|---|---|---|",
    ]
    for option in _one_for_all_topics(options):
        either = "true, false" if isinstance(option.default, bool) else ""
        default = f"that of `{option.inherits}`" if option.inherits else ""
        cells = (
            f"`{option.key}`",
            default or f"`{_yaml_value(option.default)}`",
            option.unit,
            str(option.limits or either),
            option.meaning,
            option.changes,
        )
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _one_for_all_topics(options: Iterable[Option]) -> list[Option]:
    """Options, and one with TOPIC in its key in place of those that each topic has."""
    rows: dict[str, Option] = {}
    for option in options:
        key = option.key.replace(f".{dotted(option.topic)}.", ".TOPIC.") if option.topic else ""
        rows.setdefault(key + option.inherits or option.key, replace(option, key=key or option.key))
    return list(rows.values())


def _topics(options: Iterable[Option]) -> list[str]:
    """The sentence about TOPIC, for each set of options that have it."""
    names = dict.fromkeys(option.topic for option in options if option.topic)
    if not names:
        return []
    words = ", ".join(f"`{dotted(name)}`" for name in names)
    return ["", f"TOPIC is the name of a topic with dots: {words}."]
