"""The page: what a source has, drawn by viser for every browser that is connected."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import viser

from .browser_page import HOME, BrowserPage
from .controls_panel import ControlsPanel
from .encoded_images import EncodedImages
from .history import DROPS_KEY, History
from .model import Audience, ControlBook
from .moment import Moment
from .numbers_panel import status_line
from .source import CameraSource

#: Time between two looks at the source, with and without a browser.
_TICK_S, _IDLE_S = 0.025, 0.2
#: Time between two looks at what changes rarely: state, controls, actions.
_SLOW_S = 0.5
_HISTORY_S = 1.0
#: Time for the end of a change or a service; `close` of the source ends what waits longer.
_END_S = 0.5
#: Mistakes that are logged; a browser could provoke any number.
_MOST_MISTAKES = 20

Job = Callable[[], None]

_LOG = logging.getLogger(__name__)


class Page:
    """One source, any number of browsers.

    One thread owns everything; callbacks of viser and the answers of the source are jobs in its
    queue. Two more threads wait for the source: one for changes, one for services.
    """

    def __init__(
        self, server: viser.ViserServer, source: CameraSource, read_only: bool = False
    ) -> None:
        self._server, self._source, self._read_only = server, source, read_only
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._pages: dict[int, BrowserPage] = {}
        self._audience, self._encoded, self._history = Audience(), EncodedImages(), History()
        self._book = ControlBook(read_only)
        self._changes, self._calls = Worker("changes"), Worker("calls")
        self._is_changing = False
        self._slow_s = self._history_s = float("-inf")
        self.mistakes: dict[str, Exception] = {}  # by their text
        self._add_shared_elements()

    def _add_shared_elements(self) -> None:
        server, gui = self._server, self._server.gui
        gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False)
        gui.set_panel_label(self._source.title)
        server.scene.set_up_direction("+z")
        server.initial_camera.position = HOME["position"]
        server.initial_camera.look_at = HOME["look_at"]
        self._status = gui.add_html("")
        tabs = gui.add_tab_group()
        self._tabs: dict[str, Any] = {
            name: tabs.add_tab(name, icon)
            for name, icon in (
                ("Scene", viser.Icon.CUBE),
                ("Numbers", viser.Icon.CHART_LINE),
                ("Controls", viser.Icon.ADJUSTMENTS),
            )
        }
        self._controls = ControlsPanel(server, self._tabs["Controls"], self._ask, self._act)
        if self._read_only:
            self._controls.tell_read_only()
        gui.main_panel.dock_right()
        gui.main_panel.set_width(360)

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop` is set; afterwards the source receives nothing."""
        self._server.on_client_connect(self._connected)
        self._server.on_client_disconnect(self._disconnected)
        try:
            next_s = time.monotonic()
            while not stop.is_set():
                self._do_jobs(next_s)
                now_s = time.monotonic()
                self._draw(now_s)
                next_s = now_s + (_TICK_S if self._pages else _IDLE_S)
        finally:
            self._source.want(frozenset(), {})
            self._changes.end()
            self._calls.end()

    # -- jobs

    def _do_jobs(self, until_s: float) -> None:
        """Do what browsers and the source have asked for, until a time."""
        now_s = time.monotonic()
        while now_s < until_s + _TICK_S:  # no browser can keep all others waiting
            try:
                job = self._jobs.get(timeout=max(0.0, until_s - now_s))
            except queue.Empty:
                return
            job()
            now_s = time.monotonic()

    def _later(self, job: Job, browser: int | None = None) -> None:
        """Do a job in the thread of the page."""
        self._jobs.put(partial(self._try, job, browser))

    def _try(self, job: Job, browser: int | None = None) -> None:
        """Do a job. If it fails that is logged, once for each reason; the rest of the page goes on.

        The job may be for a browser, which may send anything, and may have left.
        """
        try:
            job()
        except Exception as error:
            if browser is not None and browser not in self._server.get_clients():
                self._remove(browser)
                return
            text = f"{type(error).__name__}: {error}"
            if text not in self.mistakes and len(self.mistakes) < _MOST_MISTAKES:
                self.mistakes[text] = error
                _LOG.exception("a part of the page failed, the rest goes on")

    async def _connected(self, client: viser.ClientHandle) -> None:
        self._later(partial(self._add, client), client.client_id)

    async def _disconnected(self, client: viser.ClientHandle) -> None:
        self._later(partial(self._remove, client.client_id))

    def _add(self, client: viser.ClientHandle) -> None:
        if client.client_id not in self._server.get_clients():
            return
        later = partial(self._later, browser=client.client_id)
        page = BrowserPage(client, self._tabs, self._encoded, later)
        self._pages[client.client_id] = page
        self._audience.browsers[client.client_id] = page.browser
        self._slow_s = self._history_s = float("-inf")

    def _remove(self, number: int) -> None:
        self._pages.pop(number, None)
        self._audience.browsers.pop(number, None)

    # -- drawing

    def _draw(self, now_s: float) -> None:
        moment = Moment(self._source, now_s)
        if self._pages:
            self._try(partial(self._draw_shared, now_s))
            for number, page in list(self._pages.items()):
                self._try(partial(self._draw_one, page, moment), number)
        demand = self._audience.new_demand(now_s)
        if demand is not None:
            self._source.want(frozenset(demand), demand)
            self._encoded.keep(set(demand))

    def _draw_one(self, page: BrowserPage, moment: Moment) -> None:
        page.draw(moment, self._source.state, self._source.log, self._history)

    def _draw_shared(self, now_s: float) -> None:
        if now_s - self._history_s >= _HISTORY_S:
            self._history_s = now_s
            self._history.add(time.time(), self._source.state().streams)
        if now_s - self._slow_s < _SLOW_S:
            return
        self._slow_s = now_s
        with self._server.atomic():
            self._status.content = status_line(self._source.state())
            self._book.update(self._source.controls(), now_s)
            limit = self._book.controls.get(DROPS_KEY)
            if limit is not None and isinstance(limit.value, float):
                self._history.drops_percent = limit.value
            self._controls.draw(self._book)
            self._controls.offer(self._source.actions(), self._read_only)

    # -- changes

    def _ask(self, key: str, value: object, asker: int | None) -> None:
        self._later(partial(self._request, key, value, asker), asker)

    def _request(self, key: str, value: object, asker: int | None) -> None:
        refusal = self._book.request(key, value, asker)
        if refusal is not None:
            self._controls.answer(refusal, self._server.get_clients())
        self._send_change()

    def _send_change(self) -> None:
        change = None if self._is_changing else self._book.take()
        if change is None:
            return
        self._is_changing = True
        key, value = change

        def wait() -> None:
            reason = _answer(partial(self._source.set, key, value))
            self._later(partial(self._answered, key, reason))

        self._changes.do(wait)

    def _answered(self, key: str, reason: str) -> None:
        self._is_changing = False
        answer = self._book.answered(key, reason, time.monotonic())
        self._controls.answer(answer, self._server.get_clients())
        self._send_change()

    # -- actions

    def _act(self, key: str, asker: int | None) -> None:
        self._later(partial(self._call, key, asker), asker)

    def _call(self, key: str, asker: int | None) -> None:
        if self._read_only or not any(action.key == key for action in self._source.actions()):
            return
        self._controls.set_busy(key, True)

        def wait() -> None:
            result = _answer(partial(self._source.act, key))
            self._later(partial(self._called, key, asker, result), asker)

        self._calls.do(wait)

    def _called(self, key: str, asker: int | None, result: str) -> None:
        self._controls.set_busy(key, False)
        client = self._server.get_clients().get(asker) if asker is not None else None
        if client is not None:
            client.add_notification(self._controls.label(key), result, auto_close_seconds=10)


def _answer(ask: Callable[[], str]) -> str:
    """What the source answers; a mistake in it is an answer, too."""
    try:
        return ask()
    except Exception as error:
        _LOG.exception("the source of the page failed")
        return f"failed: {error}"


class Worker:
    """A thread that does jobs which wait, one after the other."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"view {name}", daemon=True)
        self._thread.start()

    def do(self, job: Job) -> None:
        """Do a job after those that wait."""
        self._jobs.put(job)

    def end(self) -> None:
        """End after the current job; waits for it only a short time."""
        self._jobs.put(None)
        self._thread.join(_END_S)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
