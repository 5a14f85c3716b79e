"""Holds the rules of the house that a reader cannot be trusted to remember."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import depthai_ros

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "depthai_ros"
SOURCES = ROOT / "src"


def table(text: str) -> dict[str, set[str]]:
    """Rows "name: word word" as {name: {word, ...}}; rows of one name belong together."""
    rows: dict[str, set[str]] = {}
    for line in filter(str.strip, text.splitlines()):
        name, _, words = line.partition(":")
        rows.setdefault(name.strip(), set()).update(words.split())
    return rows


# ------------------------------------------------------------------------ who may know whom, Python

#: The modules, by what they are about; the first pattern that fits counts. A module that is in none
#: fails: decide where it belongs.
GROUPS = table("""
    facts:    __init__ arrivals boxes clock decode errors limits report streams sync thinning
    options:  bandwidth config device_config gen1_config network_config option_documents
    options:  options paths settings
    geometry: calibration calibration_file camera_info_file camera_model stereo_model
    scenes:   virtual.canvas virtual.detector virtual.eeprom virtual.optics virtual.pattern
    scenes:   virtual.replay virtual.room virtual.scene virtual.source virtual.stereo
    scenes:   virtual.textures
    far_end:  virtual.*
    device:   claim device doctor firmware links pipeline udev usb_tree
    gen1:     depthai gen1_* run_script
    shown:    installation_test
    messages: cdr detections diagnostics messages pictures rig tensors
    node:     attempts counters frames live monitor namesakes node outlets publishing ros_parameters
    node:     services supervisor
    starting: launch_arguments launch_plan launching picture_memory
""")

#: What each of them may import: groups, single modules, packages of others ("ros_messages" stands
#: for all of them). The standard library is free, except for what NAMED_PLACES lists.
MAY_KNOW = table("""
    facts:    facts numpy
    options:  options facts numpy
    geometry: geometry options facts numpy yaml
    scenes:   scenes facts numpy cv2
    far_end:  far_end scenes facts _core numpy cv2 av
    device:   device virtual.settings calibration_file options facts _core numpy
    gen1:     gen1 device geometry options facts _core numpy
    shown:    gen1 options numpy cv2
    messages: messages geometry options facts _core msg ros_messages numpy cv2
    node:     node messages device geometry options facts _core msg srv ros_messages rclpy numpy
    starting: starting options facts yaml xacro ament_index_python launch launch_ros
""")

#: What touches the outside or runs beside the rest, and the only modules that may.
NAMED_PLACES = table("""
    threading:  claim diagnostics links live node publishing supervisor gen1_pipeline gen1_session
    threading:  virtual.commands virtual.production virtual.session
    socket:     claim links
    subprocess: links udev
""")


def python_modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def imports_of(module: str, path: Path, *, at_load_time: bool = False) -> Iterator[str]:
    """What a module imports, our own modules by their name in the package.

    Anywhere in it, or only when it is loaded: not in a function.
    """
    parents = module.split(".")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.iter_child_nodes(tree) if at_load_time else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) - node.level]
            if node.module:
                yield ".".join([*base, node.module])
            else:
                yield from (".".join([*base, alias.name]) for alias in node.names)


def group_of(module: str) -> str | None:
    fitting = (
        name
        for name, patterns in GROUPS.items()
        if any(fnmatchcase(module, pattern) for pattern in patterns)
    )
    return next(fitting, None)


@pytest.mark.parametrize("module", python_modules())
def test_module_imports_only_what_its_group_may_know(module: str) -> None:
    group = group_of(module)
    assert group, f"{module} is in no group: what is it about, and who may know it?"
    for name in imports_of(module, python_modules()[module]):
        if name in sys.stdlib_module_names:
            assert module in NAMED_PLACES.get(name, {module}), name
        elif name not in {"depthai_ros", "__version__"}:
            name = re.sub(r"^\w+_(msgs|srvs|interfaces)$", "ros_messages", name)
            assert MAY_KNOW[group] & {group_of(name), name}, name


def test_every_name_in_the_import_tables_is_a_module() -> None:
    modules = python_modules()
    for pattern in set().union(*GROUPS.values(), *NAMED_PLACES.values()):
        assert any(fnmatchcase(module, pattern) for module in modules), pattern
    assert GROUPS.keys() == MAY_KNOW.keys()


def test_modules_do_not_import_each_other_in_circles() -> None:
    graph = {
        module: set(imports_of(module, path, at_load_time=True)) & set(python_modules())
        for module, path in python_modules().items()
    }
    while leaves := {module for module, needed in graph.items() if not needed}:
        graph = {name: needed - leaves for name, needed in graph.items() if name not in leaves}
    assert not graph


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = "import sys, depthai_ros.errors; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"rclpy", "numpy", "cv2", "depthai_ros._core"} & set(loaded)


# --------------------------------------------------------------------------- who may know whom, C++

#: Unit (header and source): the units whose headers it may include.
MAY_INCLUDE = table("""
    buffer:
    deadline:
    error:
    kernels:
    transport:
    xlink:            error
    socket_transport: transport deadline error
    packet_queue:     buffer deadline error
    stream_table:     xlink packet_queue error
    writer:           xlink transport deadline error
    link:             xlink transport packet_queue stream_table writer deadline error
    link_reader:      link
    usb_transport:    transport error
    usb_answers:      usb_transport error
    usb_boot:         usb_transport usb_answers xlink
    rcl_publisher:    buffer
    python_usb:       usb_boot
    python_module:    kernels link rcl_publisher socket_transport python_usb
""")

#: Headers from outside the standard library, and the only files that may include them.
OUTSIDE_HEADERS = {
    r"pybind11/.*|Python\.h": {"python_module.cpp", "python_usb.cpp", "python_usb.hpp"},
    r"rcl/.*|rcutils/.*|rmw/.*|rosidl.*": {"rcl_publisher.cpp"},
    r"libusb.*": {"usb_transport.cpp"},
    r"sys/socket\.h|sys/un\.h|netinet/.*|netdb\.h": {"socket_transport.cpp"},
    r"dlfcn\.h": {"rcl_publisher.cpp"},
}


def cpp_files() -> dict[str, Path]:
    return {path.name: path for path in sorted(SOURCES.glob("*.[ch]pp"))}


@pytest.mark.parametrize("name", cpp_files())
def test_cpp_file_includes_only_what_its_row_allows(name: str) -> None:
    unit = name.partition(".")[0]
    text = cpp_files()[name].read_text(encoding="utf-8")
    assert unit in MAY_INCLUDE, f"{unit} has no row in MAY_INCLUDE: who may know whom?"
    own = {header.partition(".")[0] for header in re.findall(r'#include "(.+)"', text)}
    assert own <= MAY_INCLUDE[unit] | {unit}
    for header in re.findall(r"#include <(.+)>", text):
        for pattern, files in OUTSIDE_HEADERS.items():
            assert not re.fullmatch(pattern, header) or name in files, f"{name}: {header}"


def test_every_source_is_built_by_name() -> None:
    listed = set(re.findall(r"src/(\w+\.cpp)", (ROOT / "CMakeLists.txt").read_text("utf-8")))
    assert listed == {name for name in cpp_files() if name.endswith(".cpp")}


# ---------------------------------------------------------------------------------------- budgets

FILE_LINES = 400
FUNCTION_LINES = 40
BUDGETS = {"CMakeLists.txt": 150, "setup.py": 60}

#: Larger on purpose, each with its reason.
LARGER_FILES = {
    "depthai_ros/options.py": "the option table: rows, not code",
}
LARGER_FUNCTIONS = {
    "PYBIND11_MODULE(_core, m) {": "the table of what Python sees",
}


def written_files(*patterns: str) -> list[Path]:
    """Files that people write, by glob pattern below the root."""
    found = {path for pattern in patterns for path in ROOT.glob(pattern)}
    return sorted(path for path in found if path.is_file() and "_cache" not in str(path))


def filled_lines(lines: list[str]) -> int:
    return sum(1 for line in lines if line.strip())


def python_functions(text: str) -> Iterator[tuple[str, int]]:
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, filled_lines(lines[node.lineno - 1 : node.end_lineno])


def cpp_functions(text: str) -> Iterator[tuple[str, int]]:
    """Functions at namespace level, as clang-format leaves them.

    From the last line that starts in column 0, where bodies and continued lines never do, to a
    closing brace alone in that column.
    """
    start = 0
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if re.match(r"[A-Za-z]", line):
            start = number
        if line == "}":
            yield lines[start], filled_lines(lines[start : number + 1])


CODE = written_files(
    "depthai_ros/**/*.py", "test/**/*.py", "bench/*.py", "examples/*.py", "launch/*.py", "setup.py",
    "tools/*",
    "src/*.[ch]pp", "test/core/*.[ch]pp", "bench/*.[ch]pp", "CMakeLists.txt", "Makefile",
)  # fmt: skip


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_and_its_functions_stay_within_their_budgets(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    text = path.read_text(encoding="utf-8")
    if name not in LARGER_FILES:
        size = filled_lines(text.splitlines())
        assert size <= BUDGETS.get(name, FILE_LINES)
    functions = {".py": python_functions, ".cpp": cpp_functions}.get(path.suffix)
    if functions:
        too_long = {what: size for what, size in functions(text) if size > FUNCTION_LINES}
        assert too_long.keys() <= LARGER_FUNCTIONS.keys()


def test_exceptions_from_the_budgets_are_still_needed() -> None:
    for name in LARGER_FILES:
        assert filled_lines((ROOT / name).read_text("utf-8").splitlines()) > FILE_LINES, name


# ------------------------------------------------------------------------------------------ words

#: Words that say nothing about what a thing is or does.
EMPTY_WORDS = {"manager", "helper", "helpers", "util", "utils", "misc"}
EMPTY_VERBS = {"handle", "process"}


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_say_what_a_thing_is(path: Path) -> None:
    assert not (EMPTY_WORDS | {"common"}) & set(re.split(r"[_.]", path.name.lower()))
    if path.suffix != ".py":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", node.name).lower().strip("_").split("_")
            assert not EMPTY_WORDS & set(words), node.name
            assert words[0] not in EMPTY_VERBS or isinstance(node, ast.ClassDef), node.name


def test_every_module_opens_with_one_sentence() -> None:
    for path in python_modules().values():
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert text, f"{path} has no docstring"
        assert text.partition("\n\n")[0].endswith("."), path


def test_no_text_mentions_a_folder_of_one_machine() -> None:
    texts = written_files(
        "*", ".ci/*", "config/**/*", "depthai_ros/**/*", "docs/**/*", "examples/*", "launch/*",
        "msg/*", "srv/*", "overlay/**/*", "src/*", "test/**/*", "bench/*", "tools/*",
    )  # fmt: skip
    for path in texts:
        found = re.search(rb"/(home|root|work)/\w", path.read_bytes())
        assert not found or path.suffix == ".pyc", path


# ------------------------------------------------------------------------- one place for each fact

#: What a package manifest calls a Python package.
ROSDEP_KEYS = {"cv2": "python3-opencv", "numpy": "python3-numpy", "yaml": "python3-yaml"}
#: Ourselves, and what the virtual device can do without.
NOT_DECLARED = {"_core", "__version__", "av", "depthai_ros", "msg", "srv"}


def test_generated_documents_are_up_to_date() -> None:
    checked = subprocess.run(
        [sys.executable, ROOT / "tools/docs", "--check"], capture_output=True, text=True
    )
    assert checked.returncode == 0, f"run `make docs`:\n{checked.stdout}{checked.stderr}"


def test_version_is_the_same_everywhere() -> None:
    core = pytest.importorskip("depthai_ros._core")
    command = [sys.executable, "-W", "ignore", "setup.py", "--version"]
    from_setup = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    in_package = re.findall("<version>(.*)</version>", (ROOT / "package.xml").read_text("utf-8"))
    assert in_package == [depthai_ros.__version__]
    assert from_setup.stdout.split()[-1] == core.__version__ == depthai_ros.__version__


def test_everything_imported_is_declared_in_the_package_manifest() -> None:
    modules = python_modules()
    imported = set().union(*(imports_of(*module) for module in modules.items()))
    foreign = imported - set(sys.stdlib_module_names) - modules.keys() - NOT_DECLARED
    declared = set(re.findall(r"depend>([^<]+)<", (ROOT / "package.xml").read_text("utf-8")))
    assert {ROSDEP_KEYS.get(name, name) for name in foreign} - declared == set()


def test_nothing_is_installed_outside_the_prefix() -> None:
    text = (ROOT / "CMakeLists.txt").read_text("utf-8")
    for destination in re.findall(r"DESTINATION\s+(\S+)", text):
        assert not destination.startswith(("/", "~", "${CMAKE_INSTALL_FULL")), destination
    build, install = (os.environ.get(f"DEPTHAI_ROS_{name}") for name in ("BUILD", "INSTALL"))
    if build and install:
        manifest = Path(build, "depthai_ros", "symlink_install_manifest.txt")
        assert all(line.startswith(install) for line in manifest.read_text("utf-8").split())
