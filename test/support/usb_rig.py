"""Virtual boards on an emulated USB bus, and programs that access them through the real libusb."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
#: Sources of the emulated bus, and the programs that run on it.
USB_FOLDER = ROOT / "test/usb"
#: Our preload library, and that of umockdev, which redirects a program to the emulated bus.
PRELOAD = "libone_at_a_time.so"
UMOCKDEV_PRELOAD = "libumockdev-preload.so.0"
#: Factor for all time limits; a guest without hardware virtualisation is slow.
SLOW = float(os.environ.get("DEPTHAI_ROS_USB_SLOW", "1"))
DEADLINE_S = 20.0 * SLOW
#: Ports of the boards; the guest has no hubs, only root ports.
IN_GUEST = os.environ.get("DEPTHAI_ROS_USB_RIG") == "qemu"
PORT, OTHER_PORT, THIRD_PORT = ("1", "2", "3") if IN_GUEST else ("1.3", "2.4", "4")
_SCRATCH = "depthai_ros-usb-"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def scratch_folder() -> Path:
    """A folder with a short path, because of the sockets in it, that belongs to this process.

    Also removes the folders of test runs that were killed.
    """
    for path in Path(tempfile.gettempdir()).glob(_SCRATCH + "*"):
        owner = re.match(r"\d+", path.name.removeprefix(_SCRATCH))
        if owner and not Path("/proc", owner[0]).exists():
            shutil.rmtree(path, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_SCRATCH}{os.getpid()}-"))


def ends_with_us() -> None:
    """Run between fork and exec: makes the child end if the test run is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def flags(what: str) -> list[str]:
    words = ["pkg-config", what, "umockdev-1.0"]
    found = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    return [word.replace("-I", "-isystem", 1) for word in found]


def missing() -> str:
    """Why the rig cannot run on this machine; "" if it can."""
    try:
        flags("--cflags")
    except (OSError, subprocess.CalledProcessError):
        return "umockdev is missing (Debian: umockdev libumockdev-dev)"
    return ""


def compile_if_older(target: Path, sources: list[Path], *options: str) -> None:
    """Compile a C++ program of the rig if it is older than its sources."""
    newest = max(path.stat().st_mtime for path in USB_FOLDER.rglob("*.[ch]pp"))
    if target.exists() and target.stat().st_mtime >= newest:
        return
    strict = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]
    words = ["c++", *strict, "-o", str(target), *map(str, sources), *options, "-pthread"]
    subprocess.run(words, check=True)


def built_rig() -> Path:
    """Build the rig and its preload library if they are older than their sources."""
    folder = Path(os.environ.get("DEPTHAI_ROS_BUILD") or ROOT / "build") / "usb_rig"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "usb_rig"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        umockdev = [*flags("--cflags"), *flags("--libs")]
        compile_if_older(program, sorted(USB_FOLDER.glob("*.cpp")), *umockdev, "-ldl")
        shared = ["-shared", "-fPIC", "-ldl"]
        compile_if_older(folder / PRELOAD, [USB_FOLDER / "preload/one_at_a_time.cpp"], *shared)
    return program


class FarEnd:
    """Process of a virtual device that serves successive sessions on a socket."""

    def __init__(self, text: str) -> None:
        self._folder = scratch_folder()
        self.socket = self._folder / "device"
        words = [sys.executable, "-m", "depthai_ros.virtual", "--listen", f"unix:{self.socket}"]
        self._process = subprocess.Popen(
            [*words, "--device", text],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=ends_with_us,
        )
        assert self._process.stdout
        assert "waits at" in self._process.stdout.readline()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdout
        self._process.stdout.close()
        shutil.rmtree(self._folder)


class Rig:
    """An emulated USB bus with boards."""

    def __init__(self, program: Path, boards: list[dict[str, Any]]) -> None:
        self._preload = program.with_name(PRELOAD)
        words = [str(program)]
        for board in boards:
            words += ["--board", ",".join(f"{key}={value}" for key, value in board.items())]
        self._scratch = scratch_folder()  # contains the folder of umockdev
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(self._scratch)},
        )
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.folder = self.wait_for("ready").split()[1]

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with self._news:
                self._lines.append(line.strip())
                self._news.notify_all()

    @property
    def environment(self) -> dict[str, str]:
        """Environment for programs that use this bus instead of the machine's."""
        preload = f"{self._preload}:{UMOCKDEV_PRELOAD}"
        claims = {"DEPTHAI_ROS_CLAIMS": str(self._scratch)}  # per bus, not per machine
        return {**os.environ, **claims, "LD_PRELOAD": preload, "UMOCKDEV_DIR": self.folder}

    def lines(self) -> list[str]:
        """Event lines so far."""
        with self._news:
            return list(self._lines)

    def wait_for(self, text: str, count: int = 1) -> str:
        """Wait for the `count`-th line that starts with `text`."""

        def found() -> list[str]:
            return [line for line in self._lines if line.startswith(text)]

        with self._news:
            assert self._news.wait_for(lambda: len(found()) >= count, DEADLINE_S), self._lines
            return found()[count - 1]

    def tell(self, command: str) -> None:
        """Send a command for a board, such as "1.3 unplug"."""
        assert self._process.stdin
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            status = end_of(self._process)
            self._reader.join()
            self._process.stdout.close()
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)
        assert status == 0, f"the rig ended with status {status}"


class Driver:
    """A program with the real driver, controlled by JSON lines."""

    def __init__(self, rig: Rig, prefix: tuple[str, ...] = ()) -> None:
        words = [*prefix, sys.executable, str(USB_FOLDER / "driver_program.py")]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=rig.environment
        )

    def begin(self, action: str, **arguments: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps([action, arguments]) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, f"the driver ended with status {self.process.wait(10)}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def do(self, action: str, **arguments: Any) -> dict[str, Any]:
        """Run an action; the answer has "error" if it failed."""
        self.begin(action, **arguments)
        return self.answer()

    def good(self, action: str, **arguments: Any) -> dict[str, Any]:
        """Run an action that must succeed."""
        answer = self.do(action, **arguments)
        assert "error" not in answer, answer
        return answer

    def close(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        status = end_of(self.process)
        self.process.stdout.close()
        assert status in (0, -9), status


def end_of(process: subprocess.Popen[str]) -> int:
    """Exit status of a process; a process that does not end is killed and fails the test."""
    try:
        return process.wait(DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


class Bench:
    """Makes rigs and drivers, and closes them."""

    def __init__(self, program: Path, far_end: FarEnd, folder: Path) -> None:
        self._program = program
        self._far_end = far_end
        self._open: list[Rig | Driver | FarEnd] = []
        self.firmware = folder / "firmware.cmd"
        self.firmware.write_bytes(bytes(range(256)) * 5000 + b"end")

    def far_end(self, text: str) -> FarEnd:
        """Another virtual device."""
        self._open.append(device := FarEnd(text))
        return device

    def rig(self, *boards: dict[str, Any]) -> Rig:
        """A bus with boards; by default a board is at port 1.3, unbooted, and answers."""
        plain = {"port": PORT, "serial": "14442C10C14790D000", "socket": self._far_end.socket}
        self._open.append(rig := Rig(self._program, [{**plain, **board} for board in boards]))
        return rig

    def driver(self, rig: Rig, *prefix: str) -> Driver:
        self._open.append(driver := Driver(rig, prefix))
        return driver

    def close(self) -> None:
        with contextlib.ExitStack() as stack:  # close all of them even if one fails
            for one in self._open:
                stack.callback(one.close)


def wait_until(condition: Any, what: str) -> None:
    """Wait until `condition()` is true; fails after the deadline."""
    end_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end_s, what
        time.sleep(0.01)
