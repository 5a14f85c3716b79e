"""Writes test/data/public.txt: every name and type that users rely on, one a line.

    python tools/public_names.py

docs/compatibility.md says what is public. The list is made from the tables and sources that define
the names; test/test_public.py compares the two.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from api_document import members, signature

from depthai_ros import depthai
from depthai_ros.calibration.poses import frame_ids
from depthai_ros.commands import view
from depthai_ros.config.options import BY_KEY, OPTIONS
from depthai_ros.gen1 import device as gen1_device
from depthai_ros.gen1.types import Enumeration
from depthai_ros.launch.arguments import LAUNCH_FILES
from depthai_ros.messages.builders import BUILDERS
from depthai_ros.node.services import SERVICES
from depthai_ros.streams import ALIASES, ALL_STREAMS, COMPRESSED_TOPICS, STREAMS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "depthai_ros"
STORED = ROOT / "test/data/public.txt"
_HEAD = "# Written by tools/public_names.py; docs/compatibility.md says what a change needs.\n"
#: Modules beside depthai_ros.depthai that programs and launch files of users import.
MODULES = ("launching", "monitor", "node")


def public_names() -> list[str]:
    """Every public name with its type: the lines of the list."""
    parts = (
        *(_arguments(), _commands(), _diagnostics(), _files(), _frames(), _interfaces()),
        *(_parameters(), _python(), _services(), _topics(), _variables(), _xacro()),
    )
    return sorted({line for part in parts for line in part})


def stored_names() -> list[str]:
    """The lines of the stored list."""
    lines = STORED.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


# -- ROS


def _topics() -> Iterator[str]:
    for stream in ALL_STREAMS.values():
        for topic in stream.topics:
            kind = _type_name(BUILDERS[topic.message].message_type)
            latched = " latched" if topic.latched else ""
            encoding = f" {topic.encoding}" if topic.encoding else ""
            yield f"topic ~/{topic.name}: {kind}{encoding}{latched}"
            if topic.camera_info:
                yield f"topic ~/{topic.camera_info}: sensor_msgs/msg/CameraInfo"
        if stream.name in STREAMS:
            yield f"stream {stream.name}"
    kind = _type_name(BUILDERS["compressed_image"].message_type)
    yield from (f"topic ~/{topic.name}: {kind}" for topic in COMPRESSED_TOPICS.values())
    yield from (f"stream {old} = {name}" for old, name in ALIASES.items())
    for path in PACKAGE.glob("node/*.py"):
        module = f"depthai_ros.node.{path.stem}"
        found = re.findall(r'create_publisher\(\s*(\w+), "(/\w+)"', path.read_text("utf-8"))
        for name, topic in found:
            yield f"topic {topic}: {_type_name(getattr(import_module(module), name))}"


def _services() -> Iterator[str]:
    for name, (kind, _) in SERVICES.items():
        yield f"service ~/{name}: {_type_name(kind)}"


def _type_name(kind: Any) -> str:
    """sensor_msgs/msg/Image, of its class."""
    package, folder, *_ = kind.__module__.split(".")
    return f"{package}/{folder}/{kind.__name__}"


def _interfaces() -> Iterator[str]:
    """Fields of our own messages and services in order, because the order is part of the type."""
    for path in (*ROOT.glob("msg/*.msg"), *ROOT.glob("srv/*.srv")):
        for part, text in enumerate(path.read_text("utf-8").split("\n---\n")):
            side = ("request ", "response ")[part] if path.suffix == ".srv" else ""
            lines = [line.partition("#")[0].strip() for line in text.splitlines()]
            for number, field in enumerate(filter(None, lines)):
                yield f"interface {path.relative_to(ROOT)} {side}{number:02}: {field}"


def _parameters() -> Iterator[str]:
    kinds = {bool: "bool", int: "integer", float: "double", str: "string", tuple: "string_array"}
    for option in OPTIONS:
        unit = f" [{option.unit}]" if option.unit else ""
        changes = f" {option.changes}" if option.changes != "unconfigured" else ""
        yield f"parameter {option.key}: {kinds[type(option.default)]}{unit}{changes}"


def _diagnostics() -> Iterator[str]:
    text = (PACKAGE / "messages/diagnostics.py").read_text(encoding="utf-8")
    for name in re.findall(r'_status\(\s*f?"([^"]+)"', text):
        yield f"diagnostic {re.sub('{.*}', 'NAME', name)}"


def _frames() -> Iterator[str]:
    yield from (f"frame {name}" for name in frame_ids("PREFIX").values())


def _arguments() -> Iterator[str]:
    """Arguments of the launch files; nearly all parameters of the node in one line."""
    for file, arguments in LAUNCH_FILES.items():
        same = {argument.name for argument in arguments if argument.name == argument.option}
        settable = {key for key, option in BY_KEY.items() if not option.topic}
        missing = sorted(settable - {argument.option for argument in arguments})
        if len(missing) < len(same):
            yield f"argument {file}: every parameter except {', '.join(missing)}"
        for argument in arguments:
            if argument.name not in same or len(missing) >= len(same):
                choices = f": {', '.join(argument.choices)}" if argument.choices else ""
                yield f"argument {file} {argument.name}{choices}"


def _files() -> Iterator[str]:
    """Installed files that are named in paths: package://depthai_ros/…"""
    for folder in ("config", "launch", "urdf"):
        for path in (ROOT / folder).rglob("*.*"):
            if path.is_file() and path.suffix != ".pyc":
                yield f"file {path.relative_to(ROOT)}"


def _xacro() -> Iterator[str]:
    """The macro that has the name of its file: others are parts of it."""
    for path in ROOT.glob("urdf/*.urdf.xacro"):
        text = path.read_text(encoding="utf-8")
        name = path.name.removesuffix(".urdf.xacro")
        for words in re.findall(rf'<xacro:macro name="{name}"\s+params="([^"]*)"', text):
            yield f"xacro {name}: {' '.join(words.split())}"


# -- programs


def _commands() -> Iterator[str]:
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    for name, module in re.findall(r'"(depthai-\w+)=depthai_ros\.([\w.]+):', setup):
        yield from _options(name, PACKAGE / f"{module.replace('.', '/')}.py")
    starts = [path for path in PACKAGE.glob("*.py") if "__main__" in path.read_text("utf-8")]
    for path in (*starts, *PACKAGE.glob("*/__main__.py")):
        name = path.relative_to(PACKAGE).with_suffix("").parts[0]
        yield from _options(f"python -m depthai_ros.{name}", _source(path, "main")[0])


def _options(command: str, path: Path) -> Iterator[str]:
    """A command, and each of its options and subcommands."""
    yield f"command {command}"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            words = [word.value for word in node.args if isinstance(word, ast.Constant)]
            if node.func.attr in ("add_argument", "add_parser"):
                yield f"command {command} {' '.join(map(str, words))}"


def _variables() -> Iterator[str]:
    for name, value in (*vars(gen1_device).items(), *vars(view).items()):
        if name.endswith("_VARIABLE"):
            yield f"environment {value}"


# -- Python


def _python() -> Iterator[str]:
    for name in depthai.__all__:
        yield from _described(f"depthai.{name}", getattr(depthai, name))
    for module in MODULES:
        path = PACKAGE / module / "__init__.py"
        path = path if path.exists() else PACKAGE / f"{module}.py"
        for name in _exported(path):
            _, node = _source(path, name)
            words = ""
            if isinstance(node, ast.FunctionDef):
                result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
                words = f"({ast.unparse(node.args)}){result}"
            yield f"python depthai_ros.{module}.{name}{words}"


def _described(path: str, thing: Any) -> Iterator[str]:
    """A function with its arguments, a class with its members, or a constant with its number."""
    if isinstance(thing, type):
        yield f"python depthai_ros.{path}"
        is_listed = issubclass(thing, Enumeration)
        for name, value in (thing.__members__ if is_listed else members(thing)).items():
            yield from _described(f"{path}.{name}", value)
    elif isinstance(thing, Enumeration):
        yield f"python depthai_ros.{path} = {int(thing)}"
    else:
        yield f"python depthai_ros.{path}{signature(thing) if callable(thing) else ''}"


def _exported(path: Path) -> list[str]:
    """`__all__` of a module, without importing it: it may need packages that are not here."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def _source(path: Path, name: str) -> tuple[Path, ast.AST | None]:
    """The file that defines a name of a module, and the definition; None if it is a value."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return path, node
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            below = path.parents[node.level - 1] / (node.module or "").replace(".", "/")
            inside = below / "__init__.py"
            return _source(inside if inside.exists() else below.with_suffix(".py"), name)
    return path, None


if __name__ == "__main__":
    STORED.write_text(_HEAD + "\n".join(public_names()) + "\n", encoding="utf-8")
