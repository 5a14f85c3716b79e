"""Counts every packet of a stream once: published, without subscriber, or lost at a stage.

The packet loop adds packets; the diagnostics timer reads rates, delays and counts.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ..config.compression import compression_of
from ..config.settings import (
    Settings,
    compressed_topics,
    stream_fps,
    stream_list,
    worker_outputs,
)
from ..rates import frame_spacing, longest_silence_s, packets_within
from ..streams import STREAMS

#: Where a packet can be lost, in the order of its way. Work beside the packet loop has stages of
#: its own, which begin with WORKER and come before "dds". Source: docs/diagnostics.md#losses
STAGES = ("device", "link", "loop", "dds")
WORKER = "worker."
#: What else becomes of a packet.
PUBLISHED, UNSUBSCRIBED = "published", "unsubscribed"
#: Frames that a slow network or a rate limit left out: not lost, but missing for a subscriber.
SKIPPED = "skipped"
_ARRIVED = (PUBLISHED, UNSUBSCRIBED)
#: Prefix of a stage in the keys of /diagnostics.
LOST_PREFIX = "lost_"

_NS_PER_S = 1_000_000_000
#: A rate below this share of the expected rate is a warning.
ENOUGH = 0.9
_WINDOW_S = 1.0
#: The window of a slow stream is longer, and holds this many frames.
_WINDOW_FRAMES = 5
_LONGEST_WINDOW_S = 86_400.0
#: Frames between two reports at 240 Hz, with the longest diagnostics.period_s.
_MOST_UNSEEN = 60 * 240


@dataclass(frozen=True, slots=True)
class StreamCounts:
    """What became of the packets of one stream.

    `by_fate` has a row for each stage, PUBLISHED, UNSUBSCRIBED and SKIPPED that occurred.
    """

    by_fate: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, values: Mapping[str, str]) -> StreamCounts:
        """From the keys and values in /diagnostics; what is no count of ours is left out."""
        rows = {key.removeprefix(LOST_PREFIX): value for key, value in values.items()}
        return cls(
            {
                fate: int(value)
                for fate, value in rows.items()
                if _is_fate(fate) and value.isascii() and value.isdecimal() and len(value) < 20
            }
        )

    def since(self, before: StreamCounts) -> StreamCounts:
        """The difference to earlier counts; all of these where the counts began anew."""
        if any(self.of(fate) < count for fate, count in before.by_fate.items()):
            return self
        return StreamCounts(Counter(self.by_fate) - Counter(before.by_fate))

    def __add__(self, other: StreamCounts) -> StreamCounts:
        return StreamCounts(Counter(self.by_fate) + Counter(other.by_fate))

    def of(self, fate: str) -> int:
        """Number of packets with this fate."""
        return self.by_fate.get(fate, 0)

    @property
    def lost(self) -> dict[str, int]:
        """Number of lost packets by stage, in the order of their way; each of STAGES has a row."""
        workers = sorted(fate for fate in self.by_fate if fate.startswith(WORKER))
        return {stage: self.of(stage) for stage in (*STAGES[:-1], *workers, STAGES[-1])}

    @property
    def lost_total(self) -> int:
        """Number of packets lost at any stage."""
        return sum(self.lost.values())

    @property
    def produced(self) -> int:
        """Number of packets that the device made: published, without subscriber, or lost."""
        return self.lost_total + self.of(PUBLISHED) + self.of(UNSUBSCRIBED)

    def values(self) -> dict[str, int]:
        """The keys and values in /diagnostics."""
        return {
            "produced": self.produced,
            **{f"{LOST_PREFIX}{stage}": count for stage, count in self.lost.items()},
            **{fate: self.of(fate) for fate in (PUBLISHED, UNSUBSCRIBED, SKIPPED)},
        }


def added_up(counts: Iterable[StreamCounts]) -> StreamCounts:
    """The counts of all streams together."""
    return sum(counts, StreamCounts())


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """Rates and delays of one stream, of the last window; `fps_min` is since its start.

    `is_settled` is false while the window is longer than the stream runs.
    """

    fps: float = 0.0
    gap_max_ms: float = 0.0
    latency_ms_mean: float = float("nan")
    latency_ms_max: float = float("nan")
    drops_percent: float = 0.0
    bytes_per_s: float = 0.0
    fps_min: float = 0.0
    silent_s: float = 0.0
    is_settled: bool = True


class Passage(NamedTuple):
    """One packet that the packet loop has finished.

    `sequence` is the camera's frame number (None: unknown), `serial` the number of the packet on
    its link. `fate` is PUBLISHED, UNSUBSCRIBED, SKIPPED (beyond its rate limit) or a stage.
    """

    sequence: int | None
    serial: int
    size: int
    received_ns: int
    latency_ns: int
    fate: str


class _Arrival(NamedTuple):
    received_ns: int
    gap_ns: int
    size: int
    missing: int  # frames and packets between the previous packet and this one
    is_lost: bool
    latency_ns: int


class StreamStats:
    """Collects the statistics of one stream. `expected_fps` 0 = no fixed rate.

    The camera's frame number advances with `camera_fps` even if the device sends only some of the
    frames. Frames lost before the link are gaps in it that are larger than the gap in the numbers
    of the packets on the link. Results of a network are not `steady`: a slow network skips frames,
    which are not lost. A stream `on_demand` is held until it has a subscriber.
    """

    def __init__(
        self,
        expected_fps: float,
        camera_fps: float,
        started_ns: int,
        *,
        steady: bool = True,
        on_demand: bool = False,
    ) -> None:
        self.is_held = on_demand
        self._on_demand = on_demand
        #: True if a missing frame number means a lost frame.
        self.is_steady = steady and expected_fps > 0.0
        self._spacing = frame_spacing(camera_fps, expected_fps) if expected_fps else 0.0
        self._source_fps = expected_fps
        self.limit(0.0)
        self._lock = threading.Lock()
        self._unseen: deque[Passage] = deque(maxlen=_MOST_UNSEEN)
        self._arrivals: deque[_Arrival] = deque()
        self._started_ns = self._last_ns = started_ns
        self._last: Passage | None = None  # since the stream was started or resumed
        self._fates: Counter[str] = Counter()
        self._missing: Counter[str] = Counter()  # frames that never came on the link
        self._fps_min = float("inf")
        self.without_color = 0  # clouds for which no colours were there

    def limit(self, max_fps: float) -> None:
        """Expect at most this rate, because the node leaves out the rest; 0 = no limit."""
        self.expected_fps = min(max_fps or self._source_fps, self._source_fps)
        frames_s = min(_WINDOW_FRAMES / (self.expected_fps or 30.0), _LONGEST_WINDOW_S)
        self._window_ns = int(_NS_PER_S * max(_WINDOW_S, frames_s))

    @property
    def is_unused(self) -> bool:
        """True if a stream on demand has not had a subscriber yet."""
        return self._on_demand and self.is_held and not self._fates

    def add(self, passage: Passage) -> None:
        """Add one packet. It is only counted and stored, to keep the packet loop fast."""
        self._fates[passage.fate] += 1
        self._unseen.append(passage)

    def hold(self, held: bool, now_ns: int) -> None:
        """Mark the stream as stopped on purpose, or as resumed; frames in between are not lost."""
        with self._lock:
            self._see()
            self.is_held = held
            if not held:  # after a stop, packets may still be on their way
                self._last = None
            self._started_ns = self._last_ns = now_ns

    def counts(self) -> StreamCounts:
        """What became of the packets that were added, and what was lost before the link."""
        with self._lock:
            self._see()
            return StreamCounts(self._missing + self._fates)

    def figures(self, now_ns: int) -> StreamFigures:
        """Rates and delays until now."""
        with self._lock:
            self._see()
            self._forget(now_ns)
            recent = tuple(self._arrivals)
            elapsed_s = min(now_ns - self._started_ns, self._window_ns) / _NS_PER_S
            fps = len(recent) / elapsed_s if elapsed_s > 0 else 0.0
            if not self.is_held and now_ns - self._started_ns > 2 * self._window_ns:
                self._fps_min = min(self._fps_min, fps)
            missing = sum(arrival.missing for arrival in recent)
            lost = missing + sum(arrival.is_lost for arrival in recent)
            return StreamFigures(
                fps=fps,
                gap_max_ms=max((arrival.gap_ns for arrival in recent), default=0) / 1e6,
                latency_ms_mean=_mean([arrival.latency_ns / 1e6 for arrival in recent]),
                latency_ms_max=max(
                    (arrival.latency_ns / 1e6 for arrival in recent), default=float("nan")
                ),
                drops_percent=100.0 * lost / max(1, missing + len(recent)),
                bytes_per_s=sum(arrival.size for arrival in recent) / max(elapsed_s, 1e-3),
                fps_min=min(self._fps_min, fps),
                silent_s=(now_ns - self._last_ns) / _NS_PER_S,
                is_settled=now_ns - self._started_ns >= self._window_ns,
            )

    def _see(self) -> None:
        """Evaluate the packets that were added since the last call."""
        while self._unseen:
            passage = self._unseen.popleft()
            missing, gap_ns = 0, 0
            if self._last is not None:
                frames = self._missing_frames(self._last, passage)
                self._missing["device" if self.is_steady else SKIPPED] += frames
                missing = passage.serial - self._last.serial - 1
                missing += frames if self.is_steady else 0
                gap_ns = passage.received_ns - self._last_ns
            if passage.fate == SKIPPED:
                self._last = passage
                continue
            self._arrivals.append(
                _Arrival(
                    passage.received_ns,
                    gap_ns,
                    passage.size,
                    missing,
                    passage.fate not in _ARRIVED,
                    passage.latency_ns,
                )
            )
            self._last_ns, self._last = passage.received_ns, passage

    def _missing_frames(self, last: Passage, passage: Passage) -> int:
        """Frames between two packets for which no packet came on the link."""
        if not self._spacing or passage.sequence is None or last.sequence is None:
            return 0
        frames = packets_within(passage.sequence - last.sequence, self._spacing)
        return max(0, frames - (passage.serial - last.serial))

    def _forget(self, now_ns: int) -> None:
        while self._arrivals and self._arrivals[0].received_ns < now_ns - self._window_ns:
            self._arrivals.popleft()


def _is_fate(name: str) -> bool:
    return name in {*STAGES, *_ARRIVED, SKIPPED} or name.startswith(WORKER)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


def judged(
    stats: StreamStats, figures: StreamFigures, settings: Settings
) -> tuple[Literal["ok", "warn", "error"], str]:
    """Level of one stream in the diagnostics, and a sentence."""
    if stats.is_held:
        return "ok", "stopped: no subscribers"
    timeout_s = settings["diagnostics.stream_timeout_s"]
    if stats.expected_fps and figures.silent_s > longest_silence_s(timeout_s, stats.expected_fps):
        return "error", f"no frame for {figures.silent_s:.1f} s"
    if figures.drops_percent > settings["diagnostics.drops_warn_percent"]:
        return "warn", f"{figures.drops_percent:.0f} % of the frames were lost"
    if stats.is_steady and figures.is_settled and figures.fps < ENOUGH * stats.expected_fps:
        return "warn", f"{figures.fps:.1f} fps, expected {stats.expected_fps:g}"
    return "ok", f"{figures.fps:.1f} fps"


def make_stream_stats(
    settings: Settings,
    started_ns: int,
    outputs: Collection[str] = (),
    compressed: Collection[str] = (),
) -> dict[str, StreamStats]:
    """Statistics for each configured stream, for these outputs of the workers, and these topics.

    Compressed topics are counted while they have subscribers.
    """
    made, topics = worker_outputs(settings), compressed_topics(settings)
    sources = {stream: stream for stream in stream_list(settings)}
    sources |= {name: made[name][0] for name in outputs}
    sources |= {name: sources[topics[name].stream.made_from] for name in compressed}
    stream_stats = {}
    for name, source in sources.items():
        row = STREAMS[source]
        camera_fps = stream_fps(settings, row)
        limit = settings[f"stream.{source}.max_fps"] or camera_fps
        stream_stats[name] = StreamStats(
            min(limit, camera_fps),
            camera_fps,
            started_ns,
            steady=row.camera != "nn",
            on_demand=name in topics,
        )
    limit_rates(stream_stats, settings)
    return stream_stats


def limit_rates(stream_stats: Mapping[str, StreamStats], settings: Settings) -> None:
    """Expect compressed topics at the rates that the settings allow."""
    for name, row in compressed_topics(settings).items():
        if name in stream_stats:
            stream_stats[name].limit(compression_of(settings, row.image)["max_fps"])
