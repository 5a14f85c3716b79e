#!/usr/bin/env python3
"""What reaches a laptop from a robot, over a link of 20 Mbit/s, with and without loss.

Two hosts are namespaces of this machine with a veth pair between them (test/support/two_hosts.py).
A camera node on one has config/remote.yaml and config/fastdds_remote.xml. A subscriber on the other
counts messages, and so does one beside the node. Then the same topics raw, and images of 100 kB
with loss: reliable, best effort, and reliable with the profile for one machine.
Needs root or user namespaces, and iproute2.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from processes import ROOT, end
from results import Comparison, arguments, publish_rows

from depthai_ros.messages.builders import BUILDERS
from depthai_ros.ros_features import PROFILE_VARIABLES, profile_name, remote_profile_name

sys.path.insert(0, str(ROOT / "test/support"))

from host_programs import command, report
from two_hosts import Host, HostsUnavailableError, two_hosts

REPETITIONS = 3
SECONDS = 8.0
#: History of the subscriber, that of rviz.
DEPTH = 5
MBIT = 20.0
LOSS = 0.02
GOAL = 0.95
REMOTE, LOCAL = remote_profile_name(), profile_name()
#: The message in which each kind of topic comes, with its package.
IMAGE, CODED = "sensor_msgs/Image", "sensor_msgs/CompressedImage"
VIDEO = "foxglove_msgs/CompressedVideo"
#: Images of 84 packets that the bench publishes, on a topic of the profile.
FRAME_TOPIC, FRAME_BYTES, FRAME_HZ = "/oak/rgb/image_raw/compressed", 100_000, 10.0


class Watched(NamedTuple):
    """A topic, its type, and the rate at which the node publishes it, Hz."""

    topic: str
    kind: str
    hz: float


#: Topics of config/remote.yaml.
CODED_TOPICS = (
    Watched("left/image_raw/compressed", CODED, 15.0),
    *([Watched("rgb/video", VIDEO, 30.0)] if "compressed_video" in BUILDERS else []),
    Watched("depth/image_raw/compressedDepth", CODED, 5.0),
)
RAW_TOPICS = (Watched("left/image_raw", IMAGE, 15.0), Watched("depth/image_raw", IMAGE, 5.0))
#: The same rates for raw topics.
RAW_RATES = {"publish.left.image_raw.max_fps": 15.0, "publish.depth.image_raw.max_fps": 5.0}


def variables(profile: str) -> dict[str, str]:
    """The environment of a program on a host, with a profile of config/."""
    path = str(ROOT / "config" / profile)
    chosen = {**os.environ, **dict.fromkeys(PROFILE_VARIABLES, path)}
    chosen["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "SUBNET"
    chosen.pop("ROS_LOCALHOST_ONLY", None)
    return chosen


@contextmanager
def running(host: Host, words: Sequence[str], profile: str) -> Iterator[None]:
    """A program on a host."""
    quiet = {"stdin": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = host.start(words, env=variables(profile), **quiet)
    try:
        yield
    finally:
        end(process)


def node_command(**parameters: float) -> list[str]:
    """The camera node on the virtual device, with config/remote.yaml."""
    words = [sys.executable, "-m", "depthai_ros.node", "--ros-args", "-r", "__node:=oak"]
    words += ["--params-file", str(ROOT / "config/remote.yaml"), "-p", "device.id:=virtual"]
    return words + [word for item in parameters.items() for word in ("-p", "{}:={}".format(*item))]


@contextmanager
def listening(
    host: Host,
    topics: Sequence[Watched],
    profile: str,
    reliability: str = "reliable",
    depth: int = DEPTH,
) -> Iterator[subprocess.Popen[str]]:
    """A subscriber on a host; it ends by itself."""
    words = [f"/oak/{row.topic}:{row.kind}" for row in topics]
    listen = command("listen", SECONDS, 0, depth, reliability, *words)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    listener = host.start(listen, env=variables(profile), **pipes)
    try:
        yield listener
    finally:
        end(listener)


def rates(listener: subprocess.Popen[str], topics: Sequence[Watched]) -> list[float]:
    """Messages of each topic that a subscriber got, per second."""
    got = report(listener)
    return [max(got[f"/oak/{row.topic}"].count - 1, 0) / SECONDS for row in topics]


def camera_rows(
    what: str,
    topics: Sequence[Watched],
    loss: float,
    goal: float | None,
    depth: int = DEPTH,
    **parameters: float,
) -> list[Comparison]:
    """A row for each topic: its rate on the laptop against that on the robot, at the same time."""
    away, here = [], []
    for _ in range(REPETITIONS):
        with (
            two_hosts(MBIT, loss) as (robot, laptop),
            running(robot, node_command(**parameters), REMOTE),
            listening(robot, topics, REMOTE) as on_robot,
            listening(laptop, topics, REMOTE, depth=depth) as on_laptop,
        ):
            here.append(rates(on_robot, topics))
            away.append(rates(on_laptop, topics))
    return [
        Comparison(
            case=f"{what}: {row.topic}",
            ours=list(far),
            other=list(near),
            baseline="on the robot",
            unit="Hz",
            goal=goal,
            more_is_better=True,
            further={"configured_hz": row.hz},
        )
        for row, far, near in zip(
            topics, zip(*away, strict=True), zip(*here, strict=True), strict=True
        )
    ]


def frame_row(what: str, profile: str, reliability: str) -> Comparison:
    """The share of large images that arrives in spite of the loss."""
    topic = Watched(FRAME_TOPIC.removeprefix("/oak/"), CODED, FRAME_HZ)
    talk = command("talk", FRAME_TOPIC, FRAME_BYTES, FRAME_HZ, DEPTH)
    measured = []
    for _ in range(REPETITIONS):
        with (
            two_hosts(MBIT, LOSS) as (robot, laptop),
            running(robot, talk, profile),
            listening(laptop, [topic], profile, reliability) as listener,
        ):
            measured += rates(listener, [topic])
    return Comparison(
        case=f"100 kB images, 2 % loss: {what}",
        ours=measured,
        other=[FRAME_HZ] * REPETITIONS,
        baseline="published",
        unit="Hz",
        more_is_better=True,
    )


def main() -> None:
    """Measure."""
    output: Path | None = arguments(__doc__).json
    try:
        rows = [
            *camera_rows("20 Mbit/s", CODED_TOPICS, 0.0, GOAL),
            *camera_rows("the same, 2 % loss", CODED_TOPICS, LOSS, None),
            *camera_rows("the same, history of one", CODED_TOPICS, LOSS, None, depth=1),
            *camera_rows("20 Mbit/s, raw", RAW_TOPICS, 0.0, None, **RAW_RATES),
            frame_row("reliable", REMOTE, "reliable"),
            frame_row("best effort", REMOTE, "best_effort"),
            frame_row("reliable, profile for one machine", LOCAL, "reliable"),
        ]
    except HostsUnavailableError as refused:
        sys.exit(f"error: two hosts need network namespaces, and this machine refuses: {refused}")
    publish_rows("two_hosts", rows, output)


if __name__ == "__main__":
    main()
