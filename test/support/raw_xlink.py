"""A minimal XLink peer for tests, written from docs/wire_format.md with `struct`, not our core.

It answers the peer's requests by that document and keeps a list of them.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field

HEADER = struct.Struct("<iI64sIII")
WRITE, RELEASE, CREATE, CLOSE, PING, RESET = 0, 2, 3, 4, 5, 6
NAMES = {WRITE: "W", RELEASE: "R", CREATE: "C", CLOSE: "X", PING: "PING", RESET: "RESET"}
NO_STREAM = 0xDEADDEAD
ACK = 1


@dataclass
class Request:
    """One request of the peer."""

    kind: str
    stream: str
    size: int
    flags: int
    payload: bytes = b""


@dataclass
class RawEnd:
    """One end of a link over a connected socket."""

    sock: socket.socket
    first_id: int = 10
    requests: list[Request] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    release_at_once: bool = True

    def __post_init__(self) -> None:
        self.sock.settimeout(10.0)
        self._next_id = self.first_id

    def read_exactly(self, size: int) -> bytes:
        """Exactly `size` bytes; EOFError if the peer closes the connection before."""
        data = bytearray()
        while len(data) < size:
            piece = self.sock.recv(size - len(data))
            if not piece:
                raise EOFError(f"the peer closed the connection after {len(data)} of {size} bytes")
            data += piece
        return bytes(data)

    def send(self, kind: int, name: str = "", stream: int = 0, size: int = 0) -> int:
        """Send one request header and return its id."""
        event_id = self._next_id
        self._next_id += 1
        self._send(HEADER.pack(event_id, kind, name.encode(), stream, size, ACK))
        return event_id

    def _send(self, data: bytes) -> None:
        """Send bytes; ignore a closed connection.

        Reading detects it, after the messages that the peer sent before, such as its answer to
        RESET.
        """
        with suppress(ConnectionError):
            self.sock.sendall(data)

    def request(
        self, kind: int, name: str = "", stream: int = 0, size: int = 0, payload: bytes = b""
    ) -> tuple[str, int, int, int]:
        """Send a request and return its response: (name, stream id, size, flags)."""
        event_id = self.send(kind, name, stream, size)
        self._send(payload)
        while True:
            response = self.step()
            if response is not None and response[0] == event_id:
                assert response[1] == kind + 8, f"response type {response[1]} to request {kind}"
                return response[2:]

    def create(self, name: str, size: int) -> tuple[str, int, int, int]:
        """Open a stream and remember its id."""
        response = self.request(CREATE, name, NO_STREAM, size)
        self.ids[name] = response[1]
        return response

    def step(self) -> tuple[int, int, str, int, int, int] | None:
        """Read one message: answer a request (None), or return a response."""
        event_id, kind, raw, stream, size, flags = HEADER.unpack(self.read_exactly(HEADER.size))
        name = raw.split(b"\0", 1)[0].decode()
        if kind >= 8:
            return event_id, kind, name, stream, size, flags
        payload = self.read_exactly(size) if kind == WRITE else b""
        if kind == CREATE:
            stream = self.ids.setdefault(name, len(self.ids))
        known = {} if kind in (PING, RESET) else {n: text for text, n in self.ids.items()}
        self.requests.append(Request(NAMES[kind], known.get(stream, ""), size, flags, payload))
        self._send(HEADER.pack(event_id, kind + 8, name.encode(), stream, size, ACK))
        if kind == WRITE and self.release_at_once:
            self.send(RELEASE, stream=stream, size=size)
        return None

    def wait_for(self, kind: str, stream: str = "") -> Request:
        """Read messages until the peer has made such a request; each request is returned once."""
        while True:
            for index, request in enumerate(self.requests):
                if request.kind == kind and request.stream == stream:
                    return self.requests.pop(index)
            self.step()
