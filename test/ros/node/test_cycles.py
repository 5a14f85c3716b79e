"""Starting and stopping the streams, over and over in one process, leaves nothing behind.

The same for the whole life, device included: test/ros/node/test_reconnect.py.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import lengths
import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from nodes import Listener, NodeProcess, StartNode
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


def in_use(node: NodeProcess) -> dict[str, int]:
    """Resources of a process: threads, open files, resident memory, and children."""
    folder = Path("/proc", str(node.process.pid))
    status = dict(row.split(":", 1) for row in (folder / "status").read_text().splitlines())
    return {
        "threads": len(list((folder / "task").iterdir())),
        "files": len(list((folder / "fd").iterdir())),
        "resident_kib": int(status["VmRSS"].split()[0]),
        "children": len(node.children()),
    }


@pytest.mark.complaint(7)
def test_starting_and_stopping_streams_leaves_nothing_behind(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node(PARAMETERS)
    listener.subscribe(Image, "rgb/image_raw")
    client = listener.node.create_client(ChangeState, "/oak/change_state")
    listener.wait_until(client.service_is_ready, "the node")

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
    held = [in_use(node)]
    for _ in range(ROUNDS):
        start_and_stop(CYCLES)
        held.append(in_use(node))
    print(*held, sep="\n")
    before, *_, after = held
    # Buffers of a busy moment are kept for the next one: a step now and then. What each cycle
    # leaves behind adds up in all rounds.
    resident = [row["resident_kib"] for row in held]
    assert median(later - earlier for earlier, later in pairwise(resident)) <= GROWTH_KIB, resident
    assert after["children"] == before["children"]
    # Resources of the last stop may need a moment to disappear.
    listener.wait_until(
        lambda: all(in_use(node)[name] <= before[name] for name in ("threads", "files")),
        f"no more than {before}",
    )
    assert "Traceback" not in node.output
    assert node.stop() == 0
