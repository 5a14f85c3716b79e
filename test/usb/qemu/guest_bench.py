"""Rig, drivers and bench with the interface of usb_rig.py, in the guest."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from guest import DEADLINE_S, Guest, GuestProcess
from usb_cases import MX_ID
from usb_rig import PORT, Bench, Driver, FarEnd, Rig

#: Measurements of the tests, printed at the end of the output.
FIGURES: list[str] = []


class GuestRig(Rig):
    """Boards on the ports of the guest; one rig at a time, because they share these ports."""

    def __init__(self, guest: Guest, boards: list[dict[str, Any]]) -> None:
        self._guest = guest
        self._from = len(guest.happened)
        guest.tell_peer("reset")
        self.wait_for("reset")
        self._from = len(guest.happened)
        for board in boards:
            words = ",".join(f"{key}={value}" for key, value in board.items())
            guest.tell_peer(f"board {words}")
        # The kernel may hide boards with wrong descriptors.
        if not any("rom_shape" in board for board in boards):
            self._until_guest_sees(sum(board.get("state") != "unplugged" for board in boards))

    def _until_guest_sees(self, count: int) -> None:
        end_s = time.monotonic() + DEADLINE_S
        while len(seen := self._guest.ask("boards")) != count:
            assert time.monotonic() < end_s, (seen, self._guest.console_tail())

    def lines(self) -> list[str]:
        return self._guest.happened[self._from :]

    def wait_for(self, text: str, count: int = 1) -> str:
        def found() -> list[str]:
            return [line for line in self.lines() if line.startswith(text)]

        assert self._guest.peer_lines.wait(lambda: len(found()) >= count, DEADLINE_S), self.lines()
        return found()[count - 1]

    def tell(self, command: str) -> None:
        self._guest.tell_peer(command)

    def close(self) -> None:
        self._guest.tell_peer("reset")
        self._until_guest_sees(0)


class GuestDriver(Driver):
    """A driver program in the guest, controlled by JSON lines."""

    def __init__(self, process: GuestProcess) -> None:
        self.process = process  # type: ignore[assignment]


class GuestBench(Bench):
    def __init__(self, guest: Guest, far_end: FarEnd, folder: Path) -> None:
        super().__init__(Path(), far_end, folder)
        self.guest = guest

    def rig(self, *boards: dict[str, Any]) -> Rig:
        plain = {"port": PORT, "serial": MX_ID, "socket": self._far_end.socket}
        self._open.append(rig := GuestRig(self.guest, [{**plain, **board} for board in boards]))
        return rig

    def driver(self, rig: Rig, *prefix: str) -> Driver:
        assert not prefix, "the guest has the argument `user` instead"
        return self.program()

    def program(self, *words: str, user: int = 0) -> GuestDriver:
        """Start a program in the guest; without words, the driver program."""
        self._open.append(driver := GuestDriver(self.guest.start(*words, user=user)))
        return driver
