"""The USB rig for each test that asks for it; where it cannot run, its tests are skipped aloud."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from usb_parts import HERE, PRELOAD, ROOT, Bench, FarEnd, flags, missing


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say aloud what was not shown."""
    if why := missing():
        terminalreporter.write_line(f"NOT RUN: test/usb, {why}", red=True)


def compile_if_older(target: Path, sources: list[Path], *options: str) -> None:
    newest = max(path.stat().st_mtime for path in HERE.rglob("*.[ch]pp"))
    if target.exists() and target.stat().st_mtime >= newest:
        return
    strict = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]
    words = ["c++", *strict, "-o", str(target), *map(str, sources), *options, "-pthread"]
    subprocess.run(words, check=True)


@pytest.fixture(scope="session")
def rig_program() -> Path:
    """The rig, built if it is older than its sources; beside it the preload library."""
    if why := missing():
        pytest.skip(why)
    folder = Path(os.environ.get("DEPTHAI_ROS_BUILD") or ROOT / "build") / "usb_rig"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "usb_rig"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        umockdev = [*flags("--cflags"), *flags("--libs")]
        compile_if_older(program, sorted(HERE.glob("*.cpp")), *umockdev)
        shared = ["-shared", "-fPIC", "-ldl"]
        one_at_a_time = HERE / "preload/one_at_a_time.cpp"
        compile_if_older(folder / PRELOAD, [one_at_a_time], *shared)
    return program


@pytest.fixture(scope="session")
def far_end() -> Iterator[FarEnd]:
    """Plays the device's part for whichever board is booted."""
    device = FarEnd("pattern")
    yield device
    device.close()


@pytest.fixture
def bench(rig_program: Path, far_end: FarEnd, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(rig_program, far_end, tmp_path)
    yield made
    made.close()
