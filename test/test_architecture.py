"""Rules for the structure of the project: imports, sizes, names, and facts in one place."""

from __future__ import annotations

import ast
import functools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
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


# ----------------------------------------------------------------------- allowed imports, Python

#: Room (a folder of the package; "top" is the package itself) -> rooms and foreign packages that
#: its modules may import; "ros_messages" stands for all message packages. The standard library is
#: allowed, except for the modules in NAMED_PLACES.
MAY_IMPORT = table("""
    top:            numpy
    config:         top yaml
    calibration:    top config numpy
    virtual:        top virtual.scenes _core numpy cv2 av
    virtual.scenes: top numpy cv2
    device:         top config calibration virtual _core numpy
    depth:          top config calibration _core numpy
    messages:       top config calibration depth _core msg ros_messages numpy
    node:           top config calibration device messages _core msg srv ros_messages rclpy numpy
    launch:         top config calibration yaml xacro ament_index_python launch launch_ros
    gen1:           top config calibration device _core numpy
    gen1.name:
    commands:       top config device gen1 messages view _core msg ros_messages rclpy numpy cv2
    view:           top config calibration device gen1 messages _core msg srv ros_messages rclpy
    view:           numpy cv2 viser websockets msgspec rich trimesh
""")

#: Public modules outside the rooms -> the room that each belongs to.
FACES = {"depthai": "gen1", "launching": "launch", "monitor": "commands"}

#: Standard modules for threads, sockets and processes -> the only modules that may import them.
NAMED_PLACES = table("""
    threading:  commands.view device.connect device.device_lock device.reconnect gen1.pipeline
    threading:  gen1.session messages.images messages.latest_packets messages.stream_stats
    threading:  node.calibration_check node.lanes node.live_parameters node.node
    threading:  node.packet_loop node.supervisor node.workers view.device_run view.device_source
    threading:  view.page view.ros_calls view.ros_shown view.ros_source view.ros_topics
    threading:  virtual.commands virtual.frame_scheduler virtual.session
    socket:     commands.view device.connect device.device_lock view.server
    subprocess: device.connect commands.udev
""")


@functools.cache
def python_modules() -> dict[str, Path]:
    """Module name in the package -> file; a folder is the module of its __init__.py."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        .removesuffix("__init__")
        .rstrip("."): path
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def imports_of(path: Path, *, at_load_time: bool = False) -> Iterator[str]:
    """Imports of a module; our own modules by their name in the package.

    All imports, or with `at_load_time` only those outside functions. Without the block of
    `if __name__ == "__main__"`, which may import anything.
    """
    folders = path.parent.relative_to(PACKAGE).parts if path.is_relative_to(PACKAGE) else ()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if not isinstance(node, ast.If)]
    for node in ast.iter_child_nodes(tree) if at_load_time else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            above = folders[: len(folders) - node.level + 1]
            name = ".".join([*above, *filter(None, [node.module])])
            if name in python_modules():
                yield name
            else:
                yield from (f"{name}.{alias.name}".lstrip(".") for alias in node.names)


def room_of(module: str) -> str:
    """The room of a module; "" for foreign modules."""
    if module not in python_modules():
        return ""
    folder = python_modules()[module].parent.relative_to(PACKAGE)
    return FACES.get(module) or ".".join(folder.parts) or "top"


@pytest.mark.parametrize("module", python_modules())
def test_module_imports_only_what_its_room_may(module: str) -> None:
    room = room_of(module)
    assert room in MAY_IMPORT, f"{room} has no row in MAY_IMPORT: add the rooms it may import"
    for name in imports_of(python_modules()[module]):
        if name in sys.stdlib_module_names:
            assert module in NAMED_PLACES.get(name, {module}), name
        elif name not in {"depthai_ros", "__version__"}:
            name = re.sub(r"^\w+_(msgs|srvs|interfaces)$", "ros_messages", name)
            known = MAY_IMPORT[room] | {room}
            assert known & {room_of(name) or name.partition(".")[0]}, name


def test_every_name_in_the_import_tables_is_a_module() -> None:
    modules = python_modules()
    assert {*FACES, *set().union(*NAMED_PLACES.values())} <= modules.keys()
    assert MAY_IMPORT.keys() == {room_of(module) for module in modules}


def without_leaves(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The cycles of a graph and the nodes that lead into them; empty without cycles."""
    graph = {name: needed & graph.keys() - {name} for name, needed in graph.items()}
    while leaves := {name for name, needed in graph.items() if not needed}:
        graph = {name: needed - leaves for name, needed in graph.items() if name not in leaves}
    return graph


def test_rooms_have_no_import_cycle() -> None:
    assert not without_leaves(MAY_IMPORT)


def test_modules_have_no_import_cycle() -> None:
    modules = python_modules()
    assert not without_leaves(
        {name: set(imports_of(path, at_load_time=True)) for name, path in modules.items()}
    )


#: Modules that work where no ROS is installed, with all that they need.
WITHOUT_ROS = ("depthai", "view.device_source", "view.model", "view.page")


@pytest.mark.parametrize("module", WITHOUT_ROS)
def test_module_works_without_ros(module: str) -> None:
    needed, new = set(), {module}
    while new:
        needed |= new
        new = {
            name
            for one in new & python_modules().keys()
            for name in imports_of(python_modules()[one])
        }
        new -= needed
    foreign = {name for name in needed if re.match(r"rclpy|\w+_(msgs|srvs|interfaces)$", name)}
    assert not foreign | ({"msg", "srv"} & needed)


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = "import sys, depthai_ros.errors; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"rclpy", "numpy", "cv2", "depthai_ros._core"} & set(loaded)


#: Differences between releases of ROS 2 are guarded by feature, in this module. Its comments may
#: say which releases have a feature.
FEATURES = PACKAGE / "ros_features.py"
RELEASES = re.compile(
    r"\b(?:humble|jazzy|kilted|lyrical)\b|\b(?:iron|rolling)\b(?! shutter)", re.IGNORECASE
)
#: It tells a user how to install a package.
ASKS_FOR_THE_RELEASE = {FEATURES}


def test_code_guards_by_feature_and_never_by_the_name_of_a_release() -> None:
    asking = set()
    for path in [*python_modules().values(), *SOURCES.rglob("*.[ch]pp")]:
        text = path.read_text(encoding="utf-8")
        if path == FEATURES:
            text = ast.unparse(ast.parse(text))  # without comments
        assert not RELEASES.search(text), f"{path}: guard by feature, in {FEATURES.name}"
        asking |= {path} if "ROS_DISTRO" in text else set()
    assert asking == ASKS_FOR_THE_RELEASE


# -------------------------------------------------------------------------- allowed includes, C++

#: Folder of src -> folders whose headers its files may include.
MAY_INCLUDE = table("""
    base:
    xlink:     base
    transport: base xlink
    link:      base xlink transport
    kernels:
    codecs:    base kernels
    python:    base xlink transport link kernels codecs
""")

#: Headers outside the standard library -> the only files that may include them.
OUTSIDE_HEADERS = {
    r"pybind11/.*|Python\.h": {path.name for path in (ROOT / "src/python").glob("python_*")},
    r"rcl/.*|rcutils/.*|rmw/.*|rosidl.*": {"rcl_publisher.cpp"},
    r"libusb.*": {"usb_transport.cpp"},
    r"jpeglib\.h|jerror\.h": {"jpeg.cpp"},
    r"png\.h|zlib\.h": {"png.cpp"},
    r"sys/socket\.h|sys/un\.h|netinet/.*|netdb\.h": {"socket_transport.cpp"},
    r"dlfcn\.h": {"rcl_publisher.cpp"},
}


def cpp_files() -> dict[str, Path]:
    return {str(path.relative_to(SOURCES)): path for path in sorted(SOURCES.rglob("*.[ch]pp"))}


@pytest.mark.parametrize("name", cpp_files())
def test_cpp_file_includes_only_what_its_folder_may(name: str) -> None:
    folder, _, file = name.rpartition("/")
    text = cpp_files()[name].read_text(encoding="utf-8")
    assert folder in MAY_INCLUDE, f"{folder} has no row in MAY_INCLUDE: add the folders it may use"
    folders = {header.rpartition("/")[0] for header in re.findall(r'#include "(.+)"', text)}
    assert folders <= MAY_INCLUDE[folder] | {folder}
    for header in re.findall(r"#include <(.+)>", text):
        for pattern, files in OUTSIDE_HEADERS.items():
            assert not re.fullmatch(pattern, header) or file in files, f"{name}: {header}"


def test_folders_of_the_core_have_no_include_cycle() -> None:
    assert not without_leaves(MAY_INCLUDE)


def test_every_source_is_built_by_name() -> None:
    listed = set(re.findall(r"src/([\w/]+\.cpp)", (ROOT / "CMakeLists.txt").read_text("utf-8")))
    extension = (SOURCES / "python" / "CMakeLists.txt").read_text("utf-8")
    listed |= {f"python/{name}" for name in re.findall(r"\w+\.cpp", extension)}
    assert listed == {name for name in cpp_files() if name.endswith(".cpp")}


# ---------------------------------------------------------------------------------------- budgets

FILE_LINES = 400
FUNCTION_LINES = 40
BUDGETS = {"CMakeLists.txt": 146, "setup.py": 60}
#: A file that is built, in the lists of CMakeLists.txt: as many as there are.
LISTED_FILE = re.compile(r" +(src|msg|srv)/\S+")

#: Files and functions above the limits, with the reason.
LARGER_FILES = {
    "depthai_ros/config/options.py": "the option table: rows, not code",
}
LARGER_FUNCTIONS = {
    "PYBIND11_MODULE(_core, m) {": "the table of what Python sees",
}


def written_files(*patterns: str) -> list[Path]:
    """Source files by glob patterns below the root, without caches."""
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
    """Functions at namespace level in the layout of clang-format.

    A function extends from the last line that starts in column 0 to the next line that is only a
    closing brace in column 0; bodies and continuation lines are indented.
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
    "src/**/*.[ch]pp", "test/core/*.[ch]pp", "test/fuzz/*.[ch]pp", "bench/*.[ch]pp",
    "CMakeLists.txt", "Makefile",
)  # fmt: skip


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_and_its_functions_stay_within_their_budgets(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    text = path.read_text(encoding="utf-8")
    if name not in LARGER_FILES:
        size = filled_lines([line for line in text.splitlines() if not LISTED_FILE.fullmatch(line)])
        assert size <= BUDGETS.get(name, FILE_LINES)
    functions = {".py": python_functions, ".cpp": cpp_functions}.get(path.suffix)
    if functions:
        too_long = {what: size for what, size in functions(text) if size > FUNCTION_LINES}
        assert too_long.keys() <= LARGER_FUNCTIONS.keys()


def test_exceptions_from_the_budgets_are_still_needed() -> None:
    for name in LARGER_FILES:
        assert filled_lines((ROOT / name).read_text("utf-8").splitlines()) > FILE_LINES, name


# ------------------------------------------------------------------------------------------ words

#: Words without information about a thing or an action.
EMPTY_WORDS = {"manager", "helper", "helpers", "util", "utils", "misc"}
EMPTY_VERBS = {"handle", "process"}
#: Phrases that hide who does what. The list is a reminder; it does not replace reading.
RIDDLES = re.compile(
    r"\b(?:is|are|was|were|be) told\b|\bwhoever\b|\bso many\b|\bso that none\b"
    r"|\bspeaks? (?:when|of|on)\b|\bwhat (?:is|was|cannot be) (?:asked|said|done)\b",
    re.IGNORECASE,
)
#: The words of this field are frame (one exposure) and image (the message).
NOT_OF_THIS_FIELD = re.compile(
    r"(?<!continuous )(?<!docs/)(?<!make )\bpictures?\b(?!/)", re.IGNORECASE
)


TEXTS = [
    path
    for path in written_files(
        "*.md", "docs/*.md", "bench/*", "config/**/*.yaml", "depthai_ros/**/*.py", "launch/*",
        "src/**/*.[ch]pp", "test/**/*.py", "test/**/*.[ch]pp", "tools/*", "Makefile",
    )
    if path.name != "test_architecture.py"
]  # fmt: skip


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


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_text_has_no_riddle_and_no_word_of_another_field(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert RIDDLES.findall(text) == []
    if path.suffix == ".md" or path.is_relative_to(PACKAGE) or path.is_relative_to(SOURCES):
        assert NOT_OF_THIS_FIELD.findall(text.replace("The picture above", "")) == []


def test_no_two_classes_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for module, path in python_modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(module)
    assert not {name: modules for name, modules in places.items() if len(modules) > 1}


def test_every_module_opens_with_one_sentence() -> None:
    for path in python_modules().values():
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert text, f"{path} has no docstring"
        assert text.partition("\n\n")[0].endswith("."), path


def test_no_text_mentions_a_folder_of_one_machine() -> None:
    texts = written_files(
        "*", ".ci/*", "config/**/*", "depthai_ros/**/*", "docs/**/*", "examples/*", "launch/*",
        "msg/*", "srv/*", "overlay/**/*", "src/**/*", "test/**/*", "bench/*", "tools/*",
    )  # fmt: skip
    for path in texts:
        found = re.search(rb"/(home|root|work)/\w", path.read_bytes())
        assert not found or path.suffix == ".pyc", path


# ------------------------------------------------------------------------- one place for each fact


def test_generated_documents_are_up_to_date() -> None:
    checked = subprocess.run(
        [sys.executable, ROOT / "tools/docs", "--check"], capture_output=True, text=True
    )
    assert checked.returncode == 0, f"run `make docs`:\n{checked.stdout}{checked.stderr}"


def links_of(document: Path) -> list[str]:
    """Where a document's relative links lead, as paths below the root."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8"))
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    return [os.path.relpath(document.parent / target, ROOT) for target in local]


def test_every_document_stands_once_in_the_index() -> None:
    listed = links_of(ROOT / "docs/README.md")
    assert len(listed) == len(set(listed))
    documents = {str(path.relative_to(ROOT)) for path in written_files("docs/**/*")}
    assert documents - {"docs/README.md"} <= set(listed)


DOCUMENTS = written_files("README.md", "CONTRIBUTING.md", "docs/**/*.md", "bench/README.md")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_to_files_that_exist(document: Path) -> None:
    assert [target for target in links_of(document) if not (ROOT / target).exists()] == []


def test_version_is_the_same_everywhere() -> None:
    core = pytest.importorskip("depthai_ros._core")
    command = [sys.executable, "-W", "ignore", "setup.py", "--version"]
    from_setup = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    in_package = re.findall("<version>(.*)</version>", (ROOT / "package.xml").read_text("utf-8"))
    assert in_package == [depthai_ros.__version__]
    assert from_setup.stdout.split()[-1] == core.__version__ == depthai_ros.__version__


def test_nothing_is_installed_outside_the_prefix() -> None:
    texts = [
        (folder / "CMakeLists.txt").read_text("utf-8") for folder in (ROOT, SOURCES / "python")
    ]
    text = "".join(texts)
    for destination in re.findall(r"DESTINATION\s+(\S+)", text):
        assert not destination.startswith(("/", "~", "${CMAKE_INSTALL_FULL")), destination
    build, install = (os.environ.get(f"DEPTHAI_ROS_{name}") for name in ("BUILD", "INSTALL"))
    if build and install:
        manifest = Path(build, "depthai_ros", "symlink_install_manifest.txt")
        assert all(line.startswith(install) for line in manifest.read_text("utf-8").split())
