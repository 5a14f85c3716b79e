"""Processes of a benchmark, and their CPU time and memory according to the kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from depthai_ros.launch.environment import MEMORY, PROFILE_VARIABLES

_PAGE = os.sysconf("SC_PAGE_SIZE")
_ENDS_WITHIN_S = 15.0
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


def busiest_s(pid: int) -> float:
    """CPU time so far of the busiest thread of a process.

    Source  linux/Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat
    """
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return max(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def resident_mb(pid: int) -> float:
    """Resident memory of a process, its part of shared segments included."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6
