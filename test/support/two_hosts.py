"""Two hosts on this machine, robot and laptop, and a link between them that may be slow and lossy.

A host is namespaces of its own: network, mounts with another /dev/shm, IPC and host name. Nothing
of it exists outside: addresses are inside only, and all of it goes when its last process ends. The
link is a veth pair. `tc … tbf` limits its rate. Each IP packet that arrives is lost with some
probability before fragments are put together; the kernel draws the numbers. The counters say how
many packets crossed and how many were lost. Needs iproute2, and root or a kernel that lets users
make namespaces.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

NAMES = ("robot", "laptop")
ADDRESSES = ("10.77.0.1", "10.77.0.2")
MTU = 1500
#: Of a queue before the slow link, as in a WiFi driver.
QUEUE_MS = 200
_UP_WITHIN_S = 10.0
_NEW = ("unshare", "--net", "--mount", "--ipc", "--uts", "--propagation", "private")
_AS_USER = ("--user", "--map-root-user")
#: Name of the link, and of a pair of devices that takes the lost packets and counts them.
_LINK, _LOST, _LOST_END = "radio", "lost", "lost_end"
_SET_UP = """
hostname {name}
mount -t tmpfs -o size=1g tmpfs /dev/shm
ip link set lo up
"""
_CONNECT = f"ip link add name {_LINK} mtu {MTU} type veth peer name {_LINK} netns {{pid}}"
_JOIN = f"""
ip address add {{address}}/24 dev {_LINK}
ip link set {_LINK} up
ip route add 224.0.0.0/4 dev {_LINK}
"""
_LIMIT = f"tc qdisc replace dev {_LINK} root tbf rate {{mbit}}mbit burst 32kb latency {QUEUE_MS}ms"
_DISCARD = f"""
ip link add {_LOST} type veth peer name {_LOST_END}
ip link set {_LOST} up
ip link set {_LOST_END} up
tc qdisc add dev {_LINK} ingress
"""
#: A program of classic BPF: it matches if a random number of 32 bit is less than the constant.
#: Source: linux/filter.h, SKF_AD_OFF + SKF_AD_RANDOM; man 8 tc-bpf
_RANDOM = "4,32 0 0 4294963256,53 1 0 {below},6 0 0 4294967295,6 0 0 0"
#: It matches if the first byte of the destination is 224 to 239.
_MULTICAST = "5,48 0 0 30,84 0 0 240,21 0 1 224,6 0 0 4294967295,6 0 0 0"
_FILTER = f"tc filter add dev {_LINK} parent ffff: protocol ip bpf bytecode"
_FILTERS = f"tc -json -stats filter show dev {_LINK} parent ffff:"
_AWAY = f"action mirred egress redirect dev {_LOST}"


class HostsUnavailableError(Exception):
    """This machine does not allow two hosts: says what was refused."""


class Counters(NamedTuple):
    """Of one host: what the link brought, and what of it was lost before IP saw it."""

    packets: int
    bytes: int
    lost: int
    #: IP packets that were fragments of a datagram, and datagrams of which all fragments came.
    fragments: int
    whole: int


@dataclass(frozen=True)
class Host:
    """One of the two; `enter` is a command that runs another command in it."""

    name: str
    address: str
    enter: tuple[str, ...]

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Start a program on this host; the process has the pid of the program."""
        return subprocess.Popen([*self.enter, *command], text=True, **options)

    def run(self, *command: str) -> str:
        """Output of a command. Raises HostsUnavailableError with its last line of errors."""
        return _output([*self.enter, *command])

    def counters(self) -> Counters:
        """What has arrived so far."""
        received = self._link()["stats64"]["rx"]
        filters = json.loads(self.run(*_FILTERS.split()) or "[]")
        names, values = self.run("grep", "Ip:", "/proc/net/snmp").splitlines()
        ip = dict(zip(names.split(), values.split(), strict=True))
        return Counters(
            packets=received["packets"],
            bytes=received["bytes"],
            lost=sum(_packets(row) for row in filters),
            fragments=int(ip["ReasmReqds"]),
            whole=int(ip["ReasmOKs"]),
        )

    def link_is_up(self) -> bool:
        """Whether programs can use the link; the kernel takes up to a second."""
        return bool(self._link()["operstate"] == "UP")

    def _link(self) -> dict[str, Any]:
        """State and counters of the link."""
        words = ("ip", "-json", "-stats", "link", "show", _LINK)
        shown: dict[str, Any] = json.loads(self.run(*words))[0]
        return shown

    def run_lines(self, lines: str, **values: object) -> None:
        """Run commands, one a line, with these values."""
        for line in filter(None, lines.splitlines()):
            self.run(*line.format(**values).split())

    def limit(self, mbit: float) -> None:
        """Limit what this host sends; packets wait in a queue, and are dropped if it is full."""
        self.run_lines(_LIMIT, mbit=mbit)

    def lose(self, share: float) -> None:
        """Lose this share of the IP packets that arrive here."""
        self._discard(_RANDOM.format(below=int(share * 2**32)))

    def lose_multicast(self) -> None:
        """Lose what arrives here by multicast, as many access points do."""
        self._discard(_MULTICAST)

    def _discard(self, program: str) -> None:
        """Lose the arriving IP packets for which a program of classic BPF is true."""
        self.run_lines(_DISCARD)
        self.run(*_FILTER.split(), program, *_AWAY.split())


@contextmanager
def two_hosts(mbit: float = 0.0, loss: float = 0.0) -> Iterator[tuple[Host, Host]]:
    """The robot and the laptop; with 0 the link is as fast as memory, and loses nothing.

    Raises  HostsUnavailableError if this machine refuses a part
    """
    with ExitStack() as stack:
        user = () if os.geteuid() == 0 else _AS_USER
        robot = _new_host(stack, 0, (*_NEW, *user), user)
        laptop = _new_host(stack, 1, (*robot.enter, *_NEW), user)
        _join(robot, laptop)
        for host in (robot, laptop):
            if mbit:
                host.limit(mbit)
            if loss:
                host.lose(loss)
        yield robot, laptop


def _new_host(stack: ExitStack, number: int, new: Sequence[str], user: Sequence[str]) -> Host:
    """Make the namespaces, and hold them with a process that ends with its standard input."""
    command = [*new, "sh", "-c", 'echo "$$"; exec cat']
    options: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    try:
        holder = subprocess.Popen(command, text=True, stderr=subprocess.PIPE, **options)
    except OSError as cause:
        raise HostsUnavailableError(f"`{command[0]}` cannot be started: {cause}") from None
    stack.callback(holder.communicate)
    assert holder.stdout is not None
    assert holder.stderr is not None
    pid = holder.stdout.readline().strip()
    if not pid:
        raise HostsUnavailableError(f"`{' '.join(new)}`: {holder.stderr.read().strip()}")
    as_user = ("--user", "--preserve-credentials") if user else ()
    enter = ("nsenter", "--target", pid, *as_user, "--net", "--mount", "--ipc", "--uts")
    host = Host(NAMES[number], ADDRESSES[number], (*enter, f"--wd={Path.cwd()}", "--"))
    host.run_lines(_SET_UP, name=host.name)
    return host


def _join(robot: Host, laptop: Host) -> None:
    """Connect the hosts by a link with an address at each end."""
    robot.run_lines(_CONNECT, pid=laptop.enter[2])
    for host in (robot, laptop):
        host.run_lines(_JOIN, address=host.address)
    deadline_s = time.monotonic() + _UP_WITHIN_S
    while not (robot.link_is_up() and laptop.link_is_up()):
        if time.monotonic() > deadline_s:
            raise HostsUnavailableError(f"the link is not up after {_UP_WITHIN_S:g} s")
        time.sleep(0.02)


def _packets(row: Mapping[str, Any]) -> int:
    """Packets that a filter has taken. Without options a row of `tc` is a heading."""
    actions = row.get("options", {}).get("actions", ())
    return sum(int(action["stats"]["packets"]) for action in actions)


def _found() -> dict[str, str]:
    """The environment, with the folders of `ip` and `tc`, which a user's PATH may not have."""
    return {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}


def _output(command: Sequence[str]) -> str:
    """Output of a command. Raises HostsUnavailableError with what it says about its failure."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=_found())
    except OSError as cause:
        raise HostsUnavailableError(f"`{command[0]}` cannot be started: {cause}") from None
    if done.returncode:
        said = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise HostsUnavailableError(f"`{' '.join(command)}`: {said}")
    return done.stdout
