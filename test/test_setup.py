"""tools/build on machines where it cannot go on: it says what to do, and installs nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_without_wheels_for_the_machine_a_ros_is_to_be_sourced(tmp_path: Path) -> None:
    for name, script in {"uname": "echo aarch64", "apt-get": "exit 1"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHON": "no_python"}
    done = subprocess.run(
        [ROOT / "tools" / "build"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "no wheels of ROS 2 for aarch64" in done.stderr
    assert "source" in done.stderr
