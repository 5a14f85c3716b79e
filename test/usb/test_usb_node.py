"""The camera node and a board that is unplugged."""

from __future__ import annotations

import importlib.util
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from usb_rig import PORT, Bench, Rig, wait_until

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("rclpy"), reason="rclpy is missing")


class Node:
    """A node on the emulated bus."""

    def __init__(self, rig: Rig, output: Path, **parameters: str) -> None:
        self._output = output
        words = [sys.executable, "-m", "depthai_ros.node", "--ros-args"]
        for name, value in parameters.items():
            words += ["-p", f"{name.replace('__', '.')}:={value}"]
        with output.open("w") as file:
            self.process = subprocess.Popen(
                words, stdout=file, stderr=subprocess.STDOUT, env=rig.environment
            )

    def count(self, words: str) -> int:
        return self._output.read_text().count(words)

    def wait_for(self, words: str, count: int = 1) -> None:
        wait_until(
            lambda: self.count(words) >= count or self.process.poll() is not None,
            f"no {words!r} in the output:\n{self._output.read_text()}",
        )
        assert self.count(words) >= count, self._output.read_text()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


StartNode = Callable[..., Node]


@pytest.fixture
def start_node(bench: Bench, tmp_path: Path) -> Iterator[StartNode]:
    nodes: list[Node] = []

    def start(rig: Rig) -> Node:
        given = {
            "device__id": f"usb:{PORT}",
            "device__firmware": str(bench.firmware),
            "stream_list": "[left, meta_d2h]",
            "reconnect__initial_delay_s": "0.1",
            "reconnect__max_delay_s": "0.5",
        }
        nodes.append(Node(rig, tmp_path / f"node{len(nodes)}.log", **given))
        return nodes[-1]

    yield start
    for node in nodes:
        if node.process.poll() is None:
            node.process.kill()
            node.process.wait()


@pytest.mark.complaint(1)
def test_same_process_streams_again_when_the_board_is_plugged_in_again(
    bench: Bench, start_node: StartNode
) -> None:
    """Unplugged while streaming and plugged in later, then replugged at once (a bad cable)."""
    rig = bench.rig({})
    node = start_node(rig)
    node.wait_for("streaming meta_d2h, left")
    rig.tell(f"{PORT} unplug")
    node.wait_for("; reconnecting")
    node.wait_for("reconnect attempt 1 failed: usb")  # nothing is plugged in
    rig.tell(f"{PORT} plug")
    node.wait_for("the device is back, first frame after")
    rig.tell(f"{PORT} replug")
    node.wait_for("the device is back, first frame after", count=2)
    assert node.process.poll() is None
    assert node.stop() == 0
    print(*re.findall("first frame after .*", node._output.read_text()), sep="\n")
    assert node.count("Traceback") == 0


def test_signal_ends_a_node_that_waits_for_its_board(bench: Bench, start_node: StartNode) -> None:
    rig = bench.rig({"state": "unplugged"})
    node = start_node(rig)
    node.wait_for("waiting for the device: ")
    assert node.stop() == 0
    rig.tell(f"{PORT} plug")
    node = start_node(rig)
    node.wait_for("streaming meta_d2h, left")
    rig.tell(f"{PORT} unplug")
    node.wait_for("; reconnecting")
    assert node.stop() == 0


@pytest.mark.complaint(2)
def test_board_of_a_killed_node_is_usable_without_replugging(
    bench: Bench, start_node: StartNode
) -> None:
    rig = bench.rig({})
    node = start_node(rig)
    node.wait_for("streaming meta_d2h, left")
    node.process.kill()
    node.process.wait()
    node = start_node(rig)
    node.wait_for("streaming meta_d2h, left")
    assert node.stop() == 0
