"""The reference trace of a whole session, played against host and virtual device by a bare peer."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from raw_xlink import CLOSE, CREATE, PING, RESET, WRITE, RawEnd

from depthai_ros import config
from depthai_ros.device.connect import child_environment
from depthai_ros.device.device import OpenDevice
from depthai_ros.streams import WIRE_STREAMS

LEFT_PACKET_BYTES = 1280 * 720 + 56
BLOB = bytes(1000)


@pytest.fixture
def bare_host() -> Iterator[RawEnd]:
    """A bare host, connected to a virtual device in its own process."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "depthai_ros.virtual", "--fd", str(theirs.fileno())]
    process = subprocess.Popen(
        [*command, "--device", "pattern"], pass_fds=[theirs.fileno()], env=child_environment()
    )
    theirs.close()
    with ours:
        yield RawEnd(ours)
    assert process.wait(10) == 0


def device_configuration() -> dict[str, Any]:
    settings = config.defaults().replace({"stream_list": ["left"]})
    return config.device_config(settings, blob_sizes=[len(BLOB)])


def open_session(host: RawEnd, configuration: dict[str, Any] | None = None) -> None:
    """The trace up to the first data stream."""
    assert host.request(PING)[3] == 1
    assert host.create("config_d2h", 102_400) == ("config_d2h", 0, 102_400, 1)
    host.wait_for("C", "config_d2h")
    board = host.wait_for("W", "config_d2h")
    assert json.loads(board.payload.split(b"\0")[0])["_available_streams"] == list(WIRE_STREAMS)
    assert host.request(CLOSE, stream=0)[3] == 1
    host.wait_for("X", "config_d2h")

    assert host.create("config_h2d", 1 << 20)[1] == 1
    document = configuration or device_configuration()
    text = json.dumps(document).encode().ljust(1 << 20, b"\0")
    host.request(WRITE, stream=1, size=len(text), payload=text)
    assert host.wait_for("R", "config_h2d").size == 1 << 20
    assert host.request(CLOSE, stream=1)[3] == 1
    assert host.create("host_capture", 64)[1] == 2

    assert host.create("inBlob", 1024)[1] == 3
    host.request(WRITE, stream=3, size=len(BLOB), payload=BLOB)
    assert host.wait_for("R", "inBlob").size == len(BLOB)
    assert host.request(CLOSE, stream=3)[3] == 1
    assert host.create("outBlob", 102_400)[1] == 4
    host.wait_for("C", "outBlob")
    layers = json.loads(host.wait_for("W", "outBlob").payload.split(b"\0")[0])
    assert layers["metadata"]["satisfied_resources"] == 1
    assert host.request(CLOSE, stream=4)[3] == 1
    host.wait_for("X", "outBlob")

    assert host.create("left", 1_024_064) == ("left", 5, 1_024_064, 1)


def expect_hang_up(host: RawEnd) -> None:
    """Frames may still come, then the link ends, as real hardware leaves the bus."""
    with pytest.raises((EOFError, ConnectionError)):
        host.wait_for("never")


def test_virtual_device_follows_the_reference_trace(bare_host: RawEnd) -> None:
    open_session(bare_host)
    bare_host.wait_for("C", "left")
    sequences = []
    for _ in range(5):
        packet = bare_host.wait_for("W", "left")
        assert packet.size == LEFT_PACKET_BYTES
        sequences += struct.unpack_from("<i", packet.payload, packet.size - 56 + 28)
    # Gaps are allowed, as on silicon: a device skips frames if it gets no processor time.
    assert all(before < after for before, after in pairwise(sequences))
    reset = b"\xad\xde\xad\xde"
    bare_host.send(WRITE, stream=bare_host.ids["host_capture"], size=4)
    bare_host.sock.sendall(reset)
    expect_hang_up(bare_host)


def test_virtual_device_never_writes_before_its_own_create_was_answered(bare_host: RawEnd) -> None:
    open_session(bare_host)
    bare_host.wait_for("C", "left")
    before = [r for r in bare_host.requests if r.kind == "W" and r.stream == "left"]
    assert before == []


def test_virtual_device_accepts_the_configuration_of_an_older_host(bare_host: RawEnd) -> None:
    older = device_configuration()
    for name in ("median_kernel_size", "lr_check", "warp_rectify"):
        del older["depth"][name]
    sync = "sync_video_meta_streams"
    older["app"] = {sync: older["app"][sync]}
    open_session(bare_host, older)
    assert bare_host.wait_for("W", "left").size == LEFT_PACKET_BYTES
    assert bare_host.request(RESET)[3] == 1


def test_virtual_device_answers_reset_request_and_hangs_up(bare_host: RawEnd) -> None:
    open_session(bare_host)
    assert bare_host.request(RESET)[3] == 1
    expect_hang_up(bare_host)


def test_virtual_device_stops_a_stream_that_the_host_closes(bare_host: RawEnd) -> None:
    open_session(bare_host)
    bare_host.wait_for("W", "left")
    bare_host.request(CLOSE, stream=bare_host.ids["left"])
    bare_host.wait_for("X", "left")
    bare_host.requests.clear()
    bare_host.request(PING)
    assert [r.kind for r in bare_host.requests] == []


class BareDevice(RawEnd):
    """A bare device that serves one session of stream `left` by the reference trace."""

    def say(self, stream: str, payload: bytes) -> None:
        """Own create, answered; then one packet."""
        self.request(CREATE, stream, 0xDEADDEAD, 10 << 20)
        self.request(WRITE, stream=self.ids[stream], size=len(payload), payload=payload)
        self.wait_for("R", stream)

    def serve(self, board: dict[str, object], frame: bytes) -> None:
        self.wait_for("PING")
        self.wait_for("C", "config_d2h")
        self.say("config_d2h", json.dumps(board).encode() + b"\0")
        self.wait_for("X", "config_d2h")
        self.request(CLOSE, stream=self.ids["config_d2h"])
        self.wait_for("C", "config_h2d")
        self.config = self.wait_for("W", "config_h2d").payload
        self.wait_for("X", "config_h2d")
        self.wait_for("C", "host_capture")
        self.window = self.wait_for("C", "left").size
        self.say("left", frame)
        self.reset = self.wait_for("W", "host_capture").payload
        self.wait_for("RESET")


BOARD = {
    "_cams": {"rgb": True, "left": True, "right": True},
    "_available_streams": list(WIRE_STREAMS),
    "eeprom": {"version": -1},
}
FRAME = bytes(range(256)) * (921_600 // 256) + struct.pack(
    "<iIIIIIIiQQII", 15, 720, 1280, 1280, 1, 0, 1, 30, 1, 16_666_744, 921_600, 0xCAFEF00D
)


@contextmanager
def bare_device(path: Path) -> Iterator[BareDevice]:
    """A bare device that waits at a unix socket and plays the trace in a thread."""
    with socket.socket(socket.AF_UNIX) as listener, ThreadPoolExecutor(1) as pool:
        listener.bind(str(path))
        listener.listen(1)
        end = BareDevice(socket.socket(socket.AF_UNIX), first_id=100)

        def play() -> None:
            end.sock.close()
            end.sock = listener.accept()[0]
            end.sock.settimeout(10.0)
            end.serve(BOARD, FRAME)

        playing = pool.submit(play)
        yield end
        playing.result(10)
        end.sock.close()


def test_host_follows_the_reference_trace(tmp_path: Path) -> None:
    path = tmp_path / "device"
    with bare_device(path) as end:
        device = OpenDevice.open(f"unix:{path}")
        try:
            settings = config.defaults().replace({"stream_list": ["left"]})
            pipeline = device.start_pipeline(settings)
            assert pipeline.wait(10.0)
            (received,) = pipeline.frames()
        finally:
            device.close()
    assert received.data.tobytes() == FRAME[:921_600]
    assert received.metadata is not None
    assert (received.metadata.sequence, received.metadata.timestamp_ns) == (30, 1_016_666_744)
    assert len(end.config) == 1 << 20
    assert json.loads(end.config.rstrip(b"\0"))["_pipeline"]["_streams"] == [{"name": "left"}]
    assert end.window == 1_024_064
    assert end.reset == b"\xad\xde\xad\xde"
