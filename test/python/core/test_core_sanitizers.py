"""The tests of the C++ core and the kept inputs of its fuzzers, with sanitizers."""

from __future__ import annotations

import os
import subprocess

import pytest
from sanitizers import ROOT, SANITIZERS, compiled, skip_unless_it_starts

#: The first test of each sanitizer includes its compilation.
pytestmark = pytest.mark.timeout(900)
#: Harnesses with threads; the others are of interest for memory only.
HARNESSES = {"asan": ("decoder", "kernels", "link", "usb"), "tsan": ("link",)}


@pytest.mark.parametrize("name", HARNESSES)
def test_core_tests_and_kept_inputs_give_no_finding(name: str) -> None:
    harnesses = HARNESSES[name]
    tests, *replays = compiled(name, "core_tests", *(f"fuzz_{target}" for target in harnesses))
    skip_unless_it_starts(name, replays[0])
    sanitizer = SANITIZERS[name]
    commands = [sanitizer.words(tests, "--gtest_brief=1")]
    for target, program in zip(harnesses, replays, strict=True):
        commands.append(sanitizer.words(program, str(ROOT / "test/fuzz/corpus" / target)))
    for command in commands:
        environment = {**os.environ, **sanitizer.environment}
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, check=False, timeout=600
        )
        assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-6000:]}"
