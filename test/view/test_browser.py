"""The page in a real Chromium, with a source that is made up: what a person sees and clicks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("viser", reason="the page needs viser: pip install -r tools/requirements.txt")
pytest.importorskip("playwright", reason="needs playwright: pip install -r tools/requirements.txt")

from browsers import Tab
from chromium_browser import CHROMIUM, chromium
from made_up_source import REFUSED, MadeUpSource
from raw_browser import serving

from depthai_ros.view.server import PageServer

if not CHROMIUM:
    pytest.skip(
        "NO BROWSER IS TESTED: there is no chromium (apt install chromium)", allow_module_level=True
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[MadeUpSource, PageServer]]:
    source = MadeUpSource(points=5000)
    with serving(source) as page:
        yield source, page


@pytest.fixture(scope="module")
def tab(browser: Any, served: Any) -> Iterator[Tab]:
    """One tab for all tests, which follow each other."""
    opened = Tab(browser, served[1].address)
    yield opened
    opened.close()


def test_image_moves_and_the_scene_shows_the_cloud(tab: Tab, served: Any) -> None:
    tab.wait_for_new_image()
    for part in ("Cameras", "Detections", "Frames (TF)", "Floor"):
        tab.page.get_by_role("checkbox", name=part, exact=True).uncheck()
    for is_on in (True, False, True):
        tab.page.get_by_role("checkbox", name="Point cloud").set_checked(is_on)
        tab.wait(lambda on=is_on: (_contrast(tab) > 10) == on, f"points in the scene: {is_on}")
    source = served[0]
    source.device = "recovering"
    tab.page.get_by_text("unplugged, searching").first.wait_for()
    source.device = "streaming"
    tab.page.get_by_text("unplugged, searching").first.wait_for(state="detached")
    tab.wait_for_new_image()


def _contrast(tab: Tab) -> float:
    return float(tab.scene().std(axis=(0, 1)).max())


def test_slider_changes_the_value_and_a_refusal_shows_its_reason(tab: Tab, served: Any) -> None:
    source = served[0]
    tab.show("Controls")
    field = tab.field("mono exposure")
    field.fill("12000")
    field.press("Enter")
    tab.wait(lambda: source.values["camera.mono.exposure_us"] == 12000, f"{source.sets}")
    field.fill(str(REFUSED[1]))
    field.press("Enter")
    tab.page.get_by_text("13 is said to bring bad luck").first.wait_for()
    tab.wait(lambda: field.input_value() == "12000", "the old value")
    assert source.values["camera.mono.exposure_us"] == 12000


def test_log_of_the_node_is_text_and_never_runs(tab: Tab) -> None:
    tab.show("Numbers")
    tab.page.get_by_text("22.1 Hz, expected 30").first.wait_for()
    assert tab.page.locator("img[src='x']").count() == 0


def test_second_browser_has_its_own_choice(tab: Tab, browser: Any, served: Any) -> None:
    source, page = served
    second = Tab(browser, page.address)
    second.wait(lambda: second.page.locator("img[src^='blob:']").count() == 1, "an image")
    second.page.get_by_text("Choose images").first.click()
    second.page.get_by_label("disparity").check()
    second.wait(lambda: "disparity" in source.wanted, "disparity")
    second.wait(lambda: second.page.locator("img[src^='blob:']").count() == 2, "two images")
    assert tab.page.locator("img[src^='blob:']").count() == 1
    second.close()
    tab.wait(lambda: "disparity" not in source.wanted, "only the first one's images")
    assert second.complaints == []


def test_nothing_was_loaded_from_elsewhere_and_nothing_is_received_after_the_end(
    tab: Tab, served: Any
) -> None:
    assert tab.complaints == []
    assert tab.hosts == {"127.0.0.1"}
    tab.page.goto("about:blank")
    tab.wait(lambda: not served[0].wanted, "nothing that is wanted")
