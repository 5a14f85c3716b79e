"""Writes docs/api.md, from the Gen1 module."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from depthai_ros import depthai
from depthai_ros.gen1.types import Enumeration

_HEAD = """# The Gen1 API

Generated from the docstrings of `depthai_ros/depthai.py` by `make docs`.

    from depthai_ros import depthai

Programs with `import depthai` run unchanged:

    python -m depthai_ros.depthai --device virtual PROGRAM ARGUMENTS
    depthai-run --device usb PROGRAM ARGUMENTS

`import depthai` is this module only in a program started in this way. The official package of that
name may be installed as well; both work. The device of a program is chosen by the first of these: a
selector as `usb_device` argument, `--device`, the environment variable `DEPTHAI_DEVICE`. Default:
`usb`. A missing device is never replaced by the virtual one. The firmware for boards on USB is the
program's `cmd_file` if that file exists, else `DEPTHAI_FIRMWARE`.

The keys of a pipeline's configuration are those of [parameters.md](parameters.md) that are not
marked as parameters of the node; `streams` is a list of names, or of dicts with `name` and
`max_fps`.

## Moving from the official Gen1 package

The module combines the APIs of the releases from June 2020 to February 2021: module functions and
`entries()` of the first releases, `Device` and typed tensors of the last ones. A blob configuration
with `NN_config` gives results in the style of the last releases, one with only `tensors` in the
style of the first.

[differential.md](differential.md) has every call that the official wheel 1.0.0.0 answers in another
way, and how that is measured. Intended differences:

| | official | here |
|---|---|---|
"""

_DEVIATIONS = """
configuration dict | converted to text, quotes replaced | accepts paths, numpy scalars, tuples
fatal conditions | `abort()` or `exit()` | `RuntimeError`; `SystemExit(0)` for `usb_device="list"`
out of range | undefined | `IndexError`, `RuntimeError`
blocking getters | hold the interpreter lock, ignore Ctrl-C | release the lock; Ctrl-C ends them
blocking getters, device lost | wait for ever | return empty lists
`get_available_data_packets` | returns network results as raw packets | omits network results
packets queued when the device is released | returned once more | discarded
second `create_pipeline` | works partly | ends the first pipeline, starts the second
mono resolution | that of the first pipeline of the process | that of the running pipeline
calibration getters | results change with each pipeline | computed from the stored calibration
second `init_device` | fails and drops the connection | fails, the connection stays
`disparity` with `disparity_color` | they interfere | both are correct
`disparity` with `depth` | one of them is not valid | disparity is computed from depth
stream names | those of one release | those of all releases
`depth.confidence_threshold` | an error since 0.3 | accepted
`None` for a text | an error | treated as absent
section that is not a dict | ignored | `RuntimeError`
camera control of more than 64 bytes | never returns | `ValueError`
one stream named twice | crashes when the device is released | opened once
blob that cannot be read | crashes later | `create_pipeline` returns None
`entries()` too large for the result | crashes | `RuntimeError`
unknown element type in `tensors` | wrong values | `RuntimeError` with its name
absent key in `video_config` | 0 | its default
lost device | reopened, or the process ends with status 9 | reopened, or the pipeline ends
firmware | in the package | the program's file, or DEPTHAI_FIRMWARE: [usb.md](usb.md)
standard output | many messages | none; the logger `depthai` has the messages
`TensorInfo.Dimension.C` | its name has a trailing blank | its name has no blank
"""


_ARRAYS = """
**Arrays.** Each `getData()` and `get_tensor()` returns a new array that owns its memory, as in the
official module: programs draw into the arrays and call again. That call makes the only copy between
the USB buffer and the program, and converts colours and disparities in the same pass;
`bench/gen1_api.py` prints its time and that of a plain copy. A view of the packet's memory would be
shared by all calls: the second caller would see what the first has drawn. Arrays stay valid without
their packet, and both stay valid without pipeline and device.
"""


_TESTS = """## Tests

Each of these {} names has a test that is about it, or one that uses it, in `test/python/gen1`;
`test_gen1_document.py` there fails for a name without one, and has the list of those that several
classes share.
"""


def _table_rows(text: str) -> Iterator[str]:
    for line in text.strip().splitlines():
        yield f"| {line} |"


def signature(thing: Any) -> str:
    """Arguments and result as in the source, without the quotes of delayed annotations."""
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(thing)))
    return re.sub(r"\bself, |(?<=\()self(?=\))|, /", "", text)


def _prose(thing: Any) -> str:
    return inspect.getdoc(thing) or ""


def members(kind: type) -> dict[str, Any]:
    """Public attributes that the class itself defines."""
    return {name: value for name, value in vars(kind).items() if not name.startswith("_")}


def _enumeration(path: str, kind: Any) -> Iterator[str]:
    yield f"### `{path}`\n\n{_prose(kind)}\n"
    words = (f"{name} {int(member)}" for name, member in kind.__members__.items())
    yield ", ".join(words) + "\n"


def _class(name: str, kind: type) -> Iterator[str]:
    if issubclass(kind, Enumeration):
        yield from _enumeration(name, kind)
        return
    yield f"### `{name}`\n\n{_prose(kind)}\n"
    for member, value in members(kind).items():
        if isinstance(value, type) and issubclass(value, Enumeration):
            yield from _enumeration(f"{name}.{member}", value)
        elif isinstance(value, property):
            yield f"**`{member}`**  {_prose(value)}\n"
        elif callable(value):
            yield f"**`{member}{signature(value)}`**\n\n{_prose(value)}\n"


def api_names() -> list[str]:
    """Every public name: functions, classes, and what classes have."""
    names = []
    for name in depthai.__all__:
        thing = getattr(depthai, name)
        names.append(name)
        if isinstance(thing, type) and not issubclass(thing, Enumeration):
            names += [f"{name}.{member}" for member in members(thing)]
    return [*names, "__version__", "__dev_version__"]


def api_markdown() -> str:
    """docs/api.md."""
    public = {name: getattr(depthai, name) for name in depthai.__all__}
    table = "\n".join(_table_rows(_DEVIATIONS))
    parts = [_HEAD + table + "\n" + _ARRAYS, "## Functions\n"]
    for name, thing in public.items():
        if not isinstance(thing, type):
            parts.append(f"**`{name}{signature(thing)}`**\n\n{_prose(thing)}\n")
    parts.append("## Classes\n")
    for name, thing in public.items():
        if isinstance(thing, type):
            parts += _class(name, thing)
    return "\n".join([*parts, _TESTS.format(len(api_names()))])
