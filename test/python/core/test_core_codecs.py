"""Without libjpeg-turbo and libpng the core is built, and says which codecs it has."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
#include <cstdio>
#include "base/error.hpp"
#include "codecs/codecs.hpp"
int main() {
  for (const auto& name : depthai::codecs()) std::printf("%s ", name.c_str());
  try {
    depthai::encode_jpeg({}, "mono8", 95);
  } catch (const depthai::EncodeError& error) {
    std::printf("%s; ", error.what());
  }
  try {
    depthai::encode_png({}, "mono8", 3);
  } catch (const depthai::EncodeError& error) {
    std::printf("%s", error.what());
  }
}
"""


def run(*words: str | Path, folder: Path) -> str:
    """The output of a command that must succeed."""
    done = subprocess.run(
        [str(word) for word in words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.timeout(120)
def test_core_without_the_libraries_says_so(tmp_path: Path) -> None:
    missing = [f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}=ON" for name in ("JPEG", "PNG")]
    options = ["-DDEPTHAI_CORE_ONLY=ON", "-DBUILD_TESTING=OFF", *missing]
    run("cmake", "-S", ROOT, "-B", tmp_path, *options, folder=tmp_path)
    commands = json.loads((tmp_path / "compile_commands.json").read_text())
    objects = []
    for name in ("image", "jpeg", "png"):
        (command,) = (row for row in commands if row["file"].endswith(f"/src/codecs/{name}.cpp"))
        words = shlex.split(command["command"])
        objects.append(tmp_path / f"{name}.o")
        words[words.index("-o") + 1] = str(objects[-1])
        run(*words, folder=Path(command["directory"]))
    source = tmp_path / "program.cpp"
    source.write_text(PROGRAM)
    compiler = os.environ.get("CXX", "c++")
    words = [compiler, "-std=c++17", f"-I{ROOT}/src", "-pthread", "-o", "program", source]
    run(*words, *objects, folder=tmp_path)
    assert run("./program", folder=tmp_path) == (
        "rvl this build has no JPEG: it was made without libjpeg-turbo; "
        "this build has no PNG: it was made without libpng"
    )
