"""Device locks: several programs on one bus do not take each other's boards."""

from __future__ import annotations

import pytest
from usb_cases import TWO_BOARDS
from usb_rig import Bench


@pytest.mark.complaint(13)
def test_any_board_is_a_board_that_is_not_in_use(bench: Bench) -> None:
    """Two boards, and three programs with selector `usb`: the third one fails."""
    one, other = TWO_BOARDS
    rig = bench.rig(one, {**other, "socket": bench.far_end("pattern").socket})
    firmware = str(bench.firmware)
    first, second, third = (bench.driver(rig) for _ in range(3))
    places = {
        driver.good("open", selector="usb", firmware=firmware)["usb_path"]
        for driver in (first, second)
    }
    assert len(places) == 2
    answer = third.do("open", selector="usb", firmware=firmware, timeout_s=0.5)
    assert answer["reason"] == "busy", answer
    for driver in (first, second):  # both sessions still work
        driver.good("start", streams=["left"])
        assert driver.good("frames", count=3)["wrong"] == 0


def test_board_of_a_program_that_has_reset_it_is_not_taken(bench: Bench) -> None:
    """Between two pipelines a board is unbooted like a free one, but still in use."""
    rig = bench.rig({})
    firmware = str(bench.firmware)
    holder, other = bench.driver(rig), bench.driver(rig)
    holder.good("open", selector="usb", firmware=firmware)
    holder.good("start", streams=["left"])
    holder.good("frames", count=2)
    holder.good("reset")
    answer = other.do("open", selector="usb", firmware=firmware, timeout_s=0.5)
    assert answer["reason"] == "busy", answer
    assert f"in use by process {holder.process.pid} (" in answer["text"]
    holder.good("start", streams=["left"])
    assert holder.good("frames", count=3)["wrong"] == 0
    holder.good("close")
    other.good("open", selector="usb", firmware=firmware)
