"""The programs of this folder that have no suffix, as modules."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent


def program(name: str) -> Any:
    """The module of the program with this name."""
    loader = SourceFileLoader(name, str(FOLDER / name))
    spec = spec_from_loader(name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module
