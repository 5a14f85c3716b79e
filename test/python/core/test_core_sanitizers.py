"""The tests of the C++ core and the kept inputs of its fuzzers, with sanitizers or for arm64."""

from __future__ import annotations

import os
import subprocess

import pytest
from sanitizers import BUILDS, CHECKED, ROOT, compiled, skip_unless_it_starts

#: The first test of each build includes its compilation.
pytestmark = pytest.mark.timeout(900)
ALL = ("codecs", "decoder", "kernels", "link", "usb")
#: Harnesses without threads are of no interest to the sanitizer for threads.
HARNESSES = dict.fromkeys(CHECKED, ALL) | {"tsan": ("link",)}


@pytest.mark.parametrize("name", CHECKED)
def test_core_tests_and_kept_inputs_give_no_finding(name: str) -> None:
    harnesses = HARNESSES[name]
    tests, *replays = compiled(name, "core_tests", *(f"fuzz_{target}" for target in harnesses))
    skip_unless_it_starts(name, replays[0])
    build = BUILDS[name]
    commands = [build.words(tests, "--gtest_brief=1")]
    for target, program in zip(harnesses, replays, strict=True):
        commands.append(build.words(program, str(ROOT / "test/fuzz/corpus" / target)))
    for command in commands:
        environment = {**os.environ, **build.environment}
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, check=False, timeout=600
        )
        assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-6000:]}"
