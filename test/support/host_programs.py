"""Programs for two hosts: `command` gives the command, `report` what a listener received.

    listen SECONDS COUNT DEPTH best_effort|reliable TOPIC:PACKAGE/TYPE…
    talk TOPIC BYTES HZ DEPTH

A listener prints a line when each topic has had a message, and its report SECONDS later, or when
each has COUNT messages (0 = no such end), or when its standard input ends. A talker publishes until
its standard input ends; its stamps are those of a clock that never misses.
"""

from __future__ import annotations

import json
import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from itertools import count
from typing import Any, NamedTuple

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import CompressedImage

FIRST = "first"
_PATIENCE_S = 60.0
#: Time at the start of a serialised message with a header, after the encapsulation.
_STAMP = struct.Struct("<4xiI")


class Received(NamedTuple):
    """What one topic brought: messages, bytes, and the time from the first to the last stamp."""

    count: int
    bytes: int
    span_s: float

    def rate_hz(self) -> float:
        """Messages per second, by their stamps."""
        return (self.count - 1) / self.span_s if self.span_s else 0.0


def command(what: str, *words: object) -> list[str]:
    """The command for a program of this file."""
    return [sys.executable, __file__, what, *map(str, words)]


def report(listener: subprocess.Popen[str], *, now: bool = False) -> dict[str, Received]:
    """What a listener received until it ends by itself, or until now."""
    assert listener.stdin is not None
    assert listener.stdout is not None
    if now:
        listener.stdin.close()
    rows = json.loads(listener.stdout.read().splitlines()[-1])
    listener.wait()
    listener.stdin.close()
    return {topic: Received(*row) for topic, row in rows.items()}


def _quality(depth: int, reliability: str) -> QoSProfile:
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy[reliability.upper()])


def _has_ended() -> bool:
    """Whether the other end has closed our standard input."""
    readable, _, _ = select.select([sys.stdin], [], [], 0.0)
    return bool(readable) and not os.read(sys.stdin.fileno(), 1)


class _EndedError(Exception):
    """The standard input has ended."""


def _spin(executor: SingleThreadedExecutor, until_s: float) -> None:
    """Handle what is there for a moment. Raises _EndedError, and TimeoutError after until_s."""
    executor.spin_once(timeout_sec=0.05)
    if _has_ended():
        raise _EndedError
    if time.monotonic() > until_s:
        raise TimeoutError


def _listen(
    node: Node, seconds: str, enough: str, depth: str, reliability: str, *topics: str
) -> None:
    got: dict[str, list[bytes]] = {}
    for text in topics:
        topic, _, kind = text.partition(":")
        package, _, name = kind.partition("/")
        message, kept = getattr(import_module(f"{package}.msg"), name), got.setdefault(topic, [])
        quality = _quality(int(depth), reliability)
        node.create_subscription(message, topic, kept.append, quality, raw=True)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        end_s = time.monotonic() + _PATIENCE_S
        while not all(got.values()):
            _spin(executor, end_s)
        print(FIRST, flush=True)
        for kept in got.values():
            del kept[:-1]
        end_s = time.monotonic() + float(seconds)
        while not int(enough) or any(len(kept) < int(enough) for kept in got.values()):
            _spin(executor, end_s)
    except (_EndedError, TimeoutError):
        pass
    print(json.dumps({topic: _row(kept) for topic, kept in got.items()}), flush=True)


def _row(messages: Sequence[bytes]) -> Received:
    stamps = [sec + nanosec / 1e9 for sec, nanosec in map(_STAMP.unpack_from, messages)]
    span_s = max(stamps) - min(stamps) if stamps else 0.0
    return Received(len(messages), sum(map(len, messages)), span_s)


def _talk(node: Node, topic: str, size: str, hz: str, depth: str) -> None:
    publisher = node.create_publisher(CompressedImage, topic, _quality(int(depth), "reliable"))
    message = CompressedImage(data=os.urandom(int(size)))
    times_ns = count(step=round(1e9 / float(hz)))

    def publish() -> None:
        message.header.stamp = Time(nanoseconds=next(times_ns)).to_msg()
        publisher.publish(message)

    node.create_timer(1 / float(hz), publish)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    with suppress(_EndedError):
        while True:
            _spin(executor, float("inf"))


def main() -> None:
    """Run the named program."""
    programs: dict[str, Any] = {"listen": _listen, "talk": _talk}
    what, *words = sys.argv[1:]
    rclpy.init()
    node = rclpy.create_node(f"{what}er_{os.getpid()}")
    try:
        programs[what](node, *words)
    finally:  # says goodbye: what was not said costs the link until the participant counts as gone
        node.destroy_node()
        rclpy.shutdown()


if __name__ == "__main__":
    main()
