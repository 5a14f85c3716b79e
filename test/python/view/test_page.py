"""The page over its own protocol: what a browser gets and changes; the source is made up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("viser", reason="the page needs viser: pip install -r tools/requirements.txt")

from made_up_source import CHOICES, CONTROLS, REFUSED, MadeUpSource
from raw_browser import CAMERA, Element, RawBrowser, serving, wait_until

from depthai_ros.view.model import CLOUD_HZ, IMAGE_HZ
from depthai_ros.view.numbers_panel import NumbersPanel
from depthai_ros.view.server import PageServer
from depthai_ros.view.source import BOXES, CLOUD, Box, Control, FramePose

EXPOSURE = "mono exposure (µs)"
KEY = "camera.mono.exposure_us"


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[MadeUpSource, PageServer]]:
    source = MadeUpSource(points=2000)
    with serving(source) as page:
        yield source, page


@pytest.fixture
def source(served: Any) -> MadeUpSource:
    made: MadeUpSource = served[0]
    made.values = {control.key: control.value for control in CONTROLS}
    made.sets, made.acts = [], []
    return made


def _shows_values(browser: RawBrowser) -> bool:
    """True if the page has noticed that the values are those of the start again."""
    rows = [row for row in list(browser.elements.values()) if row.props.get("hint")]
    shown = [
        (row.value, row.props["label"] in control.value if many else control.value)
        for control in CONTROLS
        for many in [isinstance(control.value, tuple) and bool(control.choices)]
        for row in rows
        if row.props["hint"].endswith(control.key) and (many or isinstance(control.value, int))
    ]
    return bool(shown) and all(value == expected for value, expected in shown)


@pytest.fixture
def browser(source: MadeUpSource, served: Any) -> Iterator[RawBrowser]:
    opened = RawBrowser(served[1])
    opened.wait(lambda: _shows_values(opened), "the values of the source")
    yield opened
    opened.close()


def decoded(data: bytes) -> Any:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def wait_for_new(browser: RawBrowser, element: Element, count: int = 3) -> None:
    goal = element.updates + count
    browser.wait(lambda: element.updates >= goal, f"{goal} updates of {element.uuid}")


# -- what is shown


def test_page_shows_the_cloud_and_one_image_at_once(
    source: MadeUpSource, browser: RawBrowser
) -> None:
    image = browser.find("rgb/image_raw ·")
    wait_for_new(browser, image)
    assert decoded(image.props["_data"]).shape == (360, 640, 3)
    cloud = browser.find("/points")
    wait_for_new(browser, cloud)
    assert browser.find("/cameras/left").props["_image_data"]
    assert browser.find("/floor").props["visible"] is not False
    shown = {CLOUD, BOXES, "rgb/image_raw", "left/image_raw", "right/image_raw"}
    wait_until(lambda: source.wanted == shown, lambda: str(source.wanted))
    rates = source.wants[-1][1]
    assert rates["rgb/image_raw"] == IMAGE_HZ > rates["left/image_raw"]
    assert rates[CLOUD] == CLOUD_HZ


def test_compressed_bytes_reach_the_browser_unchanged(
    source: MadeUpSource, browser: RawBrowser
) -> None:
    image = browser.find("rgb/image_raw ·")
    found = []

    def is_same() -> bool:
        latest = source.image("rgb/image_raw")
        found.append(latest.data if latest else b"")
        return image.props["_data"] in found

    browser.wait(is_same, "the bytes of the source")


def test_images_are_chosen_by_ticking_and_only_they_are_received(
    source: MadeUpSource, browser: RawBrowser
) -> None:
    for label in ("Point cloud", "Detections", "Live images on the cameras"):
        browser.set(label, False)
    wait_until(lambda: source.wanted == {"rgb/image_raw"}, lambda: str(source.wanted))
    browser.tick("depth/image_raw", True)
    browser.tick("disparity", True)
    for label in ("depth/image_raw ·", "disparity ·"):
        element = browser.find(label)
        wait_for_new(browser, element)
        image = decoded(element.props["_data"])
        assert image.shape[1] == 640
        assert image.shape[0] > 400  # with the scale below
        assert image[:, 300].std(axis=0).max() > 0
    shown = {"rgb/image_raw", "depth/image_raw", "disparity"}
    wait_until(lambda: source.wanted == shown, lambda: str(source.wanted))
    browser.tick("rgb/image_raw", False)
    wait_until(lambda: "rgb/image_raw" not in source.wanted, lambda: str(source.wanted))
    assert browser.find("rgb/image_raw ·").props["visible"] is False


def test_detections_are_drawn_in_the_scene_and_on_the_preview(
    source: MadeUpSource, browser: RawBrowser
) -> None:
    label = browser.find("/boxes/person:1/name")
    browser.wait(lambda: "person 87 % #3" in label.props["text"], "the label")
    assert browser.find("/boxes/person:1").props["dimensions"] == [0.5, 1.0, 0.3]
    browser.tick("rgb/preview/image_raw", True)
    image = browser.find("rgb/preview/image_raw ·")
    wait_for_new(browser, image)
    assert decoded(image.props["_data"]).shape[1] >= 300
    wait_until(lambda: BOXES in source.wanted, lambda: str(source.wanted))
    browser.set("Detections", False)
    browser.wait(lambda: browser.find("/boxes/person:1").props["visible"] is False, "no box")
    assert BOXES in source.wanted  # the preview has them


def test_frames_stand_where_tf_says_and_names_come_on_request(
    source: MadeUpSource, browser: RawBrowser
) -> None:
    browser.find("/frames/oak_left_optical_frame")
    assert "/frames/oak/name" not in browser.labels()
    browser.set("Names of the frames", True)
    assert browser.find("/frames/oak/name").props["text"] == "oak"


def test_images_are_saved_as_png_files(source: MadeUpSource, browser: RawBrowser) -> None:
    browser.tick("depth/image_raw", True)
    wait_for_new(browser, browser.find("depth/image_raw ·"))
    browser.click("Save as PNG")
    names = {"rgb_image_raw.png", "depth_image_raw.png"}
    browser.wait(lambda: browser.files.keys() == names, "two files")
    assert decoded(browser.files["rgb_image_raw.png"]).shape == (360, 640, 3)
    assert browser.files["depth_image_raw.png"].startswith(b"\x89PNG")


def test_numbers_and_log_are_shown_and_text_of_a_device_is_no_html(
    source: MadeUpSource, browser: RawBrowser
) -> None:
    def contents() -> str:
        return " ".join(str(e.props.get("content", "")) for e in list(browser.elements.values()))

    browser.wait(lambda: "22.1 Hz, expected 30" in contents(), "the table")
    assert "SUPER (5 Gbit/s)" in contents()
    assert "link 3" in contents()
    plots = [e for e in browser.elements.values() if e.kind == "GuiUplotMessage"]
    browser.wait(lambda: all(plot.updates > 2 for plot in plots), "plots")
    assert [series["label"] for series in plots[0].props["series"]] == [
        "time", "left", "right", "depth", "color", "warning below"
    ]  # fmt: skip
    assert "<img" not in contents()


# -- what is changed


def test_slider_changes_the_value_of_the_source(source: MadeUpSource, browser: RawBrowser) -> None:
    slider = browser.find(EXPOSURE)
    assert (slider.props["min"], slider.props["max"], slider.value) == (1, 33000, 8000)
    assert "Between 1 and 33000 µs" in slider.props["hint"]
    browser.set(EXPOSURE, 12000)
    wait_until(lambda: source.sets, lambda: "a change")
    assert source.sets == [("camera.mono.exposure_us", 12000)]


def test_refused_value_shows_its_reason_and_goes_back(
    source: MadeUpSource, browser: RawBrowser
) -> None:
    slider = browser.set(EXPOSURE, REFUSED[1])
    browser.wait(lambda: browser.notices, "a message")
    assert browser.notices[0]["title"] == "camera.mono.exposure_us was not changed"
    assert browser.notices[0]["body"] == "13 is said to bring bad luck"
    browser.wait(lambda: slider.value == 8000, "the old value")
    assert source.values["camera.mono.exposure_us"] == 8000


def test_value_that_no_browser_may_send_never_reaches_the_source(
    source: MadeUpSource, browser: RawBrowser
) -> None:
    slider = browser.set(EXPOSURE, 999_999)
    browser.wait(lambda: browser.notices, "a message")
    assert "is not between 1 and 33000 µs" in browser.notices[0]["body"]
    browser.wait(lambda: slider.value == 8000, "the old value")
    assert source.sets == []


def test_dragged_slider_does_not_jump_and_ends_at_the_last_value(
    source: MadeUpSource, browser: RawBrowser, served: Any
) -> None:
    source.answers.clear()
    slider, second = browser.find(EXPOSURE), RawBrowser(served[1])
    shown = second.find(EXPOSURE)
    for value in range(100, 2100, 100):
        browser.set(EXPOSURE, value)
    second.wait(lambda: shown.value == 2000, "the drag")
    second.close()
    source.answers.set()
    wait_until(lambda: source.values["camera.mono.exposure_us"] == 2000, lambda: str(source.sets))
    assert len(source.sets) < 20
    assert slider.value == 2000


def test_other_browser_and_other_program_see_a_change(
    source: MadeUpSource, browser: RawBrowser, served: Any
) -> None:
    second = RawBrowser(served[1])
    shown = second.find("rgb effect")
    browser.set("rgb effect", "mono")
    second.wait(lambda: shown.value == "mono", "the change of the first")
    wait_until(lambda: source.values["camera.rgb.effect"] == "mono", lambda: str(source.sets))
    source.values["camera.rgb.effect"] = "negative"
    second.wait(lambda: shown.value == "negative", "the change of another program")
    second.close()


def test_streams_are_switched_one_by_one(source: MadeUpSource, browser: RawBrowser) -> None:
    browser.find("stream list")

    def boxes() -> list[str]:
        rows = list(browser.elements.values())
        return [row.uuid for row in rows if row.props.get("label") == "right" and _is_stream(row)]

    browser.wait(boxes, "the box of the stream")
    browser.set(boxes()[0], True)
    wait_until(lambda: source.sets, lambda: "a change")
    assert source.sets == [("stream_list", ("left", "right", "depth"))]


def _is_stream(row: Element) -> bool:
    return (row.props.get("hint") or "").endswith("stream_list")


def test_button_calls_a_service_and_shows_the_answer(
    source: MadeUpSource, browser: RawBrowser
) -> None:
    browser.click("Take a still image")
    browser.wait(lambda: browser.notices, "the answer")
    assert browser.notices[0]["body"] == "capture_still is done"
    assert source.acts == ["capture_still"]


def test_read_only_page_locks_everything_and_changes_nothing() -> None:
    source = MadeUpSource(points=100)
    with serving(source, read_only=True) as page:
        browser = RawBrowser(page)
        assert browser.set(EXPOSURE, 12000).props["disabled"]
        browser.wait(lambda: browser.notices, "a refusal")
        assert "--read-only" in browser.notices[0]["body"]
        assert browser.find("Take a still image").props["disabled"]
        browser.click("Take a still image")
        browser.tick("left/image_raw", True)  # to look is allowed
        wait_for_new(browser, browser.find("left/image_raw ·"))
        assert source.sets == source.acts == []
        browser.close()


# -- several browsers, slow ones, none


def test_two_browsers_share_images_and_each_shows_its_own(
    source: MadeUpSource, browser: RawBrowser, served: Any
) -> None:
    second = RawBrowser(served[1])
    second.tick("depth/image_raw", True)
    wait_for_new(second, second.find("depth/image_raw ·"))
    assert not any(label.startswith("depth/image_raw ·") for label in browser.labels())
    wait_for_new(browser, browser.find("rgb/image_raw ·"))
    second.close()
    wait_until(lambda: "depth/image_raw" not in source.wanted, lambda: str(source.wanted))
    wait_for_new(browser, browser.find("rgb/image_raw ·"))


def test_hidden_browser_gets_next_to_nothing_and_comes_back(
    source: MadeUpSource, browser: RawBrowser
) -> None:
    image = browser.find("rgb/image_raw ·")
    wait_for_new(browser, image)
    browser.hide()
    before, asked = image.updates, browser.questions
    browser.wait(lambda: browser.questions > asked + 2, "questions")
    assert image.updates - before < 10  # what was on its way, and no more
    browser.show()
    wait_for_new(browser, image)


def test_nothing_is_wanted_after_the_last_browser_left(
    source: MadeUpSource, browser: RawBrowser
) -> None:
    wait_for_new(browser, browser.find("rgb/image_raw ·"))
    browser.close()
    wait_until(lambda: not source.wanted, lambda: str(source.wanted))


def test_unplugged_device_is_shown_and_its_return(
    source: MadeUpSource, browser: RawBrowser
) -> None:
    def status() -> str:
        return " ".join(str(e.props.get("content", "")) for e in list(browser.elements.values()))

    browser.tick("left/image_raw", True)
    wait_for_new(browser, browser.find("left/image_raw ·"))
    source.device, source.choices = "recovering", ()
    browser.wait(lambda: "unplugged, searching" in status(), "the state")
    browser.find("left/image_raw · does not exist now")
    source.device, source.choices = "streaming", CHOICES
    browser.wait(lambda: "unplugged, searching" not in status(), "the state")
    for name in ("rgb/image_raw ·", "left/image_raw ·"):  # what was chosen stays chosen
        wait_for_new(browser, browser.find(name))


def test_elements_do_not_grow_while_the_page_is_open(
    source: MadeUpSource, browser: RawBrowser
) -> None:
    image = browser.find("rgb/image_raw ·")
    wait_for_new(browser, image)
    browser.find("/boxes/person:1/name")
    for name in [choice.name for choice in CHOICES]:
        browser.tick(name, True)
        browser.find(f"{name} ·")
    before = len(browser.elements)
    for value in (False, True, False, True):
        for name in [choice.name for choice in CHOICES]:
            browser.tick(name, value)
        wait_for_new(browser, browser.find("/points"))
    assert len(browser.elements) == before


# -- what a browser may send, and what a source may have


def test_nothing_that_a_browser_sends_ends_the_page_of_another(source: MadeUpSource) -> None:
    mistakes, many = dict[str, Exception](), "9" * 4000
    with serving(source, mistakes=mistakes) as page:
        browser, second = RawBrowser(page), RawBrowser(page)
        exposure = browser.find(EXPOSURE).uuid
        size = browser.find("Size of points").uuid
        for uuid in (exposure, size):
            for value in (many, 1e300, float("nan"), None, [], {"a": 1}):
                browser.say(type="GuiUpdateMessage", uuid=uuid, updates={"value": value})
        answer = {"type": "LocalStorageGetItemResponseMessage", "value": None, "error": None}
        browser.say(**answer, request_uuid=[1])
        browser.say(**{**CAMERA, "position": [float("nan")] * 3})
        browser.click("Reset view")
        wait_until(lambda: mistakes, lambda: "a mistake that is logged")
        wait_for_new(second, second.find("rgb/image_raw ·"))
        second.set(EXPOSURE, 12000)
        wait_until(lambda: source.values[KEY] == 12000, lambda: str(source.sets))
        browser.close()
        second.close()


def test_browser_that_leaves_while_its_elements_are_made_ends_nothing(
    source: MadeUpSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaving: list[RawBrowser] = []
    has_left = False

    def add_plot(panel: Any, number: int) -> Any:
        nonlocal has_left
        if not has_left:
            wait_until(lambda: leaving, lambda: "the browser")
            leaving[0].close()
            wait_until(lambda: len(page.viser.get_clients()) == 0, lambda: "the end of a browser")
            has_left = True  # only now the test opens another one
        return original(panel, number)

    original = NumbersPanel._add_plot
    monkeypatch.setattr(NumbersPanel, "_add_plot", add_plot)
    with serving(source) as page:
        leaving.append(RawBrowser(page))
        wait_until(lambda: has_left, lambda: "the elements of the first browser")
        browser = RawBrowser(page)
        wait_for_new(browser, browser.find("rgb/image_raw ·"))
        browser.close()


def test_source_that_fails_is_an_answer_and_the_next_change_works(
    source: MadeUpSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = source.set

    def set_(key: str, value: object) -> str:
        if value == 12000:
            raise OSError("no such wire")
        return original(key, value)

    monkeypatch.setattr(source, "set", set_)
    with serving(source) as page:
        browser = RawBrowser(page)
        browser.set(EXPOSURE, 12000)
        browser.wait(lambda: browser.notices, "the answer")
        assert browser.notices[0]["body"] == "failed: no such wire"
        browser.set(EXPOSURE, 13000)
        wait_until(lambda: source.values[KEY] == 13000, lambda: str(source.sets))
        browser.close()


@pytest.mark.parametrize("value", [5.0, math.nan], ids=str)
def test_value_outside_its_limits_can_be_shown(source: MadeUpSource, value: float) -> None:
    rows = [
        Control("a.low", "a", value, "at least 10", low=10.0),
        Control("a.range", "a", value, "between 10 and 20", low=10.0, high=20.0),
    ]
    source.controls = lambda: tuple(rows)  # type: ignore[method-assign]
    with serving(source) as page:
        browser = RawBrowser(page)
        for label in ("low", "range"):
            shown = browser.find(label).value
            assert shown == value or math.isnan(shown) == math.isnan(value)
        browser.close()


def test_frames_with_a_slash_have_their_own_poses(source: MadeUpSource) -> None:
    names = ("robot", "robot/base", "robot/base/name")
    frames = tuple(FramePose(name, "", np.eye(4)) for name in names)
    source.frames = lambda: frames  # type: ignore[method-assign]
    with serving(source) as page:
        browser = RawBrowser(page)
        for name in ("/frames/robot", "/frames/robot:base", "/frames/robot:base:name"):
            browser.find(name)
        browser.close()


def test_boxes_keep_their_nodes_and_those_of_old_labels_go(source: MadeUpSource) -> None:
    labels = ["person", "a/chair"]
    place = ((0.5, 0.5, 2.0), (0.1, 0.2, 0.3), None)
    source.boxes = lambda: tuple(  # type: ignore[method-assign]
        Box(label, 0.5, "", "oak", *place) for label in labels
    )
    with serving(source) as page:
        browser = RawBrowser(page)
        chair, person = browser.find("/boxes/a:chair:1"), browser.find("/boxes/person:1")
        color, other = chair.props["color"], person.props["color"]
        labels[:] = ["a/chair", "person", "person"]
        browser.find("/boxes/person:2")
        assert (chair.props["color"], person.props["color"]) == (color, other)
        for letter in "xyz":
            labels[:] = [f"{letter}{number}" for number in range(60)]
            browser.find(f"/boxes/{letter}49:1")
        browser.wait(lambda: chair.uuid not in browser.elements, "no box of the first labels")
        assert browser.find("/boxes/z0:1").props.get("visible") is not False
        browser.close()
