"""A robot and a laptop with a slow and lossy link between them: what arrives on the laptop."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest
from host_programs import Received, command, report
from nodes import DEADLINE_S, ROOT, NodeProcess
from two_hosts import Counters, Host, HostsUnavailableError, two_hosts

from depthai_ros.ros_features import profile_variable, remote_profile_name

REMOTE = ROOT / "config" / "remote.yaml"
PROFILE = ROOT / "config" / remote_profile_name()
#: Of the link, as a WiFi that has others on it.
MBIT = 20.0
#: Share of the packets that are lost; enough for each frame below to lack one.
LOSS = 0.05
#: 100 kB: 84 messages that fit into a packet each.
FRAME_BYTES, FRAMES = 100_000, 30
FRAME_HZ = 10
#: A topic of the profile that the test publishes itself.
FRAME_TOPIC = "/oak/rgb/image_raw/compressed"
FRAME = f"{FRAME_TOPIC}:sensor_msgs/CompressedImage"
#: Watched topic -> its type and its rate in remote.yaml, Hz.
WATCHED = {
    "/oak/left/image_raw/compressed": ("sensor_msgs/CompressedImage", 15.0),
    "/oak/depth/image_raw/compressedDepth": ("sensor_msgs/CompressedImage", 5.0),
}
#: A raw topic, slow enough for the link.
RAW_HZ = 2.0
RAW = {"/oak/depth/image_raw": ("sensor_msgs/Image", RAW_HZ)}


Hosts = tuple[Host, Host]


@contextmanager
def hosts(mbit: float, loss: float = 0.0) -> Iterator[Hosts]:
    """The robot and the laptop; skips where the machine does not allow them."""
    try:
        with two_hosts(mbit, loss) as both:
            yield both
    except HostsUnavailableError as refused:
        pytest.skip(f"two hosts need network namespaces, and this machine refuses: {refused}")


@pytest.fixture(scope="module")
def link() -> Iterator[Hosts]:
    """The hosts, with a slow link."""
    with hosts(MBIT) as both:
        yield both


@pytest.fixture(scope="module")
def lossy_link() -> Iterator[Hosts]:
    """The hosts, with a faster link that loses packets."""
    with hosts(10 * MBIT, LOSS) as both:
        yield both


@pytest.fixture(scope="module")
def quiet_link() -> Iterator[Hosts]:
    """The hosts, with a link that loses what is sent by multicast."""
    with hosts(MBIT) as both:
        for host in both:
            host.lose_multicast()
        yield both


def variables(**own: str) -> list[str]:
    """A command for a command in the environment of docs/network.md."""
    values = {
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
        profile_variable(): str(PROFILE),
        **own,
    }
    words = ("=".join(item) for item in values.items())
    return ["env", "--unset=ROS_LOCALHOST_ONLY", *words]


class Programs:
    """Programs on the hosts; all end with the test."""

    def __init__(self, **own: str) -> None:
        self._env, self._started = variables(**own), list[subprocess.Popen[str]]()

    def start(self, host: Host, what: str, *words: object) -> subprocess.Popen[str]:
        words = (*self._env, *command(what, *words))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._started.append(host.start(words, **pipes))
        return self._started[-1]

    def listen(
        self, host: Host, topics: Mapping[str, tuple[str, float]], seconds: float
    ) -> subprocess.Popen[str]:
        words = (f"{topic}:{kind}" for topic, (kind, _) in topics.items())
        return self.start(host, "listen", seconds, 0, 2, "reliable", *words)

    def close(self) -> None:
        for process in self._started:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            process.wait(DEADLINE_S)
            process.stdout.close()


StartPrograms = Callable[..., Programs]


@pytest.fixture
def start_programs() -> Iterator[StartPrograms]:
    """start_programs(NAME=VALUE, …): programs with these variables; all end with the test."""
    with ExitStack() as stack:

        def started(**own: str) -> Programs:
            programs = Programs(**own)
            stack.callback(programs.close)
            return programs

        yield started


@pytest.fixture
def programs(start_programs: StartPrograms) -> Programs:
    return start_programs()


@pytest.fixture(scope="module")
def camera(link: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The laptop, while the robot has a camera node with the parameters for it."""
    robot, laptop = link
    own = {
        "device.id": "virtual",
        "calibration.nominal": True,
        "publish.depth.image_raw.max_fps": 2.0,
    }
    folder = tmp_path_factory.mktemp("robot")
    before = [*robot.enter, *variables()]
    node = NodeProcess(folder, own, params_file=REMOTE, before=before)
    yield laptop
    status = node.stop()
    print(node.output)
    assert status == 0


def crossed(host: Host, listener: subprocess.Popen[str]) -> tuple[dict[str, Received], Counters]:
    """What a listener received, and what the link brought meanwhile."""
    before = host.counters()
    got = report(listener)
    return got, since(before, host.counters())


def since(before: Counters, after: Counters) -> Counters:
    return Counters(*(new - old for new, old in zip(after, before, strict=True)))


def test_compressed_topics_arrive_at_their_rates(camera: Host, programs: Programs) -> None:
    got, link = crossed(camera, programs.listen(camera, WATCHED, 3.0))
    rates = {topic: (got[topic].rate_hz(), hz) for topic, (_, hz) in WATCHED.items()}
    assert all(rate >= 0.9 * hz for rate, hz in rates.values()), (rates, link)
    assert link.bytes > sum(row.bytes for row in got.values()), (got, link)
    assert link.fragments < link.packets / 10, "messages of the profile need no fragments"


def test_slow_raw_topic_arrives(camera: Host, programs: Programs) -> None:
    got, link = crossed(camera, programs.listen(camera, RAW, 2.0))
    (row,) = got.values()
    assert row.count >= 2, (got, link)
    assert link.bytes > row.bytes, (got, link)
    assert link.whole > 0, "messages of 64 KiB need several packets each"


def test_reliable_delivers_what_best_effort_loses(lossy_link: Hosts, programs: Programs) -> None:
    robot, laptop = lossy_link
    talker = programs.start(robot, "talk", FRAME_TOPIC, FRAME_BYTES, FRAME_HZ, FRAMES)
    weak = programs.start(laptop, "listen", DEADLINE_S, 0, 1, "best_effort", FRAME)
    strong = programs.start(laptop, "listen", DEADLINE_S, FRAMES, FRAMES, "reliable", FRAME)
    (reliable,), (best_effort,) = report(strong).values(), report(weak, now=True).values()
    link = laptop.counters()
    assert talker.poll() is None
    assert reliable.count == FRAMES
    assert reliable.rate_hz() == pytest.approx(FRAME_HZ), "frames are missing"
    assert best_effort.count < FRAMES // 2, (reliable, best_effort)
    assert link.lost > LOSS * link.packets / 2, link
    assert link.fragments < link.packets / 10, "messages of the profile need no fragments"


def test_discovery_without_multicast_by_static_peers(
    quiet_link: Hosts, start_programs: StartPrograms
) -> None:
    robot, laptop = quiet_link
    programs = start_programs(ROS_STATIC_PEERS=robot.address)
    programs.start(robot, "talk", FRAME_TOPIC, FRAME_BYTES, FRAME_HZ, 1)
    (got,) = report(programs.start(laptop, "listen", DEADLINE_S, 1, 1, "reliable", FRAME)).values()
    assert got.count >= 1


def test_discovery_without_multicast_by_a_server(
    quiet_link: Hosts, start_programs: StartPrograms
) -> None:
    robot, laptop = quiet_link
    if shutil.which("fast-discovery-server") is None:
        pytest.skip("fast-discovery-server of Fast DDS is missing")
    server = robot.start(["fast-discovery-server", "-i", "0", "-l", robot.address, "-p", "11811"])
    programs = start_programs(ROS_DISCOVERY_SERVER=f"{robot.address}:11811")
    try:
        programs.start(robot, "talk", FRAME_TOPIC, FRAME_BYTES, FRAME_HZ, 1)
        got = report(programs.start(laptop, "listen", DEADLINE_S, 1, 1, "reliable", FRAME))
        assert all(row.count >= 1 for row in got.values())
    finally:
        server.terminate()
        server.wait()


def test_loss_falls_on_packets_and_not_on_datagrams(lossy_link: Hosts) -> None:
    robot, laptop = lossy_link
    datagrams, packets = 40, 21  # 30 kB each
    before = laptop.counters()
    send = f"""
import socket
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range({datagrams}):
    sender.sendto(bytes(30_000), ("{laptop.address}", 9))
"""
    robot.run(sys.executable, "-c", send)
    link = since(before, laptop.counters())
    assert link.packets == pytest.approx(datagrams * packets, abs=20), link
    assert link.fragments + link.lost == pytest.approx(link.packets, abs=20), link
    assert 0 < link.whole < datagrams, link
    assert link.lost > datagrams - link.whole, "some datagrams lose several packets"
