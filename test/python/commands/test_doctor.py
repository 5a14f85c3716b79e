"""depthai-doctor on simulated machines: folders with a /sys, a /dev and a /proc."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from compiled_networks import F16, SSD_OUTPUT, compiled_network
from usb_machines import BOOTED, ROM, Machine

from depthai_ros.commands import doctor
from depthai_ros.device.usb_sysfs import UsbTree

IMAGE_BYTES = 2 << 20


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def findings(machine: Machine, firmware: str = "") -> list[doctor.Finding]:
    return doctor.examine(UsbTree(machine.root), firmware)


def levels(machine: Machine, firmware: str) -> dict[str, str]:
    """Subject -> worst level of its findings."""
    order = ["ok", "hint", "bad"]
    worst: dict[str, str] = {}
    for finding in findings(machine, firmware):
        worst[finding.about] = max(worst.get(finding.about, "ok"), finding.level, key=order.index)
    return worst


def test_healthy_machine_has_only_ok_findings(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.plug("1-1.3", ROM)
    image = machine.write("image.cmd", bytes(IMAGE_BYTES))
    assert set(levels(machine, str(image)).values()) == {"ok"}
    assert doctor.main(["--root", str(machine.root), "--firmware", str(image)]) == 0
    output = capsys.readouterr().out
    assert "03e7:2485 at 1:1.3, 480 Mbit/s, waits for firmware" in output
    assert output.endswith("no problem found\n")


def no_rule(machine: Machine) -> None:
    (machine.root / "etc/udev/rules.d/80-depthai.rules").unlink()


def plug(name: str, attributes: dict[str, str]) -> Callable[[Machine], None]:
    return lambda machine: machine.plug(name, attributes) and None


def in_container(machine: Machine) -> None:
    machine.write(".dockerenv", "")


def without_nodes(machine: Machine) -> None:
    (machine.root / "dev/bus/usb").rmdir()
    in_container(machine)


def without_sysfs(machine: Machine) -> None:
    machine.devices.rmdir()


def vanished_node(machine: Machine) -> None:
    machine.plug("1-1.3", ROM).unlink()


def two_boards_little_memory(machine: Machine) -> None:
    machine.plug("1-1.3", ROM)
    machine.plug("1-1.4", {**ROM, "devnum": "6"})
    machine.write("sys/module/usbcore/parameters/usbfs_memory_mb", "8")


def old_port(machine: Machine) -> None:
    machine.plug("1-1.3", ROM)
    machine.write("sys/bus/usb/devices/1-1.3/port/over_current_count", "2")


def poor_hub(machine: Machine) -> None:
    machine.plug("1-1.3", ROM)
    machine.write("sys/bus/usb/devices/1-1/bmAttributes", "a0")
    machine.write("sys/bus/usb/devices/1-1/bDeviceClass", "09")


def held(machine: Machine) -> None:
    machine.hold(machine.plug("2-1.3", BOOTED))


#: Fault of a machine, subject of the finding, level, words of the finding.
CASES: list[tuple[Callable[[Machine], None], str, str, tuple[str, ...]]] = [
    (lambda machine: None, "boards", "bad", ("no device of vendor 03e7", "cable")),
    (without_sysfs, "USB", "bad", ("/sys/bus/usb/devices does not exist",)),
    (without_nodes, "USB", "bad", ("/dev/bus/usb does not exist", "--device-cgroup-rule")),
    (in_container, "container", "hint", ("this is a container", "docker run")),
    (no_rule, "udev rule", "hint", ("sudo depthai-udev",)),
    (vanished_node, "permission", "bad", ("001/004", "plug the board in again")),
    (held, "in use", "hint", ("process 4242", "(camera_node)", "end that program")),
    (plug("2-1.3", BOOTED), "in use", "hint", ("runs firmware", "resets such a board")),
    (plug("1-1", {**ROM, "idProduct": "2150"}), "boards", "hint", ("03e7:2150", "product")),
    (plug("1-1", {**BOOTED, "speed": "480"}), "speed", "hint", ("480 Mbit/s", "USB 3 cable")),
    (plug("1-1", {**ROM, "speed": "12"}), "speed", "bad", ("12 Mbit/s", "another cable")),
    (old_port, "speed", "hint", ("no USB 3", "another port")),
    (old_port, "power", "hint", ("switched the port off 2 times", "5 V supply")),
    (poor_hub, "power", "hint", ("hub 1-1 without a power supply", "powered hub")),
    (two_boards_little_memory, "kernel memory", "bad", ("is 8", "at least 16", "sudo tee")),
]


@pytest.mark.parametrize(("spoil", "about", "level", "words"), CASES)
def test_finding_has_observation_expectation_and_remedy(
    machine: Machine,
    spoil: Callable[[Machine], None],
    about: str,
    level: str,
    words: tuple[str, ...],
) -> None:
    spoil(machine)
    wrong = [one for one in findings(machine) if one.about == about and one.level != "ok"]
    assert [one.level for one in wrong] == [level]
    text = "\n".join(wrong[0].lines())
    for word in (*words, "expected: ", "do: "):
        assert word in text
    assert doctor.main(["--root", str(machine.root)]) == any(
        one.level == "bad" for one in findings(machine)
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b"short", "5 bytes"),
        (b"\x7fELF" + bytes(IMAGE_BYTES), "a library or program"),
        (b"<!DOCTYPE html>" + bytes(IMAGE_BYTES), "a web page"),
        (b"PK\x03\x04" + bytes(100), "104 bytes"),
    ],
)
def test_file_that_cannot_be_firmware_is_bad(
    machine: Machine, content: bytes | None, words: str
) -> None:
    path = machine.root / "image.cmd"
    if content is not None:
        path.write_bytes(content)
    (finding,) = [one for one in findings(machine, str(path)) if one.about == "firmware"]
    assert finding.level == "bad"
    assert words in finding.found
    assert "depthai-firmware extract" in finding.cure


@pytest.mark.parametrize("garbage", [b"", b"\xff\xfe\0", b"-5", b"9" * 400, b"03e7\n\n"])
@pytest.mark.parametrize("name", ["speed", "busnum", "devnum", "idProduct", "serial"])
def test_malformed_sysfs_attribute_does_not_end_the_examination(
    machine: Machine, name: str, garbage: bytes
) -> None:
    machine.plug("1-1.3", BOOTED)
    machine.write(f"sys/bus/usb/devices/1-1.3/{name}", garbage)
    assert any(one.about == "boards" for one in findings(machine))


def test_blob_prints_what_is_in_a_compiled_network(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    blob = compiled_network([("data", (1, 3, 320, 544), F16)], [SSD_OUTPUT])
    path = machine.write("network.blob", bytes(blob))
    assert doctor.main(["--blob", str(path)]) == 0
    output = capsys.readouterr().out
    assert f"{path}, 1024 bytes, version 5, 1 stages" in output
    assert "input: data 1x3x320x544 float16" in output
    assert "output: detection_out 1x1x200x7 float16" in output
    assert "4 SHAVEs, 4 CMX slices (an assumption)" in output


@pytest.mark.parametrize(
    ("content", "level", "words"),
    [
        (None, "bad", "No such file"),
        (b"", "bad", "is empty"),
        (b"<html>", "bad", "begins with b'<htm', must begin with"),
        (b"\x7felf" + bytes(100), "bad", "104 bytes, its header has 124: download it again"),
        (b' {"input": [3, 3, 3]}', "hint", "describes a network to the virtual device"),
    ],
)
def test_blob_that_is_no_compiled_network_is_said(
    machine: Machine, content: bytes | None, level: str, words: str
) -> None:
    path = machine.root / "network.blob"
    if content is not None:
        path.write_bytes(content)
    (finding,) = doctor.examine_blob(str(path))
    assert finding.level == level
    assert words in finding.found
    assert str(path) in finding.found
