"""Runs programs in the guest for the tests on the host: JSON lines over a virtio port.

A driver is a fork of this program, which has imported its modules: importing takes seconds in the
emulation.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import driver_program

DEVICES = Path("/sys/bus/usb/devices")
VENDOR = "03e7"


class Child:
    """A program with pipes as stdin and stdout."""

    def __init__(self, words: list[str], user: int) -> None:
        take_input, self.input = os.pipe()
        self.output, give_output = os.pipe()
        self.pending = b""
        self.pid = os.fork()
        if self.pid == 0:
            _become_program(take_input, give_output, words, user)
        os.close(take_input)
        os.close(give_output)

    def read_lines(self) -> list[str] | None:
        """New complete lines; None at the end of the output."""
        data = os.read(self.output, 1 << 16)
        if not data:
            return None
        *lines, self.pending = (self.pending + data).split(b"\n")
        return [line.decode() for line in lines]


def _become_program(take_input: int, give_output: int, words: list[str], user: int) -> None:
    status = 1
    try:
        os.dup2(take_input, 0)
        os.dup2(give_output, 1)
        os.closerange(3, 100)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        if user:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        if words:
            os.execvp(words[0], words)
        with open(0) as sys.stdin, open(1, "w") as sys.stdout:
            driver_program.main()
        status = 0
    finally:
        os._exit(status)


class Agent:
    """Executes the requests of the tests; each public method is a request."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._children: dict[int, Child] = {}
        self._udevd: subprocess.Popen[bytes] | None = None

    def start(self, words: list[str], user: int) -> int:
        """Start a program; without words, the driver program."""
        child = Child(words, user)
        self._children[child.pid] = child
        return child.pid

    def tell(self, program: int, text: str) -> None:
        os.write(self._children[program].input, text.encode())

    def end_input(self, program: int) -> None:
        if child := self._children.get(program):
            os.close(child.input)

    def kill(self, program: int) -> None:
        os.kill(program, signal.SIGKILL)

    def boards(self) -> list[list[str]]:
        """Ports and product ids of the boards: [["2-1", "f63b"]]."""
        found = []
        for folder in DEVICES.iterdir():
            try:
                if (folder / "idVendor").read_text().strip() == VENDOR:
                    found.append([folder.name, (folder / "idProduct").read_text().strip()])
            except OSError:
                continue  # an interface without ids, or just unplugged
        return sorted(found)

    def udevd(self, program: str, libraries: str) -> None:
        """Start udevd, or stop it ("")."""
        if self._udevd:
            self._udevd.kill()
            self._udevd.wait()
            self._udevd = None
        if program:
            environment = {**os.environ, "LD_LIBRARY_PATH": libraries}
            words = ["systemd-udevd", "--resolve-names=never"]
            self._udevd = subprocess.Popen(
                words, executable=program, env=environment, stdout=2, stderr=subprocess.DEVNULL
            )

    def read(self, path: str) -> str:
        return Path(path).read_text()

    def write(self, path: str, text: str) -> None:
        Path(path).write_text(text)

    def say(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(self._port, data) :]

    def _obey(self, line: bytes) -> None:
        word, arguments = json.loads(line)
        try:
            self.say({"answer": getattr(self, word)(**arguments)})
        except Exception as error:  # reported by the test
            self.say({"failed": f"{type(error).__name__}: {error}"})

    def _pass_on(self, child: Child) -> None:
        lines = child.read_lines()
        for line in lines or []:
            self.say({"program": child.pid, "line": line + "\n"})
        if lines is None:
            os.close(child.output)
            del self._children[child.pid]
            status = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
            self.say({"program": child.pid, "status": status})

    def live(self) -> None:
        """Serve requests until the host closes the port."""
        pending = b""
        while True:
            outputs = {child.output: child for child in self._children.values()}
            for ready in select.select([self._port, *outputs], [], [])[0]:
                if ready in outputs:
                    self._pass_on(outputs[ready])
                    continue
                data = os.read(self._port, 1 << 16)
                if not data:
                    return
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    self._obey(line)


def main() -> None:
    (path,) = Path("/dev").glob("vport*p*")
    agent = Agent(os.open(path, os.O_RDWR))
    agent.say({"answer": "ready"})
    agent.live()


if __name__ == "__main__":
    main()
