"""What browsers show, how fast they follow, changes of controls: without viser and ROS."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from depthai_ros.view.model import (
    ASK_AGAIN_S,
    ASLEEP_S,
    CONFIRM_S,
    IMAGE_HZ,
    KEPT_S,
    LAG_S,
    LEAST_HZ,
    MOST_OPEN,
    RECOVER_S,
    Audience,
    Backlog,
    Browser,
    ControlAnswer,
    ControlBook,
    Conversions,
    Pace,
    checked,
    limits_text,
)
from depthai_ros.view.source import CLOUD, Control

LEFT, RIGHT, DEPTH = "left/image_raw", "right/image_raw", "depth/image_raw"


# -- which browser shows what


def audience(*shown: dict[str, float]) -> Audience:
    made = Audience()
    made.browsers = {number: Browser(shown=names) for number, names in enumerate(shown)}
    return made


def test_source_receives_what_one_of_the_browsers_shows_at_the_highest_rate() -> None:
    both = audience({LEFT: 5.0, CLOUD: 10.0}, {LEFT: 15.0, DEPTH: 15.0})
    assert both.demand(0.0) == {DEPTH: 15.0, LEFT: 15.0, CLOUD: 10.0}


def test_slow_browser_lowers_the_rate_only_if_no_other_needs_more() -> None:
    both = audience({LEFT: 15.0}, {LEFT: 15.0, RIGHT: 15.0})
    both.browsers[1].pace.rate_hz = 3.75
    assert both.demand(0.0) == {LEFT: 15.0, RIGHT: 3.75}


def test_nothing_is_received_two_seconds_after_the_last_browser_left() -> None:
    one = audience({LEFT: 15.0})
    assert one.new_demand(0.0) == {LEFT: 15.0}
    one.browsers.clear()
    assert one.new_demand(0.9 * KEPT_S) is None  # it may only be loaded again
    assert one.new_demand(KEPT_S) == {}
    assert KEPT_S < 2
    assert one.new_demand(KEPT_S + 1) is None


def test_image_that_is_chosen_no_more_is_kept_a_little_and_then_left_out() -> None:
    one = audience({LEFT: 15.0, RIGHT: 15.0})
    one.new_demand(0.0)
    one.browsers[0].shown = {RIGHT: 15.0}
    assert one.demand(0.5) == {LEFT: 15.0, RIGHT: 15.0}
    assert one.new_demand(KEPT_S) == {RIGHT: 15.0}


def test_demand_is_new_only_when_it_changes() -> None:
    one = audience({LEFT: 15.0})
    assert [one.new_demand(now_s) for now_s in (0.0, 0.1, 0.2)] == [{LEFT: 15.0}, None, None]


def test_page_without_browsers_asks_for_nothing() -> None:
    assert Audience().new_demand(0.0) is None


def test_nothing_is_received_for_a_browser_that_sleeps() -> None:
    two = audience({LEFT: 15.0}, {RIGHT: 15.0})
    two.browsers[0].backlog.ask(0.0)
    assert two.demand(ASLEEP_S) == {LEFT: 15.0, RIGHT: 15.0}
    assert two.demand(ASLEEP_S + KEPT_S + 0.1) == {RIGHT: 15.0}
    two.browsers[0].backlog.answered("1")
    assert two.demand(ASLEEP_S + KEPT_S + 0.2) == {LEFT: 15.0, RIGHT: 15.0}


def test_image_is_converted_once_for_all_browsers_and_again_for_the_next_frame() -> None:
    made, calls = Conversions(), []

    def make() -> bytes:
        calls.append(1)
        return b"jpeg"

    for version in (1, 1, 2, 2):
        assert made.get((LEFT, 640), version, make) == b"jpeg"
    assert len(calls) == 2
    made.get((LEFT, 320), 2, make)
    assert len(calls) == 3
    made.keep(lambda what: what[1] == 320)
    made.get((LEFT, 320), 2, make)
    assert len(calls) == 3
    made.get((LEFT, 640), 2, make)
    assert len(calls) == 4


# -- what one browser has already


def test_browser_takes_each_version_once() -> None:
    browser = Browser()
    taken = [browser.takes(LEFT, version, now_s) for version, now_s in ((1, 0.0), (1, 1), (2, 2))]
    assert taken == [True, False, True]
    assert browser.takes(RIGHT, 2, 2.0)


def test_browser_takes_at_most_the_rate_that_is_asked_for_and_that_it_can_follow() -> None:
    browser = Browser()
    frames = [(number, number / 30) for number in range(300)]
    assert 75 <= sum(browser.takes(CLOUD, n, now_s, 10.0) for n, now_s in frames) <= 101
    browser.pace.rate_hz = 2.0
    assert 19 <= sum(browser.takes(LEFT, n, now_s, 15.0) for n, now_s in frames) <= 28


def test_frames_that_come_unevenly_are_not_lost() -> None:
    browser = Browser()
    times = [number / 15 + (0.012 if number % 2 else 0.0) for number in range(60)]
    assert all(browser.takes(LEFT, number, now_s) for number, now_s in enumerate(times))


def test_what_is_shown_again_is_sent_again() -> None:
    browser = Browser()
    assert browser.takes(LEFT, 7, 0.0)
    assert browser.takes(RIGHT, 7, 0.0)
    browser.forget(keep=[LEFT])
    assert not browser.takes(LEFT, 7, 1.0)
    assert browser.takes(RIGHT, 7, 1.0)


def test_rate_of_each_image_is_counted_and_a_quiet_one_is_noticed() -> None:
    browser = Browser()
    assert math.isinf(browser.quiet_s(LEFT, 0.0))
    for number in range(20):
        browser.takes(LEFT, number, number / 10)
    assert browser.rates(2.0) == {LEFT: 10.0}
    assert browser.quiet_s(LEFT, 5.0) == pytest.approx(3.1)
    assert browser.rates(4.0) == {}


# -- how fast a browser follows


def test_backlog_is_the_age_of_the_oldest_update_that_is_not_drawn() -> None:
    backlog = Backlog()
    assert backlog.age_s(5.0) == 0
    first, second = backlog.ask(5.0), backlog.ask(6.0)
    assert backlog.age_s(7.0) == 2
    backlog.answered(first)
    assert backlog.age_s(7.0) == 1
    backlog.answered(second)
    assert backlog.age_s(7.0) == 0


def test_answer_counts_for_all_updates_before_it() -> None:
    backlog = Backlog()
    backlog.ask(0.0)
    backlog.answered("no such question")
    assert backlog.age_s(1.0) == 1
    backlog.answered(backlog.ask(1.0))
    assert backlog.age_s(2.0) == 0


def test_lost_answer_is_asked_for_again_and_hours_of_silence_keep_nothing() -> None:
    backlog = Backlog()
    assert not backlog.is_question_due(100.0)  # nothing is open
    backlog.ask(0.0)
    assert not backlog.is_question_due(0.9 * ASK_AGAIN_S)
    now_s = 0.0
    for _ in range(10_000):
        now_s += ASK_AGAIN_S
        assert backlog.is_question_due(now_s)
        last = backlog.ask(now_s)
    assert backlog.age_s(now_s) == now_s
    assert len(backlog._asked) <= 64
    backlog.answered(last)
    assert backlog.age_s(now_s) == 0


def follow(pace: Pace, capacity_hz: float, seconds: float) -> tuple[int, float]:
    """Updates of a browser that draws `capacity_hz` updates each second, and its longest delay."""
    backlog, sent, drawn_s, delay_s = Backlog(), 0, 0.0, 0.0
    open_keys: list[tuple[str, float]] = []
    browser = Browser(pace=pace)
    for number in range(round(seconds * 40)):
        now_s = number / 40
        while open_keys and open_keys[0][1] <= now_s:
            backlog.answered(open_keys.pop(0)[0])
        if pace.follows(now_s, backlog.lag_s(now_s)) and browser.takes(LEFT, number, now_s):
            sent += 1
            drawn_s = max(drawn_s, now_s) + 1 / capacity_hz
            open_keys.append((backlog.ask(now_s), drawn_s))
            delay_s = max(delay_s, drawn_s - now_s)
    return sent, delay_s


def test_quick_browser_gets_the_full_rate() -> None:
    pace = Pace()
    sent, delay_s = follow(pace, 100.0, 20.0)
    assert pace.rate_hz == IMAGE_HZ
    assert sent > 0.9 * 20 * IMAGE_HZ
    assert delay_s < 0.1


def test_single_open_update_is_no_lag() -> None:
    backlog = Backlog()
    backlog.ask(0.0)
    assert backlog.lag_s(3.0) == 0
    backlog.ask(1.0)
    assert backlog.lag_s(3.0) == 3


@pytest.mark.parametrize("capacity_hz", [8.0, 4.0, 1.5])
def test_slow_browser_gets_what_it_can_draw_and_never_falls_far_behind(capacity_hz: float) -> None:
    pace = Pace()
    sent, delay_s = follow(pace, capacity_hz, 60.0)
    assert 0.5 * capacity_hz * 60 < sent < 1.1 * capacity_hz * 60
    assert delay_s < LAG_S + (MOST_OPEN + 1) / capacity_hz


def test_rate_halves_while_it_lags_and_comes_back() -> None:
    pace, rates = Pace(), []
    for number in range(4000):
        pace.follows(number / 40, LAG_S + 0.1 if number < 200 else 0.0)
        if not rates or rates[-1] != pace.rate_hz:
            rates.append(pace.rate_hz)
    down = [IMAGE_HZ / 2**step for step in range(5)]
    assert rates == [*down, *reversed(down[:-1])]
    assert down[-1] == LEAST_HZ


def test_lagging_browser_gets_nothing_until_it_has_drawn() -> None:
    pace = Pace()
    assert pace.follows(0.0, LAG_S)
    assert not pace.follows(0.1, LAG_S + 0.01)
    assert pace.follows(0.2, 0.0)
    assert pace.rate_hz == IMAGE_HZ  # one late frame is no reason to slow down
    assert pace.follows(0.2 + RECOVER_S, 0.0)


# -- controls


EXPOSURE = Control("exposure_us", "camera", 8000, "Exposure.", "µs", 1, 33000)
SHARE = Control("share", "depth", 0.5, "A share.", "", 0.0, 1.0)
EFFECT = Control("effect", "camera", "off", "Effect.", choices=("off", "mono"))
STREAMS = Control("streams", "", ("left",), "Streams.", choices=("left", "right"))
AUTO = Control("auto", "camera", True, "Automatic.")
NAME = Control("name", "", "oak", "A name.")
ANGLE = Control("angle", "", 0, "Angle.", choices=("0", "180"))
ALL = (EXPOSURE, SHARE, EFFECT, STREAMS, AUTO, NAME, ANGLE)


def book(*, read_only: bool = False) -> ControlBook:
    made = ControlBook(read_only)
    made.update(ALL, 0.0)
    return made


def test_accepted_value_stays_while_the_source_is_slow_to_confirm_it() -> None:
    made = book()
    assert made.request("exposure_us", 9000, asker=4) is None
    assert made.value("exposure_us") == 9000
    assert made.take() == ("exposure_us", 9000)
    assert made.answered("exposure_us", "", 1.0) == ControlAnswer("exposure_us", 9000, "", 4)
    made.update(ALL, 1.1)  # still the old value
    assert made.value("exposure_us") == 9000
    made.update([replace(EXPOSURE, value=9000)], 1.2)
    made.update([replace(EXPOSURE, value=100)], 1.3)  # somebody else has changed it
    assert made.value("exposure_us") == 100


def test_value_that_the_source_never_confirms_gives_way() -> None:
    made = book()
    made.request("exposure_us", 9000)
    made.take()
    made.answered("exposure_us", "", 1.0)
    made.update(ALL, 1.0 + CONFIRM_S)
    assert made.value("exposure_us") == 8000


def test_refused_value_comes_with_its_reason_and_the_value_to_go_back_to() -> None:
    made = book()
    made.request("exposure_us", 13, asker=2)
    made.take()
    answer = made.answered("exposure_us", "not while it streams", 1.0)
    assert answer == ControlAnswer("exposure_us", 8000, "not while it streams", 2)
    assert made.value("exposure_us") == 8000


def test_dragged_slider_sends_the_newest_value_after_the_one_on_its_way() -> None:
    made = book()
    made.request("exposure_us", 1)
    assert made.take() == ("exposure_us", 1)
    for value in range(2, 50):
        made.request("exposure_us", value)
    assert made.take() is None  # the first is not answered yet
    made.request("share", 1)
    assert made.take() == ("share", 1.0)
    assert made.answered("exposure_us", "", 1.0).value == 49  # the slider does not jump back
    assert made.take() == ("exposure_us", 49)
    assert made.take() is None


def test_change_whose_control_vanishes_is_answered() -> None:
    made = book()
    made.request("exposure_us", 20)
    made.take()
    made.update([SHARE], 1.0)
    assert made.answered("exposure_us", "gone", 1.0).reason == "gone"
    unknown = made.request("exposure_us", 20)
    assert unknown is not None
    assert "does not exist" in unknown.reason


def test_read_only_page_changes_nothing() -> None:
    made = book(read_only=True)
    for control in ALL:
        answer = made.request(control.key, control.value)
        assert answer is not None
        assert "--read-only" in answer.reason
        assert answer.value == control.value
    assert made.take() is None


@pytest.mark.parametrize(
    ("control", "given", "clean"),
    [
        (EXPOSURE, 33000, 33000),
        (EXPOSURE, 20.0, 20),
        (SHARE, 1, 1.0),
        (EFFECT, "mono", "mono"),
        (STREAMS, ["right"], ("right",)),
        (STREAMS, (), ()),
        (AUTO, False, False),
        (NAME, "", ""),
        (ANGLE, "180", 180),
    ],
)
def test_value_gets_the_type_of_its_control(control: Control, given: Any, clean: Any) -> None:
    reason, value = checked(control, given)
    assert (reason, value, type(value)) == ("", clean, type(clean))


@pytest.mark.parametrize(
    ("control", "given", "words"),
    [
        (EXPOSURE, 33001, "33001 is not between 1 and 33000 µs"),
        (EXPOSURE, 0, "0 is not between 1 and 33000 µs"),
        (EXPOSURE, 1.5, "1.5 is no integer"),
        (EXPOSURE, True, "True is no integer"),
        (EXPOSURE, "7", "'7' is no integer"),
        (EXPOSURE, None, "None is no integer"),
        (EXPOSURE, 10**400, "no"),
        (SHARE, math.nan, "nan is no number"),
        (SHARE, math.inf, "inf is no number"),
        (SHARE, [0.5], "[0.5] is no number"),
        (EFFECT, "sepia", "'sepia' is not one of off, mono"),
        (EFFECT, 3, "3 is no text"),
        (EFFECT, ["off", "mono"], "is not one text"),
        (STREAMS, ["left", "x"], "'x' is not one of left, right"),
        (STREAMS, [1], "[1] is no text"),
        (AUTO, "yes", "'yes' is not true or false"),
        (AUTO, [], "[] is not true or false"),
        (NAME, {}, "{} is no text"),
        (ANGLE, "90", "'90' is no integer"),
    ],
)
def test_hostile_value_is_refused_whatever_the_page_offers(
    control: Control, given: Any, words: str
) -> None:
    made = book()
    answer = made.request(control.key, given)
    assert answer is not None
    assert words in answer.reason
    assert answer.value == control.value
    assert made.take() is None


def test_limits_are_written_with_their_unit() -> None:
    assert limits_text(EXPOSURE) == "between 1 and 33000 µs"
    assert limits_text(replace(EXPOSURE, high=None)) == "at least 1 µs"
    assert limits_text(replace(EXPOSURE, low=None)) == "at most 33000 µs"
    assert limits_text(EFFECT) == "one of off, mono"
    assert limits_text(NAME) == ""
