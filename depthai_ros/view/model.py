"""What each browser shows, how fast it follows, and which changes wait for an answer.

This part of the page knows neither viser nor ROS. Nothing here waits or locks: one thread owns all
of it. Times are seconds of any clock that only moves forward.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..bounded import is_number, is_whole, shown
from ..config.limits import Value, plain
from .source import READ_ONLY, Control

T = TypeVar("T")

#: Highest rates that a browser gets: of an image, a cloud, an image on a camera of the scene.
IMAGE_HZ, CLOUD_HZ, SMALL_HZ = 15.0, 10.0, 5.0
#: Lowest rate of a slow browser: four times halved.
LEAST_HZ = IMAGE_HZ / 16
#: A browser lags if two updates are not drawn yet, and the older one is as old as this.
LAG_S = 0.8
#: Open updates of a browser; more is a lag, however young they are.
MOST_OPEN = 4
#: Least time between two halvings.
HALVE_S = 1.0
#: A browser without a lag for this time gets twice the rate.
RECOVER_S = 3.0
#: A browser that has drawn nothing for this time is hidden or gone: nothing is received for it.
ASLEEP_S = 10.0
#: Time between questions to a browser that lags, which get no new update.
ASK_AGAIN_S = 1.0
#: Open questions that are remembered of one browser.
_MOST_QUESTIONS = 64
#: Share of a period after which the next update is in time: messages do not come evenly.
_EARLY = 0.75
#: What no browser shows any more is received a little longer: the page may only be loaded again.
KEPT_S = 1.0
#: Largest number of a control.
_LARGEST = 1e300
#: Time until the source has to confirm a value that it has accepted.
CONFIRM_S = 2.0


# -- one browser


@dataclass
class Backlog:
    """Updates that a browser has not drawn yet: each ends with a question, answered in order."""

    _asked: dict[str, float] = field(default_factory=dict)
    _number: int = 0
    _last_s: float = 0.0

    def ask(self, now_s: float) -> str:
        """A new question, to be sent behind an update."""
        self._number += 1
        self._last_s = now_s
        key = str(self._number)
        self._asked[key] = now_s
        while len(self._asked) > _MOST_QUESTIONS:
            del self._asked[list(self._asked)[1]]  # the oldest tells the age
        return key

    def answered(self, key: str) -> None:
        """The browser has answered: it has drawn this update and all before it."""
        if key in self._asked:
            for asked in list(self._asked):
                del self._asked[asked]
                if asked == key:
                    return

    def age_s(self, now_s: float) -> float:
        """Age of the oldest update that is not drawn yet; 0 if all are."""
        return now_s - next(iter(self._asked.values()), now_s)

    def lag_s(self, now_s: float) -> float:
        """The same, but 0 with a single open update: a slow browser gets the next one meanwhile.

        Infinite with more open updates than a browser may have.
        """
        count = len(self._asked)
        return self.age_s(now_s) if 1 < count <= MOST_OPEN else math.inf if count > 1 else 0.0

    def is_question_due(self, now_s: float) -> bool:
        """True if a question has to be asked again, because an answer may be lost."""
        return bool(self._asked) and now_s - self._last_s >= ASK_AGAIN_S


@dataclass
class Pace:
    """Rate of one browser's updates, which halves while it lags and doubles when it does not."""

    rate_hz: float = IMAGE_HZ
    _changed_s: float | None = None

    def follows(self, now_s: float, lag_s: float) -> bool:
        """True if the browser may get another update; `lag_s` is that of its backlog."""
        if self._changed_s is None:
            self._changed_s = now_s
        steady_s, lags = now_s - self._changed_s, lag_s > LAG_S
        if lags and steady_s >= HALVE_S:
            self.rate_hz, self._changed_s = max(self.rate_hz / 2, LEAST_HZ), now_s
        elif not lags and steady_s >= RECOVER_S:
            self.rate_hz, self._changed_s = min(self.rate_hz * 2, IMAGE_HZ), now_s
        return not lags


@dataclass
class Browser:
    """What one browser shows: name of a choice -> highest rate; and what it has already."""

    shown: dict[str, float] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    backlog: Backlog = field(default_factory=Backlog)
    _taken: dict[str, tuple[Hashable, float]] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _counted_s: float = 0.0

    def is_asleep(self, now_s: float) -> bool:
        """True if it has drawn nothing for a long time: a hidden tab, a lid that is closed."""
        return self.backlog.age_s(now_s) > ASLEEP_S

    def takes(self, what: str, version: Hashable, now_s: float, hz: float = math.inf) -> bool:
        """True, once for each version: the browser has to get this one, at most at this rate."""
        before, taken_s = self._taken.get(what, (None, -math.inf))
        if version == before or now_s - taken_s < _EARLY / min(hz, self.pace.rate_hz):
            return False
        self._taken[what] = version, now_s
        self._counts[what] = self._counts.get(what, 0) + 1
        return True

    def forget(self, keep: Iterable[str]) -> None:
        """Forget all but these: what is shown again later is sent again."""
        kept = set(keep)
        self._taken = {what: taken for what, taken in self._taken.items() if what in kept}

    def quiet_s(self, what: str, now_s: float) -> float:
        """Time since the last new version; infinite if there was none."""
        return now_s - self._taken.get(what, (None, -math.inf))[1]

    def rates(self, now_s: float) -> dict[str, float]:
        """Updates per second of each thing since the last call."""
        passed, self._counted_s = now_s - self._counted_s, now_s
        counts, self._counts = self._counts, {}
        return {what: count / passed for what, count in counts.items()} if passed > 0 else {}


# -- all browsers


class Audience:
    """All browsers, and what the source has to receive for them."""

    def __init__(self) -> None:
        self.browsers: dict[int, Browser] = {}
        self._wanted: dict[str, tuple[float, float]] = {}  # name -> rate, last time
        self._told: dict[str, float] = {}

    def demand(self, now_s: float) -> dict[str, float]:
        """Name -> rate in Hz: what the browsers show, each at the highest rate that one needs."""
        awake = [browser for browser in self.browsers.values() if not browser.is_asleep(now_s)]
        needed: dict[str, float] = {}
        for browser in awake:
            for name, hz in browser.shown.items():
                needed[name] = max(needed.get(name, 0.0), min(hz, browser.pace.rate_hz))
        kept = {n: entry for n, entry in self._wanted.items() if now_s - entry[1] < KEPT_S}
        self._wanted = kept | {name: (hz, now_s) for name, hz in needed.items()}
        return {name: hz for name, (hz, _) in sorted(self._wanted.items())}

    def new_demand(self, now_s: float) -> dict[str, float] | None:
        """The demand if it is another one than at the last call; None = the same."""
        demand = self.demand(now_s)
        if demand == self._told:
            return None
        self._told = demand
        return demand


class Conversions:
    """Images as browsers need them, each made once, whatever number of browsers takes it."""

    def __init__(self) -> None:
        self._made: dict[Hashable, tuple[Hashable, Any]] = {}

    def get(self, what: Hashable, version: Hashable, make: Callable[[], T]) -> T:
        """The result of `make` for this version; the one before is forgotten."""
        before = self._made.get(what)
        if before is None or before[0] != version:
            before = self._made[what] = version, make()
        result: T = before[1]
        return result

    def keep(self, wanted: Callable[[Any], bool]) -> None:
        """Forget all results whose `what` is not wanted."""
        self._made = {what: made for what, made in self._made.items() if wanted(what)}


# -- controls


@dataclass(frozen=True, slots=True)
class ControlAnswer:
    """What became of a change. `reason` is "" if it was accepted; `value` has to be shown now."""

    key: str
    value: Value
    reason: str
    asker: int | None  # the browser that asked


@dataclass
class _Change:
    value: Value
    asker: int | None


class ControlBook:
    """The value of each control: what the source says, and what waits for its answer."""

    def __init__(self, read_only: bool = False) -> None:
        self.read_only = read_only
        self._controls: dict[str, Control] = {}
        self._waiting: dict[str, _Change] = {}
        self._sent: dict[str, _Change] = {}
        self._accepted: dict[str, tuple[Value, float]] = {}  # value, end of its protection

    @property
    def controls(self) -> Mapping[str, Control]:
        """The controls of the source, by key."""
        return self._controls

    def update(self, controls: Iterable[Control], now_s: float) -> None:
        """Take what the source says now."""
        self._controls = {control.key: control for control in controls}
        self._accepted = {
            key: (value, end_s)
            for key, (value, end_s) in self._accepted.items()
            if key in self._controls and now_s < end_s and self._controls[key].value != value
        }

    def value(self, key: str) -> Value:
        """The value to show: the newest that was asked for, else the newest that is known."""
        for changes in (self._waiting, self._sent):
            if key in changes:
                return changes[key].value
        return self._accepted[key][0] if key in self._accepted else self._controls[key].value

    def request(self, key: str, value: object, asker: int | None = None) -> ControlAnswer | None:
        """Ask for a change; an answer comes at once if it is refused here.

        A newer value of the same control replaces one that still waits.
        """
        control = self._controls.get(key)
        if control is None:
            return ControlAnswer(key, "", f"{key} does not exist now", asker)
        reason, clean = checked(control, value)
        if self.read_only:
            reason = READ_ONLY
        if reason:
            return ControlAnswer(key, self.value(key), reason, asker)
        self._waiting[key] = _Change(clean, asker)
        return None

    def take(self) -> tuple[str, Value] | None:
        """The next change for the source; None if there is none, or if it would overtake one."""
        for key in self._waiting:
            if key not in self._sent:
                change = self._sent[key] = self._waiting.pop(key)
                return key, change.value
        return None

    def answered(self, key: str, reason: str, now_s: float) -> ControlAnswer:
        """The source has answered a change from `take`; "" = it is accepted."""
        change = self._sent.pop(key)
        if not reason:
            self._accepted[key] = change.value, now_s + CONFIRM_S
        value = self.value(key) if key in self._controls else change.value
        return ControlAnswer(key, value, reason, change.asker)


def checked(control: Control, value: object) -> tuple[str, Value]:
    """(why a value is refused or "", the value in the type of the control).

    A browser can send anything: limits and types of the elements are only a courtesy of the page.
    """
    old = control.value
    if isinstance(old, bool):
        return (f"{shown(value)} is not true or false", old) if value not in (True, False) else (
            "", bool(value)
        )  # fmt: skip
    if isinstance(old, (int, float)):
        return _checked_number(control, value)
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        return f"{shown(value)} is no text", old
    unknown = [text for text in texts if control.choices and text not in control.choices]
    if unknown:
        return f"{shown(unknown[0])} is not one of {', '.join(control.choices)}", old
    if isinstance(old, tuple):
        return "", tuple(texts)
    return ("", texts[0]) if len(texts) == 1 else (f"{shown(value)} is not one text", old)


def _checked_number(control: Control, value: object) -> tuple[str, Value]:
    whole = isinstance(control.value, int)
    if isinstance(value, str) and value in control.choices:
        value = float(value)
    if not is_number(value, -_LARGEST, _LARGEST) or (whole and value != int(value)):
        return f"{shown(value)} is no {'integer' if whole else 'number'}", control.value
    low = -math.inf if control.low is None else control.low
    high = math.inf if control.high is None else control.high
    if not low <= value <= high or (whole and not is_whole(int(value))):
        return f"{plain(value)} is not {limits_text(control)}", control.value
    return "", int(value) if whole else float(value)


def limits_text(control: Control) -> str:
    """The limits of a control as words; "" without limits."""
    unit = f" {control.unit}" if control.unit else ""
    low, high = control.low, control.high
    if control.choices:
        return f"one of {', '.join(control.choices)}"
    if low is not None and high is not None:
        return f"between {plain(low)} and {plain(high)}{unit}"
    if low is not None:
        return f"at least {plain(low)}{unit}"
    return f"at most {plain(high)}{unit}" if high is not None else ""
