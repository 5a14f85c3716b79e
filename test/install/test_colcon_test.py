"""`colcon test` runs the tests in Python, and `colcon test-result` reports what happened.

Most of it is checked with a small package that has our pytest_groups.cmake, conftest.py and
settings of pytest.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ament_index_python", reason="there is no ROS 2, so no ament_cmake")

pytestmark = [
    pytest.mark.skipif(not shutil.which("colcon"), reason="colcon is not installed"),
    pytest.mark.distribution("ament_cmake_pytest, and how it starts pytest"),
    pytest.mark.timeout(600),  # a busy machine; 20 s on an idle one
]
ROOT = Path(__file__).resolve().parents[2]
#: Files of the checkout that the package has.
OURS = ("package.xml", "pyproject.toml", "test/conftest.py", "test/pytest_groups.cmake")
OURS += ("test/support/beside.py", "tools/ros_domain.py")

CMAKE_LISTS = """
cmake_minimum_required(VERSION 3.22)
project(depthai_ros NONE)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
find_package(ament_cmake REQUIRED)
include(CTest)
include(test/pytest_groups.cmake)
ament_package()
"""

#: Tests of the package, and what becomes of them.
TESTS = {
    "python/test_place.py": """
import os, pathlib, depthai_ros
SOURCES = pathlib.Path(__file__).parents[2]
def test_sources_do_not_hide_the_installed_package():
    assert not pathlib.Path(depthai_ros.__file__).is_relative_to(SOURCES)
def test_own_domain_is_set():
    assert os.environ["ROS_DOMAIN_ID"]
""",
    "ros/node/test_wrong.py": "def test_fails(): assert [1, 2] == [1, 3], 'a wrong number'\n",
    "ros/node/test_missing.py": """
import pytest
def test_skipped(): pytest.importorskip("no_such_package")
""",
    "ros/commands/test_run.py": "def test_needs_the_checkout(): raise AssertionError\n",
    "launch/test_abrupt.py": "import os\ndef test_of_a_crash(): os._exit(3)\n",
    "test_package.py": "def test_passes(): pass\n",
}


#: Result file of a group -> its counts: tests, errors, failures, skipped.
COUNTS = {
    "python": (2, 0, 0, 0),
    "ros": (3, 0, 1, 2),
    "launch": (1, 1, 0, 0),
    "package": (1, 0, 0, 0),
}


def colcon(workspace: Path, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["colcon", "--log-base", "log", verb, *words],
        cwd=workspace,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
    )


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose package was built and tested."""
    workspace = tmp_path_factory.mktemp("workspace")
    package = workspace / "src/depthai_ros"
    texts = {name: (ROOT / name).read_text("utf-8") for name in OURS}
    texts |= {f"test/{name}": text for name, text in TESTS.items()}
    texts |= {"CMakeLists.txt": CMAKE_LISTS, "depthai_ros/__init__.py": ""}
    for name, text in texts.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text, "utf-8")
    for verb in ("build", "test"):
        done = colcon(workspace, verb, "--event-handlers", "console_cohesion+")
        assert done.returncode == 0, done.stdout
    return workspace


def test_package_has_the_core_tests_and_every_group(tmp_path: Path) -> None:
    words = ["cmake", "-S", ROOT, "-B", tmp_path, f"-DPython3_EXECUTABLE={sys.executable}"]
    subprocess.run(words, capture_output=True, text=True, check=True)
    words = ["ctest", "-N", "--test-dir", tmp_path]
    listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    names = re.findall(r"Test +#\d+: (\S+)", listed)
    assert set(COUNTS) < set(names)
    assert "core_tests" in listed  # their names are known after the build


def test_results_count_and_name_what_failed_and_what_was_skipped(workspace: Path) -> None:
    done = colcon(workspace, "test-result", "--verbose", "--all")
    assert done.returncode == 1, done.stdout
    line = r"(\w+)\.xunit\.xml: (\d+) tests?, (\d+) errors?, (\d+) failures?, (\d+) skipped"
    groups = re.findall(line, done.stdout)
    assert {group: tuple(map(int, counts)) for group, *counts in groups} == COUNTS
    assert "AssertionError: a wrong number" in done.stdout


def test_output_of_a_group_has_the_reason_of_each_skipped_test(workspace: Path) -> None:
    output = (workspace / "build/depthai_ros/ament_cmake_pytest/ros.txt").read_text()
    assert "could not import 'no_such_package'" in output
    assert "needs `. tools/env.sh`: " in output
