"""The C++ core without Python on the USB bus, with sanitizers or for arm64.

Checked are memory, threads and descriptors.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lengths import CYCLES
from sanitizers import ARM64, BUILDS, CHECKED, ON_ARM64, Build, compiled, skip_unless_it_starts
from usb_rig import PORT, PRELOAD, SLOW, UMOCKDEV_PRELOAD, Bench, Rig, ends_with_us, scratch_folder

LIMIT_S = 240.0 * SLOW
#: The first test of each build includes its compilation.
pytestmark = pytest.mark.timeout(900)
#: Allowed growth over all cycles, bytes and threads: some allocators keep a little for each ended
#: thread, and qemu-user ends a thread a little later than the program notices.
SPARE = {
    "plain": (0, 0),
    "asan": (100 * CYCLES, 0),
    "tsan": (1_000 * CYCLES, 0),
    "arm64": (100_000 + 1_000 * CYCLES, 2),
}


@dataclass(frozen=True)
class Core:
    """The test program of one build."""

    program: Path
    build: Build
    spare_bytes: int
    spare_threads: int

    def words(self, *arguments: str) -> list[str]:
        return self.build.words(self.program, *arguments)

    def environment(self, rig: Rig) -> dict[str, str]:
        """What redirects it to the bus; under qemu-user the program alone, not qemu."""
        environment = {**rig.environment, **self.build.environment}
        if ON_ARM64:
            umockdev = ARM64 / "usr/lib/aarch64-linux-gnu" / UMOCKDEV_PRELOAD
            preload = f"{self.program.with_name(PRELOAD)}:{umockdev}"
            environment |= {"LD_PRELOAD": "", "QEMU_SET_ENV": f"LD_PRELOAD={preload}"}
        return environment

    def run(self, rig: Rig, *arguments: str) -> dict[str, Any]:
        """Run it to its end; each of its lines is a command for the board."""
        process = subprocess.Popen(
            self.words(*arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(rig),
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


def make_core(name: str) -> Core:
    program, *_ = compiled(name, "usb_session", *(["one_at_a_time"] if ON_ARM64 else []))
    skip_unless_it_starts(name, program)
    return Core(program, BUILDS[name], *SPARE[name])


@pytest.fixture(scope="session", params=CHECKED)
def core(request: pytest.FixtureRequest, rig_program: Path) -> Core:
    return make_core(request.param)


@pytest.fixture(scope="session")
def quick_device(rig_program: Path) -> Iterator[Path]:
    """Socket of a virtual device in C++."""
    folder = scratch_folder()
    words = make_core("arm64" if ON_ARM64 else "plain").words("device", str(folder / "device"))
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
    assert abs(report["threads"][1] - report["threads"][0]) <= core.spare_threads
    assert report["allocated_bytes"][1] <= report["allocated_bytes"][0] + core.spare_bytes


def test_timeout_and_cancel_lose_no_received_byte(bench: Bench, core: Core) -> None:
    rig = bench.rig({"state": "booted", "socket": "", "flood": 2 << 20})
    assert core.run(rig, "cancel")["bytes"] > 20 << 20
