"""pytest starts where ROS 2 has installed its plugins, which have hooks of old versions."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Source: setup.py and the hooks of launch_testing, launch_testing_ros and launch_pytest, Kilted
ENTRY_POINTS = """[pytest11]
launch_testing = old_makemodule
launch_ros = old_launch_makemodule
launch_pytest = old_fixture_setup
"""
PLUGINS = {
    "old_makemodule": "def pytest_pycollect_makemodule(path, parent): raise AssertionError(path)",
    "old_launch_makemodule": "def pytest_launch_collect_makemodule(path, parent, entrypoint): ...",
    "old_fixture_setup": "def pytest_pyfunc_call(function): raise AssertionError(function)",
}


def collect(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """pytest collects a file; its output and errors are in `stdout`."""
    command = [sys.executable, "-m", "pytest", *options, "--collect-only", "-q"]
    return subprocess.run(
        [*command, "test/python/core/test_core_sanitizers.py"],  # which has a limit of its own
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )


def test_plugins_of_ros_with_hooks_of_old_versions_stay_off(tmp_path: Path) -> None:
    info = tmp_path / "ros_plugins-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ros-plugins\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    for name, text in PLUGINS.items():
        (tmp_path / f"{name}.py").write_text(f"{text}\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = collect(PYTHONPATH=path)
    assert done.returncode == 0, done.stdout


def test_pytest_starts_without_the_plugin_for_limits_of_time() -> None:
    done = collect("-p", "no:timeout")
    assert done.returncode == 0, done.stdout
