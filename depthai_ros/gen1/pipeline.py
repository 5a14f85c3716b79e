"""The pipeline of the Gen1 API: one queue, from which programs take packets."""

from __future__ import annotations

import os
import threading

from ..errors import LinkError
from .packets import DataPacket, DataPacketList
from .results import NNetPacket, NNetPacketList
from .streams import PacketSource
from .types import Opaque

#: A blocking getter looks this often whether its pipeline was exchanged for a new one.
_WAIT_S = 1.0
#: For how long it rests when there is none, or the old one has just failed.
_REST_S = 0.1


class Feed:
    """Where a pipeline's packets come from; the source may be exchanged while programs wait."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._source: PacketSource | None = None
        self._is_over = False
        self._process = os.getpid()

    def switch(self, source: PacketSource | None) -> None:
        """Take packets from another source; None while there is none."""
        with self._changed:
            self._source = source
            self._changed.notify_all()

    def end(self) -> None:
        """No packets any more; whoever waits gets an empty list."""
        with self._changed:
            self._source = None
            self._is_over = True
            self._changed.notify_all()

    def dropped(self) -> dict[str, int]:
        """By stream on the wire: packets that nobody took in time."""
        return self._source.pipeline.dropped() if self._source else {}

    def take(self, *, blocking: bool) -> list[DataPacket | NNetPacket]:
        """Everything that waits; with `blocking` at least one packet, unless the feed is over."""
        if os.getpid() != self._process:  # a fork: the packets belong to the parent
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
    except LinkError:  # whoever watches the link will provide another source
        return []


class Pipeline(Opaque):
    """A name of the Gen1 module that nothing returns; see `CNNPipeline`."""

    __slots__ = ()

    def get_available_data_packets(self, blocking: bool = False) -> DataPacketList:
        """See `CNNPipeline.get_available_data_packets`."""
        raise RuntimeError("depthai.Pipeline has no instances")


class CNNPipeline(Opaque):
    """The running streams of a device. All of them share one queue of 30 packets."""

    __slots__ = ("_feed",)
    _feed: Feed

    def get_available_data_packets(self, blocking: bool = False) -> DataPacketList:
        """Take all packets that wait, oldest first; network results among them are given up.

        With `blocking` waits until there is at least one packet; Ctrl-C ends the wait. Returns an
        empty list when the device is gone.
        """
        return self.get_available_nnet_and_data_packets(blocking)[1]

    def get_available_nnet_and_data_packets(
        self, blocking: bool = False
    ) -> tuple[NNetPacketList, DataPacketList]:
        """Take all packets that wait: network results, and all others; oldest first.

        With `blocking` waits until there is at least one packet; one of the lists may be empty.
        """
        results, packets = NNetPacketList(), DataPacketList()
        for packet in self._feed.take(blocking=bool(blocking)):
            if isinstance(packet, NNetPacket):
                results.append(packet)
            else:
                packets.append(packet)
        return results, packets


def make_pipeline(feed: Feed) -> CNNPipeline:
    """The face of a feed."""
    pipeline = CNNPipeline.__new__(CNNPipeline)
    pipeline._feed = feed
    return pipeline
