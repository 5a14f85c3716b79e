"""package.xml: what ROS tools read in it, and that it declares exactly what is used."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from catkin_pkg.package import parse_package
from catkin_pkg.packages import find_packages
from rosdep_keys import DISTRIBUTIONS, STORED, named_packages, started_packages

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = parse_package(str(ROOT / "package.xml"))

#: Folders whose modules the tests import by their bare names.
OWN = ("test", "tools", "bench")
#: Python package -> its rosdep key; others have their own name.
ROSDEP_KEYS = {
    "catkin_pkg": "python3-catkin-pkg",
    "cv2": "python3-opencv",
    "docutils": "python3-docutils",
    "hypothesis": "python3-hypothesis",
    "numpy": "python3-numpy",
    "pytest": "python3-pytest",
    "yaml": "python3-yaml",
}
#: Import of the installed package that is not declared -> the reason.
NOT_DECLARED = {
    "av": "optional: videos of the virtual device; rosdep has no key",
    **dict.fromkeys(
        ("msgspec", "rich", "trimesh", "viser", "websockets"),
        "optional: the page, with the versions of depthai_ros/extras.py; rosdep has no viser",
    ),
}
#: The same for the tests.
TESTS_NOT_DECLARED = {
    "atheris": "rosdep has no key; `make fuzz` installs it",
    "av": "rosdep has no key",
    "mcap": "rosdep installs it with pip only, which a released package must not need",
    "msgspec": "comes with viser",
    "playwright": "rosdep has no key; drives Chromium for the tests of the page",
    "rosbags": "rosdep installs it with pip only",
    "viser": "rosdep has no key",
    "websockets": "comes with viser",
    "zstandard": "comes with viser",
}
#: Run dependency that no Python file imports -> the reason.
NOT_IMPORTED = {
    "libjpeg": "the core loads it",
    "libpng-dev": "the core loads it",
    "libusb-1.0": "the core loads it",
    "rosidl_default_runtime": "the package has messages",
}
#: Package that a launch file starts only if an argument asks for it; an error then names it. They
#: and what they need have no place on a robot without a screen.
OPTIONAL = {"depth_image_proc", "rclcpp_components", "ros2bag", "rosbag2_storage_mcap", "rviz2"}
#: What CMake looks for -> its rosdep key, "" = part of every build; others have their own name.
CMAKE_KEYS = {
    "GTest": "libgtest-dev",
    "JPEG": "libjpeg",
    "PNG": "libpng-dev",
    "Python3": "python3-dev",
    "Threads": "",
    "pybind11": "pybind11-dev",
    "libusb.h": "libusb-1.0-dev",
}
#: Test dependency that no test imports -> the reason.
TESTS_NOT_IMPORTED = {
    "ament_cmake_pytest": "registers the tests in Python with CTest",
    "composition_interfaces": "a program that test/support/launches.py writes",
    "libgtest-dev": "the tests of the core",
    "python3-pytest-timeout": "the option timeout in pyproject.toml",
}


def names(*kinds: str) -> set[str]:
    """Declared dependencies of these kinds."""
    return {each.name for kind in kinds for each in getattr(MANIFEST, f"{kind}_depends")}


def _imports(path: Path) -> Iterator[str]:
    """Top-level names of what a file imports, or skips a test without; not relative ones."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("importorskip"):
            yield ast.literal_eval(node.args[0])


def imported(*folders: str) -> set[str]:
    """Keys of the foreign packages that the Python files below these folders import."""
    files = {path for folder in folders for path in (ROOT / folder).rglob("*.py")}
    own = {path.stem for top in OWN for path in (ROOT / top).rglob("*.py")} | {"qemu"}
    found = {name.partition(".")[0] for path in files for name in _imports(path)}
    foreign = found - own - {"depthai", "depthai_ros", "run", *sys.stdlib_module_names}
    return {ROSDEP_KEYS.get(name, name) for name in foreign}


def unequal(declared: set[str], used: set[str]) -> list[str]:
    """A sentence for each name that is in one set only."""
    return [
        *(f"{name} is used: declare it in package.xml" for name in sorted(used - declared)),
        *(
            f"{name} is not used: remove it from package.xml, or give the reason in this file"
            for name in sorted(declared - used)
        ),
    ]


def test_manifest_is_what_ros_tools_expect() -> None:
    warnings: list[str] = []
    MANIFEST.validate(warnings)
    assert warnings == []
    assert find_packages(str(ROOT)).keys() == {"."}
    assert MANIFEST.get_build_type() == "ament_cmake"
    assert [group.name for group in MANIFEST.member_of_groups] == ["rosidl_interface_packages"]
    assert [person.name for person in MANIFEST.authors] == ["depthai_ros contributors"]


def test_licence_is_that_of_its_file() -> None:
    assert [(str(each), each.file) for each in MANIFEST.licenses] == [("MIT", "LICENSE")]
    assert (ROOT / "LICENSE").read_text("utf-8").startswith("MIT License\n")


def test_run_dependencies_are_exactly_what_is_imported_and_started() -> None:
    used = imported("depthai_ros", "launch", "examples") - NOT_DECLARED.keys()
    used |= NOT_IMPORTED.keys() | (started_packages() - OPTIONAL)
    assert unequal(names("exec"), used) == []


def test_test_dependencies_are_exactly_what_the_tests_import() -> None:
    used = imported("test") - TESTS_NOT_DECLARED.keys() - names("exec")
    assert unequal(names("test"), used | TESTS_NOT_IMPORTED.keys()) == []


def test_build_dependencies_are_exactly_what_cmake_looks_for() -> None:
    below = (path for top in ("src", "test") for path in ROOT.glob(f"{top}/**/CMakeLists.txt"))
    files = (ROOT / "CMakeLists.txt", *below)
    text = "".join(path.read_text("utf-8") for path in files)
    found = set(re.findall(r"find_package\((\w+)", text)) | {"libusb.h", "rcl"}
    keys = {CMAKE_KEYS.get(name, name) for name in found} - {""}
    assert unequal(names("build", "buildtool"), keys - names("test")) == []


def test_reasons_are_those_of_names_in_use() -> None:
    everything = imported("depthai_ros", "launch", "examples", "test")
    named = {*NOT_DECLARED, *TESTS_NOT_DECLARED, *ROSDEP_KEYS.values()}
    assert named - everything == set()
    assert started_packages() >= OPTIONAL


def test_every_package_that_we_name_can_be_installed_on_each_distribution() -> None:
    """Without the network: from what is stored of rosdep's lists."""
    stored = json.loads(STORED.read_text("utf-8"))
    assert stored["packages"].keys() == named_packages(), (
        "write the list anew: python tools/rosdep_keys.py CLONE_OF_ROSDISTRO"
    )
    assert stored["ubuntu"].keys() == set(DISTRIBUTIONS)
    missing = {
        f"{name} on {distribution}, Ubuntu {stored['ubuntu'][distribution]}"
        for name, found in stored["packages"].items()
        for distribution in DISTRIBUTIONS
        if not found.get(distribution)
    }
    assert missing == set()
