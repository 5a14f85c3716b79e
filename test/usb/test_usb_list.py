"""depthai-list on the emulated bus."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from test_usb_sessions import NEEDS_SETPRIV, mortal
from usb_cases import TWO_BOARDS
from usb_rig import PORT, Bench, Rig, wait_until

from depthai_ros.device.processes import user_name


def listed(rig: Rig, *options: str, prefix: Sequence[str] = ()) -> str:
    """The output of `depthai-list` on that bus."""
    command = [*prefix, sys.executable, "-m", "depthai_ros.commands.list_devices", *options]
    done = subprocess.run(command, env=rig.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def words(rig: Rig) -> str:
    """The table, with one blank between its words."""
    return " ".join(listed(rig).split())


def boards(rig: Rig, **options: Any) -> list[dict[str, Any]]:
    """What `depthai-list --json` prints of the boards."""
    found = json.loads(listed(rig, "--json", **options))
    return [device for device in found if device["state"] != "virtual"]


def test_list_names_the_program_that_has_a_board(bench: Bench) -> None:
    rig = bench.rig(*TWO_BOARDS)
    unbooted, free = (
        {"port": f"1-{one['port']}", "id": None, "state": "unbooted", "speed": 480, "holder": None}
        for one in TWO_BOARDS
    )
    assert boards(rig) == [unbooted, free]

    driver = bench.driver(rig)
    selector = f"usb:{unbooted['port']}"
    driver.good("open", selector=selector, firmware=str(bench.firmware))
    user = user_name(os.geteuid())
    holder = f"process {driver.process.pid} of {user} (driver_program.py)"
    port, mx_id = TWO_BOARDS[0]["port"], TWO_BOARDS[0]["serial"]
    booted = {
        "port": f"2-{port}", "id": mx_id, "state": "booted", "speed": 5000, "holder": holder,
    }  # fmt: skip
    assert boards(rig) == [free, booted]
    assert f"2-{port} {mx_id} booted 5 Gbit/s (USB 3) usb:{port} {holder}" in words(rig)
    driver.good("start", streams=["left"])
    assert driver.good("frames", count=3)["wrong"] == 0, "its session still works"

    driver.good("reset")  # between two pipelines it has locked the board, and opened nothing
    wait_until(lambda: {**unbooted, "holder": holder} in boards(rig), "the board comes back")
    driver.good("close")
    assert boards(rig) == [unbooted, free]


@NEEDS_SETPRIV
def test_board_that_this_user_may_not_open_has_no_access(bench: Bench) -> None:
    (board,) = boards(bench.rig({"refuse_open": 1}), prefix=mortal())
    assert board["state"] == "no access"
    assert board["port"] == f"1-{PORT}"
