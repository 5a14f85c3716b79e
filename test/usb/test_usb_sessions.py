"""The driver on the USB bus: whole sessions, selection of the device, errors and faults."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest
from lengths import CYCLES
from usb_cases import ENDINGS, HARMLESS, MX_ID, REFUSALS, TWO_BOARDS, WRONG_SHAPES, Case
from usb_rig import OTHER_PORT, PORT, SLOW, THIRD_PORT, Bench, wait_until

KIB = 1024
#: Replugs in one test.
PYTHON_CYCLES = CYCLES // 3


def test_whole_session_is_bit_exact(bench: Bench) -> None:
    """Boot, re-enumeration, handshake, 100 frames of three streams, reset."""
    rig = bench.rig({})
    driver = bench.driver(rig)
    opened = driver.good("open", selector="usb", firmware=str(bench.firmware))
    assert opened["mx_id"] == MX_ID
    assert opened["usb_speed"] == "SUPER"
    assert opened["usb_path"] == f"2:{PORT}"
    assert opened["warnings"] == []
    assert rig.wait_for(f"{PORT} firmware") == f"{PORT} firmware {256 * 5000 + 3} bytes"
    driver.good("start", streams=["left", "right", "color"])
    seen = driver.good("frames", count=100)
    assert seen["wrong"] == 0
    assert seen["rejected"] == {}
    assert set(seen["counts"]) == {"left", "right", "color"}
    driver.good("close")
    rig.wait_for(f"{PORT} rom", count=2)


@pytest.mark.parametrize("case", HARMLESS, ids=str)
def test_session_is_bit_exact_with(bench: Bench, case: Case) -> None:
    driver = bench.driver(bench.rig(case.board))
    driver.good("open", selector=case.selector, firmware=str(bench.firmware))
    driver.good("start", streams=["left", "color"])
    seen = driver.good("frames", count=10)
    assert (seen["wrong"], seen["rejected"]) == (0, {})
    assert set(seen["counts"]) == {"left", "color"}
    assert driver.good("close")["seconds"] < 5 * SLOW


@pytest.mark.complaint(7)
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


def test_replugging_in_mid_frame_leaves_nothing_behind_in_python(bench: Bench) -> None:
    """Many sessions in one process: resources do not grow after the first few."""
    driver = bench.driver(bench.rig({"replug_after": 3_000_000}))
    seen: list[dict[str, Any]] = []
    for _ in range(PYTHON_CYCLES):
        driver.good("open", selector="usb", firmware=str(bench.firmware))
        driver.good("start", streams=["left", "color"])
        assert driver.do("frames", count=1000)["error"] == "DeviceLostError"
        driver.good("close")
        seen.append(driver.good("resources"))
    for name in ("descriptors", "threads", "python_threads"):
        assert seen[-1][name] == seen[2][name], name


@pytest.mark.parametrize("size", [512 * 3, 2048 * KIB, 1])
def test_firmware_of_any_size_is_sent(bench: Bench, size: int) -> None:
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


@pytest.mark.complaint(4)
def test_usb_2_speed_is_reported(bench: Bench) -> None:
    driver = bench.driver(bench.rig({"speed": "high"}))
    opened = driver.good("open", selector="usb", firmware=str(bench.firmware))
    assert (opened["usb_speed"], opened["usb_path"]) == ("HIGH", f"1:{PORT}")


@pytest.mark.parametrize(
    "board", [{"serial": ""}, {"serial_shape": "unreadable"}, {"serial_shape": "not_ascii"}]
)
def test_board_without_readable_serial_number_has_the_id_of_its_description(
    bench: Bench, board: dict[str, Any]
) -> None:
    driver = bench.driver(bench.rig(board))
    opened = driver.good("open", selector="usb", firmware=str(bench.firmware))
    assert opened["mx_id"] == "14442C10D1VIRTUAL0"


def two_boards(bench: Bench) -> tuple[dict[str, Any], dict[str, Any]]:
    first, second = TWO_BOARDS
    return first, {**second, "socket": bench.far_end("pattern").socket}


@pytest.mark.parametrize(
    ("selector", "path", "mx_id"),
    [
        ("usb:1", "2:1", "14442C1000000001"),
        (f"usb:{OTHER_PORT}", f"2:{OTHER_PORT}", "14442C1000000002"),
        (f"usb:1:{OTHER_PORT}", f"2:{OTHER_PORT}", "14442C1000000002"),
        ("usb:14442C1000000001", "2:1", "14442C1000000001"),
        ("usb:14442C1000000002", f"2:{OTHER_PORT}", "14442C1000000002"),
    ],
)
@pytest.mark.complaint(13)
def test_selector_chooses_one_of_two_boards(
    bench: Bench, selector: str, path: str, mx_id: str
) -> None:
    driver = bench.driver(bench.rig(*two_boards(bench)))
    opened = driver.good("open", selector=selector, firmware=str(bench.firmware))
    assert (opened["usb_path"], opened["mx_id"]) == (path, mx_id)
    driver.good("start", streams=["left"])
    assert driver.good("frames", count=3)["wrong"] == 0


@pytest.mark.parametrize("selectors", [("usb:1", f"usb:{OTHER_PORT}"), ("usb", "usb")])
@pytest.mark.complaint(13)
def test_two_drivers_with_two_boards_do_not_disturb_each_other(
    bench: Bench, selectors: tuple[str, str]
) -> None:
    rig = bench.rig(*two_boards(bench))
    drivers = [bench.driver(rig), bench.driver(rig)]
    for driver, selector in zip(drivers, selectors, strict=True):
        driver.begin("open", selector=selector, firmware=str(bench.firmware))
    answers = [driver.answer() for driver in drivers]
    assert sorted(answer.get("mx_id", str(answer))[-1] for answer in answers) == ["1", "2"]
    for driver in drivers:
        driver.good("start", streams=["left"])
        assert driver.good("frames", count=5)["wrong"] == 0


def test_board_that_comes_back_on_another_port_is_taken_if_it_is_the_only_one(
    bench: Bench,
) -> None:
    driver = bench.driver(bench.rig({"return_port": THIRD_PORT}))
    opened = driver.good("open", selector=f"usb:{PORT}", firmware=str(bench.firmware))
    assert opened["usb_path"] == f"2:{THIRD_PORT}"


def test_board_that_comes_back_on_another_port_is_not_mistaken_for_the_other_one(
    bench: Bench,
) -> None:
    first, second = two_boards(bench)
    driver = bench.driver(bench.rig({**first, "return_port": THIRD_PORT}, second))
    answer = driver.do("open", selector="usb:1", firmware=str(bench.firmware), timeout_s=0.5 * SLOW)
    assert answer["reason"] == "not_returned", answer
    assert f"03e7:f63b at 2:{THIRD_PORT}" in answer["text"]


def test_board_that_is_plugged_in_late_is_found(bench: Bench) -> None:
    rig = bench.rig({"state": "unplugged"})
    driver = bench.driver(rig)
    driver.begin("open", selector="usb", firmware=str(bench.firmware), timeout_s=10)
    rig.tell(f"{PORT} plug")
    assert driver.answer()["usb_path"] == f"2:{PORT}"


# ---------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("case", REFUSALS, ids=str)
@pytest.mark.complaint(3)
def test_error_has_the_reason_why_a_board_does_not_open(bench: Bench, case: Case) -> None:
    driver = bench.driver(bench.rig(case.board))
    answer = driver.do(
        "open", selector=case.selector, firmware=str(bench.firmware), timeout_s=0.5 * SLOW
    )
    assert (answer["error"], answer["reason"]) == (case.error, case.reason), answer
    for word in case.words:
        assert word in answer["text"]
    assert answer["seconds"] < 10 * SLOW


@pytest.mark.parametrize("when", ["rom_shape", "shape"])
@pytest.mark.parametrize("shape", WRONG_SHAPES)
def test_wrong_descriptors_are_refused_or_ignored(bench: Bench, shape: str, when: str) -> None:
    """Of the unbooted and of the booted board."""
    driver = bench.driver(bench.rig({when: shape}))
    answer = driver.do("open", selector="usb", firmware=str(bench.firmware), timeout_s=0.5 * SLOW)
    reason = WRONG_SHAPES[shape]
    if reason == "absent" and when == "shape":
        reason = "not_returned"
    if shape == "other_endpoints" and when == "shape":
        reason = "descriptors"
    assert answer.get("reason", "") == reason, answer
    if reason == "descriptors":
        assert answer["error"] == "BootError"
        assert "descriptors" in answer["text"]


NEEDS_SETPRIV = pytest.mark.skipif(
    os.geteuid() == 0 and not shutil.which("setpriv"), reason="setpriv is missing"
)


def mortal() -> list[str]:
    """Command prefix that makes file permissions apply, even for root."""
    words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"]
    return words if os.geteuid() == 0 else []


@NEEDS_SETPRIV
@pytest.mark.complaint(3)
def test_refused_access_is_reported_with_path_owner_and_rule(bench: Bench) -> None:
    rig = bench.rig({"refuse_open": 1})
    driver = bench.driver(rig, *mortal())
    answer = driver.do("open", selector="usb", firmware=str(bench.firmware), timeout_s=0.5 * SLOW)
    assert answer["reason"] == "access", answer
    for word in ("/dev/bus/usb/001/", "mode 0000", 'ATTRS{idVendor}=="03e7"', "depthai-udev"):
        assert word in answer["text"]


@pytest.mark.complaint(3)
def test_busy_device_is_reported_with_the_process_that_uses_it(bench: Bench) -> None:
    rig = bench.rig({})
    holder = bench.driver(rig)
    holder.good("open", selector="usb", firmware=str(bench.firmware))
    answer = bench.driver(rig).do(
        "open", selector="usb", firmware=str(bench.firmware), timeout_s=0.5 * SLOW
    )
    assert answer["reason"] == "busy", answer
    assert f"process {holder.process.pid} (" in answer["text"]
    holder.good("start", streams=["left"])  # its session still works
    assert holder.good("frames", count=3)["wrong"] == 0


@pytest.mark.complaint(2)
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


@pytest.mark.parametrize(
    ("selector", "firmware", "words"),
    [
        ("usb", "", "depthai-firmware extract"),
        ("usb", "/nowhere/depthai.cmd", "/nowhere/depthai.cmd: No such file"),
        ("usb:a?", None, "must be usb, usb:PORT"),
    ],
)
def test_wrong_selector_or_firmware_is_a_configuration_error(
    bench: Bench, selector: str, firmware: str | None, words: str
) -> None:
    image = str(bench.firmware) if firmware is None else firmware
    answer = bench.driver(bench.rig({})).do("open", selector=selector, firmware=image)
    assert answer["error"] == "ConfigError"
    assert words in answer["text"]


# ---------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize("case", ENDINGS, ids=str)
def test_fault_while_streaming_ends_the_link_at_once(bench: Bench, case: Case) -> None:
    rig = bench.rig(case.board)
    driver = bench.driver(rig)
    driver.good("open", selector="usb", firmware=str(bench.firmware))
    driver.good("start", streams=["left", "color"])
    driver.good("frames", count=2)
    rig.tell(f"{PORT} {case.fault}")
    answer = driver.do("frames", count=10_000)
    assert answer.get("error") == case.error, answer
    for word in case.words:
        assert word in answer["text"]
    assert answer["seconds"] < 5 * SLOW
    assert driver.good("close")["seconds"] < 5 * SLOW


def test_device_unplugged_during_close_is_released(bench: Bench) -> None:
    rig = bench.rig({"unplug_at_reset": 1})
    driver = bench.driver(rig)
    driver.good("open", selector="usb", firmware=str(bench.firmware))
    driver.good("start", streams=["left", "color"])
    driver.good("frames", count=2)
    assert driver.good("close")["seconds"] < 5 * SLOW
    rig.wait_for(f"{PORT} gone", count=2)


@pytest.mark.complaint(1)
def test_device_streams_again_after_replugging(bench: Bench) -> None:
    rig = bench.rig({})
    driver = bench.driver(rig)
    for count in (1, 2):
        driver.good("open", selector="usb", firmware=str(bench.firmware))
        driver.good("start", streams=["left"])
        assert driver.good("frames", count=3)["wrong"] == 0
        if count == 1:
            rig.tell(f"{PORT} replug")
            assert driver.do("frames", count=1000)["error"] == "DeviceLostError"
            driver.good("close")
            rig.wait_for(f"{PORT} rom", count=2)


def test_unplugging_in_the_first_frame_is_an_error_not_a_hang(bench: Bench) -> None:
    driver = bench.driver(bench.rig({"unplug_after": 100_000}))
    driver.good("open", selector="usb", firmware=str(bench.firmware))
    driver.good("start", streams=["left"])
    assert driver.do("frames", count=100)["error"] == "DeviceLostError"


def test_link_can_be_closed_while_transfers_are_in_flight(bench: Bench) -> None:
    rig = bench.rig({})
    driver = bench.driver(rig)
    driver.good("open", selector="usb", firmware=str(bench.firmware))
    driver.good("start", streams=["left", "color"])
    driver.good("frames", count=2)
    rig.tell(f"{PORT} hang")
    assert driver.good("cut")["seconds"] < 1 * SLOW
    wait_until(lambda: driver.good("resources")["threads"] <= 12, "threads of the link remain")
