"""Takes a screenshot of the page of a camera node: the last part of `make pictures`."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from chromium_browser import CHROMIUM, chromium

SIZE = {"width": 1280, "height": 720}
#: Images that are shown besides the first one: the labels of their boxes.
SHOWN = ("depth", "rgb preview")
#: viser tells that this machine draws without a graphics card.
_NO_NOTICES = ".mantine-Notification-root { display: none }"
_DEADLINE_MS, _SETTLE_MS = 60_000, 10_000


def why_not() -> str:
    """Why no screenshot can be taken here; "" if it can."""
    if not CHROMIUM:
        return "there is no chromium: apt install chromium"
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "there is no playwright: pip install -r tools/requirements.txt"
    return ""


def screenshot(node: str, variables: Mapping[str, str]) -> bytes:
    """The page of a node that runs, PNG. Raises RuntimeError if the page does not start."""
    token = secrets.token_urlsafe(12)
    command = ["-m", "depthai_ros.commands.view", "--node", node, "--port", "0", "--token", token]
    page = subprocess.Popen(
        [sys.executable, *command], env=dict(variables), stdout=subprocess.PIPE, text=True
    )
    assert page.stdout is not None
    try:
        words = page.stdout.readline().split()
        if not words:
            raise RuntimeError(f"depthai-view ended with status {page.wait()}")
        with chromium() as browser:
            return _taken(browser.new_page(viewport=SIZE), words[-1])  # type: ignore[arg-type]
    finally:
        page.terminate()
        page.wait()


def _taken(page: Any, address: str) -> bytes:
    page.set_default_timeout(_DEADLINE_MS)
    page.goto(address)
    page.locator("img[src^='blob:']").first.wait_for()
    page.add_style_tag(content=_NO_NOTICES)
    choose = page.get_by_text("Choose images").first
    choose.click()
    for label in SHOWN:
        page.get_by_label(label, exact=True).first.check()
    choose.click()
    page.wait_for_function(
        f"document.querySelectorAll(\"img[src^='blob:']\").length > {len(SHOWN)}"
    )
    page.mouse.move(0, 0)
    page.wait_for_timeout(_SETTLE_MS)  # a point cloud of many frames, the numbers
    data: bytes = page.screenshot()
    return data
