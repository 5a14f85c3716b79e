"""The worker stage: makes derived outputs, and compresses images, beside the packet loop.

The packet loop hands packets over and never waits. Compression has threads of its own, so that
points and depth do not wait for it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from ..device.pipeline import Failures, count_failure
from ..errors import DecodeError, EncodeError
from ..messages.context import MessageContext
from ..messages.derived import CLOUD, DEPTH, FILTERS
from ..messages.images import StampedPacket
from ..messages.stream_stats import SKIPPED, UNSUBSCRIBED, WORKER
from ..streams import COLOR_STREAMS
from .lanes import Job, Lanes
from .publishers import NOTHING_SENT, Sent, StreamPublishers

#: Packets of the colour stream from which the nearest is chosen.
_MOST_COLORS = 3


class Workers:
    """The worker threads of one run of the streams; `on_lost` is called once if a bug ends them."""

    def __init__(
        self,
        context: MessageContext,
        publishers: StreamPublishers,
        on_lost: Callable[[Exception], None],
    ) -> None:
        self._context = context
        self._publishers = publishers
        settings = context.health.settings
        self._color_stream = COLOR_STREAMS[settings["points.color"]]
        self._patience_ns = round(settings["points.max_rgb_age_ms"] * 1e6)
        self._colors: deque[StampedPacket] = deque(maxlen=_MOST_COLORS)
        self._colors_lock = threading.Lock()
        self._newest_color_ns = 0
        self._failed: Failures = {}
        self._refused: Failures = {}
        self._stats = stats = context.health.stream_stats
        outputs = {FILTERS: DEPTH} if DEPTH in stats else {}
        outputs |= {name: name for name in publishers.outputs}
        self._makers = Lanes(
            {name: stats[counted] for name, counted in outputs.items()},
            self._made,
            on_lost,
            due_ns=self._due_ns,
            on_counted=self._pass_on_losses,
        )
        self._encoders = Lanes(
            {name: stats[name] for name in publishers.compressed},
            self._encoded,
            on_lost,
            thread="encoder",
        )
        self._makers.start()
        self._encoders.start()

    def stop(self) -> None:
        """End the threads. What still waits is lost."""
        self._makers.stop()
        self._encoders.stop()

    def failed(self) -> Failures:
        """By output: packets of which no message could be made, and the last error."""
        return dict(self._failed)

    def refused(self) -> Failures:
        """By output: packets of which the middleware refused a message, and the last error."""
        return dict(self._refused)

    # -- called by the packet loop

    def offer(self, packet: StampedPacket, sent: Sent, fate: str, *, is_filtering: bool) -> None:
        """Hand over a packet that the packet loop has finished, and what it has `sent` of it.

        `fate`: nothing is to be made of the packet, for this reason; "" = all that is needed.
        """
        stream = packet.stream.name
        if stream == DEPTH and is_filtering:
            is_needed = self._publishers.is_needed(DEPTH, only_filtered=True) or any(
                map(self._publishers.is_needed, self._publishers.worked_from(stream))
            )
            due = fate or ("" if is_needed else sent.fate)
            self._makers.add(FILTERS, Job(packet, due, sent=sent))
            self.compress(stream, packet, fate, filtered=False)
        else:
            self._offer_outputs(packet, fate)
            self.compress(stream, packet, fate)
        if stream == self._color_stream and not fate:
            self._keep_color(packet)

    def convert(self, name: str, packet: StampedPacket) -> None:
        """Convert the images of a stream that are to be compressed, before the pixels change.

        Raises  DecodeError if the packet does not have the size of its stream
        """
        for output in self._publishers.compressed_from(name):
            if self._publishers.is_heard(output) and self._publishers.is_due(output, packet):
                packet.converted(self._publishers.compressed[output].topic.encoding)

    def compress(
        self, name: str, packet: StampedPacket, fate: str = "", *, filtered: bool | None = None
    ) -> None:
        """Hand over the images of a stream or output to compression, if somebody listens."""
        for output in self._publishers.compressed_from(name, filtered=filtered):
            stats, is_heard = self._stats[output], self._publishers.is_heard(output)
            if stats.is_held == is_heard:
                stats.hold(not is_heard, time.monotonic_ns())
            if is_heard:
                is_due = self._publishers.is_due(output, packet)
                self._encoders.add(output, Job(packet, fate or ("" if is_due else SKIPPED)))

    def _keep_color(self, packet: StampedPacket) -> None:
        is_needed = self._publishers.is_heard(CLOUD)
        with self._colors_lock:
            if is_needed:
                self._colors.append(packet)
                self._newest_color_ns = packet.stamp_ns
            else:
                self._colors.clear()
                self._newest_color_ns = 0
        if is_needed:
            self._makers.wake()

    def _offer_outputs(self, packet: StampedPacket, fate: str = "") -> None:
        for name in self._publishers.worked_from(packet.stream.name):
            has_patience = name == CLOUD and bool(self._color_stream)
            due_ns = packet.received_ns + self._patience_ns if has_patience else 0
            is_needed = self._publishers.is_needed(name, packet)
            self._makers.add(name, Job(packet, fate or ("" if is_needed else UNSUBSCRIBED), due_ns))

    def _pass_on_losses(self, name: str, jobs: list[Job]) -> None:
        """What the filters lose is lost for everything behind them."""
        lost = WORKER + FILTERS
        for job in jobs:
            if name == FILTERS and job.fate == lost:
                self._offer_outputs(job.packet, lost)
                self.compress(DEPTH, job.packet, lost, filtered=True)

    # -- the threads

    def _due_ns(self, job: Job) -> int:
        """When to work on a packet: at once if the packet that it waits for has come."""
        return 0 if self._newest_color_ns >= job.packet.stamp_ns else job.due_ns

    def _made(self, name: str, job: Job) -> str:
        """Make the messages of one packet, and publish them; returns its fate."""
        publishers, context, packet = self._publishers, self._context, job.packet
        try:
            if name == FILTERS:
                packet = context.derived.filtered(packet)
                sent = publishers.send(DEPTH, context, packet, only_filtered=True)
                self._offer_outputs(packet)
                self.compress(DEPTH, packet, filtered=True)
            else:
                sent = self._output(name, packet)
        except DecodeError as cause:
            count_failure(self._failed, name, cause)
            return WORKER + name
        return self._fate(name, job.sent.plus(sent))

    def _fate(self, name: str, sent: Sent) -> str:
        if sent.refused:
            count_failure(self._refused, name, sent.refusal)
        return sent.fate

    def _output(self, name: str, packet: StampedPacket) -> Sent:
        if name == CLOUD and self._color_stream:
            packet = replace(packet, beside=self._color_of(packet))
        made = self._context.derived.made(name, packet)
        if made is None:
            return NOTHING_SENT
        sent = self._publishers.send(name, self._context, made)
        self.compress(name, made)
        return sent

    def _encoded(self, name: str, job: Job) -> str:
        """Compress one image, and publish it; returns its fate."""
        image = self._publishers.compressed[name].image
        try:
            job.counted = made = self._context.encoders.encoded(image, job.packet)
        except (DecodeError, EncodeError) as cause:
            count_failure(self._failed, name, cause)
            return WORKER + name
        return self._fate(name, self._publishers.send(name, self._context, made))

    def _color_of(self, packet: StampedPacket) -> StampedPacket | None:
        """The nearest packet of the colour stream; None, and counted, if it is too far away."""

        def distance_ns(color: StampedPacket) -> int:
            return abs(color.stamp_ns - packet.stamp_ns)

        with self._colors_lock:
            nearest = min(self._colors, key=distance_ns, default=None)
        aligned = self._color_stream != COLOR_STREAMS["rgb"]
        most_ns = 0 if aligned else self._patience_ns
        if nearest is None or distance_ns(nearest) > most_ns:
            self._stats[CLOUD].without_color += 1
            return None
        return nearest
