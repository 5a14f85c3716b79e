"""Describes processes: number, user, program and node, as far as the kernel shows them.

Another user chooses the words of his command line, so these are shortened and cleaned of control
characters. Process number and user come from the kernel.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..bounded import clean_text

PROC = Path("/proc")
_COMMAND_BYTES = 4096
_PROGRAM_CHARACTERS = 64
_REMAP = re.compile(r"__(?:node|name):=(\w{1,64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """A process; the parts that the kernel hides are missing."""

    number: int  # 0 = in another container
    user: int | None = None
    parent: int = 0
    words: tuple[str, ...] = ()  # of its command line, as it wrote them

    def __str__(self) -> str:
        return self.text(names_own_user=False)

    def text(self, *, names_own_user: bool) -> str:
        """The process in words; its user if that is another one, or always."""
        if self.number <= 0:
            return "a program in another container, which cannot be seen from here"
        if self.user is None:
            return f"process {self.number}, whose user and name are hidden"
        is_named = names_own_user or self.user != os.geteuid()
        whose = f" of {user_name(self.user)}" if is_named else ""
        node = next((found[1] for found in map(_REMAP.fullmatch, self.words) if found), "")
        program = clean_text(_program(self.words), _PROGRAM_CHARACTERS) or "?"
        return f"process {self.number}{whose} ({program}{', node ' + node if node else ''})"


def user_name(number: int) -> str:
    """ "user alice", or "user 1000" if that user has no account here."""
    try:
        return f"user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"user {number}"


def numbers(proc: Path = PROC) -> Iterator[int]:
    """The process numbers that can be seen."""
    if proc.is_dir():
        yield from sorted(int(path.name) for path in proc.iterdir() if path.name.isdecimal())


def describe(number: int, proc: Path = PROC) -> RunningProcess:
    """What the kernel shows of a process."""
    try:
        with open(proc / str(number) / "status", errors="replace") as file:
            lines = dict(line.split(":", 1) for line in file if ":" in line)
        with open(proc / str(number) / "cmdline", encoding="utf-8", errors="replace") as file:
            words = file.read(_COMMAND_BYTES).rstrip("\0").split("\0")
        user, parent = int(lines["Uid"].split()[1]), int(lines["PPid"])
    except (OSError, KeyError, ValueError, IndexError):
        return RunningProcess(max(number, 0))
    return RunningProcess(number, user, parent, tuple(words))


def _program(words: tuple[str, ...]) -> str:
    """The name of a command line's module or script, not of its interpreter."""
    program = Path(words[0]).name
    if not program.startswith("python"):
        return program
    if "-c" in words:
        return "python -c"
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    return Path(next((word for word in words[1:] if word[:1] not in ("", "-")), program)).name
