"""Copies the counters of the running streams into the health report."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rclpy.node import Node

from ..config.bandwidth import Plan
from ..device.clock import StampSource
from ..device.device import OpenDevice
from ..messages.diagnostics import ClockFacts, Health, LinkFacts
from .packet_loop import PacketLoop

_FAILED_WARN_S = 10.0
_REJECTED = "rejected {} malformed packets"
_REFUSED = "the middleware refused messages of {} packets"
_FAILED = "no message could be made of {} packets"
_NS_PER_S = 1_000_000_000


class Counters:
    """The last counter values of one run of the streams."""

    def __init__(self, node: Node, health: Health, plan: Plan) -> None:
        self._node = node
        self._health = health
        self._plan = plan
        self._failed: dict[str, Mapping[str, tuple[int, str]]] = {}
        self._bytes = 0
        self._read_ns = 0

    def read(self, loop: PacketLoop, stamps: StampSource, device: OpenDevice) -> None:
        """Report the changes since the last call. Sends nothing to the device."""
        loop.report_counts()
        rejected = loop.rejected()
        self._health.rejected = {stream: count for stream, (count, _) in rejected.items()}
        self._warn({_REJECTED: rejected, _REFUSED: loop.refused(), _FAILED: loop.failed()})
        self._read_link(device)
        self._health.clock = ClockFacts(
            offset_s=stamps.offset_s,
            drift_ppm=stamps.drift_ppm,
            jumps=stamps.jumps,
            jitter_ms=stamps.jitter_ms,
        )

    def _warn(self, failed: dict[str, Mapping[str, tuple[int, str]]]) -> None:
        """Log the failures since the last call: by sentence and stream, count and last error."""
        news = [
            f"{stream}: {sentence.format(count)}; last error: {reason}"
            for sentence, by_stream in failed.items()
            for stream, (count, reason) in by_stream.items()
            if count > self._failed.get(sentence, {}).get(stream, (0, ""))[0]
        ]
        if news:
            self._node.get_logger().warning("; ".join(news), throttle_duration_sec=_FAILED_WARN_S)
        self._failed = failed

    def _read_link(self, device: OpenDevice) -> None:
        now_ns, count = time.monotonic_ns(), device.link_counters()["bytes_in"]
        measured_mb_s = float("nan")
        if self._read_ns:
            elapsed_s = max(1, now_ns - self._read_ns) / _NS_PER_S
            measured_mb_s = (count - self._bytes) / 1e6 / elapsed_s
        self._bytes, self._read_ns = count, now_ns
        self._health.link = LinkFacts(
            planned_mb_s=self._plan.planned_mb_s,
            measured_mb_s=measured_mb_s,
            capacity_mb_s=self._plan.capacity_mb_s,
        )
