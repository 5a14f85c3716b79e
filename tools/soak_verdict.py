"""The samples of a soak test, the rows of its table, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

#: Memory may grow by this much.
LIMIT_MB_PER_H = 5.0
#: Memory is judged without the samples of the first minutes, in which the heap grows to the size
#: that it keeps, and only over a time in which a slope is more than noise.
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

    `counts` are by the states and names of COUNTS. `memory_mb` is resident, without pages of files.
    `allocated` (buffers) and `lost` (messages by stage) are totals since the start of the node.
    """

    minutes: float
    actions: int
    counts: Mapping[str, Mapping[str, int]]
    memory_mb: float
    allocated: int
    lost: Mapping[str, int] = field(default_factory=dict)

    def row(self) -> str:
        """One line of the table."""
        counts = [self.counts[state][name] for state, names in COUNTS.items() for name in names]
        lost = [self.lost.get(stage, "-") for stage in STAGES]
        memory = f"{self.memory_mb:.1f}"
        return _row([f"{self.minutes:.1f}", self.actions, *counts, self.allocated, memory, *lost])


#: Columns of the table: group, title, width.
_COLUMNS = (
    ("", "minute", 7),
    ("", "actions", 8),
    ("streaming", "threads", 11),
    ("", "files", 6),
    ("inactive", "threads", 11),
    ("", "files", 6),
    ("", "buffers", 8),
    ("buffers", "allocated", 10),
    ("memory", "MB", 8),
    ("lost", "device", 8),
    ("", "link", 6),
    ("", "loop", 6),
    ("", "dds", 6),
)


def _row(words: Iterable[object]) -> str:
    widths = [width for _, _, width in _COLUMNS]
    return "".join(str(word).rjust(width) for word, width in zip(words, widths, strict=True))


def heading() -> str:
    """The two lines above the table."""
    groups, titles, _ = zip(*_COLUMNS, strict=True)
    return f"{_row(groups)}\n{_row(titles)}"


def slope_mb_per_h(samples: Sequence[Sample]) -> float:
    """Growth of the memory, by least squares; at least two samples."""
    count = len(samples)
    mean_h = sum(sample.minutes for sample in samples) / 60 / count
    mean_mb = sum(sample.memory_mb for sample in samples) / count
    moments = [(sample.minutes / 60 - mean_h, sample.memory_mb - mean_mb) for sample in samples]
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
        return Judgement("memory", text)
    slope = slope_mb_per_h(later)
    is_good = slope <= LIMIT_MB_PER_H
    text = f"{slope:+.1f} MB/h over {len(later)} samples after {WARM_UP_MIN:g} minutes"
    text += f", limit {LIMIT_MB_PER_H:g}" if is_good else f": grows, limit {LIMIT_MB_PER_H:g}"
    return Judgement("memory", text, is_good)


def judge(samples: Sequence[Sample]) -> list[Judgement]:
    """The verdict about everything that may grow; empty without a sample."""
    if not samples:
        return []
    counts = [
        _judged_count(samples, state, name) for state, names in COUNTS.items() for name in names
    ]
    return [*counts, _judged_memory(samples)]
