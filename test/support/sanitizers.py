"""Programs of the C++ core, compiled with a sanitizer or for arm64."""

from __future__ import annotations

import fcntl
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
JOBS = os.environ.get("JOBS") or str(os.cpu_count())
LEAKS_OF_LIBUSB = ROOT / "test/usb/core/leaks_of_libusb.txt"
#: Set by `make test-arm64`: the tests run programs for arm64 in place of those with sanitizers.
ON_ARM64 = os.environ.get("DEPTHAI_ROS_ARM64") == "1"
#: Files made by `tools/arm64_parts`.
ARM64 = ROOT / "build/arm64/root"


@dataclass(frozen=True)
class Build:
    """Options of CMake, the command that starts the programs, and their environment."""

    configure: tuple[str, ...]
    start: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def words(self, program: Path, *arguments: str) -> list[str]:
        """The command that runs a program."""
        return [*self.start, str(program), *arguments]


BUILDS = {
    "plain": Build(()),
    "asan": Build(
        ("-DDEPTHAI_SANITIZER=address,undefined",),
        environment={
            # The preload libraries must come first; a small quarantine returns freed memory.
            "ASAN_OPTIONS": "verify_asan_link_order=0:quarantine_size_mb=1:detect_leaks=1",
            "LSAN_OPTIONS": f"suppressions={LEAKS_OF_LIBUSB}:print_suppressions=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        },
    ),
    "tsan": Build(
        ("-DDEPTHAI_SANITIZER=thread",),
        # It fails with some randomised address layouts.
        ("setarch", os.uname().machine, "--addr-no-randomize"),
        {"TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1"},
    ),
    "arm64": Build(
        (f"-DCMAKE_TOOLCHAIN_FILE={ROOT}/test/arm64.cmake", "-DDEPTHAI_WARNINGS_ARE_ERRORS=ON"),
        (str(ARM64 / "usr/bin/qemu-aarch64"),),
    ),
}
#: The builds that the tests run.
CHECKED = ("arm64",) if ON_ARM64 else ("asan", "tsan")


def compiled(name: str, *targets: str) -> list[Path]:
    """The programs of these CMake targets; all tests share their objects."""
    folder = Path(os.environ.get("DEPTHAI_ROS_BUILD") or ROOT / "build") / f"core_{name}"
    folder.mkdir(parents=True, exist_ok=True)
    configure = ["-DDEPTHAI_CORE_ONLY=ON", *BUILDS[name].configure]
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
    """Skip the test if programs of this build do not start on this machine.

    Without arguments the program must print its usage and end with status 2.
    """
    command = BUILDS[name].words(program)
    if subprocess.run(command, capture_output=True, check=False).returncode != 2:
        pytest.skip(f"NOT RUN: programs of the build {name} do not start on this machine")
