"""Converts frames from the device to the packets of a Gen1 program.

The device sends the streams of `settings.wire_streams`. This module adds the streams that the host
derives from them, and older stream names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core, wire_formats
from ..calibration.board import board_geometry
from ..config.settings import derived_streams, host_rate_limit
from ..device.pipeline import Frame, RunningPipeline
from ..rates import RateLimiter
from ..streams import ALIASES, STREAMS
from .packets import Bytes, DataPacket, Reader, make_packet
from .results import NNetPacket, ResultReader, make_result

#: Length of the packet queue, all streams together.
CAPACITY = 30


def _colors(shape: tuple[int, ...]) -> Reader:
    table = wire_formats.disparity_color_table()

    def read(data: Bytes) -> NDArray[Any]:
        colors = np.empty((*shape, 3), np.uint8)
        _core.colorize(source=data.reshape(shape), table=table, destination=colors)
        return colors

    return read


def _through(table: NDArray[np.uint8], shape: tuple[int, ...], then: Reader) -> Reader:
    """A reader that converts depth to disparity by `table` and passes it to `then`."""

    def read(data: Bytes) -> NDArray[Any]:
        depth = data.view(np.uint16).reshape(shape)
        disparity = np.empty(shape, np.uint8)
        _core.map_table(source=depth, table=table, destination=disparity)
        return then(disparity)

    return read


@dataclass(slots=True)
class _Route:
    """Makes one packet from each frame of a wire stream.

    `read` makes the array. `bytes_per_pixel` is None if the metadata is unchanged. `limiter` drops
    frames that the device sends for another stream.
    """

    name: str
    read: Reader
    bytes_per_pixel: int | None = None
    limiter: RateLimiter | None = None

    def is_due(self, metadata: wire_formats.FrameTrailer | None) -> bool:
        """False if `max_fps` drops the frame."""
        if self.limiter is None or metadata is None:
            return True
        return self.limiter.keeps(metadata.timestamp_ns)

    def packet(self, frame: Frame) -> DataPacket:
        metadata = frame.metadata
        if self.bytes_per_pixel is None or metadata is None:
            return make_packet(self.name, frame.data, metadata, self.read, len(frame.data))
        size = metadata.width * metadata.height * self.bytes_per_pixel
        changed = replace(
            metadata,
            format=wire_formats.FRAME_FORMATS["mono8"],
            stride=metadata.width,
            bytes_per_pixel=self.bytes_per_pixel,
            frame_size=size,
        )
        return make_packet(self.name, frame.data, changed, self.read, size)


class PacketSource:
    """The packets of one running pipeline."""

    def __init__(
        self, pipeline: RunningPipeline, results: ResultReader, eeprom: Mapping[str, Any]
    ) -> None:
        self.pipeline = pipeline
        self._results = results
        self._routes = _routes(pipeline, eeprom)

    def take(self) -> list[DataPacket | NNetPacket]:
        """All queued packets, oldest first, at most CAPACITY."""
        packets: list[DataPacket | NNetPacket] = []
        for frame in self.pipeline.frames():
            if len(frame.data) > 0:
                packets += self._packets(frame)
        return packets[-CAPACITY:]

    def _packets(self, frame: Frame) -> Sequence[DataPacket | NNetPacket]:
        if frame.stream == "metaout":
            return [make_result(frame.data, frame.metadata, self._results)]
        routes = [route for route in self._routes[frame.stream] if route.is_due(frame.metadata)]
        return [route.packet(frame) for route in routes]


def _routes(pipeline: RunningPipeline, eeprom: Mapping[str, Any]) -> dict[str, list[_Route]]:
    """Wire stream -> routes of its frames, with the stream names of the configuration."""
    derived = derived_streams(pipeline.settings)
    routes = defaultdict(list)
    for asked in pipeline.settings["stream_list"]:
        name = ALIASES.get(asked, asked)
        source = derived.get(name, name)
        route = _route(asked, name, source, pipeline, eeprom)
        if limit := host_rate_limit(pipeline.settings, name):
            route.limiter = RateLimiter(pipeline.settings["camera.mono.fps"], limit)
        routes[source].append(route)
    return dict(routes)


def _route(
    asked: str, name: str, source: str, pipeline: RunningPipeline, eeprom: Mapping[str, Any]
) -> _Route:
    shape = pipeline.sizes.shape("mono8")
    if name == source:
        return _Route(asked, _reader(name, pipeline))
    read, size = (_colors(shape), 3) if STREAMS[name].made_from else (_same, 1)
    if source == "depth":
        read = _through(_disparity_of_depth(pipeline, eeprom), shape, read)
    return _Route(asked, read, size)


def _same(data: Bytes) -> NDArray[Any]:
    return data


def _reader(name: str, pipeline: RunningPipeline) -> Reader:
    layout = STREAMS[name].layout
    shaped = {"mono8", "depth16", *(["planar8"] if pipeline.input_layers else [])}
    if layout not in shaped:
        return np.copy
    return lambda data: pipeline.sizes.as_image(data, layout).copy()


def _disparity_of_depth(pipeline: RunningPipeline, eeprom: Mapping[str, Any]) -> NDArray[np.uint8]:
    board = board_geometry(eeprom, pipeline.settings)
    return wire_formats.depth_to_disparity_table(
        pipeline.sizes.mono[0], board.fov_deg, board.baseline_m
    )
