"""Records the messages of the host, between a board and the virtual device.

Parses XLink according to docs/wire_format.md, without the driver's own code.
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
    """One request of the host. `size` is that of the payload, or of the requested window."""

    kind: str
    stream: str
    size: int
    payload: bytes = b""


@dataclass
class Recording:
    """The messages of a host from one boot of the board to the next."""

    requests: list[Request] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)

    def payloads(self, stream: str) -> list[bytes]:
        """Every packet that the host wrote to a stream."""
        return [r.payload for r in self.requests if (r.kind, r.stream) == ("write", stream)]

    def windows(self) -> dict[str, int]:
        """Streams in the order in which the host created them, with the requested windows."""
        return {r.stream: r.size for r in self.requests if r.kind == "create"}


class Tap:
    """Listens at the address of the boards' session, and passes all bytes on."""

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
            except OSError:  # shut down
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
    """Fill the view; False if the other end hung up."""
    while len(view):
        count = source.recv_into(view)
        if not count:
            return False
        view = view[count:]
    return True


def pass_on(
    source: socket.socket, target: socket.socket, recording: Recording, is_host: bool
) -> None:
    """Pass on messages of one direction until one end hangs up; then hang up both ends."""
    buffer = memoryview(bytearray(CHUNK_BYTES))
    try:
        while receive(source, buffer[: HEADER.size]):
            header = HEADER.unpack(buffer[: HEADER.size])
            is_told = is_host and header[1] in KINDS
            if not is_host and header[1] == CREATED:
                recording.names[header[3]] = text_of(header[2])
            target.sendall(buffer[: HEADER.size])
            payload = pass_payload(source, target, buffer, header[4] if header[1] == WRITE else 0)
            if is_told:
                recording.requests.append(request_of(header, payload, recording.names))
    except OSError:
        pass
    for end in (source, target):
        with contextlib.suppress(OSError):  # it may be down already
            end.shutdown(socket.SHUT_RDWR)


def pass_payload(
    source: socket.socket, target: socket.socket, buffer: memoryview, size: int
) -> bytes:
    """Pass on the payload after a header; keep it only up to the size of one chunk."""
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
