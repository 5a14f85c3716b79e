"""A proxy between a board and the virtual device that records the requests of the host.

It parses XLink by docs/wire_format.md and uses no code of the driver.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from pathlib import Path

HEADER = struct.Struct("<iI64sIII")
WRITE, RELEASE, CREATE, CLOSE, PING, RESET, CREATED = 0, 2, 3, 4, 5, 6, 11
KINDS = {WRITE: "write", CREATE: "create", CLOSE: "close", PING: "ping", RESET: "reset"}
CHUNK_BYTES = 1 << 20
DEADLINE_S = 20.0


@dataclass(frozen=True)
class Request:
    """One request of the host. `size` is that of the payload, or the requested window."""

    kind: str
    stream: str
    size: int
    payload: bytes = b""


@dataclass
class Recording:
    """Requests of a host between two boots of the board."""

    requests: list[Request] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)

    def payloads(self, stream: str) -> list[bytes]:
        """All packets that the host wrote to a stream."""
        return [r.payload for r in self.requests if (r.kind, r.stream) == ("write", stream)]

    def windows(self) -> dict[str, int]:
        """Streams in the order of their creation -> requested windows."""
        return {r.stream: r.size for r in self.requests if r.kind == "create"}


class Tap:
    """Listens for boards and forwards all messages in both directions."""

    def __init__(self, folder: Path, far_end: Path) -> None:
        self.socket = folder / "tap"
        self._far_end = far_end
        self.recordings: list[Recording] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.socket))
        self._listener.listen(1)
        self._start(self._serve)

    def _start(self, work: object, *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()
        return thread

    def _serve(self) -> None:
        while True:
            try:
                board = self._listener.accept()[0]
            except OSError:  # closed
                return
            recording = Recording()
            self.recordings.append(recording)
            self._start(self._join, board, recording)

    def _join(self, board: socket.socket, recording: Recording) -> None:
        with board, socket.socket(socket.AF_UNIX) as device:
            device.connect(str(self._far_end))
            back = self._start(pass_on, device, board, recording, False)
            pass_on(board, device, recording, True)
            back.join()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive()


def receive(source: socket.socket, view: memoryview) -> bool:
    """Fill the view; False if the peer closed the connection."""
    while len(view):
        count = source.recv_into(view)
        if not count:
            return False
        view = view[count:]
    return True


def pass_on(
    source: socket.socket, target: socket.socket, recording: Recording, is_host: bool
) -> None:
    """Forward messages of one direction until an end closes; then close both ends."""
    buffer = memoryview(bytearray(CHUNK_BYTES))
    try:
        while receive(source, buffer[: HEADER.size]):
            header = HEADER.unpack(buffer[: HEADER.size])
            is_recorded = is_host and header[1] in KINDS
            if not is_host and header[1] == CREATED:
                recording.names[header[3]] = text_of(header[2])
            target.sendall(buffer[: HEADER.size])
            payload = pass_payload(source, target, buffer, header[4] if header[1] == WRITE else 0)
            if is_recorded:
                recording.requests.append(request_of(header, payload, recording.names))
    except OSError:
        pass
    for end in (source, target):
        with contextlib.suppress(OSError):  # already closed
            end.shutdown(socket.SHUT_RDWR)


def pass_payload(
    source: socket.socket, target: socket.socket, buffer: memoryview, size: int
) -> bytes:
    """Forward the payload after a header; returns its first chunk."""
    kept = b""
    for start in range(0, size, CHUNK_BYTES):
        part = buffer[: min(CHUNK_BYTES, size - start)]
        if not receive(source, part):
            raise ConnectionError
        if start == 0:
            kept = bytes(part)
        target.sendall(part)
    return kept


def text_of(name: bytes) -> str:
    return name.split(b"\0", 1)[0].decode()


def request_of(
    header: tuple[int, int, bytes, int, int, int], payload: bytes, names: dict[int, str]
) -> Request:
    _, kind, name, stream, size, _ = header
    known = "" if kind in (PING, RESET) else names.get(stream, "")
    return Request(KINDS[kind], text_of(name) if kind == CREATE else known, size, payload)
