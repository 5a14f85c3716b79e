"""What a test sees and does in a real browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
from playwright.sync_api import Browser, Locator, Page

#: Software WebGL on two busy cores takes its time.
DEADLINE_S = 60.0


class Tab:
    """One page in a browser of its own: what it complained about, and what a person sees."""

    def __init__(
        self, browser: Browser, address: str, width: int = 1000, height: int = 560
    ) -> None:
        self._context = browser.new_context(viewport={"width": width, "height": height})
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(1000 * DEADLINE_S)
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._ask(request.url))
        self.page.on("websocket", lambda socket: self._ask(socket.url))
        self.page.goto(address)

    def _hear(self, message: Any) -> None:
        # An image that the next one replaces before it is drawn: viser's client drops its blob.
        is_replaced = message.location["url"].startswith("blob:")
        if message.type == "error" and not is_replaced:
            self.complaints.append(message.text)

    def _ask(self, url: str) -> None:
        if not url.startswith(("blob:", "data:")):
            self.hosts.add(urlsplit(url).hostname or "")

    def close(self) -> None:
        self._context.close()

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """The first true result; the browser goes on meanwhile."""
        end_s = time.monotonic() + DEADLINE_S
        while not (found := condition()):
            assert time.monotonic() < end_s, f"still waiting for {what}; {self.complaints}"
            self.page.wait_for_timeout(100)
        return found

    def image(self) -> str:
        """The address of the first image; each frame has another one."""
        address = self.page.locator("img[src^='blob:']").first.get_attribute("src")
        assert address
        return address

    def wait_for_new_image(self) -> None:
        before = self.image()
        self.wait(lambda: self.image() != before, "another image")

    def show(self, tab: str) -> None:
        """Open a tab of the panel."""
        self.page.get_by_role("tab", name=tab).first.click()

    def field(self, label: str) -> Locator:
        """The number of the element with a label."""
        row = self.page.locator(".mantine-Flex-root, div").filter(has_text=label)
        return row.filter(has=self.page.locator("input:visible")).last.locator("input").last

    def scene(self) -> Any:
        """Pixels of the middle of the scene, below messages, (H, W, 3)."""
        size = self.page.viewport_size
        assert size
        box = {"x": size["width"] * 0.45, "y": size["height"] * 0.36, "width": 120, "height": 120}
        data = self.page.screenshot(clip=box)  # type: ignore[arg-type]
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
