"""Turns device time stamps into ROS time stamps.

    device clock --DeviceClock--> host's monotonic clock --HostClock--> ROS time

The only information about the device's clock is the arrival of its packets. A packet cannot arrive
before it was captured, and some packets are hardly delayed: the smallest differences (arrival minus
device time) of the last seconds are the offset, and their growth is the drift.
"""

from __future__ import annotations

import statistics
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from itertools import islice

from ..wire_formats import FrameTrailer, in_ros_range

_NS_PER_S = 1_000_000_000
#: The smallest difference is stored for each span of this length.
_SPAN_NS = _NS_PER_S
#: Number of spans that the offset and the drift are computed from.
_OFFSET_SPANS, _DRIFT_SPANS = 10, 60
#: Drift is the slope between two spans this far apart; it is 0 until there are this many spans.
_SLOPE_SPANS, _FEWEST_SPANS = 10, 20
#: Limit of the drift; any quartz is far better.
_MAX_DRIFT = 1000e-6
#: Growth limit of the offset: the distance of two stamps is at least 90 % of the true one.
_MAX_SLEW = 0.1
#: A larger step is no delay: the device's clock was set, or the device restarted.
_JUMP_NS = 50_000_000
#: How far device time may go back within one stream, and between streams of different latency.
_FALL_BACK_NS, _MIXED_FALL_BACK_NS = 200_000_000, 2 * _NS_PER_S
#: Smoothing factor of the delay's mean and deviation.
_SMOOTHING = 1 / 64


class ClockEstimator:
    """Estimates the device's clock from the arrival of its packets."""

    def __init__(self) -> None:
        self.jumps = 0
        self.restart()

    def restart(self) -> None:
        """Discard the estimate, because the device's clock started again."""
        self._newest_ns: dict[str, int] = {}
        self._span = 0
        self._least: deque[tuple[int, int]] = deque(maxlen=_DRIFT_SPANS)  # (device time, offset)
        self._drift = 0.0
        self._offset_ns = 0
        self._at_ns = 0  # device time that the offset belongs to
        self._received_ns = 0
        self._delay_ns = 0.0
        self._jitter_ns = 0.0

    def update(self, device_ns: int, received_ns: int, stream: str = "") -> None:
        """Use one packet for the estimate.

        `received_ns` is the host's monotonic clock and does not decrease. Streams have different
        delays: a backward step is detected sooner if `stream` is given.
        """
        allowed_ns = _FALL_BACK_NS if stream else _MIXED_FALL_BACK_NS
        offset_ns = received_ns - device_ns
        fell_back = device_ns < self._newest_ns.get(stream, device_ns) - allowed_ns
        if fell_back or self._leaps_ahead(device_ns, offset_ns):
            self.jumps += 1
            self.restart()
        self._newest_ns[stream] = max(device_ns, self._newest_ns.get(stream, device_ns))
        self._remember(device_ns, offset_ns, received_ns // _SPAN_NS)
        self._follow(device_ns, received_ns)
        self._measure_delay(received_ns - self.to_host_ns(device_ns))

    def _leaps_ahead(self, device_ns: int, offset_ns: int) -> bool:
        """True if device time stepped ahead: the offset is far below all earlier ones.

        Not in the first seconds, when all packets so far may have been delayed.
        """
        if len(self._least) < _OFFSET_SPANS or offset_ns > self._offset_ns - _JUMP_NS:
            return False
        return offset_ns < self._least_offset_ns(device_ns, _DRIFT_SPANS) - _JUMP_NS

    def _remember(self, device_ns: int, offset_ns: int, span: int) -> None:
        """Store the smallest difference of each span."""
        if self._least and span == self._span:
            if offset_ns < self._least[-1][1]:
                self._least[-1] = (device_ns, offset_ns)
            return
        self._drift = self._measured_drift()
        self._span = span
        self._least.append((device_ns, offset_ns))

    def _measured_drift(self) -> float:
        """Median slope, which single late spans or a small step do not change."""
        if len(self._least) < _FEWEST_SPANS:
            return 0.0
        late = list(self._least)[_SLOPE_SPANS:]
        slopes = [
            (late_offset_ns - offset_ns) / (late_ns - ns)
            for (ns, offset_ns), (late_ns, late_offset_ns) in zip(self._least, late, strict=False)
            if late_ns > ns
        ]
        return max(-_MAX_DRIFT, min(_MAX_DRIFT, statistics.median(slopes or [0.0])))

    def _least_offset_ns(self, device_ns: int, spans: int) -> int:
        """Smallest difference of the last spans, extrapolated to this device time by the drift."""
        recent = islice(reversed(self._least), spans)
        return min(offset_ns + round(self._drift * (device_ns - ns)) for ns, offset_ns in recent)

    def _follow(self, device_ns: int, received_ns: int) -> None:
        """Update the offset: down at once, as no packet arrives before its capture; up slowly."""
        least_ns = self._least_offset_ns(device_ns, _OFFSET_SPANS)
        target_ns = min(received_ns - device_ns, least_ns)
        if self._received_ns:
            known_ns = self._offset_ns + round(self._drift * (device_ns - self._at_ns))
            elapsed_ns = received_ns - self._received_ns
            target_ns = min(target_ns, known_ns + round(_MAX_SLEW * elapsed_ns))
        self._offset_ns, self._at_ns, self._received_ns = target_ns, device_ns, received_ns

    def _measure_delay(self, delay_ns: int) -> None:
        self._jitter_ns += (abs(delay_ns - self._delay_ns) - self._jitter_ns) * _SMOOTHING
        self._delay_ns += (delay_ns - self._delay_ns) * _SMOOTHING

    def to_host_ns(self, device_ns: int) -> int:
        """The host's monotonic time at the device time `device_ns`."""
        return device_ns + self._offset_ns + round(self._drift * (device_ns - self._at_ns))

    @property
    def offset_ns(self) -> int:
        """Host's monotonic clock minus device clock, at the last packet."""
        return self._offset_ns

    @property
    def drift_ppm(self) -> float:
        """How much faster the host's clock is than the device's; 0 in the first seconds."""
        return self._drift * 1e6

    @property
    def delay_ns(self) -> float:
        """Mean delay of packets compared with the fastest ones."""
        return self._delay_ns

    @property
    def jitter_ns(self) -> float:
        """Mean deviation of that delay."""
        return self._jitter_ns


class HostClock:
    """Maps the host's monotonic clock to ROS time, from readings of both."""

    def __init__(self) -> None:
        self.steps = 0
        self._offset_ns: int | None = None
        self._read_ns = 0

    def read(self, ros_ns: int, monotonic_ns: int) -> None:
        """Take a reading of both clocks. Small corrections are followed slowly, steps at once."""
        found_ns, known_ns = ros_ns - monotonic_ns, self._offset_ns
        if known_ns is None:
            self._offset_ns = found_ns
        elif abs(found_ns - known_ns) > _JUMP_NS:
            self.steps += 1
            self._offset_ns = found_ns
        else:
            # At most 1 % of the elapsed time: far more than NTP slews, but hardly visible.
            most_ns = (monotonic_ns - self._read_ns) // 100
            self._offset_ns = known_ns + max(-most_ns, min(most_ns, found_ns - known_ns))
        self._read_ns = monotonic_ns

    def is_due(self, monotonic_ns: int) -> bool:
        """True if the last reading is a second old, or there was none."""
        return self._offset_ns is None or monotonic_ns - self._read_ns >= _NS_PER_S

    def to_ros_ns(self, monotonic_ns: int) -> int:
        """ROS time at this monotonic time."""
        return monotonic_ns + (self._offset_ns or 0)


#: The mono cameras expose together; their device timestamps differ by about 25 us.
_CAMERA_GROUPS = {0: "rgb", 1: "mono", 2: "mono"}
_SAME_EXPOSURE_NS = 2_000_000
#: Least distance of two stamps, so that exposures that arrive late fit between them.
_LEAST_GAP_NS = 1000
#: Exposures stored per group; no stream is later than this.
_EXPOSURES = 256


class _Exposures:
    """Stamps of the last exposures of one camera group, in order of device time."""

    def __init__(self, floor_ns: int = 0) -> None:
        self._floor_ns = floor_ns  # no stamp below it
        self._device_ns: list[int] = []
        self._sequences: list[int] = []
        self._stamps_ns: list[int] = []

    @property
    def newest_ns(self) -> int:
        return self._stamps_ns[-1] if self._stamps_ns else self._floor_ns

    def stamp_ns(self, sequence: int, device_ns: int, estimate_ns: int) -> int:
        """The earlier stamp of this exposure, else `estimate_ns` limited by its neighbours."""
        place = bisect_left(self._device_ns, device_ns)
        for near in (place - 1, place):
            if (
                0 <= near < len(self._device_ns)
                and self._sequences[near] == sequence
                and abs(self._device_ns[near] - device_ns) < _SAME_EXPOSURE_NS
            ):
                return self._stamps_ns[near]
        before_ns = self._stamps_ns[place - 1] if place else self._floor_ns
        if place < len(self._stamps_ns):
            stamp_ns = max(min(estimate_ns, self._stamps_ns[place] - 1), before_ns + 1)
        else:
            stamp_ns = max(estimate_ns, before_ns + _LEAST_GAP_NS)
        self._insert(place, sequence, device_ns, stamp_ns)
        return stamp_ns

    def _insert(self, place: int, sequence: int, device_ns: int, stamp_ns: int) -> None:
        self._device_ns.insert(place, device_ns)
        self._sequences.insert(place, sequence)
        self._stamps_ns.insert(place, stamp_ns)
        if len(self._stamps_ns) > _EXPOSURES:
            self._floor_ns = self._stamps_ns[0]
            del self._device_ns[0], self._sequences[0], self._stamps_ns[0]


def system_clocks() -> tuple[int, int]:
    """(ROS time, monotonic time), ns, without simulated time."""
    return time.time_ns(), time.monotonic_ns()


class StampSource:
    """Computes the stamps of packets, ns of ROS time.

    Packets of one exposure (camera group and sequence) get identical stamps. Stamps of a group
    increase, also over a restart of the device. They go back only if the host's clock is set back
    by more than 50 ms.
    """

    def __init__(
        self,
        *,
        offset_ms: float = 0.0,
        read_clocks: Callable[[], tuple[int, int]] = system_clocks,
    ) -> None:
        self._added_ns = round(offset_ms * 1e6)
        self._read_clocks = read_clocks
        self._device = ClockEstimator()
        self._host = HostClock()
        self._groups: dict[str, _Exposures] = {}
        self._last_ns: dict[str, int] = {}  # of packets without metadata, by stream

    def device_restarted(self) -> None:
        """Restart the estimate, because the device's clock did; stamps still increase."""
        self._device.restart()
        self._groups = {name: _Exposures(group.newest_ns) for name, group in self._groups.items()}

    def stamp_ns(self, metadata: FrameTrailer | None, received_ns: int, stream: str = "") -> int:
        """Stamp of a packet that arrived at `received_ns` of the monotonic clock."""
        self._read_host_clock(received_ns)
        if metadata is None:
            return self._stamp_by_arrival_ns(received_ns, stream)
        jumps = self._device.jumps
        self._device.update(metadata.timestamp_ns, received_ns, stream)
        if self._device.jumps != jumps:
            self._groups = {
                name: _Exposures(group.newest_ns) for name, group in self._groups.items()
            }
        name = _CAMERA_GROUPS.get(metadata.camera, "other")
        group = self._groups.setdefault(name, _Exposures())
        host_ns = self._device.to_host_ns(metadata.timestamp_ns)
        return group.stamp_ns(metadata.sequence, metadata.timestamp_ns, self._ros_ns(host_ns))

    def _stamp_by_arrival_ns(self, received_ns: int, stream: str) -> int:
        """Without a device timestamp: the time of arrival minus the mean delay of packets."""
        estimate_ns = self._ros_ns(received_ns - round(self._device.delay_ns))
        stamp_ns = max(estimate_ns, self._last_ns.get(stream, 0) + 1)
        self._last_ns[stream] = stamp_ns
        return stamp_ns

    def _read_host_clock(self, received_ns: int) -> None:
        if not self._host.is_due(received_ns):
            return
        steps = self._host.steps
        self._host.read(*self._read_clocks())
        if self._host.steps != steps:
            self._groups.clear()
            self._last_ns.clear()

    def _ros_ns(self, host_ns: int) -> int:
        return in_ros_range(self._host.to_ros_ns(host_ns) + self._added_ns)

    @property
    def offset_s(self) -> float:
        """Host's monotonic clock minus device clock."""
        return self._device.offset_ns / _NS_PER_S

    @property
    def drift_ppm(self) -> float:
        """How much faster the host's clock is than the device's."""
        return self._device.drift_ppm

    @property
    def jitter_ms(self) -> float:
        """Mean deviation of the packets' delay."""
        return self._device.jitter_ns / 1e6

    @property
    def jumps(self) -> int:
        """Steps of the device's and of the host's clock so far."""
        return self._device.jumps + self._host.steps
