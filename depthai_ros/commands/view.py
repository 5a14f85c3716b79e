"""Serves the camera's page for a browser: `depthai-view`."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .. import __version__, extras
from ..bounded import shown
from ..config import resolve_path
from ..config.options import DEFAULT_NAME
from ..config.parameter_files import parameters_in
from ..errors import DepthaiError
from ..view.source import CameraSource, State

if TYPE_CHECKING:  # it needs viser, which may be missing
    from ..view.server import PageServer

_EPILOG = """\
The first line is the address for the browser. It contains a token: everybody who has the address
sees the camera and, without --read-only, changes it.

From another machine, without opening the robot to its network:
    ssh -L 8080:127.0.0.1:8080 ROBOT        then open the address as it was printed
With --host 0.0.0.0 the page is open to all networks of this machine, and not encrypted.

--device shows a device directly, without a node and without ROS: virtual, usb, usb:1.3, unix:/path,
tcp:host:port; `depthai-list` lists them. No other program may use it. A board on USB needs its
firmware: device.firmware in a --params-file, or the variable DEPTHAI_FIRMWARE.

Exit status: 0 = ended by Ctrl-C, 1 = an error, 2 = a wrong argument.
"""
#: Environment variable with the token.
TOKEN_VARIABLE = "DEPTHAI_VIEW_TOKEN"
_ENDINGS = (signal.SIGINT, signal.SIGTERM)
#: Seconds between two looks at whether the node is there.
_LOOK_S = 1.0
#: Seconds for the page to end.
_END_S = 10.0
_NODE = re.compile(r"(/[A-Za-z_]\w*)+", re.ASCII)


class RunsPage(Protocol):
    """What draws the page until `stop` is set."""

    def run(self, stop: threading.Event) -> None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What the command starts; a test gives others."""

    server: Callable[[argparse.Namespace], PageServer]
    source: Callable[[argparse.Namespace], CameraSource]
    page: Callable[[PageServer, CameraSource, bool], RunsPage]


def _server(arguments: argparse.Namespace) -> PageServer:
    from ..view.server import start

    return start(arguments.host, arguments.port, token=arguments.token, names=arguments.allow_host)


def _source(arguments: argparse.Namespace) -> CameraSource:
    if arguments.device:
        from ..view.device_source import DeviceSource

        file, node = arguments.params_file, f"/{DEFAULT_NAME}"
        values = parameters_in(resolve_path(file), node) if file else {}
        values["device.id"] = arguments.device
        return DeviceSource(arguments.device, arguments.read_only, values)
    try:
        from ..view.ros_source import RosSource
    except ModuleNotFoundError as error:
        raise DepthaiError(
            f"{sys.executable} does not find {error.name}: to show a node, source the setup.bash "
            "of ROS 2 and of this package; --device shows a device without ROS"
        ) from None
    return RosSource(arguments.node, arguments.read_only)


def _page(server: PageServer, source: CameraSource, read_only: bool) -> RunsPage:
    from ..view.page import Page

    return Page(server.viser, source, read_only)


PARTS = Parts(_server, _source, _page)


def _node(text: str) -> str:
    name = "/" + text.strip("/")
    if not _NODE.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{shown(text)} is no name of a node, as {DEFAULT_NAME}")
    return name


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not 0 (a free port) to 65535")
    return int(text)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="depthai-view",
        description="Show a camera in a browser and change its parameters there.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shows = parser.add_mutually_exclusive_group()
    name = f"/{DEFAULT_NAME}"
    shows.add_argument("--node", default=name, type=_node, help=f"the camera node ({name})")
    shows.add_argument("--device", default="", metavar="SELECTOR", help="a device, without ROS")
    parser.add_argument(
        "--params-file", metavar="FILE", help="with --device: parameters, as a file of the node"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", default=8080, type=_port, help="port, 0 = a free one (8080)")
    parser.add_argument(
        "--token", default=os.environ.get(TOKEN_VARIABLE, ""),
        help=f"fixed token (${TOKEN_VARIABLE}, which other users cannot see; else a random one)",
    )  # fmt: skip
    parser.add_argument(
        "--allow-host", default=[], action="append", metavar="NAME",
        help="another name of this machine in the browser's address; may be repeated",
    )  # fmt: skip
    parser.add_argument("--read-only", action="store_true", help="lock every control")
    parser.add_argument("--version", action="version", version=__version__)
    arguments = parser.parse_args(words)
    if arguments.params_file and not arguments.device:
        parser.error("--params-file is for --device: a node has the parameters of its own start")
    return arguments


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def greeting(host: str, server: PageServer, *, read_only: bool) -> Iterator[str]:
    """The first lines of output: where the page is, and how it is reached."""
    yield f"open in a browser:     {server.address}"
    if not _is_loopback(host):
        does = "sees" if read_only else "sees and changes"
        yield f"open to the network, not encrypted: everybody with this address {does} the camera"
        return
    place = f"[{host}]" if ":" in host else host
    tunnel = f"ssh -L {server.port}:{place}:{server.port} {socket.gethostname()}"
    yield f"from another machine:  {tunnel}   then open the same address there"


def _say(text: str) -> None:
    print(f"depthai-view: {text}", file=sys.stderr, flush=True)


def condition(arguments: argparse.Namespace, state: State) -> str:
    """The state of node or device in one line; it is printed when it changes."""
    if arguments.device:
        return f"{arguments.device}: {state.text}"
    return f"{arguments.node} {'is not there, waiting' if state.node == 'gone' else 'is there'}"


class _PageThread(threading.Thread):
    """Draws the page until `end`; `error` is what ended it."""

    def __init__(self, page: RunsPage) -> None:
        super().__init__(name="page", daemon=True)
        self._page = page
        self._ending = threading.Event()
        self.error: Exception | None = None

    def run(self) -> None:
        """The thread."""
        try:
            self._page.run(self._ending)
        except Exception as error:
            self.error = error

    def end(self) -> None:
        """End the page and wait for it."""
        self._ending.set()
        if self.is_alive():
            self.join(_END_S)


def _serve(arguments: argparse.Namespace, parts: Parts) -> None:
    """Show the page until it ends or is interrupted."""
    with contextlib.ExitStack() as stack:
        server = parts.server(arguments)  # before the source: with a busy port no device starts
        stack.callback(server.stop)
        source = parts.source(arguments)
        stack.callback(source.close)
        thread = _PageThread(parts.page(server, source, arguments.read_only))
        lines = greeting(arguments.host, server, read_only=arguments.read_only)
        print(*lines, sep="\n", flush=True)
        stack.callback(thread.end)  # before the start: Ctrl-C can come at once
        thread.start()
        said = f"{arguments.node} is there"
        while thread.is_alive():
            thread.join(_LOOK_S)
            if said != (said := condition(arguments, source.state())):
                _say(said)
        if thread.error:
            raise thread.error


def _interrupt(*_: object) -> None:
    """Handler of the first signal; `ros2 launch` sends another one than the terminal does."""
    for number in _ENDINGS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(words: Sequence[str] | None = None, parts: Parts = PARTS) -> int:
    """Entry point; returns the exit status."""
    arguments = _arguments(words)
    if problem := extras.missing("view"):
        _say(problem)
        return 1
    for number in _ENDINGS:
        signal.signal(number, _interrupt)
    try:
        _serve(arguments, parts)
    except KeyboardInterrupt:
        return 0
    except DepthaiError as error:
        _say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
