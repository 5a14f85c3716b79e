"""Copies the counters of the running streams into the health report."""

from __future__ import annotations

import time

from rclpy.node import Node

from ..config.bandwidth import Plan
from ..device.clock import StampSource
from ..device.device import OpenDevice
from ..messages.diagnostics import ClockFacts, Health, LinkFacts
from .packet_loop import PacketLoop

_REJECTED_WARN_S = 10.0
_NS_PER_S = 1_000_000_000


class Counters:
    """The last counter values of one run of the streams."""

    def __init__(self, node: Node, health: Health, plan: Plan) -> None:
        self._node = node
        self._health = health
        self._plan = plan
        self._rejected: dict[str, int] = {}
        self._bytes = 0
        self._read_ns = 0

    def read(self, loop: PacketLoop, stamps: StampSource, device: OpenDevice) -> None:
        """Report the changes since the last call. Sends nothing to the device."""
        self._read_rejected(loop)
        self._read_link(device)
        self._health.queue_drops = loop.dropped()
        self._health.clock = ClockFacts(
            offset_s=stamps.offset_s,
            drift_ppm=stamps.drift_ppm,
            jumps=stamps.jumps,
            jitter_ms=stamps.jitter_ms,
        )

    def _read_rejected(self, loop: PacketLoop) -> None:
        rejected = loop.rejected()
        news = [
            f"{stream}: rejected {count} malformed packets; last error: {reason}"
            for stream, (count, reason) in rejected.items()
            if count > self._rejected.get(stream, 0)
        ]
        if news:
            self._node.get_logger().warning("; ".join(news), throttle_duration_sec=_REJECTED_WARN_S)
        self._rejected = {stream: count for stream, (count, _) in rejected.items()}
        self._health.rejected = self._rejected

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
