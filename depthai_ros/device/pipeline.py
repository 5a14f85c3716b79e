"""The running pipeline of one device: checks its packets, returns them as frames."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..bounded import device_json
from ..config import NetworkConfig, Settings, mono_size, rgb_size
from ..config.bandwidth import planned_rates_hz
from ..errors import DecodeError, LinkError
from ..rates import longest_silence_s
from ..streams import STREAMS
from ..wire_formats import FRAME_FORMATS, FrameSizes, FrameTrailer, split_packet
from .documents import Layers

#: A running pipeline that sends no packet for this long is considered dead; slower ones later.
WATCHDOG_S = 5.0
#: Packets that `recent_frames()` takes at once. The others stay in the queue, which is bounded.
_BATCH = 16
#: A consumer is behind if a packet waited for _KEPT_S. It stays behind if that lasts _STANDING_S.
_KEPT_S, _STANDING_S = 0.25, 10.0


class _Device(Protocol):
    """The part of `OpenDevice` that a pipeline uses."""

    selector: str

    @property
    def is_connected(self) -> bool: ...

    def reset(self) -> None: ...

    def open_data(self, stream: str, queue: _core.PacketQueue) -> None: ...

    def close_data(self, stream: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Frame:
    """One valid packet.

    `data` is a writable view of the frame data at the start of `packet.buffer`, without the
    trailer. `received_ns` is the host's monotonic time at its last byte.
    """

    stream: str
    data: NDArray[np.uint8]
    metadata: FrameTrailer | None
    received_ns: int
    packet: _core.Packet


#: By stream: number of failures, and the last error.
Failures: TypeAlias = dict[str, tuple[int, str]]


def count_failure(failures: Failures, stream: str, cause: Exception | str) -> None:
    """Count one failure of a stream."""
    count, _ = failures.get(stream, (0, ""))
    failures[stream] = (count + 1, str(cause))


def watchdog_s(settings: Settings, streams: Collection[str]) -> float:
    """How long a pipeline may send no packet, s, if these wire streams are open."""
    rates_hz = planned_rates_hz(settings)
    return longest_silence_s(WATCHDOG_S, *(rates_hz[name] for name in streams))


class RunningPipeline:
    """The running streams of one device."""

    def __init__(
        self,
        device: _Device,
        queue: _core.PacketQueue,
        settings: Settings,
        network: NetworkConfig | None,
        streams: tuple[str, ...],
        layers: Layers,
    ) -> None:
        self.settings = settings
        self.network = network
        self.streams = streams
        self.input_layers = tuple(layers.inputs)
        self.output_layers = tuple(layers.outputs)
        self.first_outputs = layers.first_outputs
        self.nn_to_depth = layers.nn_to_depth
        self.sizes = FrameSizes(mono_size(settings), rgb_size(settings))
        if layers.input_chw is not None:
            self.sizes = replace(self.sizes, preview_chw=layers.input_chw)
        self._device = device
        self._queue = queue
        self._packet_bytes = layers.packet_bytes()
        self._rejected: Failures = {}
        self._open = set(streams)
        self.watchdog_s = watchdog_s(settings, streams)
        self._watched = any(STREAMS[name].pace == "exposure" for name in streams)
        self._last_packet_s = time.monotonic()
        self._caught_up_ns = time.monotonic_ns()

    @property
    def raw_layers(self) -> tuple[dict[str, Any], ...]:
        """Output layers that the device does not decode: of a second network, or a raw first."""
        decoded = self.network is not None and self.network.output_format == "detection"
        return self.output_layers[self.first_outputs if decoded else 0 :]

    def wait(self, timeout_s: float) -> bool:
        """True when frames are ready, False after the timeout or when the pipeline was stopped.

        Raises  LinkError when the link failed, or no packet arrived for `watchdog_s`
        """
        if self._queue.wait(timeout_s=timeout_s):
            self._last_packet_s = time.monotonic()
            return True
        self._caught_up_ns = time.monotonic_ns()
        silent_s = time.monotonic() - self._last_packet_s
        if self._watched and silent_s > self.watchdog_s and self._device.is_connected:
            raise LinkError(
                f"{self._device.selector}: no packet of any stream for {silent_s:.1f} s"
            )
        return False

    def recent_frames(self) -> list[Frame]:
        """The next ready frames in order of arrival, a few at a time: the rest waits in the queue.

        A consumer may be behind for a burst of other work, but not stay behind: after `_STANDING_S`
        the packets that wait longer than `_KEPT_S` are dropped, so that it gets new ones.
        """
        now_ns, packets = time.monotonic_ns(), self._queue.take(most=_BATCH)
        waited_s = (now_ns - packets[0].received_ns) / 1e9 if packets else 0.0
        if waited_s < _KEPT_S:
            self._caught_up_ns = now_ns
        elif now_ns - self._caught_up_ns > _STANDING_S * 1e9:
            self._queue.drop_before(received_ns=now_ns - round(_KEPT_S * 1e9))
        return self._valid(packets)

    def frames(self) -> list[Frame]:
        """All ready frames in order of arrival; malformed packets are only counted."""
        return self._valid(self._queue.take())

    def _valid(self, packets: list[_core.Packet]) -> list[Frame]:
        frames = []
        for packet in packets:
            try:
                frames.append(self._read(packet))
            except DecodeError as cause:
                count_failure(self._rejected, packet.stream, cause)
        return frames

    def _read(self, packet: _core.Packet) -> Frame:
        row = STREAMS[packet.stream]
        most = self._packet_bytes.get(row.name, row.max_packet_bytes)
        if len(packet) > most:
            raise DecodeError(f"packet has {len(packet)} bytes, at most {most}")
        data, metadata = split_packet(np.frombuffer(memoryview(packet.buffer), np.uint8))
        if row.layout in FRAME_FORMATS:
            if metadata is None:
                raise DecodeError(f"packet of {len(packet)} bytes has no frame trailer")
            self.sizes.as_image(data, row.layout)
        elif row.layout == "json":
            device_json(data, what=row.name, max_bytes=row.max_packet_bytes)
        return Frame(packet.stream, data, metadata, packet.received_ns, packet)

    def pause(self, stream: str) -> None:
        """Close a stream while the others continue; packets on their way still arrive.

        Raises  LinkError
        """
        self._device.close_data(stream)
        self._open.discard(stream)
        self.watchdog_s = watchdog_s(self.settings, self._open)

    def resume(self, stream: str) -> None:
        """Open a stream again. Raises LinkError."""
        self._device.open_data(stream, self._queue)
        self._open.add(stream)
        self.watchdog_s = watchdog_s(self.settings, self._open)

    def rejected(self) -> Failures:
        """By stream: number of malformed packets so far, and the last error."""
        return dict(self._rejected)

    def dropped(self) -> dict[str, int]:
        """By stream: packets that the full queue dropped."""
        return self._queue.dropped()

    def fileno(self) -> int:
        """Readable while frames are ready (for select)."""
        return self._queue.fileno()

    def stop(self) -> None:
        """End every `wait()`; the device continues until `close()`."""
        self._queue.close()

    def close(self) -> None:
        """Stop, reset the device, which runs one pipeline per boot, and drop what was not read."""
        self.stop()
        self._device.reset()
        self._queue.take()
