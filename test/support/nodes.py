"""A camera node in a process of its own, and a listener in the process of the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from yaml import safe_dump

ROOT = Path(__file__).resolve().parents[2]
VIRTUAL_YAML = ROOT / "config" / "virtual.yaml"
DEADLINE_S = 30.0
_END_S = 15.0
#: Requests that can be sent twice. The first answer may be lost on a busy machine: rmw_fastrtps
#: drops it ("failed to send response") if the server has not discovered the client's reader after
#: 100 ms.
_REPEATABLE = (DescribeParameters, GetParameters, GetState, SetParameters, SetParametersAtomically)
_ASK_AGAIN_S = 5.0


def children_of(pid: int) -> list[int]:
    """All descendants of a process."""
    parents = defaultdict(list)
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # the process has ended
            continue
        parents[int(fields[1])].append(int(entry.parent.name))
    found = parents[pid]
    return found + [grandchild for child in found for grandchild in children_of(child)]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class NodeProcess:
    """`python -m depthai_ros.node` with some parameters."""

    def __init__(
        self,
        folder: Path,
        parameters: Mapping[str, Any] | None = None,
        *words: str,
        params_file: Path | None = None,
        name: str = "oak",
        program: Sequence[str] = ("-m", "depthai_ros.node"),
        before: Sequence[str] = (),
    ) -> None:
        """`before` is a command that runs the node's command, in other surroundings."""
        self.name = name
        self._output = folder / f"{name}-{time.monotonic_ns()}.log"
        own = self._output.with_suffix(".yaml")
        own.write_text(safe_dump({"/**": {"ros__parameters": dict(parameters or {})}}))
        files = [path for path in (params_file, own if parameters else None) if path]
        command = [*before, sys.executable, *program, *words, "--ros-args"]
        command += ["-r", f"__node:={name}"]
        command += [word for path in files for word in ("--params-file", str(path))]
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches only the test, which ends it
                env={**os.environ, "RCUTILS_COLORIZED_OUTPUT": "0", "PYTHONUNBUFFERED": "1"},
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def children(self) -> list[int]:
        return children_of(self.process.pid)

    def wait_for_output(self, words: str) -> None:
        wait_until(
            lambda: words in self.output or self.process.poll() is not None,
            lambda: f"{words!r} in:\n{self.output}",
        )
        assert words in self.output, self.output

    def wait(self) -> int:
        """Wait for the process to end by itself; returns the exit status."""
        try:
            return self.process.wait(DEADLINE_S)
        finally:
            self.kill()

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and check that no child is left; returns the exit status."""
        children = self.children()
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(_END_S)
        finally:
            self.kill()
        left = [pid for pid in children if is_alive(pid)]
        assert not left, f"processes {left} outlived the node:\n{self.output}"
        return status

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


StartNode = Callable[..., NodeProcess]


def wait_until(condition: Callable[[], Any], what: Callable[[], str]) -> None:
    """Wait until the condition is true, without ROS."""
    end_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end_s, f"still waiting for {what()}"
        time.sleep(0.01)


class Listener:
    """Subscribes to topics of one node, keeps the last messages, and calls its services."""

    def __init__(self, name: str = "oak", keep: int = 30, deadline_s: float = DEADLINE_S) -> None:
        """`keep` messages of each topic; `deadline_s` of each wait."""
        self._prefix = f"/{name}"
        self.node = Node("listener", namespace=f"/test_{time.monotonic_ns()}")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._types: dict[str, Any] = {}
        self._raw: dict[str, deque[bytes]] = {}
        self._subscriptions: dict[str, Any] = {}
        self._keep = keep
        self._deadline_s = deadline_s

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()

    def full_name(self, topic: str) -> str:
        return topic if topic.startswith("/") else f"{self._prefix}/{topic}"

    def subscribe(
        self, message_type: Any, topic: str, *, latched: bool = False, keep: int = 0
    ) -> None:
        """Keeps serialised messages; `messages` deserialises them."""
        durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
        profile = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE, durability=durability)
        self._types[topic] = message_type
        kept = self._raw[topic] = deque(maxlen=keep or self._keep)
        self._subscriptions[topic] = self.node.create_subscription(
            message_type, self.full_name(topic), lambda raw: kept.append(raw), profile, raw=True
        )

    def unsubscribe(self, topic: str) -> None:
        self.node.destroy_subscription(self._subscriptions.pop(topic))
        del self._raw[topic], self._types[topic]

    def messages(self, topic: str) -> list[Any]:
        return [deserialize_message(raw, self._types[topic]) for raw in self._raw[topic]]

    def raw(self, topic: str) -> list[bytes]:
        return list(self._raw[topic])

    def forget(self) -> None:
        for kept in self._raw.values():
            kept.clear()

    def wait_until(self, condition: Callable[[], Any], what: str) -> None:
        """Receive messages until the condition is true."""
        end_s = time.monotonic() + self._deadline_s
        while not condition():
            assert time.monotonic() < end_s, f"still waiting for {what}"
            self._executor.spin_once(timeout_sec=0.1)

    def wait_for(self, *topics: str, count: int = 1) -> None:
        """Receive messages until each topic has `count`."""
        self.wait_until(
            lambda: all(len(self._raw[topic]) >= count for topic in topics),
            f"{count} messages on each of {', '.join(topics)}",
        )

    def first(self, message_type: Any, topic: str, *, latched: bool = False) -> Any:
        """One message of a topic."""
        self.subscribe(message_type, topic, latched=latched)
        self.wait_for(topic)
        message = self.messages(topic)[-1]
        self.unsubscribe(topic)
        return message

    def call(
        self,
        service_type: Any,
        service: str,
        request: Any,
        instead: Callable[[], Any] = lambda: None,
    ) -> Any:
        """The answer of a service, or what `instead` gives for an answer that is late."""
        client = self.node.create_client(service_type, self.full_name(service))
        self.wait_until(client.service_is_ready, f"service {service}")
        futures = [client.call_async(request)]
        asked_s = time.monotonic()

        def answer() -> Any:
            nonlocal asked_s
            if service_type in _REPEATABLE and time.monotonic() > asked_s + _ASK_AGAIN_S:
                futures.append(client.call_async(request))
                asked_s = time.monotonic()
            return next((future.result() for future in futures if future.done()), None) or (
                instead() if time.monotonic() > asked_s + _ASK_AGAIN_S else None
            )

        found: list[Any] = []

        def is_answered() -> bool:
            found[:] = [answer()]
            return found[0] is not None

        self.wait_until(is_answered, f"an answer of {service}")
        self.node.destroy_client(client)
        return found[0]

    def change_state(self, transition: int) -> bool:
        """Request a transition. If its answer is lost, the state tells whether it has succeeded."""
        request, before = ChangeState.Request(transition=Transition(id=transition)), self.state()

        def by_state() -> ChangeState.Response | None:
            state = self.state()
            is_over = state in ("unconfigured", "inactive", "active", "finalized")
            return ChangeState.Response(success=state != before) if is_over else None

        return bool(self.call(ChangeState, "change_state", request, by_state).success)

    def state(self) -> str:
        return str(self.call(GetState, "get_state", GetState.Request()).current_state.label)

    def offered(self, topic: str) -> QoSProfile:
        """The QoS of the publisher of a topic."""
        name = self.full_name(topic)
        found = self.node.get_publishers_info_by_topic
        self.wait_until(lambda: found(name), f"a publisher of {name}")
        (endpoint,) = found(name)
        profile: QoSProfile = endpoint.qos_profile
        return profile

    def services(self) -> dict[str, str]:
        """Services below the node's name, with their types."""
        return {
            name.removeprefix(f"{self._prefix}/"): types[0]
            for name, types in self.node.get_service_names_and_types()
            if name.startswith(f"{self._prefix}/")
        }

    def topics(self) -> set[str]:
        """Topics below the node's name that have a publisher."""
        return {
            name.removeprefix(f"{self._prefix}/")
            for name, _ in self.node.get_topic_names_and_types()
            if name.startswith(f"{self._prefix}/") and self.node.count_publishers(name)
        }
