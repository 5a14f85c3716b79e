"""Faults of the surroundings: the node serves, or ends with a reason and a status that is not 0."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from boards import Board
from nodes import Listener, NodeProcess, StartNode, wait_until
from sensor_msgs.msg import Image

from depthai_ros.msg import DeviceStatus

SMALL: dict[str, Any] = {
    "stream_list": ["left", "meta_d2h"],
    "camera.mono.resolution_h": 400,
    "camera.mono.fps": 10.0,
    "reconnect.initial_delay_s": 0.1,
    "reconnect.max_delay_s": 0.2,
}
VIRTUAL = {**SMALL, "device.id": "virtual:pattern"}
IMAGE = "left/image_raw"

#: A folder of the node's own file system, full or read-only, at the place of another.
FULL = (
    "mount -t tmpfs -o size=16k tmpfs {0} && (dd if=/dev/zero of={0}/full bs=1k; true) 2> /dev/null"
)
READ_ONLY = "mount -t tmpfs -o ro tmpfs {0}"


def can_unshare(*options: str) -> bool:
    """True if this process may make namespaces of these kinds."""
    try:
        command = ["unshare", *options, "true"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


needs_mounts = pytest.mark.skipif(
    not can_unshare("-m"), reason="this user may not make a mount namespace (unshare -m)"
)
needs_network = pytest.mark.skipif(
    not can_unshare("-n"), reason="this user may not make a network namespace (unshare -n)"
)


def in_shell(preparation: str, *namespaces: str) -> list[str]:
    """A command that prepares its surroundings in a shell, then becomes the command behind it."""
    shell = ["bash", "-c", f'{preparation} && exec "$@"', "bash"]
    return ["unshare", *namespaces, *shell] if namespaces else shell


# -- at the start: the node ends with a sentence

#: Fault -> command before the node's, part of the sentence
NO_START: dict[str, tuple[list[str], str]] = {
    "small address space": (in_shell("ulimit -v 700000"), "see `ulimit -v`"),
    "no descriptors for the middleware": (in_shell("ulimit -n 8"), "Too many open files"),
    "no descriptors for the device": (in_shell("ulimit -n 22"), "Too many open files"),
    "no SROS2 keys": (
        in_shell(
            "export ROS_SECURITY_ENABLE=true ROS_SECURITY_STRATEGY=Enforce "
            "ROS_SECURITY_KEYSTORE=/nonexistent"
        ),
        "/nonexistent",
    ),
    "log folder is a file": (in_shell("export ROS_LOG_DIR=/dev/null/log"), "log"),
    "full /dev/shm": (in_shell(FULL.format("/dev/shm"), "-m"), "/dev/shm has 0 free bytes"),
    "read-only log folder": (
        in_shell(f"{READ_ONLY.format('/mnt')} && export ROS_LOG_DIR=/mnt/log", "-m"),
        "/mnt/log",
    ),
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, NodeProcess]]:
    """The nodes of NO_START, started together."""
    nodes = {
        case: NodeProcess(tmp_path_factory.mktemp("node"), VIRTUAL, before=command, name=f"n{n}")
        for n, (case, (command, _)) in enumerate(NO_START.items())
        if command[0] != "unshare" or can_unshare("-m")
    }
    yield nodes
    for node in nodes.values():
        node.kill()


@pytest.mark.parametrize("case", NO_START)
def test_node_that_cannot_start_says_why(case: str, ended: dict[str, NodeProcess]) -> None:
    if case not in ended:
        pytest.skip("this user may not make a mount namespace (unshare -m)")
    node = ended[case]
    assert node.wait() in (2, 3), node.output
    assert "Traceback" not in node.output
    assert NO_START[case][1] in node.output.splitlines()[-1]
    assert not node.children()


# -- at the start: the node serves in spite of it

#: Fault -> command before the node's
SERVES = {
    "small /dev/shm": in_shell("mount -t tmpfs -o size=256k tmpfs /dev/shm", "-m"),
    "read-only /dev/shm": in_shell(READ_ONLY.format("/dev/shm"), "-m"),
    "full home and log folder": in_shell(
        f"{FULL.format('/mnt')} && mkdir -p /mnt/log && export HOME=/mnt ROS_LOG_DIR=/mnt/log", "-m"
    ),
    "read-only home": in_shell(f"{READ_ONLY.format('/mnt')} && export HOME=/mnt", "-m"),
}


@needs_mounts
def test_node_serves_with_a_full_or_read_only_file_system(start_node: StartNode) -> None:
    nodes = {
        case: start_node(VIRTUAL, before=command, name=f"serves_{number}")
        for number, (case, command) in enumerate(SERVES.items())
    }
    for case, node in nodes.items():
        listener = Listener(node.name)
        listener.subscribe(Image, IMAGE)
        listener.wait_until(
            lambda heard=listener: heard.raw(IMAGE), f"images with {case}: {node.output}"
        )
        listener.close()
        assert node.stop() == 0, node.output
        assert "Traceback" not in node.output


@needs_network
def test_node_serves_without_multicast_on_the_loopback(start_node: StartNode) -> None:
    loopback = "ip link set lo up && ip link set lo multicast off"
    nodes = [
        start_node(VIRTUAL, before=in_shell(preparation, "-n"), name=f"alone_{number}")
        for number, preparation in enumerate((loopback, "true"))  # without any network, too
    ]
    for node in nodes:
        node.wait_for_output("streaming meta_d2h, left")
        assert node.stop() == 0, node.output
        assert "Traceback" not in node.output


# -- while it runs


class Camera:
    """One node that streams from a board, for the faults that come and go."""

    def __init__(self, node: NodeProcess, board: Board, listener: Listener) -> None:
        self.node, self.board, self.listener = node, board, listener

    def wait_for_images(self) -> None:
        self.listener.forget()
        self.listener.wait_until(
            lambda: len(self.listener.raw(IMAGE)) >= 3, f"images again: {self.node.output}"
        )

    def wait_for_state(self, state: int) -> None:
        def is_there() -> bool:
            assert self.node.process.poll() is None, self.node.output
            found = self.listener.messages("device/status")
            return bool(found) and found[-1].state == state

        self.listener.wait_until(is_there, f"state {state}: {self.node.output}")

    def pass_s(self, seconds: float) -> None:
        """Let the fault last."""
        end_s = time.monotonic() + seconds
        self.listener.wait_until(lambda: time.monotonic() > end_s, "the end of the fault")


def device_stopped_briefly(camera: Camera) -> None:
    os.kill(camera.board.pid, signal.SIGSTOP)
    camera.pass_s(1.0)
    os.kill(camera.board.pid, signal.SIGCONT)


def device_stopped_until_it_counts_as_lost(camera: Camera) -> None:
    os.kill(camera.board.pid, signal.SIGSTOP)
    try:
        camera.wait_for_state(DeviceStatus.STATE_RECOVERING)
    finally:
        os.kill(camera.board.pid, signal.SIGCONT)


def node_stopped(camera: Camera) -> None:
    os.kill(camera.node.process.pid, signal.SIGSTOP)
    camera.pass_s(3.0)
    os.kill(camera.node.process.pid, signal.SIGCONT)


def no_descriptors_while_the_device_is_lost(camera: Camera) -> None:
    pid = camera.node.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
    camera.board.unplug()
    camera.wait_for_state(DeviceStatus.STATE_RECOVERING)
    camera.board.plug()
    wait_until(
        lambda: "Too many open files" in camera.node.output,
        lambda: f"the reason in {camera.node.output}",
    )
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def no_address_space(camera: Camera) -> None:
    pid = camera.node.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (64 << 20, hard))
    camera.pass_s(1.0)
    resource.prlimit(pid, resource.RLIMIT_AS, (soft, hard))


FAULTS: list[Callable[[Camera], None]] = [
    device_stopped_briefly,
    device_stopped_until_it_counts_as_lost,
    node_stopped,
    no_descriptors_while_the_device_is_lost,
    no_address_space,
]


def test_node_serves_again_when_a_fault_ends(
    start_node: StartNode, board: Board, listener: Listener
) -> None:
    board.plug()
    camera = Camera(start_node({**SMALL, "device.id": board.selector}), board, listener)
    listener.subscribe(Image, IMAGE)
    listener.subscribe(DeviceStatus, "device/status", latched=True)
    camera.wait_for_images()
    for fault in FAULTS:
        fault(camera)
        camera.wait_for_images()
        camera.wait_for_state(DeviceStatus.STATE_STREAMING)
        assert listener.state() == "active", fault.__name__
    assert camera.node.stop() == 0, camera.node.output
    assert "Traceback" not in camera.node.output
    assert "a bug" not in camera.node.output
