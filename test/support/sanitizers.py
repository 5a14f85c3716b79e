"""Programs of the C++ core, compiled with a sanitizer."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
JOBS = os.environ.get("JOBS") or str(os.cpu_count())
LEAKS_OF_LIBUSB = ROOT / "test/usb/core/leaks_of_libusb.txt"


@dataclass(frozen=True)
class Sanitizer:
    """The -fsanitize option ("" = none) and the environment of the programs."""

    option: str
    environment: dict[str, str]

    def words(self, program: Path, *arguments: str) -> list[str]:
        """The command that runs a program."""
        # The thread sanitizer fails with some randomised address layouts.
        fixed = ["setarch", os.uname().machine, "--addr-no-randomize"]
        return [*(fixed if self.option == "thread" else []), str(program), *arguments]


SANITIZERS = {
    "plain": Sanitizer("", {}),
    "asan": Sanitizer(
        "address,undefined",
        {
            # The preload libraries must come first; a small quarantine returns freed memory.
            "ASAN_OPTIONS": "verify_asan_link_order=0:quarantine_size_mb=1:detect_leaks=1",
            "LSAN_OPTIONS": f"suppressions={LEAKS_OF_LIBUSB}:print_suppressions=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        },
    ),
    "tsan": Sanitizer("thread", {"TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1"}),
}


def compiled(name: str, *targets: str) -> list[Path]:
    """The programs of these CMake targets; all tests share their objects."""
    folder = Path(os.environ.get("DEPTHAI_ROS_BUILD") or ROOT / "build") / f"core_{name}"
    folder.mkdir(parents=True, exist_ok=True)
    configure = [
        f"-DPython3_EXECUTABLE={sys.executable}",
        "-DCMAKE_DISABLE_FIND_PACKAGE_ament_cmake=ON",
        f"-DDEPTHAI_SANITIZER={SANITIZERS[name].option}",
    ]
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for words in (
            ["-S", str(ROOT), "-B", str(folder), *configure],
            ["--build", str(folder), "--parallel", JOBS, "--target", *targets],
        ):
            done = subprocess.run(["cmake", *words], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return [folder / target for target in targets]


def skip_unless_it_starts(name: str, program: Path) -> None:
    """Skip the test if programs with this sanitizer do not start on this machine.

    Without arguments the program must print its usage and end with status 2.
    """
    command = SANITIZERS[name].words(program)
    if subprocess.run(command, capture_output=True, check=False).returncode != 2:
        pytest.skip(f"NOT RUN: programs with the sanitizer {name} do not start on this machine")
