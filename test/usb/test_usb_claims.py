"""Programs that open boards of one bus do not take each other's boards."""

from __future__ import annotations

import pytest
from usb_cases import TWO_BOARDS
from usb_rig import Bench


@pytest.mark.complaint(13)
def test_selector_for_any_board_takes_a_free_one(bench: Bench) -> None:
    """Two programs that open any board, and a third that finds none free."""
    one, other = TWO_BOARDS
    rig = bench.rig(one, {**other, "socket": bench.far_end("pattern").socket})
    firmware = str(bench.firmware)
    first, second, third = (bench.driver(rig) for _ in range(3))
    places = {
        driver.good("open", selector="usb", firmware=firmware)["usb_path"]
        for driver in (first, second)
    }
    assert len(places) == 2
    told = third.do("open", selector="usb", firmware=firmware, timeout_s=0.5)
    assert told["reason"] == "busy", told
    for driver in (first, second):  # neither was disturbed
        driver.good("start", streams=["left"])
        assert driver.good("frames", count=3)["wrong"] == 0


def test_board_of_a_program_that_has_reset_it_is_not_taken(bench: Bench) -> None:
    """Between two pipelines a board waits for firmware like a free one, but it is not free."""
    rig = bench.rig({})
    firmware = str(bench.firmware)
    holder, other = bench.driver(rig), bench.driver(rig)
    holder.good("open", selector="usb", firmware=firmware)
    holder.good("start", streams=["left"])
    holder.good("frames", count=2)
    holder.good("reset")
    told = other.do("open", selector="usb", firmware=firmware, timeout_s=0.5)
    assert told["reason"] == "busy", told
    assert f"in use by process {holder.process.pid} (" in told["text"]
    holder.good("start", streams=["left"])
    assert holder.good("frames", count=3)["wrong"] == 0
    holder.good("close")
    other.good("open", selector="usb", firmware=firmware)
