"""Runs one program with the official Gen1 module and with ours, on equal boards."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gen1_tap import Recording, Tap
from official_host import clean_environment, run_to_end
from usb_rig import ROOT, Bench, FarEnd

PROGRAM = Path(__file__).with_name("program.py")
HOSTS = ("official", "ours")
TRIES = 3
#: Runs a program with a folder as the first on its path: FOLDER PROGRAM ARGUMENTS.
_IN_FOLDER = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); del sys.argv[0];"
    " runpy.run_path(sys.argv[0], run_name='__main__')"
)


@dataclass(frozen=True)
class Answers:
    """The answers of a module, and its requests to the device, one recording for each boot."""

    values: Mapping[str, Mapping[str, str]]
    names: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    recordings: list[Recording] = field(default_factory=list)


#: Host -> its answers.
Pair = dict[str, Answers]


class Hosts:
    """Runs both modules, each in processes of its own."""

    def __init__(self, official_python: str, rig: Path, far_end: FarEnd, folder: Path) -> None:
        self._python = official_python
        self._rig = rig
        self._far_end = far_end
        self._folder = folder

    def ask_alone(self, task: Mapping[str, Any]) -> Pair:
        """Run both, one after the other, without a bus."""
        return {host: self._ask(host, task, dict(os.environ)) for host in HOSTS}

    def names_of(self, folder: Path) -> Mapping[str, str]:
        """Names and signatures of the official module in this folder."""
        command = [self._python, "-c", _IN_FOLDER, str(folder), str(PROGRAM)]
        return self._tell({"names": True}, command, clean_environment(dict(os.environ))).names

    def ask_without_board(self, task: Mapping[str, Any]) -> Pair:
        """Run both at once on an empty bus; they mostly wait."""
        with ExitStack() as stack, ThreadPoolExecutor(len(HOSTS)) as pool:
            bench = self._bench(stack)
            environment = bench.rig().environment
            asked = {host: pool.submit(self._ask, host, task, environment) for host in HOSTS}
            return {host: future.result() for host, future in asked.items()}

    def ask(self, task: Mapping[str, Any], *ours_only: str) -> Pair:
        """Run a session of each, one after the other, each on a board of its own."""
        return {
            "official": self._ask_official(task),
            "ours": self._ask_with_board("ours", {**task, "undefined": ours_only}),
        }

    def _ask_official(self, task: Mapping[str, Any]) -> Answers:
        """Run a session of the official module, which now and then crashes or hangs as it ends."""
        for _ in range(TRIES - 1):
            with suppress(AssertionError):
                return self._ask_with_board("official", task)
        return self._ask_with_board("official", task)

    def ask_last(self, question: str, task: Mapping[str, Any]) -> dict[str, str]:
        """Ask both one question that may end the process."""
        values = {}
        for host in HOSTS:
            try:
                values[host] = self._ask_with_board(host, task).values["opened"][question]
            except AssertionError as failure:
                if not str(failure).startswith(f"-{int(signal.SIGABRT)}:"):
                    raise
                values[host] = "ends the process"
        return values

    def _bench(self, stack: ExitStack) -> Bench:
        bench = Bench(self._rig, self._far_end, self._folder)
        stack.callback(bench.close)
        return bench

    def _ask_with_board(self, host: str, task: Mapping[str, Any]) -> Answers:
        with ExitStack() as stack:
            far_end = self._far_end
            if "scene" in task:
                far_end = self._bench(stack).far_end(task["scene"])
            tap = Tap(Path(stack.enter_context(TemporaryDirectory())), far_end.socket)
            stack.callback(tap.close)
            bench = self._bench(stack)  # closed before the tap: it closes the connection
            rig = bench.rig({"socket": tap.socket})
            environment = {**rig.environment, "DEPTHAI_FIRMWARE": str(bench.firmware)}
            answers = self._ask(host, task, environment)
            return replace(answers, recordings=tap.recordings)

    def _ask(self, host: str, task: Mapping[str, Any], environment: dict[str, str]) -> Answers:
        if host == "official":
            return self._tell(task, [self._python, str(PROGRAM)], clean_environment(environment))
        words = [sys.executable, "-m", "depthai_ros.depthai", "--device", "usb"]
        return self._tell(task, [*words, str(PROGRAM)], environment)

    @staticmethod
    def _tell(task: Mapping[str, Any], command: list[str], environment: dict[str, str]) -> Answers:
        with TemporaryDirectory() as name:
            question, answer = Path(name) / "task.json", Path(name) / "answer.json"
            question.write_text(json.dumps(task))
            run_to_end([*command, str(question), str(answer)], environment, ROOT)
            return Answers(**json.loads(answer.read_text()))
