"""A reset of the device, and a moment later the end of the streams, of the device or of the node.

Every round picks its action and the moment at random; the seed is printed.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from collections.abc import Iterator

import lengths
import pytest
from lifecycle_msgs.msg import Transition
from nodes import Listener, NodeProcess, StartNode
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

QUICK = {
    "device.id": "virtual:pattern",
    "stream_list": ["left", "meta_d2h"],
    "camera.mono.resolution_h": 400,
    "reconnect.initial_delay_s": 0.02,
    "reconnect.max_delay_s": 0.1,
    "diagnostics.period_s": 0.1,
}
#: A reset ends the streams and the device within this time, unless the machine is busy.
LATEST_S = 0.06
ROUNDS = 400 if lengths.IN_FULL else 20


class Camera:
    """A running node, and the actions on it."""

    def __init__(self, start_node: StartNode, listener: Listener, seed: int) -> None:
        self._start_node = start_node
        self._listener = listener
        self.chance = random.Random(seed)
        self.node: NodeProcess = start_node(QUICK)
        listener.subscribe(Image, "left/image_raw")

    def reset(self) -> None:
        """Begin a reset, and let a random part of it pass."""
        listener = self._listener  # images may arrive while the node is still activating
        listener.wait_until(lambda: listener.state() == "active", "the state active")
        assert listener.call(Trigger, "reset_device", Trigger.Request()).success
        threading.Event().wait(self.chance.uniform(0.0, LATEST_S))

    def wait_for_images(self) -> None:
        self._listener.forget()
        self._listener.wait_for("left/image_raw", count=2)

    def reset_again(self) -> None:
        self._listener.call(Trigger, "reset_device", Trigger.Request())

    def deactivate(self) -> None:
        self._change(Transition.TRANSITION_DEACTIVATE, "inactive")
        self._change(Transition.TRANSITION_ACTIVATE, "active")

    def clean_up(self) -> None:
        self._change(Transition.TRANSITION_DEACTIVATE, "inactive")
        self._change(Transition.TRANSITION_CLEANUP, "unconfigured")
        self._change(Transition.TRANSITION_CONFIGURE, "inactive")
        self._change(Transition.TRANSITION_ACTIVATE, "active")

    def _change(self, transition: int, state: str) -> None:
        assert self._listener.change_state(transition), self.node.output
        assert self._listener.state() == state

    def kill_device(self) -> None:
        for pid in self.node.children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def interrupt(self) -> None:
        self._end(signal.SIGINT)

    def terminate(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        assert self.node.stop(number) == 0, self.node.output
        assert "Traceback" not in self.node.output, self.node.output
        self.node = self._start_node(QUICK)


ACTIONS = (
    Camera.reset_again,
    Camera.deactivate,
    Camera.deactivate,
    Camera.clean_up,
    Camera.kill_device,
    Camera.interrupt,
    Camera.terminate,
)


@pytest.fixture
def camera(start_node: StartNode, listener: Listener) -> Iterator[Camera]:
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    camera = Camera(start_node, listener, seed)
    camera.wait_for_images()
    yield camera
    assert camera.node.stop() == 0, camera.node.output


@pytest.mark.timeout(10 * ROUNDS)
@pytest.mark.complaint(1)
def test_reset_and_an_end_shortly_after_it_never_hang(camera: Camera) -> None:
    actions: list[int] = []
    for number in range(ROUNDS):
        camera.reset()
        # Each action once in every len(ACTIONS) rounds, in a random order.
        actions = actions or camera.chance.sample(range(len(ACTIONS)), len(ACTIONS))
        action = ACTIONS[actions.pop()]
        print(number, action.__name__)
        action(camera)
        camera.wait_for_images()
