"""Tests that need a real kernel: its USB memory limit, retries, permissions, and udevd."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest
from guest_bench import FIGURES, GuestBench
from usb_rig import PORT, Driver

FRAMES = 300
NOBODY = 65534
USBFS_MEMORY = "/sys/module/usbcore/parameters/usbfs_memory_mb"
#: Malformed descriptors -> reason of the refusal on an unbooted board, on a booted one.
SHAPES = {
    "no_endpoints": ("descriptors", "descriptors"),
    "no_bulk": ("descriptors", "descriptors"),
    "odd_packets": ("descriptors", "descriptors"),
    "no_configuration": ("absent", "not_returned"),
    "half_a_device": ("absent", "not_returned"),
}
#: Reasons for boards that the kernel does not accept.
UNSEEN = ("absent", "not_returned")


@contextlib.contextmanager
def usbfs_memory_mb(bench: GuestBench, size: int) -> Iterator[None]:
    before = bench.guest.ask("read", path=USBFS_MEMORY)
    bench.guest.ask("write", path=USBFS_MEMORY, text=str(size))
    try:
        yield
    finally:
        bench.guest.ask("write", path=USBFS_MEMORY, text=before)


def built(program: str) -> str:
    return str(Path(os.environ["DEPTHAI_ROS_BUILD"], "depthai_ros", program))


def stream(bench: GuestBench, driver: Driver, *streams: str) -> None:
    driver.good("open", selector="usb", firmware=str(bench.firmware))
    driver.good("start", streams=streams)


def test_three_hundred_frames_are_bit_exact(bench: GuestBench) -> None:
    driver = bench.driver(bench.rig({}))
    stream(bench, driver, "left", "right", "color")
    seen = driver.good("frames", count=FRAMES)
    counts = ", ".join(f"{count} {stream}" for stream, count in seen["counts"].items())
    FIGURES.append(f"bit-exact frames: {counts} in {seen['seconds']:.1f} s")
    assert sum(seen["counts"].values()) >= FRAMES
    assert set(seen["counts"]) == {"left", "right", "color"}
    assert (seen["wrong"], seen["rejected"]) == (0, {})
    driver.good("close")


def test_transfer_error_that_the_kernel_retries_loses_nothing(bench: GuestBench) -> None:
    """The xHCI driver retries three times."""
    rig = bench.rig({})
    driver = bench.driver(rig)
    stream(bench, driver, "left", "color")
    for _ in range(3):
        rig.tell(f"{PORT} protocol_error=1")
        seen = driver.good("frames", count=10)
        assert (seen["wrong"], seen["rejected"]) == (0, {})


def test_too_little_memory_for_usb_is_reported(bench: GuestBench) -> None:
    driver = bench.driver(bench.rig({}))
    driver.good("open", selector="usb", firmware=str(bench.firmware))
    with usbfs_memory_mb(bench, 1):
        answer = driver.do("start", streams=["color"])
        if "error" not in answer:
            answer = driver.do("frames", count=10)
    assert answer["error"] == "LinkError", answer
    assert "usbfs_memory_mb" in answer["text"]


def test_too_little_memory_for_a_boot_is_reported(bench: GuestBench, tmp_path: Path) -> None:
    firmware = tmp_path / "large.cmd"
    firmware.write_bytes(bytes(3 << 20))
    driver = bench.driver(bench.rig({}))
    with usbfs_memory_mb(bench, 1):
        answer = driver.do("open", selector="usb", firmware=str(firmware))
    assert answer["reason"] == "refused", answer
    assert "usbfs_memory_mb" in answer["text"]


def test_refused_access_is_reported_with_path_owner_and_rule(bench: GuestBench) -> None:
    rig = bench.rig({})
    never_sent = "/etc/os-release"
    answer = bench.program(user=NOBODY).do("open", selector="usb", firmware=never_sent)
    assert answer["reason"] == "access", answer
    for word in ("/dev/bus/usb/001/", "mode 06", 'ATTRS{idVendor}=="03e7"', "depthai-udev"):
        assert word in answer["text"]
    assert rig.lines() == [f"{PORT} rom"]


def test_without_udevd_a_board_boots_streams_and_comes_back(bench: GuestBench) -> None:
    """As in a container: libusb gets no events for new devices."""
    bench.guest.udevd(False)
    try:
        rig = bench.rig({})
        driver = bench.driver(rig)
        for _ in range(2):
            stream(bench, driver, "left")
            assert driver.good("frames", count=3)["wrong"] == 0
            rig.tell(f"{PORT} replug")
            assert driver.do("frames", count=1000)["error"] == "DeviceLostError"
            driver.good("close")
    finally:
        bench.guest.udevd(True)


@pytest.mark.parametrize("shape", SHAPES)
def test_wrong_descriptors_are_refused_by_the_kernel_or_the_driver(
    bench: GuestBench, shape: str
) -> None:
    for when, reason in zip(("rom_shape", "shape"), SHAPES[shape], strict=True):
        driver = bench.driver(bench.rig({when: shape}))
        limit_s = 2 if reason in UNSEEN else 20
        answer = driver.do("open", selector="usb", firmware=str(bench.firmware), timeout_s=limit_s)
        assert answer.get("reason", "") == reason, (when, answer)


def test_timeout_and_cancel_lose_no_received_byte(bench: GuestBench) -> None:
    rig = bench.rig({"state": "booted", "socket": "", "flood": 2 << 20})
    program = bench.guest.start(built("usb_session"), "cancel")
    silent = f"{PORT} silent"
    before = 0
    while (line := program.stdout.readline()) and not line.startswith("{"):
        if line.startswith("hang_after"):  # a slow guest may time out elsewhere
            before = rig.lines().count(silent)
        if line == "wait for silence\n":
            rig.wait_for(silent, before + 1)
        else:
            rig.tell(f"{PORT} {line.strip()}")
        program.stdin.write("\n")
    assert program.wait() == 0, Path(bench.guest.console).read_text()[-2000:]


@pytest.mark.parametrize(("size", "packets"), [(921_656, 14), (3_110_456, 5)])
def test_transport_is_about_as_fast_as_bare_libusb(
    bench: GuestBench, size: int, packets: int
) -> None:
    """Prints the figures; the assertion is loose enough for a busy machine."""
    bench.rig({"state": "booted", "socket": "", "flood": size})
    file = "/run/tmp/throughput.json"
    program = bench.guest.start(built("usb_throughput"), str(size), str(packets), "--json", file)
    while line := program.stdout.readline():
        FIGURES.append(line.rstrip())
    assert program.wait() == 0, bench.guest.console_tail()
    for row in json.loads(bench.guest.ask("read", path=file))["usb_throughput"]:
        assert statistics.median(row["ours"]) > 0.5 * statistics.median(row["other"])
