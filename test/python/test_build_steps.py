"""What `make build` says while it installs: tools/build in a small checkout, with stand-ins."""

from __future__ import annotations

import fcntl
import os
import re
import select
import shutil
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., "subprocess.Popen[str]"]

TOOLS = Path(__file__).resolve().parents[2] / "tools"
DEADLINE_S = 20.0
WIDTH = 66

#: apt-get, id, python, pip and colcon, by the name and the arguments that it is called with.
STAND_IN = r"""#!/bin/bash
place=@PLACE@
pause() { [ ! -p $place/pause ] || read -r < $place/pause; }
case "${0##*/} $*" in
  "id -u") echo 0 ;;
  "apt-get install "*)
    [ -e $place/lists ] || { echo "E: Unable to locate package"; exit 100; }
    echo "Get:1 http://deb.debian.org/debian trixie/main amd64 made-up amd64 1.0-1 [8,692 kB]"
    echo "Setting up made-up (1.0-1) ..."
    touch $place/installed ;;
  "apt-get update") touch $place/lists ;;
  "python - "*) cat > /dev/null; echo $place/bin/python ;;
  "python -V") echo "Python 3.12.3" ;;
  "python -m venv "*)
    mkdir -p "$3/bin" "$3/share/made_up/cmake"
    touch "$3/share/made_up/cmake/made_up.cmake"
    ln -s $place/bin/python "$3/bin/python"
    ln -s $place/bin/python "$3/bin/colcon" ;;
  "python -m pip "*)
    trap 'echo "ERROR: Operation cancelled by user"; exit 1' INT
    echo "Collecting numpy"
    echo "  Downloading numpy-1.26.4-cp312-cp312-manylinux_2_17_x86_64.whl (18.0 MB)"
    [ ! -e $place/broken ] || { echo "ERROR: no network"; exit 1; }
    printf 'Installing collected packages: numpy, made-up\n'
    pause ;;
  "python -c "*) echo /nowhere ;;
  "colcon "*)
    echo "$*" > $place/colcon
    echo "Starting >>> tf2_msgs"
    echo "Starting >>> depthai_ros"
    echo "[ 45%] Building CXX object" >&2
    mkdir -p build/made_up/log/latest_build/depthai_ros
    touch build/made_up/log/latest_build/depthai_ros/stdout_stderr.log ;;
  *) echo "unexpected: $0 $*"; exit 9 ;;
esac
"""
STEPS = (
    "system packages (apt)",
    ".venv-made_up with Python 3.12.3 (venv)",
    "Python packages for made_up (pip)",
    "building for made_up (colcon)",
)


class Checkout:
    """A checkout with our tools, on a machine on which nothing is installed."""

    def __init__(self, place: Path) -> None:
        self.place, self.root = place, place / "checkout"
        folders = ("config", "depthai_ros", "launch", "msg", "src", "srv", "tools", "urdf")
        for name in (*folders, "overlay/tf2_msgs"):
            (self.root / name).mkdir(parents=True)
        for name in ("CMakeLists.txt", "package.xml", "setup.py"):
            (self.root / name).touch()
        for name in ("build", "setup", "progress", "env.sh", "command.in"):
            shutil.copy(TOOLS / name, self.root / "tools")
        for name in ("requirements.txt", "requirements-made_up.txt"):
            (self.root / "tools" / name).touch()
        (self.root / "tools/packages.txt").write_text(f"made-up  {place}/installed\n")
        (place / "bin").mkdir()
        program = place / "bin/python"
        program.write_text(STAND_IN.replace("@PLACE@", str(place)))
        program.chmod(0o755)
        for name in ("apt-get", "id"):
            (place / "bin" / name).symlink_to(program)
        path = f"{place}/bin:{os.environ['PATH']}"
        self.environment = {
            "PATH": path, "PYTHON": "python", "DISTRO": "made_up", "JOBS": "2", "TERM": "xterm",
        }  # fmt: skip
        self.command = [str(self.root / "tools/build")]

    def build(self, *prefix: str) -> tuple[int, str]:
        """Status and output of `make build` where stderr is no terminal."""
        done = subprocess.run(
            [*self.command, *prefix],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
        assert done.stdout == ""
        return done.returncode, done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


class Terminal:
    """A command with a terminal of its own, WIDTH columns wide."""

    def __init__(self, checkout: Checkout, start: Start) -> None:
        self._keyboard, screen = os.openpty()
        fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("4H", 24, WIDTH, 0, 0))
        options: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), screen)
        self.process = start(
            *checkout.command,
            **options,
            env=checkout.environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(screen)
        self.output = ""

    def wait_for(self, text: str) -> None:
        """Read until the text has been written; "" = until the program has ended."""
        end_s = time.monotonic() + DEADLINE_S
        while not text or text not in self.output:
            left_s = end_s - time.monotonic()
            assert select.select([self._keyboard], [], [], max(left_s, 0))[0], self.output
            try:
                self.output += os.read(self._keyboard, 4096).decode()
            except OSError:  # the other end is closed
                break
        assert text in self.output

    def press(self, key: bytes) -> None:
        os.write(self._keyboard, key)

    def status(self) -> int:
        self.wait_for("")
        os.close(self._keyboard)
        return self.process.wait(DEADLINE_S)


def plain(*names: str) -> str:
    """A pattern for the lines of these steps."""
    lines = (f"-- {n}/{len(names)} {re.escape(name)}: 0 s\n" for n, name in enumerate(names, 1))
    return "".join(lines).replace("0 s", r"\d+ s")


def test_each_finished_step_is_one_line_in_a_log(checkout: Checkout) -> None:
    status, output = checkout.build()
    assert status == 0, output
    assert re.fullmatch("-- missing system packages: made-up\n" + plain(*STEPS), output), output
    assert checkout.build() == (0, "")
    (checkout.root / "msg/New.msg").touch()
    status, output = checkout.build()
    assert status == 0
    assert re.fullmatch(plain(STEPS[-1]), output), "only the steps that are needed count"


def test_copy_for_users_has_no_message_package_that_is_optional(checkout: Checkout) -> None:
    optional = {"ffmpeg_image_transport_msgs", "foxglove_msgs"}
    for name in optional:
        (checkout.root / "overlay" / name).mkdir()
    for prefix, expected in (((), optional), ((str(checkout.place / "prefix"),), set())):
        status, output = checkout.build(*prefix)
        assert status == 0, output
        built = (checkout.place / "colcon").read_text().split()
        assert {"depthai_ros", "tf2_msgs"} <= set(built)
        assert optional & set(built) == expected


def test_failed_step_prints_the_end_of_its_output_and_is_repeated(checkout: Checkout) -> None:
    (checkout.place / "broken").touch()
    status, output = checkout.build()
    assert status == 1
    for text in ("ERROR: no network\n", "error: pip could not install", "build/setup.txt"):
        assert text in output
    assert "3/4" not in output
    (checkout.place / "broken").unlink()
    status, output = checkout.build()
    assert status == 0
    assert re.fullmatch(plain(*STEPS[1:]), output), output


def test_terminal_shows_what_the_running_step_does_and_for_how_long(
    checkout: Checkout, start: Start
) -> None:
    os.mkfifo(checkout.place / "pause")
    terminal = Terminal(checkout, start)
    running = "\r\033[K-- 3/4 Python packages for made_up (pip): "
    terminal.wait_for(running + "1 s, installing 2")  # without any new output
    with (checkout.place / "pause").open("w") as pause:
        pause.write("go on\n")
    assert terminal.status() == 0
    for text in (
        "-- 1/4 system packages (apt): 0 s, downloading made-up (8,692",
        "-- 1/4 system packages (apt): 0 s, setting up made-up",
        running + "0 s, downloading",
        running + "0 s, installing 2",
        "-- 4/4 building for made_up (colcon): 0 s, depthai_ros 45 % (2",
    ):
        assert text in terminal.output
    lines = re.split(r"\r\033\[K|\r\n", terminal.output)
    assert max(map(len, lines)) < WIDTH, "a longer line would not be replaced"
    kept = [line for line in terminal.output.replace("\r\n", "\n").split("\n") if line]
    shown = "".join(f"{line.rpartition(chr(27) + '[K')[2]}\n" for line in kept)
    assert re.fullmatch("-- missing system packages: made-up\n" + plain(*STEPS), shown), shown


def test_ctrl_c_ends_the_step_and_the_next_call_repeats_it(
    checkout: Checkout, start: Start
) -> None:
    os.mkfifo(checkout.place / "pause")
    terminal = Terminal(checkout, start)
    terminal.wait_for("installing 2")
    terminal.press(b"\x03")
    assert terminal.status() == 130
    last = terminal.output.rpartition("\033[K")[2]
    assert last == f"-- interrupted in step 3/4 {STEPS[2]}; the same command repeats it\r\n"
    (checkout.place / "pause").unlink()
    status, output = checkout.build()
    assert status == 0
    assert re.fullmatch(plain(*STEPS[1:]), output), output


def test_second_build_says_that_it_waits_for_the_first(checkout: Checkout, start: Start) -> None:
    with (checkout.root / ".build.lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        second = start(*checkout.command, env=checkout.environment, stderr=subprocess.PIPE)
        assert second.stderr
        assert second.stderr.readline() == "-- waiting for another build in this checkout\n"
        fcntl.flock(first, fcntl.LOCK_UN)
    assert "-- 4/4 " in second.stderr.read()
    assert second.wait(DEADLINE_S) == 0
