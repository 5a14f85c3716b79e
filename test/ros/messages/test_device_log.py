"""The log of a device that says more than anybody can read."""

from __future__ import annotations

from depthai_ros.messages.device_log import DeviceLog

SECOND_NS = 1_000_000_000


def test_lines_of_one_second_are_bounded_however_many_reports_it_has() -> None:
    log = DeviceLog()
    for report in range(20):
        log.add(["line"] * 100, 10 * SECOND_NS + report)
    assert log.take() == [*["line"] * 50, "50 more lines"]
    log.add(["late"], 11 * SECOND_NS)
    assert log.take() == ["late", "1900 more lines"]
    log.add(["quiet"], 12 * SECOND_NS)
    assert log.take() == ["quiet"]
    assert log.take() == []
