"""Fixtures for launch files in processes of their own, with stand-ins for foreign programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from launches import HAS_LAUNCH, HAS_ROS, Launched, Observer, StandIns, StartLaunch

NEEDS_LAUNCH = (
    "test_launch_camera.py",
    "test_launch_lifecycle.py",
    "test_launch_programs.py",
    "test_launch_several.py",
)


def pytest_report_header() -> str | None:
    """Report in the header which tests are skipped."""
    if HAS_LAUNCH:
        return None
    return f"launch is not installed: {', '.join(NEEDS_LAUNCH)} are skipped"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that start launch files if `launch` is missing."""
    if HAS_LAUNCH and HAS_ROS:
        return
    reason = "launch is not installed: launch files are not started"
    for item in items:
        if item.path.name in NEEDS_LAUNCH:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def stand_ins(tmp_path: Path) -> StandIns:
    """Stand-ins for packages, whose programs only record their arguments."""
    return StandIns(tmp_path / "stand_ins")


@pytest.fixture
def start_launch(tmp_path: Path, stand_ins: StandIns) -> Iterator[StartLaunch]:
    """start_launch("camera.launch.py", "device:=virtual", …): a launch that ends with the test."""
    running: list[Launched] = []

    def start(*words: str, **options: Any) -> Launched:
        folder = tmp_path / f"launch-{len(running)}"
        folder.mkdir()
        running.append(Launched(folder, stand_ins, *words, **options))
        return running[-1]

    yield start
    for launched in running:
        launched.kill()
        print(launched.output)  # pytest shows it if the test failed


@pytest.fixture
def observer() -> Iterator[Observer]:
    """A node in a context of its own that observes other nodes."""
    observer = Observer()
    yield observer
    observer.close()
