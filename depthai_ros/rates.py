"""Rates: which frames a stream with `max_fps` keeps, and how long a stream may be silent."""

from __future__ import annotations

import math

_NS_PER_S = 1_000_000_000
#: Packets that a stream catches up after missing frames; what was missed before is lost.
_MOST_OWED = 10
#: A quotient of two rates, such as 30 / 10, may be a little below the whole number.
_ROUNDING = 1e-6
#: A stream that misses fewer packets than this is not silent.
_SILENT_PACKETS = 3
#: Longest distance of two frames, in frames; a quotient of two rates may be infinite.
_MOST_FRAMES = float(1 << 53)


def frame_spacing(fps: float, max_fps: float) -> float:
    """Mean distance of two packets in frames of a camera with `fps`; 0 = no rate limit."""
    return max(1.0, min(fps / max_fps, _MOST_FRAMES)) if max_fps > 0 else 1.0


def packets_within(frames: int, spacing: float) -> int:
    """Packets that certainly belong to this number of consecutive frames, at this mean distance.

    A limiter that keeps 2 of 5 frames sends after 2 or 3 of them: 3 frames are one packet.
    """
    return math.floor(frames / spacing + _ROUNDING)


def longest_silence_s(least_s: float, *rates_hz: float) -> float:
    """How long streams of these rates may be silent: `least_s`, or 3 packets of the fastest."""
    fastest_hz = max(rates_hz, default=0.0)
    return max(least_s, _SILENT_PACKETS / fastest_hz) if fastest_hz > 0 else least_s


class RateLimiter:
    """Keeps as many frames of a camera with `fps` as belong to `max_fps`; 0 = all.

    Time is divided into periods of 1/max_fps. Each period keeps one frame, the first that is at
    most half a frame too early. If frames are missing, later ones take their place, up to
    `_MOST_OWED`: the mean rate is `max_fps` whenever the camera sends enough frames. The periods
    begin at `origin_ns`, or at the first frame; streams with one origin keep the same frames.
    """

    def __init__(self, fps: float, max_fps: float, origin_ns: int | None = None) -> None:
        self.max_fps = max_fps
        self.spacing = frame_spacing(fps, max_fps)
        self._frame_ns = max(1.0, _NS_PER_S / fps) if fps > 0 else 1.0
        self._origin_ns = origin_ns
        self._kept: int | None = None  # periods that have their frame, counted from the origin

    def restart(self) -> None:
        """Forget what was kept: the next frame is due."""
        self._kept = None

    def is_due(self, time_ns: int) -> bool:
        """True if `keeps` would keep the frame of this time."""
        return self._kept is None or not 0 < self._kept - self._periods(time_ns) <= 2

    def keeps(self, time_ns: int) -> bool:
        """True if the frame of this time is kept; it counts then. Call once for each frame."""
        if self.spacing <= 1.0:
            return True
        if self._origin_ns is None:
            self._origin_ns = time_ns
        periods = self._periods(time_ns)
        if self._kept is None or periods < self._kept - 2:  # the first, or the clock started again
            self._kept = math.floor(periods) + 1 + (periods % 1.0 >= 0.5)
            return True
        if periods < self._kept:
            return False
        self._kept = max(self._kept + 1, math.floor(periods) + 1 - _MOST_OWED)
        return True

    def _periods(self, time_ns: int) -> float:
        """Periods from the origin to a frame, counted from half a frame before."""
        assert self._origin_ns is not None
        return ((time_ns - self._origin_ns) / self._frame_ns + 0.5) / self.spacing
