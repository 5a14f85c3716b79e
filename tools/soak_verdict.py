"""The samples of a soak test, the rows of its table, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: Resident memory may grow by this much.
LIMIT_MB_PER_H = 5.0
#: Memory is judged without the samples of the first minutes, which fill caches, and only over a
#: time in which a slope is more than noise.
WARM_UP_MIN = 10.0
LEAST_MIN = 15.0
#: State of the node -> what has to be the same in each sample of that state.
COUNTS = {
    "streaming": ("threads", "files"),
    "inactive": ("threads", "files", "buffers"),
}
STAGES = ("device", "link", "loop", "dds")


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: the node streams without other subscribers, then it is inactive.

    `counts` are by the states and names of COUNTS. `allocated` (buffers) and `lost` (messages by
    stage) are totals since the start of the node.
    """

    minutes: float
    actions: int
    counts: Mapping[str, Mapping[str, int]]
    resident_mb: float
    allocated: int
    lost: Mapping[str, int] = field(default_factory=dict)

    def row(self) -> str:
        """One line of the table."""
        counts = [self.counts[state][name] for state, names in COUNTS.items() for name in names]
        words = [f"{self.minutes:.1f}", self.actions, *counts, self.allocated]
        words += [f"{self.resident_mb:.1f}", *(self.lost.get(stage, "-") for stage in STAGES)]
        return _row([str(word) for word in words])


#: Width of each column of the table.
_WIDTHS = (7, 8, 11, 6, 11, 6, 8, 10, 9, 8, 6, 6, 6)


def _row(words: Sequence[str]) -> str:
    return "".join(word.rjust(width) for word, width in zip(words, _WIDTHS, strict=True))


def heading() -> str:
    """The two lines above the table."""
    names = [name for names in COUNTS.values() for name in names]
    groups = [
        "",
        "",
        "streaming",
        "",
        "inactive",
        "",
        "",
        "buffers",
        "resident",
        "lost",
        "",
        "",
        "",
    ]
    return f"{_row(groups)}\n{_row(['minute', 'actions', *names, 'allocated', 'MB', *STAGES])}"


def slope_mb_per_h(samples: Sequence[Sample]) -> float:
    """Growth of the resident memory, by least squares; at least two samples."""
    count = len(samples)
    mean_h = sum(sample.minutes for sample in samples) / 60 / count
    mean_mb = sum(sample.resident_mb for sample in samples) / count
    moments = [(sample.minutes / 60 - mean_h, sample.resident_mb - mean_mb) for sample in samples]
    return sum(h * mb for h, mb in moments) / sum(h * h for h, _ in moments)


@dataclass(frozen=True, slots=True)
class Judgement:
    """One line of the verdict."""

    name: str
    text: str
    is_good: bool = True

    def __str__(self) -> str:
        return f"{'ok' if self.is_good else 'FAILED':8}{self.name:22}{self.text}"


def _judged_count(samples: Sequence[Sample], state: str, name: str) -> Judgement:
    first, *others = [sample.counts[state][name] for sample in samples]
    other = [
        f"{count} at minute {sample.minutes:.1f}"
        for count, sample in zip(others, samples[1:], strict=True)
        if count != first
    ]
    what = f"{name}, {state}"
    if not others:
        return Judgement(what, f"{first}, measured once: not judged")
    if not other:
        return Judgement(what, f"{first} in all {len(samples)} samples")
    word = "grows: " if others[-1] > first else ""
    more = f" and {len(other) - 2} more" if len(other) > 2 else ""
    found = "; ".join(dict.fromkeys((other[0], other[-1])))
    return Judgement(what, f"{word}{first} at the start, {found}{more}", is_good=False)


def _judged_memory(samples: Sequence[Sample]) -> Judgement:
    later = [sample for sample in samples if sample.minutes >= WARM_UP_MIN]
    span_min = later[-1].minutes - later[0].minutes if later else 0.0
    if span_min < LEAST_MIN:
        text = f"not judged: that needs {WARM_UP_MIN + LEAST_MIN:g} minutes"
        return Judgement("resident memory", text)
    slope = slope_mb_per_h(later)
    is_good = slope <= LIMIT_MB_PER_H
    text = f"{slope:+.1f} MB/h over {len(later)} samples after {WARM_UP_MIN:g} minutes"
    text += f", limit {LIMIT_MB_PER_H:g}" if is_good else f": grows, limit {LIMIT_MB_PER_H:g}"
    return Judgement("resident memory", text, is_good)


def judge(samples: Sequence[Sample]) -> list[Judgement]:
    """The verdict about everything that may grow; empty without a sample."""
    if not samples:
        return []
    counts = [
        _judged_count(samples, state, name) for state, names in COUNTS.items() for name in names
    ]
    return [*counts, _judged_memory(samples)]
