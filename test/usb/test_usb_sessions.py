"""The driver on the USB bus: whole sessions, and which device it takes."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest
from usb_parts import Bench, wait_until

KIB = 1024


def test_whole_session_is_bit_exact(bench: Bench) -> None:
    """Boot, re-enumeration, handshake, 100 frames of three streams, reset."""
    rig = bench.rig({})
    driver = bench.driver(rig)
    opened = driver.good("open", selector="usb", firmware=str(bench.firmware))
    assert opened["mx_id"] == "14442C10C14790D000"
    assert opened["usb_speed"] == "SUPER"
    assert opened["usb_path"] == "2:1.3"
    assert opened["warnings"] == []
    assert rig.wait_for("1.3 firmware") == f"1.3 firmware {256 * 5000 + 3} bytes"
    driver.good("start", streams=["left", "right", "color"])
    seen = driver.good("frames", count=100)
    assert seen["wrong"] == 0
    assert seen["rejected"] == {}
    assert set(seen["counts"]) == {"left", "right", "color"}
    driver.good("close")
    rig.wait_for("1.3 rom", count=2)


def test_short_packets_inside_a_payload_lose_nothing(bench: Bench) -> None:
    rig = bench.rig({"chunk": 100_003})
    driver = bench.driver(rig)
    driver.good("open", selector="usb", firmware=str(bench.firmware))
    driver.good("start", streams=["color"])
    seen = driver.good("frames", count=5)
    assert (seen["wrong"], seen["rejected"]) == (0, {})
    assert seen["counts"]["color"] >= 5


def test_sessions_leave_nothing_behind(bench: Bench) -> None:
    driver = bench.driver(bench.rig({}))
    before: dict[str, Any] = {}
    for _ in range(5):
        driver.good("open", selector="usb", firmware=str(bench.firmware))
        driver.good("start", streams=["left"])
        driver.good("frames", count=2)
        driver.good("close")
        after = driver.good("resources")
        before = before or after
    del before["seconds"], after["seconds"]
    assert after == before


@pytest.mark.parametrize("size", [512 * 3, 2048 * KIB, 1])
def test_firmware_of_any_size_is_taken(bench: Bench, size: int) -> None:
    """A size that is a multiple of the packet size needs an empty packet at the end."""
    image = bytes(i * 7 % 251 for i in range(size))
    bench.firmware.write_bytes(image)
    kept = bench.firmware.with_name("kept")
    rig = bench.rig({"image": kept})
    driver = bench.driver(rig)
    driver.good("open", selector="usb", firmware=str(bench.firmware))
    assert kept.read_bytes() == image


def test_device_older_than_usb_2_gets_small_chunks(bench: Bench) -> None:
    bench.firmware.write_bytes(b"x" * 1000)
    driver = bench.driver(bench.rig({"usb": "0110"}))
    driver.good("open", selector="usb", firmware=str(bench.firmware))


def test_usb_2_speed_is_told(bench: Bench) -> None:
    driver = bench.driver(bench.rig({"speed": "high"}))
    opened = driver.good("open", selector="usb", firmware=str(bench.firmware))
    assert (opened["usb_speed"], opened["usb_path"]) == ("HIGH", "1:1.3")
    driver.good("start", streams=["left"])
    assert driver.good("frames", count=5)["wrong"] == 0


def test_missing_serial_number_is_no_obstacle(bench: Bench) -> None:
    driver = bench.driver(bench.rig({"serial": ""}))
    opened = driver.good("open", selector="usb", firmware=str(bench.firmware))
    assert opened["mx_id"] == "14442C10D1VIRTUAL0"  # what the device says of itself


def two_boards(bench: Bench) -> tuple[dict[str, Any], dict[str, Any]]:
    other = bench.far_end("pattern")
    return (
        {"port": "1", "serial": "14442C1000000001"},
        {"port": "2.4", "serial": "14442C1000000002", "socket": other.socket},
    )


@pytest.mark.parametrize(
    ("selector", "path", "mx_id"),
    [
        ("usb:1", "2:1", "14442C1000000001"),
        ("usb:2.4", "2:2.4", "14442C1000000002"),
        ("usb:1:2.4", "2:2.4", "14442C1000000002"),
        ("usb:14442C1000000001", "2:1", "14442C1000000001"),
        ("usb:14442C1000000002", "2:2.4", "14442C1000000002"),
    ],
)
def test_selector_takes_the_right_one_of_two(
    bench: Bench, selector: str, path: str, mx_id: str
) -> None:
    driver = bench.driver(bench.rig(*two_boards(bench)))
    opened = driver.good("open", selector=selector, firmware=str(bench.firmware))
    assert (opened["usb_path"], opened["mx_id"]) == (path, mx_id)
    driver.good("start", streams=["left"])
    assert driver.good("frames", count=3)["wrong"] == 0


@pytest.mark.parametrize("selectors", [("usb:1", "usb:2.4"), ("usb", "usb")])
def test_two_drivers_with_two_boards_do_not_disturb_each_other(
    bench: Bench, selectors: tuple[str, str]
) -> None:
    rig = bench.rig(*two_boards(bench))
    drivers = [bench.driver(rig), bench.driver(rig)]
    for driver, selector in zip(drivers, selectors, strict=True):
        driver.begin("open", selector=selector, firmware=str(bench.firmware))
    told = [driver.answer() for driver in drivers]
    assert sorted(answer.get("mx_id", str(answer))[-1] for answer in told) == ["1", "2"]
    for driver in drivers:
        driver.good("start", streams=["left"])
        assert driver.good("frames", count=5)["wrong"] == 0


def test_board_that_comes_back_on_another_port_is_taken_if_it_is_the_only_one(
    bench: Bench,
) -> None:
    driver = bench.driver(bench.rig({"return_port": "4"}))
    opened = driver.good("open", selector="usb:1.3", firmware=str(bench.firmware))
    assert opened["usb_path"] == "2:4"


def test_board_that_is_plugged_in_late_is_found(bench: Bench) -> None:
    rig = bench.rig({"state": "unplugged"})
    driver = bench.driver(rig)
    driver.begin("open", selector="usb", firmware=str(bench.firmware), timeout_s=10)
    rig.tell("1.3 plug")
    assert driver.answer()["usb_path"] == "2:1.3"


# ------------------------------------------------------------------------------- the six answers


@pytest.mark.parametrize(
    ("board", "selector", "reason", "words"),
    [
        ({"state": "unplugged"}, "usb", "absent", ("vendor 03e7", "plugged in")),
        ({}, "usb:1.4", "mismatch", ("usb:1.4", "03e7:2485 at 1:1.3 (not booted)")),
        ({}, "usb:2:1.3", "mismatch", ("03e7:2485 at 1:1.3",)),
        ({"product": "2150"}, "usb", "mismatch", ("03e7:2150 at 1:1.3 (not a board",)),
        ({}, "usb:1844DEADBEEF", "mismatch", ("its MX id is 14442C10C14790D000",)),
        ({"no_return": 1}, "usb", "not_returned", ("firmware, but no 03e7:f63b", "port 1.3")),
        ({"boot_unplug": 1}, "usb", "not_returned", ("left the bus after",)),
    ],
)
def test_answer_says_why_there_is_no_device(
    bench: Bench, board: dict[str, Any], selector: str, reason: str, words: tuple[str, ...]
) -> None:
    driver = bench.driver(bench.rig(board))
    told = driver.do("open", selector=selector, firmware=str(bench.firmware), timeout_s=0.5)
    assert told["reason"] == reason, told
    assert told["error"] == ("BootError" if reason == "not_returned" else "DeviceNotFoundError")
    for word in words:
        assert word in told["text"]


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="setpriv is missing")
def test_refused_access_is_told_with_path_owner_and_rule(bench: Bench) -> None:
    rig = bench.rig({"refuse_open": 1})
    mortal = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"]
    driver = bench.driver(rig, *(mortal if os.geteuid() == 0 else []))
    told = driver.do("open", selector="usb", firmware=str(bench.firmware), timeout_s=0.5)
    assert told["reason"] == "access", told
    for word in ("/dev/bus/usb/001/", "mode 0000", 'ATTRS{idVendor}=="03e7"', "depthai-udev"):
        assert word in told["text"]


def test_busy_device_is_told_with_the_process_that_has_it(bench: Bench) -> None:
    rig = bench.rig({})
    holder = bench.driver(rig)
    holder.good("open", selector="usb", firmware=str(bench.firmware))
    told = bench.driver(rig).do("open", selector="usb", firmware=str(bench.firmware), timeout_s=0.5)
    assert told["reason"] == "busy", told
    assert f"process {holder.process.pid} (python" in told["text"]
    holder.good("start", streams=["left"])  # and it was not disturbed
    assert holder.good("frames", count=3)["wrong"] == 0


def test_firmware_that_a_killed_driver_left_running_is_reset(bench: Bench) -> None:
    rig = bench.rig({})
    killed = bench.driver(rig)
    killed.good("open", selector="usb", firmware=str(bench.firmware))
    killed.good("start", streams=["left", "color"])
    killed.good("frames", count=4)
    killed.process.kill()
    killed.process.wait()
    driver = bench.driver(rig)
    opened = driver.good("open", selector="usb", firmware=str(bench.firmware))
    assert len(opened["warnings"]) == 1
    assert "was reset" in opened["warnings"][0]
    driver.good("start", streams=["left"])
    assert driver.good("frames", count=3)["wrong"] == 0


def test_left_over_firmware_that_does_not_react_is_told(bench: Bench) -> None:
    driver = bench.driver(bench.rig({"state": "booted", "socket": ""}))
    told = driver.do("open", selector="usb", firmware=str(bench.firmware), timeout_s=0.5)
    assert (told["error"], told["reason"]) == ("BootError", "left_over")


@pytest.mark.parametrize(
    ("selector", "firmware", "words"),
    [
        ("usb", "", "depthai-firmware extract"),
        ("usb", "/nowhere/depthai.cmd", "cannot read /nowhere/depthai.cmd"),
        ("usb:a?", None, "must be usb, usb:PORT"),
    ],
)
def test_mistake_of_the_user_is_a_configuration_error(
    bench: Bench, selector: str, firmware: str | None, words: str
) -> None:
    image = str(bench.firmware) if firmware is None else firmware
    told = bench.driver(bench.rig({})).do("open", selector=selector, firmware=image)
    assert told["error"] == "ConfigError"
    assert words in told["text"]


# ---------------------------------------------------------------------------------------- faults

STREAMING = {
    "stall_in": ("LinkError", "refuses (stall)"),
    "stall_out": ("LinkError", "refuses (stall)"),
    "protocol_error": ("LinkError", "failed on the wire"),
    "babble": ("LinkError", "sent more than was asked for"),
    "unplug": ("DeviceLostError", "left the bus"),
    "unplug_after=10000000": ("DeviceLostError", "left the bus"),
}


@pytest.mark.parametrize("fault", STREAMING)
def test_fault_while_streaming_ends_the_link_at_once(bench: Bench, fault: str) -> None:
    rig = bench.rig({})
    driver = bench.driver(rig)
    driver.good("open", selector="usb", firmware=str(bench.firmware))
    driver.good("start", streams=["left", "color"])
    driver.good("frames", count=2)
    rig.tell(f"1.3 {fault}")
    told = driver.do("frames", count=10_000)
    error, words = STREAMING[fault]
    assert told.get("error") == error, told
    assert words in told["text"]
    assert told["seconds"] < 5
    assert driver.good("close")["seconds"] < 5


def test_device_that_is_pulled_and_plugged_in_again_streams_again(bench: Bench) -> None:
    rig = bench.rig({})
    driver = bench.driver(rig)
    for count in (1, 2):
        driver.good("open", selector="usb", firmware=str(bench.firmware))
        driver.good("start", streams=["left"])
        assert driver.good("frames", count=3)["wrong"] == 0
        if count == 1:
            rig.tell("1.3 replug")
            assert driver.do("frames", count=1000)["error"] == "DeviceLostError"
            driver.good("close")
            rig.wait_for("1.3 rom", count=2)


@pytest.mark.parametrize("limit", [1, 85, 100_000])
def test_unplugging_early_is_an_error_and_no_hang(bench: Bench, limit: int) -> None:
    """In the ping's answer, after it, and in the first frame."""
    driver = bench.driver(bench.rig({"unplug_after": limit}))
    told = driver.do("open", selector="usb", firmware=str(bench.firmware))
    if "error" not in told:
        driver.good("start", streams=["left"])
        told = driver.do("frames", count=100)
    assert told["error"] == "DeviceLostError", told


def test_device_that_falls_silent_is_a_timeout_and_can_be_closed(bench: Bench) -> None:
    driver = bench.driver(bench.rig({"hang": 1}))
    told = driver.do("open", selector="usb", firmware=str(bench.firmware), timeout_s=0.5)
    assert told["error"] == "LinkTimeoutError", told


def test_link_can_be_cut_while_transfers_are_in_flight(bench: Bench) -> None:
    rig = bench.rig({})
    driver = bench.driver(rig)
    driver.good("open", selector="usb", firmware=str(bench.firmware))
    driver.good("start", streams=["left", "color"])
    driver.good("frames", count=2)
    rig.tell("1.3 hang")
    assert driver.good("cut")["seconds"] < 1
    wait_until(lambda: driver.good("resources")["threads"] <= 12, "threads of the link remain")
