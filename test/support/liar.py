"""A device that follows the session and sends small valid packets, except for one lie at a time.

It speaks docs/wire_format.md with `struct` (see raw_xlink), not with our core. Threads of the test
process serve it; `Liar.tell()` begins a lie and `Liar.be_honest()` ends it, also in a running
session. The lies are in lies.py.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from hostile_device import layer, text_of
from raw_xlink import ACK, CLOSE, CREATE, HEADER, NO_STREAM, RELEASE, RESET, WRITE, RawEnd

from depthai_ros import wire_formats
from depthai_ros.streams import RESET_COMMAND, STREAMS, WIRE_STREAMS

FPS = 20.0
MONO = (640, 400)
#: (channels, height, width) of the network's input.
PREVIEW = (3, 48, 64)
_DOCUMENT_WINDOW = 102_400
_PACKETS_IN_FLIGHT = 8
#: Streams that it sends, results after their images.
STREAMS_SENT = (
    "left",
    "depth",
    "previewout",
    "metaout",
    "object_tracker",
    "jpegout",
    "meta_d2h",
)


@dataclass(frozen=True)
class Lie:
    """One row of the table.

    at      what is changed: "config_d2h" or "outBlob" (`make(document)` is sent instead), a data
            stream (`make(payload)` instead of each packet), "request" (`make(session, request)`
            for each request of the host; True: it was answered), or "session" (`make(session)`
            is called once, while the streams run)
    ends    "refused": the session does not start; "lost": the running session ends; "rejected": the
            packets are counted as malformed; "ignored": the session goes on
    says    a part of the sentence in the log, "" = none
    stays   the session has to end before images flow again
    """

    name: str
    at: str
    make: Callable[..., Any]
    ends: Literal["refused", "lost", "rejected", "ignored"]
    says: str = ""
    stays: bool = False

    @property
    def is_at_start(self) -> bool:
        """True if only a new session can tell it."""
        return self.at in ("config_d2h", "outBlob", "request")


@dataclass(frozen=True)
class Request:
    """The header of a request of the host, or of its answer."""

    id: int
    kind: int
    name: str
    stream: int
    size: int
    flags: int


def board() -> dict[str, Any]:
    """A valid config_d2h."""
    return {
        "_cams": {"rgb": True, "left": True, "right": True},
        "_available_streams": list(WIRE_STREAMS),
        "_version": "liar",
        "_dev_version": "liar",
        "_mx_id": "14442C10D1LIAR0000",
        "eeprom": {
            "version": 3,
            "board_name": "BW1098OBC",
            "board_rev": "R0M0E0",
            "left_fov_deg": 71.86,
            "rgb_fov_deg": 68.7938,
            "left_to_right_distance_m": 0.075,
            "left_to_rgb_distance_m": 0.0375,
            "swap_left_and_right_cameras": False,
            "stereo_center_crop": False,
            "calib_old_H": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        },
    }


def network() -> dict[str, Any]:
    """A valid outBlob."""
    mapping = {"max_height": 400, "max_width": 640, "offset_x": 0, "offset_y": 0}
    return {
        "input_layers": [layer([1, *PREVIEW])],
        "output_layers": [layer([1, 1, 100, 7])],
        "metadata": {
            "satisfied_resources": 1,
            "number_of_shaves": 1,
            "number_of_cmx_slices": 1,
            "nn_to_depth": mapping,
        },
    }


_DOCUMENTS = {"config_d2h": board, "outBlob": network}


class Session(RawEnd):
    """One session of the liar, from the connection to its end."""

    def __init__(self, connection: socket.socket, liar: Liar) -> None:
        super().__init__(connection)
        self._liar = liar
        self.running: set[str] = set()  # data streams that both ends have opened
        self.unreleased: Counter[str] = Counter()
        self.refusals = 0  # of requests of the liar
        self.sequence = 0
        self._due_s = time.monotonic()

    def serve(self) -> None:
        """Serve the host until one end closes the connection."""
        while not self._liar.wants_end:
            wait_s = max(0.0, min(0.02, self._due_s - time.monotonic()))
            if select.select([self.sock], [], [], wait_s)[0]:
                self.step()
            if time.monotonic() >= self._due_s:
                self._due_s = time.monotonic() + 1.0 / FPS
                self._expose()

    def drain(self) -> None:
        """Read all messages that wait."""
        while select.select([self.sock], [], [], 0.0)[0]:
            self.step()

    # -- the host's messages

    def step(self) -> None:
        """Read one message and answer it."""
        raw = self.read_exactly(HEADER.size)
        event_id, kind, name, stream, size, flags = HEADER.unpack(raw)
        request = Request(event_id, kind, name.split(b"\0", 1)[0].decode(), stream, size, flags)
        payload = self.read_exactly(size) if kind == WRITE else b""
        lie = self._liar.lie
        if kind >= 8:
            self._answered(request)
        elif lie is not None and lie.at == "request" and lie.make(self, request):
            self._liar.told += 1
        else:
            self._requested(request, payload)

    def answer(self, request: Request, **changes: Any) -> None:
        """Answer a request as it should be, except for `changes`."""
        if request.kind == CREATE and request.name not in self.ids:
            taken = set(self.ids.values())
            self.ids[request.name] = next(n for n in range(1000) if n not in taken)
        stream = self.ids[request.name] if request.kind == CREATE else request.stream
        fields = {"kind": request.kind + 8, "name": request.name, "stream": stream}
        fields |= {"id": request.id, "size": request.size, "flags": ACK, **changes}
        keys = ("id", "kind", "name", "stream", "size", "flags")
        values = [fields[key] for key in keys]
        values[2] = values[2].encode()
        self._send(HEADER.pack(*values))

    def _requested(self, request: Request, payload: bytes) -> None:
        self.answer(request)
        if request.kind == CREATE:
            self._open(request.name)
        elif request.kind == WRITE:
            self.send(RELEASE, stream=request.stream, size=request.size)
        elif request.kind == RELEASE:
            self.unreleased[self._name(request.stream)] -= 1
        elif request.kind == CLOSE:
            self.running.discard(self._name(request.stream))
        if request.kind == RESET or payload == RESET_COMMAND:
            raise EOFError("the host has reset the device")

    def _name(self, stream: int) -> str:
        return next((name for name, number in self.ids.items() if number == stream), "")

    def _open(self, name: str) -> None:
        """Open the device's side of a stream that the host has opened."""
        if name in _DOCUMENTS:
            self.send(CREATE, name, NO_STREAM, _DOCUMENT_WINDOW)
        elif name in STREAMS:
            self.send(CREATE, name, NO_STREAM, STREAMS[name].window_bytes * _PACKETS_IN_FLIGHT)

    def _answered(self, answer: Request) -> None:
        """Send on a stream as soon as the host has answered."""
        self.refusals += not answer.flags & ACK
        if answer.kind != CREATE + 8 or not answer.flags & ACK or answer.name in self.running:
            return
        if answer.name not in _DOCUMENTS:
            self.ids[answer.name] = answer.stream
            if answer.name in STREAMS:
                self.running.add(answer.name)
            return
        document: Any = _DOCUMENTS[answer.name]()
        lie = self._liar.lie
        if lie is not None and lie.at == answer.name:
            document = lie.make(document)
            self._liar.told += 1
        self.write(answer.name, text_of(document))

    def write(self, stream: str, payload: Any) -> None:
        """Send one packet, whether there is credit or not."""
        self.unreleased[stream] += 1
        self.send(WRITE, stream=self.ids[stream], size=memoryview(payload).nbytes)
        self._send(payload)

    # -- packets

    def _expose(self) -> None:
        """Send one packet on each stream, and tell the lie of the session."""
        liar, lie = self._liar, self._liar.lie
        self.sequence += 1
        for stream in [name for name in STREAMS_SENT if name in self.running]:
            if self.unreleased[stream] < _PACKETS_IN_FLIGHT:
                payload = packet(stream, self.sequence, liar.epoch)
                if lie is not None and lie.at == stream:
                    payload = lie.make(payload)
                    liar.told += 1
                self.write(stream, payload)
        if lie is not None and lie.at == "session" and not liar.told and "left" in self.running:
            liar.told += 1
            lie.make(self)


def _trailer(stream: str, size: int, sequence: int) -> bytes:
    row = STREAMS[stream]
    width, height = {"mono8": MONO, "depth16": MONO, "planar8": PREVIEW[:0:-1]}.get(
        row.layout, (size, 1)
    )
    camera = "rgb" if row.camera == "nn" else row.camera
    return wire_formats.FrameTrailer(
        format=wire_formats.FRAME_FORMATS.get(row.layout, wire_formats.BITSTREAM_FORMAT),
        height=height,
        width=width,
        stride=width,
        bytes_per_pixel=size // (width * height),
        category=wire_formats.CATEGORY_REGULAR,
        camera=wire_formats.CAMERAS.index(camera),
        sequence=sequence,
        timestamp_ns=time.monotonic_ns(),
        frame_size=size,
    ).pack()


def detections(**fields: float) -> bytes:
    """A block with one detection."""
    rows = np.zeros(1, wire_formats.DETECTION)
    values = {"label": 15, "confidence": 0.9, "x_min": 0.1, "y_min": 0.1, "x_max": 0.4}
    values |= {"y_max": 0.4, "z_m": 1.0, **fields}
    for name, value in values.items():
        rows[name] = value
    return wire_formats.encode_detections(rows)


def tracklets(**fields: int) -> bytes:
    """A block with one tracklet."""
    rows = np.zeros(1, wire_formats.TRACKLET)
    for name, value in {"right": 20, "bottom": 20, "id": 1, "label": 15, **fields}.items():
        rows[name] = value
    return wire_formats.encode_tracklets(rows)


def report(**fields: Any) -> dict[str, Any]:
    """A document of meta_d2h."""
    temperature = {"css": 45.0, "mss": 44.0, "upa0": 46.0, "upa1": 45.5}
    return {"sensors": {"temperature": temperature}, **fields}


_CONTENTS: dict[str, Callable[[int], bytes]] = {
    "left": lambda epoch: bytes([epoch % 256]) * (MONO[0] * MONO[1]),
    "depth": lambda _epoch: bytes(2 * MONO[0] * MONO[1]),
    "metaout": lambda _epoch: detections(),
    "object_tracker": lambda _epoch: tracklets(),
    "previewout": lambda _epoch: bytes(int(np.prod(PREVIEW))),
    "jpegout": lambda _epoch: b"\xff\xd8" + bytes(60) + b"\xff\xd9",
}


def packet(stream: str, sequence: int, epoch: int) -> bytes:
    """One valid packet; every pixel of `left` is the number of the epoch."""
    if stream == "meta_d2h":
        return text_of(report())
    data = _CONTENTS[stream](epoch)
    return data + _trailer(stream, len(data), sequence)


class Liar:
    """Serves one session after another at a unix socket."""

    def __init__(self, path: Path) -> None:
        self.selector = f"unix:{path}"
        self.lie: Lie | None = None
        self.told = 0  # how often the device has told the present lie
        self.epoch = 0  # grows with each lie that ends
        self.wants_end = False  # of the present session
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(8)
        self._thread = threading.Thread(target=self._serve, name="liar")
        self._thread.start()

    def tell(self, lie: Lie) -> None:
        """Begin a lie, in the next session if only that can tell it."""
        self.told, self.lie = 0, lie
        self.wants_end = lie.is_at_start

    def be_honest(self) -> None:
        """End the lie; images of the new epoch follow."""
        lie, self.lie = self.lie, None
        self.epoch += 1
        if lie is not None and (lie.stays or (lie.is_at_start and lie.ends == "ignored")):
            self.wants_end = True

    def close(self) -> None:
        """End the session and the thread."""
        self.wants_end = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(15)
        self._listener.close()
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:  # close()
                return
            self.wants_end = False
            with connection, suppress(EOFError, OSError):
                Session(connection, self).serve()


@contextmanager
def liar_at(path: Path) -> Iterator[Liar]:
    """A liar at this unix socket."""
    liar = Liar(path)
    try:
        yield liar
    finally:
        liar.close()
