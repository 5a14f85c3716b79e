"""The QEMU rig: boards on the xHCI controller of a guest, and drivers in the guest."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from guest_image import initramfs
from usb_rig import ROOT, scratch_folder

HERE = Path(__file__).resolve().parent
#: Files made by `tools/usb_guest`.
PARTS = ROOT / "build/usb_guest"
UNPACKED = PARTS / "root"
LIBRARIES = [UNPACKED / "usr/lib/x86_64-linux-gnu", UNPACKED / "lib/x86_64-linux-gnu"]
PORTS = 4
#: Detects a hung guest; emulation is slow, and the machine may be busy.
DEADLINE_S = 100.0
#: The guest ends with this process; if it hangs, this limit ends it.
LONGEST_RUN_S = 1200
#: One processor: a second emulated one costs more than it gains. No fast string instructions: they
#: are emulated byte by byte.
EMULATED = ["-accel", "tcg,tb-size=256", "-cpu", "max,-erms,-fsrm,-la57,-smap,-pcid"]
KERNEL_WORDS = (
    "console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable no_timer_check"
    " random.trust_cpu=on usbcore.usbfs_memory_mb=16"
)
#: Environment variables passed to the programs in the guest, besides our own.
PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH", "VIRTUAL_ENV")
OWN = ("DEPTHAI_ROS_", "ROS_", "_ROS_")


def missing() -> str:
    """Why the guest cannot run on this machine; "" if it can."""
    if (UNPACKED / ".complete").exists():
        return ""
    reason = PARTS / "missing"
    return reason.read_text().strip() if reason.exists() else "tools/usb_guest has not been run"


class Lines:
    """Reads lines in a thread; other threads can wait for them."""

    def __init__(self, stream: Any, take: Callable[[str], None]) -> None:
        self.news = threading.Condition()
        self.ended = False
        self._stream, self._take = stream, take
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the peer was killed
            for line in self._stream:
                with self.news:
                    self._take(line)
                    self.news.notify_all()
        with self.news:
            self.ended = True
            self.news.notify_all()

    def wait(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Wait until the condition is true; False after the limit or at the end of the stream."""
        with self.news:
            self.news.wait_for(lambda: condition() or self.ended, limit_s)
            return condition()

    def close(self) -> None:
        """Close the stream; call after the peer has closed its end."""
        self._thread.join()
        self._stream.close()


class Guest:
    """A QEMU guest whose USB ports are connected to emulated boards."""

    def __init__(self, peer_program: Path) -> None:
        self._folder = scratch_folder()
        self.console = self._folder / "console"
        self.programs: dict[int, GuestProcess] = {}
        self._answers: list[dict[str, Any]] = []
        ours, theirs = socket.socketpair()
        ports = [socket.socketpair() for _ in range(PORTS)]
        self._start_peer(peer_program, [pair[0] for pair in ports])
        self._start_qemu(theirs, [pair[1] for pair in ports])
        for one in (theirs, *(end for pair in ports for end in pair)):
            one.close()
        self._agent = ours
        self._agent_lines = Lines(ours.makefile(), self._take)
        self._wait_for_answer("start", 2 * DEADLINE_S)
        self.udevd(True)

    # -- boards

    def _start_peer(self, program: Path, sockets: list[socket.socket]) -> None:
        numbers = [one.fileno() for one in sockets]
        self._peer = subprocess.Popen(
            [str(program), *map(str, numbers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=numbers,
            env={**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, LIBRARIES))},
            start_new_session=True,
        )
        self.happened: list[str] = []
        self.peer_lines = Lines(self._peer.stdout, lambda line: self.happened.append(line.strip()))

    def tell_peer(self, command: str) -> None:
        assert self._peer.stdin
        self._peer.stdin.write(command + "\n")
        self._peer.stdin.flush()

    # -- guest

    def _start_qemu(self, agent: socket.socket, ports: list[socket.socket]) -> None:
        (self._folder / "initramfs").write_bytes(initramfs(UNPACKED))
        (self._folder / "session").mkdir()
        (self._folder / "session/start").write_text(start_script())
        sockets = [agent.fileno(), *(port.fileno() for port in ports)]
        with self.console.open("wb") as console:
            self._qemu = subprocess.Popen(
                ["timeout", "-k", "5", str(LONGEST_RUN_S), *qemu_words(*sockets)],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                pass_fds=sockets,
                env={**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, LIBRARIES))},
                start_new_session=True,
            )

    def _kill(self) -> None:
        """Kill QEMU and the `timeout` that started it."""
        if self._qemu.poll() is None:
            os.killpg(self._qemu.pid, signal.SIGKILL)
            self._qemu.wait()

    def console_tail(self) -> str:
        """The last lines of its console."""
        return "\n".join(self.console.read_text(errors="replace").splitlines()[-30:])

    # -- programs in the guest

    def _take(self, line: str) -> None:
        message = json.loads(line)
        if program := self.programs.get(message.get("program", 0)):
            program.take(message)
        elif "program" not in message:
            self._answers.append(message)

    def _wait_for_answer(self, what: str, limit_s: float = DEADLINE_S) -> Any:
        if not self._agent_lines.wait(lambda: bool(self._answers), limit_s):
            self._kill()
            raise AssertionError(
                f"the guest does not answer to {what}; its console:\n{self.console_tail()}"
            )
        answer = self._answers.pop(0)
        assert "failed" not in answer, answer
        return answer["answer"]

    def ask(self, word: str, limit_s: float = DEADLINE_S, **arguments: Any) -> Any:
        """Send one request to the agent in the guest; returns its answer."""
        self._agent.sendall(json.dumps([word, arguments]).encode() + b"\n")
        return self._wait_for_answer(word, limit_s)

    def start(self, *words: str, user: int = 0) -> GuestProcess:
        """Start a program in the guest; without words, the driver program."""
        return GuestProcess(self, self.ask("start", words=words, user=user))

    def wait_for_output(self, condition: Callable[[], bool], limit_s: float) -> bool:
        return self._agent_lines.wait(condition, limit_s)

    def udevd(self, runs: bool) -> None:
        program = str(UNPACKED / "bin/udevadm") if runs else ""
        self.ask("udevd", program=program, libraries=":".join(map(str, LIBRARIES)))

    def close(self) -> None:
        """End the agent, which makes the guest power off; then end the boards' program."""
        with contextlib.suppress(OSError):  # already disconnected
            self._agent.shutdown(socket.SHUT_RDWR)
        try:
            self._qemu.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            print(f"the guest was killed; its console:\n{self.console_tail()}", file=sys.stderr)
        finally:
            self._kill()
            self._peer.kill()
            self._peer.wait()
            for lines in (self._agent_lines, self.peer_lines):
                lines.close()
            for stream in (self._agent, self._peer.stdin):
                assert stream
                stream.close()
            shutil.rmtree(self._folder)


def qemu_words(agent: int, *ports: int) -> list[str]:
    """The QEMU command; the numbers are file descriptors of connected sockets."""
    words = [str(UNPACKED / "usr/bin/qemu-system-x86_64")]
    for place in ("usr/share/qemu", "usr/share/seabios"):
        words += ["-L", str(UNPACKED / place)]
    words += ["-machine", "q35", *EMULATED, "-m", "1024", "-nodefaults", "-no-user-config"]
    words += ["-display", "none", "-no-reboot", "-serial", "stdio"]
    words += ["-kernel", str(UNPACKED / "vmlinux"), "-initrd", "initramfs"]
    words += ["-append", KERNEL_WORDS, "-device", "virtio-rng-pci"]
    shared = "local,security_model=none,readonly=on,multidevs=remap"
    words += ["-virtfs", f"{shared},path=/,mount_tag=host"]
    words += ["-virtfs", f"{shared},path=session,mount_tag=session"]
    words += ["-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent"]
    words += ["-chardev", f"socket,id=agent,fd={agent}", "-device", "qemu-xhci"]
    for number, port in enumerate(ports, 1):
        words += ["-chardev", f"socket,id=usb{number},fd={port}"]
        words += ["-device", f"usb-redir,chardev=usb{number},port={number}"]
    return words


def start_script() -> str:
    """Script for the guest's init: starts the agent in our environment."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_ON or name.startswith(OWN)
    }
    kept |= {"TMPDIR": "/run/tmp", "HOME": "/run/tmp", "ROS_LOG_DIR": "/run/tmp"}
    kept |= {"PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in kept.items()]
    lines += [f"cd {shlex.quote(str(ROOT))}"]
    lines += [shlex.join(["exec", sys.executable, str(HERE / "guest_agent.py")])]
    return "\n".join(lines) + "\n"


class GuestProcess:
    """A program in the guest with the interface of a Popen in text mode."""

    def __init__(self, guest: Guest, pid: int) -> None:
        self._guest, self.pid = guest, pid
        self.returncode: int | None = None
        self.lines: list[str] = []
        self.stdin, self.stdout = _Input(guest, pid), _Output(guest, self)
        guest.programs[pid] = self

    def take(self, message: dict[str, Any]) -> None:
        """Store a line of its output, or its exit status."""
        if "status" in message:
            self.returncode = message["status"]
        else:
            self.lines.append(message["line"])

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float = DEADLINE_S) -> int:
        if not self._guest.wait_for_output(lambda: self.returncode is not None, timeout):
            raise subprocess.TimeoutExpired(f"program {self.pid} in the guest", timeout)
        assert self.returncode is not None
        return self.returncode

    def kill(self) -> None:
        self._guest.ask("kill", program=self.pid)


class _Input:
    def __init__(self, guest: Guest, pid: int) -> None:
        self._guest, self._pid = guest, pid

    def write(self, text: str) -> None:
        self._guest.ask("tell", program=self._pid, text=text)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self._guest.ask("end_input", program=self._pid)


class _Output:
    def __init__(self, guest: Guest, process: GuestProcess) -> None:
        self._guest, self._process = guest, process

    def readline(self) -> str:
        """The next line of its output; "" after its end."""
        process = self._process
        is_ready = lambda: bool(process.lines) or process.returncode is not None  # noqa: E731
        self._guest.wait_for_output(is_ready, DEADLINE_S)
        return process.lines.pop(0) if process.lines else ""

    def close(self) -> None:
        self._guest.programs.pop(self._process.pid, None)
