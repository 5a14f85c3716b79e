"""depthai-view: what it starts, prints and ends, with a page, source and server of this file."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from depthai_ros import extras
from depthai_ros.commands import view
from depthai_ros.errors import ConfigError, DeviceNotFoundError

ADDRESS = "http://127.0.0.1:8080/?token=abc"


@dataclass
class Session:
    """The parts of one command; each writes what happens to it."""

    run: Callable[[threading.Event], object] = lambda _: None
    failing: dict[str, Exception] = field(default_factory=dict)
    happened: list[str] = field(default_factory=list)
    given: list[argparse.Namespace] = field(default_factory=list)

    # -- as a server, a source and a page

    port, address = 8080, ADDRESS

    def stop(self) -> None:
        self.happened.append("server stopped")

    def close(self) -> None:
        self.happened.append("source closed")

    def state(self) -> argparse.Namespace:
        return argparse.Namespace(node="active", text="streaming")

    # -- as the makers of all three

    def _made(self, name: str, *given: Any) -> Any:
        if name in self.failing:
            raise self.failing[name]
        self.happened.append(f"{name} made")
        self.given += [each for each in given if isinstance(each, argparse.Namespace)]
        return self

    def main(self, *words: str) -> int:
        makers = [
            lambda *given, name=name: self._made(name, *given)
            for name in ("server", "source", "page")
        ]
        return view.main(words, view.Parts(*makers))


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """viser counts as installed; the handlers of signals are those of before."""
    monkeypatch.setitem(extras.EXTRAS, "view", ())
    monkeypatch.setattr(view, "_LOOK_S", 0.01)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_page_source_and_server_in_this_order(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(stop: threading.Event) -> None:
        os.kill(os.getpid(), number)
        assert stop.wait(10)
        session.happened.append("page ended")

    class InterruptedAgain(Session):
        def close(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)  # `ros2 launch` sends it after the terminal did
            super().close()

    session = InterruptedAgain(run)
    assert session.main() == 0
    assert session.happened == [
        "server made", "source made", "page made",
        "page ended", "source closed", "server stopped",
    ]  # fmt: skip
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(ADDRESS)
    assert f"ssh -L 8080:127.0.0.1:8080 {socket.gethostname()} " in second


def test_arguments() -> None:
    session = Session()
    assert session.main("--node", "robot/front/", "--read-only", "--port", "0") == 0
    assert session.main("--device", "virtual", "--allow-host", "a", "--allow-host", "b") == 0
    ros, device = session.given[0], session.given[2]
    assert (ros.node, ros.device, ros.port, ros.read_only) == ("/robot/front", "", 0, True)
    assert (device.node, device.device, device.host) == ("/oak", "virtual", "127.0.0.1")
    assert (device.token, device.allow_host, device.read_only) == ("", ["a", "b"], False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--port 65536", "'65536' is not 0 (a free port) to 65535"),
        ("--port http", "'http' is not 0"),
        ("--node /robot//oak", "'/robot//oak' is no name of a node"),
        ("--node a-b", "'a-b' is no name of a node"),
        ("--node oak --device usb", "not allowed with"),
        ("--params-file a.yaml", "is for --device"),
    ],
)
def test_wrong_argument_is_named(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        Session().main(*words.split())
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("failing", "error", "ended"),
    [
        ("server", ConfigError("port 8080 is in use"), []),
        ("source", DeviceNotFoundError("no board on USB"), ["server made", "server stopped"]),
    ],
)
def test_error_at_the_start_is_one_line_and_ends_what_was_started(
    failing: str, error: Exception, ended: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session(failing={failing: error})
    assert session.main() == 1
    assert session.happened == ended
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", f"depthai-view: {error}\n")


def test_error_of_the_page_ends_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    def run(_: threading.Event) -> None:
        raise DeviceNotFoundError("unplugged")

    session = Session(run)
    assert session.main() == 1
    assert session.happened[-2:] == ["source closed", "server stopped"]
    assert capsys.readouterr().err == "depthai-view: unplugged\n"


NODES = {
    "/oak is not there, waiting": {"node": "gone"},
    "/oak is there": {"node": "inactive"},
}
DEVICES = {
    "usb: waiting for the device": {"text": "waiting for the device"},
    "usb: streaming": {"text": "streaming"},
}


@pytest.mark.parametrize(
    ("words", "states"), [((), NODES), (("--device", "usb"), DEVICES)], ids=["node", "device"]
)
def test_node_or_device_that_comes_and_goes_is_reported_once_each(
    words: tuple[str, ...], states: dict[str, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    ended = threading.Event()
    away, there = states
    lines = [away, away, there, there, away]

    class Watched(Session):
        def state(self) -> argparse.Namespace:
            line = coming.pop(0) if coming else lines[-1]
            if not coming:
                ended.set()
            return argparse.Namespace(**states[line])

    coming = [*lines]
    assert Watched(lambda _: ended.wait(10)).main(*words) == 0
    said = capsys.readouterr().err.splitlines()
    assert said == [f"depthai-view: {line}" for line in (away, there, away)]


@pytest.mark.parametrize(("words", "does"), [((), "sees and changes"), (("--read-only",), "sees")])
def test_open_to_the_network_is_said(
    words: tuple[str, ...], does: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Session().main("--host", "0.0.0.0", *words) == 0
    assert (
        f"not encrypted: everybody with this address {does} the camera" in capsys.readouterr().out
    )


def test_without_ros_the_error_says_what_to_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "depthai_ros.view.ros_source", None)
    with pytest.raises(view.DepthaiError, match=r"setup\.bash.*--device"):
        view.PARTS.source(argparse.Namespace(device="", node="/oak", read_only=False))


@pytest.mark.parametrize("is_the_systems", [True, False])
def test_missing_viser_is_an_error_with_the_commands_that_install_it(
    is_the_systems: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    if is_the_systems:
        (tmp_path / "EXTERNALLY-MANAGED").touch()
    monkeypatch.setitem(extras.EXTRAS, "view", ("viser==1.1.1", "other>=1,<2"))
    monkeypatch.setattr(extras, "version", version)
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    session = Session()
    assert session.main() == 1
    assert session.happened == []
    said = capsys.readouterr().err
    assert f"{sys.executable} lacks viser, lacks other. To install:\n" in said
    assert "-m pip install viser==1.1.1 'other>=1,<2'" in said
    assert ("-m venv --system-site-packages" in said) is is_the_systems


@pytest.mark.parametrize(
    ("found", "requirement", "fits"),
    [
        ("1.1.1", "x==1.1.1", True), ("1.1.1rc1", "x==1.1.1", False), ("1.1.10", "x==1.1.1", False),
        ("14.2", "x>=14.2,<17", True), ("14.1.9", "x>=14.2,<17", False), ("9.0", "x>=14.2", False),
        ("16.99", "x>=14.2,<17", True), ("17.0", "x>=14.2,<17", False),
    ],
)  # fmt: skip
def test_versions_are_compared_as_numbers(
    found: str, requirement: str, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(extras.EXTRAS, "view", (requirement,))
    monkeypatch.setattr(extras, "version", lambda _: found)
    assert (extras.missing("view") == "") is fits
