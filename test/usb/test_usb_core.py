"""The C++ core without Python on the USB bus, with sanitizers: memory, threads, descriptors."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lengths import CYCLES
from usb_rig import PORT, ROOT, SLOW, USB_FOLDER, Bench, Rig, ends_with_us, scratch_folder

LIMIT_S = 240.0 * SLOW
#: The first test of each sanitizer includes its compilation.
pytestmark = pytest.mark.timeout(900)
LEAKS_OF_LIBUSB = USB_FOLDER / "core/leaks_of_libusb.txt"

#: Name -> -fsanitize option, environment, allowed growth in bytes over all cycles: some allocators
#: keep a little memory for each ended thread.
SANITIZERS = {
    "plain": ("", {}, 0),
    "asan": (
        "address,undefined",
        {
            # The preload libraries must come first; a small quarantine returns freed memory.
            "ASAN_OPTIONS": "verify_asan_link_order=0:quarantine_size_mb=1:detect_leaks=1",
            "LSAN_OPTIONS": f"suppressions={LEAKS_OF_LIBUSB}:print_suppressions=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        },
        100 * CYCLES,
    ),
    "tsan": ("thread", {"TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1"}, 1_000 * CYCLES),
}


@dataclass(frozen=True)
class Core:
    """The test program, compiled with one sanitizer."""

    program: Path
    options: dict[str, str]
    spare_bytes: int

    def words(self, *arguments: str) -> list[str]:
        # The thread sanitizer fails with some randomised address layouts.
        fixed = ["setarch", os.uname().machine, "--addr-no-randomize"]
        return [*(fixed if "TSAN_OPTIONS" in self.options else []), str(self.program), *arguments]

    def run(self, rig: Rig, *arguments: str) -> dict[str, Any]:
        """Run it to its end; each of its lines is a command for the board."""
        process = subprocess.Popen(
            self.words(*arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**rig.environment, **self.options},
            preexec_fn=ends_with_us,
        )
        assert process.stdin
        assert process.stdout
        assert process.stderr
        last, silences = "", 0
        for last in process.stdout:
            if last.startswith("{"):
                break
            silences += last.startswith("hang_after")
            if last == "wait for silence\n":
                rig.wait_for(f"{PORT} silent", silences)
            else:
                rig.tell(f"{PORT} {last.strip()}")
            process.stdin.write("\n")
            process.stdin.flush()
        _, errors = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, f"{process.returncode}: {last}{errors[-6000:]}"
        report: dict[str, Any] = json.loads(last)
        return {**report, "stderr": errors}


def compiled(name: str) -> Core:
    sanitizer, options, spare_bytes = SANITIZERS[name]
    folder = Path(os.environ.get("DEPTHAI_ROS_BUILD") or ROOT / "build") / f"usb_core_{name}"
    folder.mkdir(parents=True, exist_ok=True)
    configure = [
        f"-DPython3_EXECUTABLE={sys.executable}",
        "-DCMAKE_DISABLE_FIND_PACKAGE_ament_cmake=ON",
        "-DBUILD_TESTING=OFF",
        f"-DDEPTHAI_SANITIZER={sanitizer}",
    ]
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for words in (
            ["-S", str(ROOT), "-B", str(folder), *configure],
            ["--build", str(folder), "--target", "usb_session", "--parallel"],
        ):
            done = subprocess.run(["cmake", *words], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    core = Core(folder / "usb_session", options, spare_bytes)
    # Status 2 (usage) shows that programs with this sanitizer start on this machine.
    if subprocess.run(core.words(), capture_output=True, check=False).returncode != 2:
        pytest.skip(f"NOT RUN: programs with -fsanitize={sanitizer} do not start on this machine")
    return core


@pytest.fixture(scope="session", params=["asan", "tsan"])
def core(request: pytest.FixtureRequest, rig_program: Path) -> Core:
    return compiled(request.param)


@pytest.fixture(scope="session")
def quick_device(rig_program: Path) -> Iterator[Path]:
    """Socket of a virtual device in C++."""
    folder = scratch_folder()
    words = compiled("plain").words("device", str(folder / "device"))
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, preexec_fn=ends_with_us
    ) as process:
        assert process.stdout
        assert process.stdout.readline()
        yield folder / "device"
        process.kill()
    shutil.rmtree(folder)


def test_replugging_in_mid_frame_leaves_nothing_behind(
    bench: Bench, core: Core, quick_device: Path
) -> None:
    """No thread, descriptor or memory is left, and the sanitizer reports nothing."""
    rig = bench.rig({"socket": quick_device, "replug_after": 6_000_000})
    report = core.run(rig, "cycles", str(CYCLES))
    print(core.program.parent.name, report)
    assert report["packets"] >= 2 * CYCLES
    assert not report["stderr"]  # no report of the sanitizer, no message of libusb
    assert report["descriptors"][1] == report["descriptors"][0]
    assert report["threads"][1] == report["threads"][0]
    assert report["allocated_bytes"][1] <= report["allocated_bytes"][0] + core.spare_bytes


def test_timeout_and_cancel_lose_no_received_byte(bench: Bench, core: Core) -> None:
    rig = bench.rig({"state": "booted", "socket": "", "flood": 2 << 20})
    assert core.run(rig, "cancel")["bytes"] > 20 << 20
