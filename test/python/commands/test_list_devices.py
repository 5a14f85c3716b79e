"""depthai-list on simulated machines, and with virtual devices that really run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from usb_machines import BOOTED, ROM, Machine

from depthai_ros.commands import list_devices
from depthai_ros.commands.list_devices import ListedDevice, notes, table, usb_devices
from depthai_ros.device.processes import user_name
from depthai_ros.device.usb_sysfs import UsbTree

Start = Callable[..., "subprocess.Popen[str]"]

MX_ID = BOOTED["serial"]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def listed(machine: Machine) -> list[ListedDevice]:
    return list(usb_devices(UsbTree(machine.root)))


def said(machine: Machine) -> str:
    """The notes below the list."""
    return "\n".join(notes(UsbTree(machine.root), listed(machine)))


def test_list_has_port_id_state_speed_and_holder_of_each_board(machine: Machine) -> None:
    machine.plug("1-1.3", ROM)
    machine.plug("1-2", {**ROM, "idProduct": "2150", "speed": "12", "devnum": "6"})
    machine.plug("1-3", {**ROM, "devnum": "7"}).unlink()
    machine.hold(machine.plug("2-2.4", BOOTED))
    assert [device.as_json() for device in listed(machine)] == [
        {"port": "1-1.3", "id": None, "state": "unbooted", "speed": 480, "holder": None},
        {"port": "1-2", "id": None, "state": "unknown", "speed": 12, "holder": None},
        {"port": "1-3", "id": None, "state": "no access", "speed": 480, "holder": None},
        {"port": "2-2.4", "id": MX_ID, "state": "booted", "speed": 5000,
         "holder": "process 4242 of user root (camera_node)"},
    ]  # fmt: skip
    assert "\n".join(table(listed(machine))) == (
        "port   id                  state      speed               device.id  held by\n"
        "1-1.3  -                   unbooted   480 Mbit/s (USB 2)  usb:1.3    -\n"
        "1-2    -                   unknown    12 Mbit/s (USB 1)   usb:2      -\n"
        "1-3    -                   no access  480 Mbit/s (USB 2)  usb:3      -\n"
        f"2-2.4  {MX_ID}  booted     5 Gbit/s (USB 3)    usb:2.4    "
        "process 4242 of user root (camera_node)"
    )
    assert "depthai-doctor says why a board cannot be used" in said(machine)


def test_selector_names_the_bus_only_if_two_boards_have_the_same_port(machine: Machine) -> None:
    machine.plug("1-1.3", ROM)
    machine.plug("2-1.3", BOOTED)
    machine.plug("3-1.3", {**BOOTED, "serial": "", "devnum": "8", "busnum": "3"})
    selectors = [device.selector for device in listed(machine)]
    assert selectors == ["usb:1-1.3", f"usb:{MX_ID}", "usb:3-1.3"]


def test_every_program_that_has_a_board_open_is_named(machine: Machine) -> None:
    node = machine.plug("2-2.4", BOOTED)
    machine.hold(node)
    machine.hold(node, "name\n\x1b[2J", 4243)
    (device,) = listed(machine)
    assert device.holder == (
        r"process 4242 of user root (camera_node), process 4243 of user root (name\n\x1b[2J)"
    )
    assert said(machine) == "", "nothing is hidden that matters"


def test_programs_that_cannot_be_seen_are_a_note(machine: Machine) -> None:
    machine.plug("1-1.3", ROM)
    assert "sudo depthai-list" in said(machine), "with hidepid not even process 1 is seen"
    (machine.root / "proc/1/fd").mkdir(parents=True)
    assert said(machine) == ""
    machine.write(".dockerenv", "")
    assert said(machine) == "programs outside this container cannot be seen"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_open_files_of_other_users_are_hidden_from_a_plain_user() -> None:
    child = os.fork()
    if child == 0:
        os.setresuid(61_001, 61_001, 61_001)
        os._exit(3 if UsbTree().hides_users() else 4)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3


def test_without_a_device_the_status_is_1_and_the_next_step_is_named(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(list_devices, "UsbTree", lambda: UsbTree(machine.root))
    monkeypatch.setattr(list_devices, "virtual_devices", lambda: iter(()))
    for words, expected in (([], ""), (["--json"], "[]\n")):
        assert list_devices.main(words) == 1
        output = capsys.readouterr()
        assert output.out == expected
        assert output.err.startswith("depthai-list: no device of vendor 03e7 on USB")
        assert "depthai-doctor says" in output.err


#: Opens two devices, says so, and keeps them until its input ends.
HOST = """
import sys
from depthai_ros.device.device import OpenDevice
devices = [OpenDevice.open(selector) for selector in sys.argv[1:]]
print("open", flush=True)
sys.stdin.read()
for device in devices:
    device.close()
"""


def test_virtual_devices_are_listed_with_the_programs_that_use_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    monkeypatch.setenv("DEPTHAI_ROS_CLAIMS", str(tmp_path))
    address = f"unix:{tmp_path}/device"
    words = ["-m", "depthai_ros.virtual", "--listen", address, "--device", "pattern?mx_id=ABC"]
    far_end = start(sys.executable, *words, stdout=subprocess.PIPE)
    assert far_end.stdout
    assert "waits at" in far_end.stdout.readline()

    def rows(column: str, text: str) -> list[ListedDevice]:
        found = list_devices.all_devices(UsbTree(tmp_path))
        return [device for device in found if text in getattr(device, column)]

    (free,) = rows("port", address)
    expected = {"port": address, "id": "ABC", "state": "virtual", "speed": None, "holder": None}
    assert free.as_json() == expected
    assert free.selector == address

    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    host = start(sys.executable, "-c", HOST, address, "virtual:pattern", **pipes)
    assert host.stdout
    assert host.stdout.readline() == "open\n"
    user = user_name(os.geteuid())
    holder = f"process {host.pid} of {user} (python -c)"
    shared, private = rows("holder", holder)
    if shared.port != address:
        shared, private = private, shared
    assert shared.as_json() == {**expected, "holder": holder}
    assert (private.port, private.selector, private.state) == ("virtual", "", "virtual")
    assert host.stdin
    host.stdin.close()
    host.wait(10)
