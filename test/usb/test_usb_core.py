"""The C++ core without Python on the USB bus, with sanitizers: memory, threads, descriptors."""

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
from sanitizers import SANITIZERS, Sanitizer, compiled, skip_unless_it_starts
from usb_rig import PORT, SLOW, Bench, Rig, ends_with_us, scratch_folder

LIMIT_S = 240.0 * SLOW
#: The first test of each sanitizer includes its compilation.
pytestmark = pytest.mark.timeout(900)
#: Allowed growth in bytes over all cycles: some allocators keep a little for each ended thread.
SPARE_BYTES = {"plain": 0, "asan": 100 * CYCLES, "tsan": 1_000 * CYCLES}


@dataclass(frozen=True)
class Core:
    """The test program, compiled with one sanitizer."""

    program: Path
    sanitizer: Sanitizer
    spare_bytes: int

    def words(self, *arguments: str) -> list[str]:
        return self.sanitizer.words(self.program, *arguments)

    def run(self, rig: Rig, *arguments: str) -> dict[str, Any]:
        """Run it to its end; each of its lines is a command for the board."""
        process = subprocess.Popen(
            self.words(*arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**rig.environment, **self.sanitizer.environment},
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
    (program,) = compiled(name, "usb_session")
    skip_unless_it_starts(name, program)
    return Core(program, SANITIZERS[name], SPARE_BYTES[name])


@pytest.fixture(scope="session", params=["asan", "tsan"])
def core(request: pytest.FixtureRequest, rig_program: Path) -> Core:
    return make_core(request.param)


@pytest.fixture(scope="session")
def quick_device(rig_program: Path) -> Iterator[Path]:
    """Socket of a virtual device in C++."""
    folder = scratch_folder()
    words = make_core("plain").words("device", str(folder / "device"))
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
