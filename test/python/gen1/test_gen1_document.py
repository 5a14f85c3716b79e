"""The generated pages about the Gen1 API are complete, and true."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from depthai_ros import depthai

ROOT = Path(__file__).resolve().parents[3]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


document = load(ROOT / "tools/api_document.py")
SOURCES = document.tests()


@pytest.mark.parametrize("name", document.api_names())
def test_every_name_of_the_api_is_used_by_a_test(name: str) -> None:
    assert document.covering_test(name, SOURCES)


@pytest.mark.parametrize("name", [name for name in document.BY_HAND if "." in name])
def test_named_test_really_is_about_the_name(name: str) -> None:
    source = SOURCES[document.BY_HAND[name]]
    generic = ("_cannot_be_constructed_", "_behaves_as_the_old_ones", "_has_the_type_and_strides_")
    if not any(word in document.BY_HAND[name] for word in generic):
        assert f".{name.partition('.')[2]}" in source


def test_every_name_of_the_api_stands_on_its_page() -> None:
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    for name in depthai.__all__:
        assert f"`{name}" in page
    for name in document.api_names():
        assert name.rpartition(".")[2] in page or name.startswith("__")


def test_everything_public_is_documented() -> None:
    for name in document.api_names():
        thing = depthai
        for word in name.split("."):
            thing = getattr(thing, word)
        assert name.startswith("__") or thing.__doc__, name
