"""Names and types that users rely on change by decision only."""

from __future__ import annotations

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing")
from public_names import public_names, stored_names

ROOT = Path(__file__).resolve().parents[1]

WHAT_TO_DO = """
What is public has changed.
appeared: {}
vanished: {}
If this was not meant, restore the name. If it was: deprecate what vanishes (docs/compatibility.md
says how), add a line to the changelog, and write the list anew: python tools/public_names.py
"""


def test_what_is_public_is_what_the_stored_list_says() -> None:
    now, stored = public_names(), stored_names()
    appeared, vanished = ([*one] for one in (set(now) - set(stored), set(stored) - set(now)))
    if appeared or vanished:
        lists = ("\n  ".join(["", *sorted(names)]) for names in (appeared, vanished))
        pytest.fail(WHAT_TO_DO.format(*lists), pytrace=False)
    assert now == stored


def test_every_kind_of_public_name_is_described() -> None:
    text = (ROOT / "docs/compatibility.md").read_text(encoding="utf-8")
    described = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    assert described >= {name.partition(" ")[0] for name in stored_names()}


def public_modules() -> dict[str, set[str]]:
    """Module -> its public names, from the stored list."""
    modules: dict[str, set[str]] = {}
    for line in stored_names():
        kind, _, rest = line.partition(" ")
        if kind == "python":
            package, module, name = rest.partition("(")[0].split(" ")[0].split(".")[:3]
            modules.setdefault(f"{package}.{module}", set()).add(name)
        elif kind == "interface":
            folder, _, file = rest.partition(" ")[0].partition("/")
            modules.setdefault(f"depthai_ros.{folder}", set()).add(file.partition(".")[0])
    return modules


@pytest.mark.parametrize("module", public_modules())
def test_public_module_has_its_names(module: str) -> None:
    if module == "depthai_ros.launching" and not find_spec("launch_ros"):
        pytest.skip("launch_ros is not installed")
    imported = import_module(module)
    assert {name for name in public_modules()[module] if not hasattr(imported, name)} == set()


@pytest.mark.parametrize(
    "path", [*ROOT.glob("launch/*.py"), *ROOT.glob("examples/*.py")], ids=lambda path: path.name
)
def test_files_that_users_copy_import_public_modules_only(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("depthai_ros"):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            assert {name for name in names if name not in public_modules()} == set()
