"""Shared by all tests: a ROS domain per test run, and processes that end with their test."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from beside import Beside
from ros_domain import hold_domain

from depthai_ros.ros_features import local_discovery

TESTS = Path(__file__).resolve().parent
#: False in a sourced workspace: its packages have other versions, and nothing is compiled there.
IN_CHECKOUT = os.environ.get("DEPTHAI_ROS_ROOT") == str(TESTS.parent)
#: Tests that need the environment of tools/env.sh -> why.
NEEDS_CHECKOUT = {
    "install": "installs the package into environments of its own",
    "python/core/test_core_sanitizers.py": "compiles the core with sanitizers",
    "python/test_bench.py": "checks the programs of `make bench`",
    "python/test_build_steps.py": "checks the program of `make build`",
    "python/test_pictures.py": "checks the program of `make pictures`",
    "ros/commands/test_run.py": "checks the program of `make run`",
    "ros/commands/test_soak.py": "checks the program of `make soak`",
    "usb": "compiles an emulated bus",
    "view": "uses the tools of the checkout",
}
#: What a user may have chosen for his robot, and what the tests then would not mean.
CHOICES = (
    "DEPTHAI_DEVICE",
    "RCUTILS_CONSOLE_OUTPUT_FORMAT",
    "RMW_IMPLEMENTATION",
    "ROS_DISCOVERY_SERVER",
    "ROS_LOCALHOST_ONLY",
    "ROS_STATIC_PEERS",
)
#: Prefix of the log folders; the id of the process that made them follows.
LOGS = "depthai_ros-log-"

HAS_ROS = importlib.util.find_spec("rclpy") is not None
if not HAS_ROS:
    collect_ignore = ["ros"]


def _make_log_folder() -> str:
    """A log folder for the nodes of this run; removes those of runs that were killed."""
    for left in Path(tempfile.gettempdir()).glob(f"{LOGS}*"):
        if not Path("/proc", left.name.removeprefix(LOGS).partition("-")[0]).exists():
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{LOGS}{os.getpid()}-")


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Let pytest start without pytest-timeout, whose limits have no effect then."""
    if not pluginmanager.hasplugin("timeout"):
        parser.addini("timeout", "limit of a test in seconds; needs pytest-timeout")


def pytest_configure(config: pytest.Config) -> None:
    """Set the domain before anything imports rclpy; child processes inherit it."""
    config.pluginmanager.register(Beside())
    domain, held = hold_domain()
    config.add_cleanup(held.close)
    logs = _make_log_folder()
    config.add_cleanup(lambda: shutil.rmtree(logs, ignore_errors=True))
    for name in CHOICES:
        os.environ.pop(name, None)
    os.environ.update(local_discovery(), ROS_DOMAIN_ID=domain, ROS_LOG_DIR=logs)
    if not config.pluginmanager.hasplugin("timeout"):
        config.addinivalue_line("markers", "timeout(seconds): limit; needs pytest-timeout")
    if not IN_CHECKOUT:  # what numpy or a plugin of pytest deprecates is no fault of this package
        config.addinivalue_line("filterwarnings", "default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what only the environment of the checkout can run."""
    for item in items if not IN_CHECKOUT else ():
        for name, reason in NEEDS_CHECKOUT.items():
            if item.path.is_relative_to(TESTS / name):
                item.add_marker(pytest.mark.skip(reason=f"needs `. tools/env.sh`: {reason}"))


def pytest_report_header() -> str:
    """Report in the header which tests cannot run."""
    if not HAS_ROS:
        return "test/ros is not run: rclpy cannot be imported (no ROS 2 in this environment)"
    return f"ROS 2 {os.environ.get('ROS_DISTRO')}, domain {os.environ['ROS_DOMAIN_ID']}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Repeat failures from before pytest at the end of the output."""
    for what in filter(None, os.environ.get("DEPTHAI_ROS_FAILED_BEFORE", "").split(";")):
        terminalreporter.write_line(f"FAILED before pytest, see above: {what.strip()}", red=True)


def _stop(process: subprocess.Popen[Any], timeout_s: float) -> None:
    """Send SIGINT to a process; kill it if it does not end."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(
                f"{process.args!r} did not end within {timeout_s} s of SIGINT"
            ) from None
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """start(*command, **Popen options) starts a text-mode process that ends with the test."""
    processes: list[subprocess.Popen[str]] = []

    def start_process(*command: str, **options: Any) -> subprocess.Popen[str]:
        arguments: Sequence[str] = [str(word) for word in command]
        processes.append(subprocess.Popen(arguments, text=True, **options))
        return processes[-1]

    yield start_process
    failures = []
    for process in reversed(processes):
        try:
            _stop(process, timeout_s=10.0)
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, failures
