"""The official Gen1 host: a separate Python with the official wheel, and programs in it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from usb_rig import ROOT, USB_FOLDER, Rig

WHEEL = "depthai==1.0.0.0"
LIMIT_S = 60.0

#: Variables of this environment that would affect the other Python.
OURS = ("LD_LIBRARY_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE", "PYTHONPATH", "VIRTUAL_ENV")


def old_pythons() -> list[str]:
    """Interpreters that the wheel supports."""
    found = [shutil.which(f"python3.{minor}") for minor in (8, 9)]
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    if os.access(versions, os.R_OK | os.X_OK):  # may belong to another user
        found += [str(p) for p in sorted(versions.glob("3.[89].*/bin/python"), reverse=True)]
    return [path for path in found if path]


def clean_environment(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in OURS}


def works(python: Path | str, program: str) -> bool:
    command = [str(python), "-c", program]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = clean_environment(dict(os.environ))
    return subprocess.run(command, env=environment, check=False, **quiet).returncode == 0


@pytest.fixture(scope="session")
def official_python() -> str:
    """A Python with the official wheel, made once per checkout; it is never distributed."""
    with (ROOT / "build/official-host.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs may share a checkout
        return _make_official_python(ROOT / "build/official-host")


def _make_official_python(folder: Path) -> str:
    python = folder / "bin/python"
    if works(python, "import depthai, numpy") if python.exists() else False:
        return str(python)
    old = next((path for path in old_pythons() if works(path, "import ensurepip, venv")), None)
    if old is None:
        pytest.skip("NOT RUN: no Python 3.8 or 3.9 for the official wheel")
    shutil.rmtree(folder, ignore_errors=True)
    environment = clean_environment(dict(os.environ))
    subprocess.run([old, "-m", "venv", str(folder)], check=True, env=environment)
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    done = subprocess.run(
        [*install, WHEEL, "numpy"], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        shutil.rmtree(folder)
        pytest.skip(f"NOT RUN: pip cannot get {WHEEL}: {done.stderr[-300:]}")
    return str(python)


def run_to_end(words: list[str], environment: dict[str, str], folder: Path | None = None) -> str:
    """Output of a program. Fails if it crashes or hangs."""
    process = subprocess.Popen(
        words,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    timer = threading.Timer(LIMIT_S, process.kill)
    timer.start()
    output, _ = process.communicate()
    timer.cancel()
    text = output.decode(errors="replace")
    assert process.returncode == 0, f"{process.returncode}: {text[-3000:]}"
    return text


class Tally:
    """Frame counts of one session."""

    def __init__(self) -> None:
        self.frames = 0
        self.lost: dict[str, int] = {}
        self.has_ended = False


class Series:
    """All sessions of a test run, for the summary at its end."""

    def __init__(self) -> None:
        self._tallies: dict[str, list[Tally]] = {}

    @contextlib.contextmanager
    def session(self, load: str) -> Iterator[Tally]:
        """Count one session; it is successful if no exception is raised."""
        tally = Tally()
        self._tallies.setdefault(load, []).append(tally)
        yield tally
        tally.has_ended = True

    def lines(self) -> list[str]:
        """One summary line for each kind of session."""
        return [
            f"official host, {load}: {len(tallies)} sessions, "
            f"{sum(tally.frames for tally in tallies)} frames, "
            f"{sum(sum(tally.lost.values()) for tally in tallies)} lost, "
            f"{sum(not tally.has_ended for tally in tallies)} failed or hung"
            for load, tallies in self._tallies.items()
        ]


SERIES = Series()


class Host:
    """The official host in a process of its own, on the bus of a rig."""

    def __init__(self, python: str, rig: Rig, folder: Path) -> None:
        self.rig = rig
        self._python = python
        self._folder = folder
        self.output = ""

    def run(self, **task: Any) -> dict[str, Any]:
        """Run one session. Fails if the host crashes or hangs."""
        question, answer = self._folder / "task.json", self._folder / "answer.json"
        question.write_text(json.dumps(task))
        words = [self._python, str(USB_FOLDER / "official_program.py"), str(answer), str(question)]
        self.output = run_to_end(words, clean_environment(self.rig.environment))
        result: dict[str, Any] = json.loads(answer.read_text())
        assert result["ended"]
        return result
