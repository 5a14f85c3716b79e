"""Processes of a benchmark, and their CPU time and memory according to the kernel."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from depthai_ros.launch.environment import MEMORY
from depthai_ros.ros_features import PROFILE_VARIABLES

_PAGE = os.sysconf("SC_PAGE_SIZE")
_ENDS_WITHIN_S = 15.0
_HEADING = "topic  "  # of the monitor's table: the measurement has begun
ROOT = Path(__file__).resolve().parents[1]

#: Environment that `make run` gives its processes, in addition to that of a shell.
SETTINGS = (*PROFILE_VARIABLES, *MEMORY)


def run(command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    """Start this Python with some arguments."""
    return subprocess.Popen([sys.executable, *command], text=True, **options)


def run_node(parameters: Mapping[str, str], *words: str, **options: Any) -> subprocess.Popen[str]:
    """Start the camera node; `words` are further ROS arguments."""
    chosen = [word for item in parameters.items() for word in ("-p", "{}:={}".format(*item))]
    return run(["-m", "depthai_ros.node", "--ros-args", *words, *chosen], **options)


def run_device(address: str, scene: str = "synthetic") -> subprocess.Popen[str]:
    """Start a virtual device that serves hosts at this address, and wait until it listens."""
    words = ["-m", "depthai_ros.virtual", "--listen", address, "--device", scene]
    device = run(words, stdout=subprocess.DEVNULL)
    path = Path(address.removeprefix("unix:"))
    until(path.exists, 15.0, f"a virtual device at {address}")
    return device


@dataclass(frozen=True)
class Watched:
    """A node on a virtual device with all default streams, and the monitor of all its topics."""

    node: subprocess.Popen[str]
    monitor: subprocess.Popen[str]
    summary: Path
    log: Path

    def results(self) -> tuple[dict[str, Any], str]:
        """The monitor's summary and its last line, when it has ended by itself."""
        self.monitor.wait()
        return json.loads(self.summary.read_text()), self.log.read_text().splitlines()[-1]


def run_watched(stack: ExitStack, duration_s: float) -> Watched:
    """Start all, and wait until the monitor measures; it does so for `duration_s`."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="depthai_ros-bench-"))
    address, summary, log = (
        f"unix:{folder}/device",
        Path(folder, "summary.json"),
        Path(folder, "log"),
    )
    settings = str(ROOT / "config" / "virtual.yaml")
    stack.callback(end, run_device(address))
    node = run_node({"device.id": address}, "--params-file", settings, stderr=subprocess.DEVNULL)
    stack.callback(end, node)
    words = ["--duration", str(duration_s), "--summary", str(summary), "--wait", "60"]
    with log.open("w") as output:  # a pipe without a reader would block it
        monitor = run(
            ["-m", "depthai_ros.monitor", *words], stdout=output, stderr=subprocess.STDOUT
        )
    stack.callback(end, monitor)
    until(lambda: _HEADING in log.read_text(), 90.0, "the monitor's first table")
    return Watched(node, monitor, summary, log)


def end(process: subprocess.Popen[str]) -> None:
    """End a process and wait for it."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in filter(None, (process.stdin, process.stdout, process.stderr)):
        stream.close()


def until(condition: Callable[[], Any], timeout_s: float, what: str) -> None:
    """Wait for a condition. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"still waiting for {what} after {timeout_s:g} s")
        time.sleep(0.02)


def cpu_s(pid: int) -> float:
    """CPU time of a process so far, all threads. /proc has it in ticks only.

    Source  man 3 clock_getcpuclockid; linux/posix-timers.h, make_process_cpuclock
    """
    return time.clock_gettime((~pid << 3) | 2)


def threads_s(pid: int) -> dict[int, float]:
    """CPU time so far of each thread of a process.

    Source  linux/Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat
    """
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return {int(row.parent.name): int(row.read_text().split()[0]) / 1e9 for row in threads}


def busiest_s(pid: int) -> float:
    """CPU time so far of the busiest thread of a process."""
    return max(threads_s(pid).values())


def resident_mb(pid: int) -> float:
    """Resident memory of a process, its part of shared segments included."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6
