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

Programs that say `import depthai` run unchanged:

    python -m depthai_ros.depthai --device virtual PROGRAM ARGUMENTS
    depthai-run --device usb PROGRAM ARGUMENTS

Only in a program run like this does `import depthai` mean this module: the official package of that
name may be installed beside it, and each works. Which device a program gets is told by, in this
order: a selector in place of its `usb_device` argument, `--device`, the environment variable
`DEPTHAI_DEVICE`; else `usb`. There is no silent fallback to the virtual device. Firmware for boards
on USB is the program's own `cmd_file` if there is such a file, else `DEPTHAI_FIRMWARE`.

The keys of a pipeline's configuration are those of [parameters.md](parameters.md) that are not
marked as the node's; `streams` is a list of names, or of dicts with `name` and `max_fps`.

## Moving from the official Gen1 package

The module is the union of what the releases from June 2020 to February 2021 offered: module
functions and `entries()` of the first ones, `Device` and typed tensors of the last ones. A blob
configuration with `NN_config` gives results the present way, one with `tensors` only the older way.

What is different, on purpose, stands below; [differential.md](differential.md) has every call that
the official wheel 1.0.0.0 answers in another way, and how that is measured.

| | official | here |
|---|---|---|
"""

_DEVIATIONS = """
configuration dict | turned to text, quotes replaced | read as it is: paths, numpy scalars, tuples
fatal conditions | `abort()` or `exit()` | `RuntimeError`; `SystemExit(0)` for `usb_device="list"`
out of range | undefined | `IndexError`, `RuntimeError`
waiting | holds the interpreter's lock and ignores Ctrl-C | lets threads run, Ctrl-C ends it
waiting for a device that is gone | for ever | returns empty lists
`get_available_data_packets` | has network results as raw packets | leaves them out
packets that wait when the device is let go of | given out once more | gone with it
second `create_pipeline` | half works | ends the first pipeline, starts the second
mono resolution | that of the first pipeline of the process | that of the running pipeline
calibration getters | changed a little more by each pipeline | always from what is stored
second `init_device` | fails and drops the connection | fails, the connection stays
`disparity` with `disparity_color` | one disturbs the other | both
`disparity` with `depth` | one of them is not valid | disparity is read back from depth
stream names | those of one release | those of all releases
`depth.confidence_threshold` | an error since 0.3 | accepted
`None` for a text | an error | as if it were not there
section that is no dict | ignored | `RuntimeError`: it is a mistake
camera control of more than 64 bytes | never returns | `ValueError`
one stream named twice | crashes when the device is let go of | counts once
blob that cannot be read | crashes later | `create_pipeline` returns None
`entries()` too large for the result | crashes | `RuntimeError`, one sentence
unknown element type in `tensors` | nonsense | `RuntimeError` that names it
absent key in `video_config` | 0 | its default
device that comes back | process ends with status 9 if it does not | retried, then the pipeline ends
firmware | inside the package | the program's own file, or DEPTHAI_FIRMWARE: [usb.md](usb.md)
standard output | a lot | nothing; messages are logged by the logger `depthai`
`TensorInfo.Dimension.C` | has a blank in its name | has none
"""


_ARRAYS = """
**Arrays.** Each `getData()` and `get_tensor()` gives a new array that owns its memory, as the
official module does: programs draw into them and ask again. The bytes lie untouched where USB has
put them until then; that one pass is the only copy between the cable and the program, and colours
and disparities are made in it. `bench/gen1_api.py` prints its time beside that of a plain copy. A
view of the packet's own memory would have been shared by two calls, or its second caller would
have seen what the first has drawn. Arrays outlive packets, and both outlive pipeline and device.
"""


_TESTS = """## Tests

Each of these {} names has a test that is about it, or one that uses it, in `test/python/gen1`;
`test_gen1_document.py` there fails for a name without one, and has the list of those that several
classes share.
"""


def _table_rows(text: str) -> Iterator[str]:
    for line in text.strip().splitlines():
        yield f"| {line} |"


def _signature(thing: Any) -> str:
    """Arguments and result as they are written, without the quotes of delayed annotations."""
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(thing)))
    return re.sub(r"\bself, |(?<=\()self(?=\))|, /", "", text)


def _prose(thing: Any) -> str:
    return inspect.getdoc(thing) or ""


def members(kind: type) -> dict[str, Any]:
    """Public attributes that a class defines itself."""
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
            yield f"**`{member}{_signature(value)}`**\n\n{_prose(value)}\n"


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
            parts.append(f"**`{name}{_signature(thing)}`**\n\n{_prose(thing)}\n")
    parts.append("## Classes\n")
    for name, thing in public.items():
        if isinstance(thing, type):
            parts += _class(name, thing)
    return "\n".join([*parts, _TESTS.format(len(api_names()))])
