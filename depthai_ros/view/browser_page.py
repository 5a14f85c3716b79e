"""All elements of one browser, and the question that tells how far it has followed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import viser
from viser import _messages

from .browser_scene import PARTS, BrowserScene
from .encoded_images import EncodedImages
from .history import History
from .images_panel import ImagesPanel, Later
from .model import Backlog, Browser
from .moment import Moment
from .numbers_panel import NumbersPanel

_NUMBERS_S = 1.0
#: Where somebody stands who looks at the scene first: behind the camera, above it, to its left.
HOME = {"position": (-0.9, 0.4, 0.55), "look_at": (3.0, -0.1, -0.1)}
_MOUSE = "Drag turns the view, right drag moves it, the wheel goes nearer."


class BrowserPage:
    """Panels and scene of one browser; they go when it disconnects."""

    def __init__(
        self,
        client: viser.ClientHandle,
        tabs: dict[str, Any],
        encoded: EncodedImages,
        later: Later,
    ) -> None:
        """`tabs` are shared by all browsers; `later` runs a function in the thread of the page."""
        self._client, self._later = client, later
        self.browser = Browser()
        self.scene = BrowserScene(client, self.browser, encoded)
        self.images = ImagesPanel(client, self.browser, encoded, later)
        self._numbers = NumbersPanel(client, tabs["Numbers"])
        self._add_scene_controls(tabs["Scene"])
        self._probe = Probe(client, self.browser.backlog, later)
        self._numbers_s = 0.0

    def _add_scene_controls(self, tab: Any) -> None:
        gui = self._client.gui
        with tab:
            gui.add_html(
                f"<div style='padding:0 0.7em 0.4em;font-size:0.85em;opacity:0.7'>{_MOUSE}</div>"
            )
            home = gui.add_button("Reset view", icon=viser.Icon.HOME, hint="Look from the start")
            for part in PARTS:
                box = gui.add_checkbox(part.label, part.is_on, hint=part.meaning)
                box.on_update(self._changing(partial(self._switch, part.key, box)))
            size = gui.add_slider(
                "Size of points (mm)",
                1,
                40,
                1,
                round(self.scene.point_size_mm),
                hint="Of the cloud",
            )
        home.on_click(self._changing(self._go_home))
        size.on_update(
            self._changing(lambda: setattr(self.scene, "point_size_mm", float(size.value)))
        )

    def _changing(self, change: Callable[[], None]) -> Any:
        async def callback(event: Any) -> None:
            if event.client is not None:
                self._later(change)

        return callback

    def _switch(self, key: str, box: Any) -> None:
        self.scene.on[key] = box.value
        self.browser.forget(f"image {name}" for name in self.images.chosen)
        if not (self.scene.on["cameras"] and self.scene.on["images"]):
            self.scene.without_images()

    def _go_home(self) -> None:
        camera = self._client.camera
        with self._client.atomic():
            camera.position, camera.look_at = HOME["position"], HOME["look_at"]
            camera.up_direction = (0.0, 0.0, 1.0)

    def draw(self, moment: Moment, state: Callable[[], Any], log: Any, history: History) -> None:
        """Send what has changed, if the browser has followed so far."""
        browser, now_s = self.browser, moment.now_s
        self.images.offer(moment)
        browser.shown = self.images.shown(moment)
        for name, hz in self.scene.shown(moment).items():
            browser.shown[name] = max(hz, browser.shown.get(name, 0.0))
        if not browser.pace.follows(now_s, browser.backlog.lag_s(now_s)):
            if browser.backlog.is_question_due(now_s):
                self._probe.ask(now_s)
            return
        with self._client.atomic():
            sent = self.images.draw(moment)
            sent = self.scene.draw(moment) or sent
            if now_s - self._numbers_s >= _NUMBERS_S:
                self._numbers_s, sent = now_s, True
                self.images.title(moment, browser.rates(now_s))
                self._numbers.draw(state(), log(), history)
        if sent:
            self._probe.ask(now_s)


class Probe:
    """Asks a browser behind each update: the answer comes when it has drawn it.

    viser has no message for this; the page asks for an entry of the browser's storage, which it
    answers in the order of all messages. The entry does not exist.
    """

    def __init__(self, client: viser.ClientHandle, backlog: Backlog, later: Later) -> None:
        self._client, self._backlog = client, backlog
        self._connection = client._websock_connection
        # A browser may vanish while an update is written: that is no mistake of this program.
        self._connection.get_message_buffer()._sanctioned_dead_writes += 1

        def answered(_: int, message: _messages.LocalStorageGetItemResponseMessage) -> None:
            later(lambda: backlog.answered(message.request_uuid))

        self._connection.register_handler(_messages.LocalStorageGetItemResponseMessage, answered)

    def ask(self, now_s: float) -> None:
        """Send a question, and everything before it."""
        key = self._backlog.ask(now_s)
        self._connection.queue_message(
            _messages.LocalStorageGetItemRequestMessage(key="depthai", request_uuid=key)
        )
        self._client.flush()
