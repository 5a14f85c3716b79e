"""Makes the packets of the virtual device's data streams: frame data and trailer."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core, wire_formats
from ..streams import STREAMS, Stream
from .commands import CameraState
from .encoder import VideoEncoder, encode_jpeg
from .network import Network
from .scenes.source import SceneObject, Source
from .tracker import Tracker

#: The timestamp of right is later than that of left by this much, as on silicon.
RIGHT_DELAY_NS = 25_000
STILL_QUALITY = 95
#: Upper limit of the random matching costs; the default confidence threshold 200 keeps all pixels.
_MAX_COST = 200


@dataclass(frozen=True, slots=True)
class Exposure:
    """One exposure of a camera, or of the synchronous stereo pair."""

    sequence: int
    time_s: float  # scene time
    timestamp_ns: int  # device clock
    turn: int = 0  # index in `nn_cameras` of the camera that feeds the network


@dataclass(frozen=True, slots=True)
class FactorySettings:
    """The part of the pipeline's configuration that the factory uses."""

    mono_size: tuple[int, int]
    rgb_size: tuple[int, int]
    rgb_fps: float
    nn_cameras: tuple[str, ...]  # network input; two cameras alternate
    calc_dist_to_bb: bool
    padding_factor: float
    depth_limit_mm: int
    disparity_valid: bool
    nn_to_depth: dict[str, int]
    left_fov_deg: float
    baseline_m: float
    video_config: dict[str, Any] | None


Parts = Sequence[Any]


class PacketFactory:
    """One method for each kind of stream; `packet()` chooses it by `_MAKERS`."""

    def __init__(
        self,
        sources: Sequence[Source],
        settings: FactorySettings,
        network: Network | None,
        tracker: Tracker,
        state: CameraState,
    ) -> None:
        self._sources = sources  # one for each of nn_cameras; the first also renders other streams
        self._settings = settings
        self._network = network
        self._tracker = tracker
        self._state = state
        self._depth_table = wire_formats.disparity_to_depth_table(
            settings.mono_size[0], settings.left_fov_deg, settings.baseline_m
        )
        width, height = settings.mono_size
        self._depth = np.empty((height, width), np.uint16)
        costs = np.random.default_rng(7).integers(0, _MAX_COST, (height, width), np.uint8)
        self._costs = costs
        self._video: VideoEncoder | None = None
        self._encoding: deque[Exposure] = deque()  # of images whose packet is to come
        self._painted: dict[tuple[str, int], tuple[int, NDArray[Any]]] = {}
        self._detections: tuple[Any, NDArray[Any]] = (None, np.zeros(0, wire_formats.DETECTION))

    def warm_up(self, streams: Iterable[str]) -> None:
        """Render every image once, so that the first exposures are on time."""
        for stream in streams:
            if STREAMS[stream].layout in ("mono8", "planar8", "i420"):
                for source in self._sources[: self.turns(stream)]:
                    source.paint(_scene_image(STREAMS[stream]), 0.0, 0)

    def turns(self, stream: str) -> int:
        """Packets per exposure: one for each NN camera on network streams, else one."""
        return len(self._sources) if STREAMS[stream].camera == "nn" else 1

    def packet(self, stream: str, exposure: Exposure) -> Parts | None:
        """Parts of one packet (frame data, trailer); None if the stream has no data now."""
        row = STREAMS[stream]
        make = _MAKERS.get(row.content) or _MAKERS[row.layout]
        return make(self, stream, exposure)

    def _frame(
        self,
        stream: str,
        data: Any,
        size: tuple[int, int],
        exposure: Exposure,
        *,
        bytes_per_pixel: int = 1,
        category: int = wire_formats.CATEGORY_REGULAR,
    ) -> Parts:
        payload = memoryview(data).cast("B")
        row = STREAMS[stream]
        camera = self._nn_camera(exposure) if row.camera == "nn" else row.camera
        is_right = row.camera == "right" and row.content in ("raw", "rectified")
        delay_ns = RIGHT_DELAY_NS if is_right else 0
        trailer = wire_formats.FrameTrailer(
            format=wire_formats.FRAME_FORMATS.get(row.layout, wire_formats.BITSTREAM_FORMAT),
            height=size[1],
            width=size[0],
            stride=size[0] * (bytes_per_pixel if row.layout == "depth16" else 1),
            bytes_per_pixel=bytes_per_pixel,
            category=category,
            camera=wire_formats.CAMERAS.index(camera),
            sequence=exposure.sequence,
            timestamp_ns=exposure.timestamp_ns + delay_ns,
            frame_size=payload.nbytes,
        )
        return payload, trailer.pack()

    def _paint(self, stream: str, exposure: Exposure) -> NDArray[Any]:
        key = (stream, exposure.turn)
        sequence, image = self._painted.get(key, (None, None))
        if image is None or sequence != exposure.sequence:
            source = self._sources[exposure.turn]
            image = source.paint(stream, exposure.time_s, exposure.sequence)
            self._painted[key] = (exposure.sequence, image)
        return image

    def _nn_camera(self, exposure: Exposure) -> str:
        return self._settings.nn_cameras[exposure.turn].removeprefix("rectified_")

    def _exposed(self, camera: str, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        table = self._state.exposure_table(camera)
        return image if table is None else table[image]

    def mono(self, stream: str, exposure: Exposure) -> Parts:
        row = STREAMS[stream]
        image = self._exposed(row.camera, self._paint(_scene_image(row), exposure))
        return self._frame(stream, image, self._settings.mono_size, exposure)

    def _valid_disparity(self, exposure: Exposure) -> NDArray[np.uint8]:
        disparity = self._paint("disparity", exposure)
        threshold = self._state.disparity_confidence
        if threshold < _MAX_COST:
            return np.where(self._costs <= threshold, disparity, np.uint8(0))
        return disparity

    def disparity(self, stream: str, exposure: Exposure) -> Parts:
        width, height = self._settings.mono_size
        if self._settings.disparity_valid:
            image = self._valid_disparity(exposure)
        else:
            image = np.zeros((height, width), np.uint8)
        return self._frame(stream, image, (width, height), exposure)

    def depth(self, stream: str, exposure: Exposure) -> Parts:
        _core.map_table(
            source=self._valid_disparity(exposure),
            table=self._depth_table,
            destination=self._depth,
        )
        return self._frame(
            stream, self._depth, self._settings.mono_size, exposure, bytes_per_pixel=2
        )

    def _rgb(self, form: str, exposure: Exposure) -> NDArray[np.uint8]:
        """The rgb image at the commanded exposure; `form` is color (I420) or color_bgr."""
        image = self._paint(form, exposure)
        table = self._state.exposure_table("rgb")
        if table is None or form == "color_bgr":
            return self._exposed("rgb", image)
        width, height = self._settings.rgb_size
        image = image.copy()
        luma = image.reshape(-1)[: width * height]
        luma[:] = table[luma]
        return image

    def color(self, stream: str, exposure: Exposure) -> Parts:
        image = self._rgb("color", exposure)
        return self._frame(stream, image, self._settings.rgb_size, exposure)

    def preview(self, stream: str, exposure: Exposure) -> Parts:
        image = self._paint("previewout", exposure)
        image = self._exposed(self._nn_camera(exposure), image)
        _, height, width = image.shape
        return self._frame(stream, image, (width, height), exposure, bytes_per_pixel=3)

    def _detect(self, exposure: Exposure) -> NDArray[Any]:
        """Detections of one exposure; metaout and tracker share them."""
        if self._network is None or self._detections[0] == exposure:
            return self._detections[1]
        source = self._sources[exposure.turn]
        objects = source.objects(exposure.time_s, exposure.sequence)
        rows = np.zeros(len(objects), wire_formats.DETECTION)
        for row, thing in zip(rows, objects, strict=True):
            row["label"], row["confidence"] = thing.label, thing.confidence
            row["x_min"], row["y_min"], row["x_max"], row["y_max"] = thing.box
            if self._settings.calc_dist_to_bb:
                row["x_m"], row["y_m"], row["z_m"] = self._position(thing, exposure)
        selected = self._network.select(rows)[: wire_formats.MAX_DETECTIONS]
        self._detections = (exposure, selected)
        return selected

    def _position(self, thing: SceneObject, exposure: Exposure) -> tuple[float, float, float]:
        """Position from the scene, else from the mean depth in the middle of the box.

        Source  docs/virtual_device.md#distances
        """
        if all(np.isfinite(thing.position_m)):
            return thing.position_m
        mapping, shrink = self._settings.nn_to_depth, self._settings.padding_factor
        x_min, y_min, x_max, y_max = thing.box
        spans = ((x_min, x_max, "x", "width"), (y_min, y_max, "y", "height"))
        slices = []
        for low, high, axis, extent in spans:
            middle, half = (low + high) / 2, (high - low) / 2 * shrink
            offset, size = mapping[f"offset_{axis}"], mapping[f"max_{extent}"]
            first = max(0, int(offset + (middle - half) * size))
            slices.append(slice(first, max(first + 1, int(offset + (middle + half) * size))))
        columns, rows = slices
        region = self._depth_table[self._valid_disparity(exposure)[rows, columns]]
        measured = region[(region > 0) & (region <= self._settings.depth_limit_mm)]
        if measured.size == 0:
            return 0.0, 0.0, 0.0
        return self._back_project(rows, columns, float(measured.mean()) / 1000)

    def _back_project(self, rows: slice, columns: slice, z_m: float) -> tuple[float, float, float]:
        width, height = self._settings.mono_size
        focal_px = width / 2 / np.tan(np.radians(self._settings.left_fov_deg) / 2)
        x_px = (columns.start + columns.stop) / 2 - width / 2
        y_px = (rows.start + rows.stop) / 2 - height / 2
        return float(x_px * z_m / focal_px), float(y_px * z_m / focal_px), z_m

    def tensors(self, stream: str, exposure: Exposure) -> Parts | None:
        if self._network is None:
            return None
        payload = self._network.payload(self._detect(exposure), exposure.sequence)
        return self._frame(stream, payload, (len(payload), 1), exposure)

    def tracklets(self, stream: str, exposure: Exposure) -> Parts | None:
        if self._network is None or exposure.turn > 0:  # track in one camera only
            return None
        rows = self._tracker.update(self._detect(exposure), self._network.input_size)
        payload = wire_formats.encode_tracklets(rows)
        return self._frame(stream, payload, (len(payload), 1), exposure)

    def still(self, stream: str, exposure: Exposure) -> Parts | None:
        if not self._state.take_still_request():
            return None
        data = encode_jpeg(self._rgb("color_bgr", exposure), STILL_QUALITY)
        size = self._settings.rgb_size
        return self._frame(stream, data, size, exposure, category=wire_formats.CATEGORY_STILL)

    def video(self, stream: str, exposure: Exposure) -> Parts | None:
        """The next packet of the encoder, with the trailer of the image of the same number.

        With B frames packets come in decoding order, their trailers in the order of the images.
        """
        settings = self._settings
        if self._video is None:
            self._video = VideoEncoder(
                settings.rgb_size, settings.rgb_fps, settings.video_config or {}
            )
        image = self._rgb(self._video.image_form, exposure)
        data = self._video.encode(image, exposure.sequence)
        self._encoding.append(exposure)
        if not data:
            return None
        return self._frame(stream, data, settings.rgb_size, self._encoding.popleft())

    def report(self, stream: str, exposure: Exposure) -> Parts:
        """Temperatures and log lines: JSON text without a trailer."""
        warmth = 5 * (1 - np.exp(-exposure.time_s / 600))
        temperature = {
            name: round(base + warmth, 1)
            for name, base in (("css", 45.0), ("mss", 44.0), ("upa0", 46.0), ("upa1", 45.5))
        }
        document: dict[str, Any] = {"sensors": {"temperature": temperature}}
        logs = self._state.take_logs()
        if logs:
            document["logs"] = logs
        return (json.dumps(document).encode() + b"\0",)


#: Content of a stream (else its layout) -> method that makes its packets.
_MAKERS: dict[str, Callable[[PacketFactory, str, Exposure], Parts | None]] = {
    "disparity": PacketFactory.disparity,
    "still": PacketFactory.still,
    "video": PacketFactory.video,
    "mono8": PacketFactory.mono,
    "depth16": PacketFactory.depth,
    "i420": PacketFactory.color,
    "planar8": PacketFactory.preview,
    "tensors": PacketFactory.tensors,
    "tracklets": PacketFactory.tracklets,
    "json": PacketFactory.report,
}


def _scene_image(row: Stream) -> str:
    """Name of a stream's image for `Source.paint()`."""
    if row.layout == "mono8" and row.content != "disparity":
        return f"rectified_{row.camera}" if row.content == "rectified" else row.camera
    return {"i420": "color", "planar8": "previewout"}.get(row.layout, "disparity")
