"""The pipeline of the Gen1 API: one packet queue for all streams."""

from __future__ import annotations

import os
import threading

from ..errors import LinkError
from .packets import DataPacket, DataPacketList
from .results import NNetPacket, NNetPacketList
from .streams import PacketSource
from .types import Opaque

#: Interval at which a blocking getter checks for a new packet source.
_WAIT_S = 1.0
#: Pause of a blocking getter while there is no source or the source has failed.
_REST_S = 0.1


class Feed:
    """The packets of a pipeline; their source can be replaced while a program waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._source: PacketSource | None = None
        self._is_over = False
        self._process = os.getpid()

    def switch(self, source: PacketSource | None) -> None:
        """Set the source of packets; None while the device is being reopened."""
        with self._changed:
            self._source = source
            self._changed.notify_all()

    def end(self) -> None:
        """End the feed; waiting getters return an empty list."""
        with self._changed:
            self._source = None
            self._is_over = True
            self._changed.notify_all()

    def dropped(self) -> dict[str, int]:
        """Wire stream -> packets dropped because the queue was full."""
        return self._source.pipeline.dropped() if self._source else {}

    def take(self, *, blocking: bool) -> list[DataPacket | NNetPacket]:
        """All queued packets; with `blocking` at least one, unless the feed ends."""
        if os.getpid() != self._process:  # forked child: only the parent reads the device
            return []
        while True:
            with self._changed:
                source = self._source
                if self._is_over or (source is None and not blocking):
                    return []
            packets = _take(source, blocking) if source else []
            if packets or not blocking:
                return packets
            with self._changed:
                if self._source is source and not self._is_over:
                    self._changed.wait(_REST_S)


def _take(source: PacketSource, blocking: bool) -> list[DataPacket | NNetPacket]:
    try:
        if blocking and not source.pipeline.wait(_WAIT_S):
            return []
        return source.take()
    except LinkError:  # the watchdog of the session reopens the device
        return []


class Pipeline(Opaque):
    """A name of the Gen1 module without instances; see `CNNPipeline`."""

    __slots__ = ()

    def get_available_data_packets(self, blocking: bool = False) -> DataPacketList:
        """See `CNNPipeline.get_available_data_packets`."""
        raise RuntimeError("depthai.Pipeline has no instances")


class CNNPipeline(Opaque):
    """The running streams of a device. They share one queue of 30 packets."""

    __slots__ = ("_feed",)
    _feed: Feed

    def get_available_data_packets(self, blocking: bool = False) -> DataPacketList:
        """Take all queued packets, oldest first; network results among them are discarded.

        With `blocking`, wait for at least one packet or network result; Ctrl-C ends the wait.
        Returns an empty list if the device is lost.
        """
        return self.get_available_nnet_and_data_packets(blocking)[1]

    def get_available_nnet_and_data_packets(
        self, blocking: bool = False
    ) -> tuple[NNetPacketList, DataPacketList]:
        """Take all queued packets, oldest first: a list of network results and one of the others.

        With `blocking`, wait for at least one packet; one of the lists may be empty.
        """
        results, packets = NNetPacketList(), DataPacketList()
        for packet in self._feed.take(blocking=bool(blocking)):
            if isinstance(packet, NNetPacket):
                results.append(packet)
            else:
                packets.append(packet)
        return results, packets


def make_pipeline(feed: Feed) -> CNNPipeline:
    """A `CNNPipeline` for a feed."""
    pipeline = CNNPipeline.__new__(CNNPipeline)
    pipeline._feed = feed
    return pipeline
