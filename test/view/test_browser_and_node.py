"""depthai-view in a real Chromium over a real node: values, its restart, an unplugged device."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("viser", reason="the page needs viser: pip install -r tools/requirements.txt")
pytest.importorskip("playwright", reason="needs playwright: pip install -r tools/requirements.txt")

import rclpy
from boards import Board
from browsers import Tab
from chromium_browser import CHROMIUM, chromium
from nodes import Listener, NodeProcess
from parameter_clients import read

if not CHROMIUM:
    reason = "NO BROWSER IS TESTED: there is no chromium (apt install chromium)"
    pytest.skip(reason, allow_module_level=True)

CAMERA: dict[str, Any] = {
    "stream_list": ["left", "meta_d2h"],
    "camera.mono.resolution_h": 400,
    "camera.mono.fps": 10.0,
    "camera.rgb.fps": 10.0,
    "diagnostics.period_s": 0.5,
    "reconnect.initial_delay_s": 0.1,
    "reconnect.max_delay_s": 0.5,
}
IMAGES = ("left/image_raw", "left/image_raw/compressed", "points")


class Running:
    """A board, a node on it, the page of the node and one tab in a browser."""

    def __init__(self, folder: Path, browser: Any) -> None:
        self._folder = folder
        self.board = Board(folder)
        self.board.plug()
        self.start_node()
        command = ["-m", "depthai_ros.commands.view", "--node", "/oak", "--port", "0"]
        self.page = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
        assert self.page.stdout is not None
        self.tab = Tab(browser, self.page.stdout.readline().split()[-1])

    def start_node(self) -> None:
        self.node = NodeProcess(self._folder, {**CAMERA, "device.id": self.board.selector})

    def end(self) -> None:
        self.page.terminate()
        self.page.communicate(timeout=20)
        self.node.kill()
        self.board.unplug()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with chromium() as browser:
        started = Running(tmp_path_factory.mktemp("page"), browser)
        yield started
        started.end()
    print(started.node.output)


@pytest.fixture
def listener() -> Iterator[Listener]:
    is_first = not rclpy.ok()  # alone, without the tests of test/ros
    if is_first:
        rclpy.init()
    made = Listener()
    yield made
    made.close()
    if is_first:
        rclpy.shutdown()


def subscribers(listener: Listener) -> int:
    return sum(listener.node.count_subscribers(f"/oak/{topic}") for topic in IMAGES)


# -- in this order


def test_slider_changes_the_parameter_and_the_device(running: Running, listener: Listener) -> None:
    tab = running.tab
    tab.wait_for_new_image()
    tab.show("Controls")
    field = tab.field("exposure (us)")
    field.fill("4321")
    field.press("Enter")
    running.node.wait_for_output("of rgb)")
    assert re.search(r"camera control 3A 5 \d+ 4321 ", running.node.output)
    key = "camera.rgb.exposure_us"
    assert read(listener, [key]) == {key: 4321}
    field.fill("100000")
    field.press("Enter")
    tab.wait(lambda: field.input_value() == "100000", "the longest exposure of 10 Hz")


def test_unplugged_device_is_shown_and_the_page_recovers(running: Running) -> None:
    tab = running.tab
    running.board.unplug()
    tab.page.get_by_text("recovering").first.wait_for()
    running.board.plug()
    tab.page.get_by_text("streaming").first.wait_for()
    tab.wait_for_new_image()


def test_page_goes_on_when_the_node_is_started_again(running: Running) -> None:
    tab = running.tab
    running.node.stop()
    tab.page.get_by_text("does not answer").first.wait_for()
    running.start_node()
    tab.page.get_by_text("does not answer").first.wait_for(state="detached")
    tab.wait_for_new_image()
    assert tab.complaints == []
    assert tab.hosts == {"127.0.0.1"}


def test_closed_page_leaves_no_subscription(running: Running, listener: Listener) -> None:
    listener.wait_until(lambda: subscribers(listener), "the page's subscriptions")
    running.tab.page.goto("about:blank")
    listener.wait_until(lambda: not subscribers(listener), "no subscription")
