"""A real Chromium without a window, with WebGL in software, for tests and a screenshot."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

#: The program of Debian's package; "" if it is not installed.
CHROMIUM = shutil.which("chromium") or ""
_FLAGS = [
    "--no-sandbox",  # which Chromium refuses to root
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; it ends with the block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()
