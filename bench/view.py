#!/usr/bin/env python3
"""The page of a camera node: its CPU, its start, what it costs the node, and what it leaves behind.

Node, page and the far end of the page's connection are three processes; the far end takes
everything at once and answers as a browser does, but draws nothing. The page shows three compressed
images at 15 Hz and a cloud of 100 000 points at 10 Hz. For the node, the page and a bare subscriber
to the same topics take turns.
"""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import rclpy
from processes import ROOT, cpu_s, end, run, run_device, run_node, until
from rclpy.node import Node
from results import Comparison, against_limit, arguments, publish_rows

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test/support"))
from raw_browser import RawBrowser

from depthai_ros.view.server import Guard

REPETITIONS, SECONDS = 5, 10.0
CPU_LIMIT, START_LIMIT_S, LEFT_LIMIT_S, NODE_GOAL = 60.0, 2.0, 2.0, 1.05
IMAGES = ("rgb/image_raw", "left/image_raw", "right/image_raw")
TOPICS = (*(f"/oak/{image}/compressed" for image in IMAGES), "/oak/points")
CAMERA = {
    "stream_list": "[left, right, depth, color]",
    "camera.mono.resolution_h": "400",
    "camera.mono.fps": "15.0",
    "camera.rgb.fps": "15.0",
    "publish.points.max_fps": "10.0",
}
BARE = f"""
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, PointCloud2
rclpy.init()
node = Node("bare")
for topic in {TOPICS}:
    kind = PointCloud2 if topic.endswith("points") else CompressedImage
    node.create_subscription(kind, topic, lambda message: None, 2, raw=True)
rclpy.spin(node)
"""


@contextlib.contextmanager
def page() -> Iterator[tuple[subprocess.Popen[str], RawBrowser, float]]:
    """The page, its far end, and the time from the command to the first bytes of an image."""
    token = secrets.token_urlsafe(12)
    words = ["--node", "/oak", "--port", "0", "--token", token]
    start_s = time.monotonic()
    process = run(["-m", "depthai_ros.commands.view", *words], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        address = process.stdout.readline().split()[-1]
        port = int(address.partition("?")[0].rstrip("/").rpartition(":")[2])
        guard = Guard(token, frozenset())
        browser = RawBrowser(SimpleNamespace(port=port, guard=guard))  # type: ignore[arg-type]
        until(
            lambda: any(
                "_data" in e.props and len(e.props["_data"] or b"") > 2000
                for e in list(browser.elements.values())
            ),
            30,
            "an image",
        )
        first_s = time.monotonic() - start_s
        yield process, browser, first_s
    finally:
        end(process)


def used(pid: int) -> float:
    """CPU of a process in % of a core, over SECONDS."""
    before, start_s = cpu_s(pid), time.monotonic()
    time.sleep(SECONDS)
    return 100 * (cpu_s(pid) - before) / (time.monotonic() - start_s)


def subscriptions(watcher: Node) -> int:
    """Subscriptions to images and points of the node."""
    return sum(watcher.count_subscribers(topic) for topic in TOPICS)


def with_page(node: int, watcher: Node, figures: dict[str, list[float]]) -> None:
    """One turn with the page.

    Fast DDS takes some seconds until a process that has ended delays no discovery.
    """
    time.sleep(5)
    with page() as (process, browser, first_s):
        figures["first"].append(first_s)
        browser.set("Live images on the cameras", False)
        for image in IMAGES[1:]:
            browser.tick(image, True)
            browser.find(f"{image} ·")
        until(lambda: subscriptions(watcher) == len(TOPICS), 30, "the page's subscriptions")
        time.sleep(2)
        node_s, start_s = cpu_s(node), time.monotonic()
        figures["page"].append(used(process.pid))
        figures["node"].append(100 * (cpu_s(node) - node_s) / (time.monotonic() - start_s))
        left_s = time.monotonic()
        browser.close()
        until(lambda: subscriptions(watcher) == 0, 30, "no subscription")
        figures["left"].append(time.monotonic() - left_s)


def with_subscriber(node: int, watcher: Node, figures: dict[str, list[float]]) -> None:
    """One turn with a bare subscriber to the same topics."""
    process = run(["-c", BARE], stderr=subprocess.DEVNULL)
    try:
        until(lambda: subscriptions(watcher) == len(TOPICS), 30, "the subscriptions")
        time.sleep(2)
        figures["bare"].append(used(node))
    finally:
        end(process)
    until(lambda: subscriptions(watcher) == 0, 30, "no subscription")


def main() -> None:
    """Measure, print, write."""
    chosen = arguments(__doc__, repetitions=REPETITIONS)
    figures: dict[str, list[float]] = {
        name: [] for name in ("first", "page", "node", "left", "bare")
    }
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="depthai_ros-bench-"))
        address, settings = f"unix:{folder}/device", str(ROOT / "config/virtual.yaml")
        stack.callback(end, run_device(address))
        node = run_node(
            {**CAMERA, "device.id": address}, "--params-file", settings, stderr=subprocess.DEVNULL
        )
        stack.callback(end, node)
        rclpy.init()
        stack.callback(rclpy.shutdown)
        watcher = rclpy.create_node("bench_watcher")
        until(lambda: watcher.count_publishers("/oak/points"), 30, "the node")
        for _ in range(int(chosen.repetitions)):
            with_page(node.pid, watcher, figures)
            with_subscriber(node.pid, watcher, figures)
    rows = [
        against_limit("page: 3 images, 100 k points, CPU", figures["page"], CPU_LIMIT, "%"),
        against_limit("command to first bytes of an image", figures["first"], START_LIMIT_S, "s"),
        Comparison(
            "node with the page, CPU", figures["node"], figures["bare"],
            "bare subscriber to the same topics", "%", goal=NODE_GOAL,
        ),
        against_limit("last browser left to no subscription", figures["left"], LEFT_LIMIT_S, "s"),
    ]  # fmt: skip
    publish_rows("view", rows, chosen.json)


if __name__ == "__main__":
    main()
