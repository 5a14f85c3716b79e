"""A slow link is reported before frames are lost."""

from __future__ import annotations

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nodes import Listener, StartNode

COLOR = {
    "stream_list": ["color", "left"],
    "camera.mono.resolution_h": 400,
    "diagnostics.period_s": 0.2,
}
SLOW = "virtual:pattern?usb_speed=HIGH"
CONFIGURATION = 2


def wait_for_statuses(listener: Listener, *names: str) -> dict[str, DiagnosticStatus]:
    """The newest statuses, as soon as all of these are there."""

    def found() -> dict[str, DiagnosticStatus]:
        newest = (listener.messages("/diagnostics") or [DiagnosticArray()])[-1].status
        return {row.name.removeprefix("oak: "): row for row in newest}

    listener.wait_until(lambda: set(names) <= found().keys(), f"the statuses {', '.join(names)}")
    return found()


def values(status: DiagnosticStatus) -> dict[str, str]:
    return {row.key: row.value for row in status.values}


@pytest.mark.complaint(4)
def test_usb_2_link_causes_a_warning_in_the_log_and_in_the_diagnostics(
    start_node: StartNode, listener: Listener
) -> None:
    listener.subscribe(DiagnosticArray, "/diagnostics")
    node = start_node({**COLOR, "device.id": SLOW})
    node.wait_for_output("a USB link of speed HIGH carries about 38 MB/s: frames will be lost")
    node.wait_for_output("streaming")
    statuses = wait_for_statuses(listener, "usb link", "stream color")
    assert statuses["usb link"].level == DiagnosticStatus.WARN
    assert values(statuses["usb link"])["planned_mb_s"] == "100.992"
    assert values(statuses["usb link"])["capacity_mb_s"] == "38"
    assert statuses["device"].level == DiagnosticStatus.WARN
    assert "USB 3 is expected" in statuses["device"].message
    assert values(statuses["device"])["usb_speed"] == "HIGH"
    assert node.output.count("frames will be lost") == 1
    assert node.stop() == 0


@pytest.mark.complaint(4)
def test_rates_can_be_reduced_to_the_capacity_of_the_link(
    start_node: StartNode, listener: Listener
) -> None:
    listener.subscribe(DiagnosticArray, "/diagnostics")
    node = start_node({**COLOR, "device.id": SLOW, "usb.on_insufficient": "reduce"})
    node.wait_for_output("lowered color to 10 Hz, left to 10 Hz (usb.on_insufficient)")
    statuses = wait_for_statuses(listener, "usb link", "stream color")
    assert statuses["usb link"].level == DiagnosticStatus.OK
    assert values(statuses["stream color"])["fps_expected"] == "10"
    assert float(values(statuses["usb link"])["planned_mb_s"]) < 38
    listener.wait_until(
        lambda: (
            float(values(wait_for_statuses(listener, "usb link")["usb link"])["measured_mb_s"]) > 0
        ),
        "bytes that are counted",
    )
    assert node.stop() == 0


@pytest.mark.complaint(4)
def test_node_can_refuse_to_start_on_a_slow_link(start_node: StartNode) -> None:
    node = start_node({**COLOR, "device.id": SLOW, "usb.on_insufficient": "fail"})
    assert node.wait() == CONFIGURATION
    (error,) = [line for line in node.output.splitlines() if "[ERROR]" in line]
    assert "color 93.3, left 7.7" in error
    assert "USB 3 port" in error


@pytest.mark.parametrize("speed", ["", "?usb_speed=SUPER"])
def test_fast_or_unknown_link_causes_no_warning(
    speed: str, start_node: StartNode, listener: Listener
) -> None:
    listener.subscribe(DiagnosticArray, "/diagnostics")
    node = start_node({**COLOR, "device.id": f"virtual:pattern{speed}"})
    statuses = wait_for_statuses(listener, "usb link")
    assert statuses["usb link"].level == DiagnosticStatus.OK
    assert values(statuses["usb link"])["capacity_mb_s"] == ("370" if speed else "nan")
    assert node.stop() == 0
