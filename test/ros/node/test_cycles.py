"""Starting and stopping the streams, over and over in one process, leaves nothing behind.

The same for the whole life, device included: test/ros/node/test_reconnect.py.
"""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import Any

import lengths
import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from nodes import Listener, StartNode
from resources import in_use
from sensor_msgs.msg import Image

PARAMETERS: dict[str, Any] = {
    "device.id": "virtual:pattern",
    "autostart": False,
    "stream_list": ["left", "right", "depth", "disparity", "color", "meta_d2h"],
    "camera.mono.resolution_h": 400,
}
WARM_UP, ROUNDS = 5, 5
#: Cycles in each round.
CYCLES = lengths.CYCLES // ROUNDS
#: A thirtieth of a colour image for each cycle.
GROWTH_KIB = CYCLES * 200


@pytest.mark.complaint(7)
def test_starting_and_stopping_streams_leaves_nothing_behind(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node(PARAMETERS)
    listener.subscribe(Image, "rgb/image_raw")
    client = listener.node.create_client(ChangeState, "/oak/change_state")
    listener.wait_until(client.service_is_ready, "the node")

    def held_now() -> dict[str, int]:
        return {**in_use(node.process.pid), "children": len(node.children())}

    def change(transition: int) -> None:
        future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
        listener.wait_until(future.done, f"transition {transition}")
        assert future.result().success

    def start_and_stop(times: int) -> None:
        for _ in range(times):
            change(Transition.TRANSITION_ACTIVATE)
            listener.forget()
            listener.wait_for("rgb/image_raw")
            change(Transition.TRANSITION_DEACTIVATE)

    change(Transition.TRANSITION_CONFIGURE)
    start_and_stop(WARM_UP)
    held = [held_now()]
    for _ in range(ROUNDS):
        start_and_stop(CYCLES)
        held.append(held_now())
    print(*held, sep="\n")
    before, *_, after = held
    # Buffers of a busy moment are kept for the next one: a step now and then. What each cycle
    # leaves behind adds up in all rounds.
    resident = [row["resident_kib"] for row in held]
    assert median(later - earlier for earlier, later in pairwise(resident)) <= GROWTH_KIB, resident
    assert after["children"] == before["children"]
    # Resources of the last stop may need a moment to disappear.
    listener.wait_until(
        lambda: all(held_now()[name] <= before[name] for name in ("threads", "files")),
        f"no more than {before}",
    )
    assert "Traceback" not in node.output
    assert node.stop() == 0
