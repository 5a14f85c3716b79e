"""A device that follows the session, but sends whatever documents and packets a test gives it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from depthai_ros import _core
from depthai_ros.errors import LinkError
from depthai_ros.streams import STREAMS, WIRE_STREAMS

GOOD_BOARD: dict[str, Any] = {
    "_cams": {"rgb": True, "left": True, "right": True},
    "_available_streams": list(WIRE_STREAMS),
    "eeprom": {"version": -1},
}


def layer(dimensions: list[Any], **fields: Any) -> dict[str, Any]:
    """One layer of an outBlob document, of uint8 without gaps."""
    shape = {
        "data_type": 1,
        "dimensions": dimensions,
        "order": [4, 3, 2, 1][-len(dimensions) :],
        "strides": [1] * len(dimensions),
    }
    return {"name": "data", "offset": 0, "idx": 0, "shape": {**shape, **fields}}


GOOD_OUT_BLOB: dict[str, Any] = {
    "input_layers": [layer([1, 3, 300, 300])],
    "output_layers": [layer([1, 1, 100, 7])],
    "metadata": {
        "satisfied_resources": 1,
        "nn_to_depth": {"max_height": 720, "max_width": 1280, "offset_x": 0, "offset_y": 0},
    },
}


def text_of(document: Any) -> bytes:
    """A document as the device sends it; bytes and texts stay as they are."""
    if isinstance(document, str):
        return document.encode() + b"\0"
    return document if isinstance(document, bytes) else json.dumps(document).encode() + b"\0"


class HostileDevice:
    """Serves one session after another; the contents can be changed between two sessions."""

    def __init__(self, selector: str) -> None:
        self.selector = selector
        self.board: Any = GOOD_BOARD
        self.out_blob: Any = GOOD_OUT_BLOB
        self.packets: dict[str, list[Any]] = {}

    def serve(self, link: _core.Link) -> None:
        """One session, until the host ends it."""
        with suppress(LinkError):
            while (event := link.next_event(timeout_s=10.0)) and event.kind != "reset":
                if event.kind == "opened":
                    self._answer(link, event.stream)
                elif event.kind == "down":
                    break
        link.close()

    def _answer(self, link: _core.Link, stream: str) -> None:
        documents = {"config_d2h": self.board, "outBlob": self.out_blob}
        if stream in documents:
            contents, window_bytes = [documents[stream]], 102_400
        elif stream in STREAMS:
            contents, window_bytes = self.packets.get(stream, []), STREAMS[stream].window_bytes
        else:
            return
        link.open_stream(name=stream, window_bytes=window_bytes)
        for content in contents:
            link.write(name=stream, parts=[text_of(content)], wait_response=False)


@contextmanager
def hostile_device(folder: Path) -> Iterator[HostileDevice]:
    """A hostile device at a unix socket, served by a thread."""
    with socket.socket(socket.AF_UNIX) as listener:
        path = folder / "hostile"
        listener.bind(str(path))
        listener.listen(4)
        device = HostileDevice(f"unix:{path}")

        def serve() -> None:
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                transport = _core.Transport.from_fd(fd=connection.detach())
                device.serve(_core.Link(transport=transport, role="device"))

        thread = threading.Thread(target=serve, name="hostile device")
        thread.start()
        try:
            yield device
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            assert not thread.is_alive()
