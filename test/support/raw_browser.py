"""A browser without a window: it takes what the page sends, and answers as viser's client does."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import viser
import zstandard
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from depthai_ros.view import server
from depthai_ros.view.page import Page
from depthai_ros.view.server import PageServer
from depthai_ros.view.source import CameraSource

DEADLINE_S = 15.0
CAMERA = {
    "type": "ViewerCameraMessage", "wxyz": [1, 0, 0, 0], "position": [3, 3, 3], "fov": 1.3,
    "near": 0.01, "far": 1000, "look_at": [0, 0, 0], "up_direction": [0, 0, 1],
    "image_height": 480, "image_width": 640,
}  # fmt: skip


def wait_until(condition: Callable[[], Any], what: Callable[[], str]) -> None:
    """Wait until the condition is true."""
    end_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end_s, f"still waiting for {what()}"
        time.sleep(0.01)


@contextlib.contextmanager
def serving(
    source: CameraSource, *, read_only: bool = False, mistakes: dict[str, Exception] | None = None
) -> Iterator[PageServer]:
    """The page of a source on a free port of loopback.

    Its mistakes are in `mistakes`; without that the first one is raised at the end.
    """
    started = server.start("127.0.0.1", 0)
    page = Page(started.viser, source, read_only)
    page.mistakes = found = {} if mistakes is None else mistakes
    stop = threading.Event()
    thread = threading.Thread(target=page.run, args=(stop,))
    thread.start()
    try:
        yield started
        assert thread.is_alive()
    finally:
        stop.set()
        thread.join(DEADLINE_S)
        started.stop()
    for mistake in found.values() if mistakes is None else ():
        raise mistake


@dataclass
class Element:
    """An element of the page, or a node of the scene, as this browser knows it."""

    kind: str
    uuid: str  # the name, of a node of the scene
    props: dict[str, Any]
    updates: int = 0

    @property
    def value(self) -> Any:
        return self.props.get("value")


class RawBrowser:
    """Elements by uuid, nodes by name, and what else the page has sent."""

    def __init__(self, page: PageServer) -> None:
        cookie = f"{page.guard.cookie}={page.guard.token}"
        self._connection = connect(
            f"ws://127.0.0.1:{page.port}/",
            origin=f"http://127.0.0.1:{page.port}",  # type: ignore[arg-type]
            additional_headers={"Cookie": cookie},
            subprotocols=[f"viser-v{viser.__version__}"],  # type: ignore[list-item]
            compression=None,
            max_size=None,
        )
        self.elements: dict[str, Element] = {}
        self.notices: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.received_bytes = self.questions = 0
        self._draws = True
        self._open: list[str] = []  # questions that it has not answered
        self._files: dict[str, str] = {}
        self._send(CAMERA)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self) -> None:
        self._connection.close()
        self._reader.join(10)

    def say(self, **message: Any) -> None:
        """Send any message."""
        self._send(message)

    def _send(self, message: dict[str, Any]) -> None:
        self._connection.send(msgspec.msgpack.encode(message))

    def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            for data in self._connection:
                assert isinstance(data, bytes)
                self.received_bytes += len(data)
                size = int.from_bytes(data[8:16], "little")
                text = zstandard.ZstdDecompressor().decompress(data[16 : 16 + size])
                for message in msgspec.msgpack.decode(text)["messages"]:
                    self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        kind, props = message["type"], message.get("props")
        key = message.get("uuid") or message.get("name") or ""
        if kind == "LocalStorageGetItemRequestMessage":
            self.questions += 1
            self._open.append(message["request_uuid"])
            self._answer()
        elif isinstance(props, dict) and key and kind != "NotificationShowMessage":
            value = {"value": message["value"]} if "value" in message else {}
            self.elements[key] = Element(kind, key, props | value)
        elif kind in ("GuiUpdateMessage", "SceneNodeUpdateMessage") and key in self.elements:
            self.elements[key].props.update(message["updates"])
            self.elements[key].updates += 1
        elif kind in ("GuiRemoveMessage", "RemoveSceneNodeMessage"):
            self.elements.pop(key, None)
        elif kind == "SetSceneNodeVisibilityMessage" and key in self.elements:
            self.elements[key].props["visible"] = message["visible"]
        elif kind == "NotificationShowMessage":
            self.notices.append(message["props"])
        elif kind == "FileTransferStartDownload":
            self._files[message["transfer_uuid"]] = message["filename"]
        elif kind == "FileTransferPart":
            name = self._files[message["transfer_uuid"]]
            self.files[name] = self.files.get(name, b"") + message["content"]

    def _answer(self) -> None:
        while self._draws and self._open:
            answer = {"request_uuid": self._open.pop(0), "value": None, "error": None}
            self._send({"type": "LocalStorageGetItemResponseMessage", **answer})

    def hide(self) -> None:
        """From now on it draws nothing, like a hidden tab."""
        self._draws = False

    def show(self) -> None:
        """It draws again, all that has come meanwhile."""
        self._draws = True
        self._answer()

    # -- what a person does

    def find(self, label: str) -> Element:
        """The element with a label, or the node with a name; waits for it."""

        def found() -> list[Element]:
            return [
                element
                for element in list(self.elements.values())
                if label == element.uuid or str(element.props.get("label", "")).startswith(label)
            ]

        wait_until(found, lambda: f"{label!r} among {sorted(self.labels())}")
        return found()[0]

    def labels(self) -> set[str]:
        """All labels of elements, and names of nodes."""
        elements = list(self.elements.values())
        return {str(element.props.get("label") or element.uuid) for element in elements}

    def set(self, label: str, value: Any) -> Element:
        """Move a slider, tick a box, choose, write."""
        element = self.find(label)
        element.props["value"] = value
        update = {"type": "GuiUpdateMessage", "uuid": element.uuid, "updates": {"value": value}}
        self._send(update)
        return element

    def tick(self, topic: str, value: bool) -> None:
        """Choose an image, or leave it out: the hint of its box begins with the topic."""

        def boxes() -> list[Element]:
            elements = list(self.elements.values())
            return [e for e in elements if re.match(f"{topic}(,|$)", e.props.get("hint") or "")]

        wait_until(boxes, lambda: f"a box for {topic}")
        update = {"uuid": boxes()[0].uuid, "updates": {"value": value}}
        self._send({"type": "GuiUpdateMessage", **update})

    def click(self, label: str) -> None:
        """Press a button."""
        self.set(label, True)

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        """Wait until something has arrived."""
        wait_until(condition, lambda: f"{what}; there is {sorted(self.labels())}")
