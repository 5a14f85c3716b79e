"""The tree of errors is drawn as it is, and what the core throws has a class in it."""

from __future__ import annotations

import re
from pathlib import Path

from depthai_ros import errors

ROOT = Path(__file__).resolve().parents[2]

#: Class -> the class of ours that it is made from.
TREE = {
    name: found.__bases__[0].__name__
    for name, found in vars(errors).items()
    if isinstance(found, type) and issubclass(found, errors.DepthaiError)
}


def test_tree_is_drawn_as_it_is():
    drawn: dict[str, str] = {}
    above: list[str] = []
    for indent, name in re.findall(r"^( {4}[ │├└─]*)(\w+Error)\b", errors.__doc__, re.M):
        above[len(indent) // 4 - 1 :] = [name]
        drawn[name] = above[-2] if len(above) > 1 else "Exception"
    assert drawn == TREE


def test_what_the_core_throws_comes_out_as_its_twin():
    header = (ROOT / "src/base/error.hpp").read_text("utf-8")
    thrown = set(re.findall(r"class (\w+Error) :", header)) - {"ReasonedError"}
    module = (ROOT / "src/python/python_module.cpp").read_text("utf-8")
    assert thrown <= TREE.keys()
    assert set(re.findall(r'find\("(\w+)"\)', module)) == thrown
    assert set(re.findall(r"catch \(const (\w+Error)&", module)) == thrown
