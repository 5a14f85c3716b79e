"""A listening virtual device outlives every host: a bad session ends with one sentence."""

from __future__ import annotations

import copy
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gen1_devices import until

from depthai_ros import _core
from depthai_ros.config.device_document import device_config
from depthai_ros.config.settings import validate
from depthai_ros.errors import ConfigError, LinkError
from depthai_ros.streams import CONFIG_H2D_BYTES
from depthai_ros.virtual.frame_scheduler import part_of_session

SOON_S = 20.0
#: What a listener may take beyond the memory of a good session, bytes.
ROOM_BYTES = 200 << 20
STREAMS = ["left", "metaout", "previewout"]
GOOD_BLOB = {
    "input": [3, 30, 40],
    "outputs": [{"name": "out", "dimensions": [1, 2, 3, 4], "type": "float16"}],
}


def good_config() -> dict[str, Any]:
    return device_config(
        validate({"stream_list": STREAMS, "ai.blob_file": "any"}), calibration_floats=[]
    )


def changed(document: dict[str, Any], path: str, value: Any) -> bytes:
    """The document with another value at a path such as camera.mono.fps; `...` removes the key."""
    document = copy.deepcopy(document)
    *parents, last = path.split(".")
    inner: Any = document
    for name in parents:
        inner = inner[int(name) if isinstance(inner, list) else name]
    key: Any = int(last) if isinstance(inner, list) else last
    if value is ...:
        del inner[key]
    else:
        inner[key] = value
    return json.dumps(document).encode()


DEEP = b"[" * 50_000

#: config_h2d -> words of the sentence.
TEXTS = [
    (b"", "config_h2d"),
    (b"{", "config_h2d"),
    (b"\xff\xfe", "config_h2d"),
    (DEEP, "config_h2d"),
    (b'{"a":' * 50_000, "config_h2d"),
    (b"[]", r"config_h2d is \[\], expected an object"),
    (b"null", "config_h2d is None, expected an object"),
    (b"7", "config_h2d is 7, expected an object"),
    (b"9" * 5000, "config_h2d"),
    (b"NaN", "config_h2d"),
    (b"{}", "config_h2d has no _pipeline, expected an object"),
]
#: Path in config_h2d, value (... = missing) -> words of the sentence.
VALUES: list[tuple[str, Any, str]] = [
    ("ai", [], r"ai is \[\], expected an object"),
    ("app", None, "app is None, expected an object"),
    ("camera.mono", ..., "camera has no mono"),
    ("_pipeline._streams", {}, r"_pipeline\._streams is {}, expected a list"),
    ("_pipeline._streams", [{"name": "left"}] * 1000, "_streams .* expected a list of"),
    ("_pipeline._streams.0", "left", r"_streams\[0\] is 'left', expected an object"),
    ("_pipeline._streams.0.name", ["left"], r"_streams\[0\]\.name is \['left'\]"),
    ("_pipeline._streams.1.name", "\x1b[2J", r"_streams\[1\]\.name is '\\x1b\[2J'"),
    ("_pipeline._streams.0.max_fps", -1, "max_fps is -1, expected"),
    ("_pipeline._streams.0.max_fps", 1e-300, "max_fps is 1e-300, expected"),
    ("camera.mono.fps", 0, "camera.mono.fps is 0, expected a number"),
    ("camera.mono.fps", -30, "camera.mono.fps is -30"),
    ("camera.mono.fps", float("nan"), "fps|config_h2d"),
    ("camera.mono.fps", float("inf"), "fps|config_h2d"),
    ("camera.mono.fps", 10**400, "fps|config_h2d"),
    ("camera.mono.fps", "30", "camera.mono.fps is '30'"),
    ("camera.mono.fps", True, "camera.mono.fps is True"),
    ("camera.rgb.fps", 1e9, "camera.rgb.fps is 1000000000.0"),
    ("camera.rgb.fps", 1e-9, "camera.rgb.fps is 1e-09"),
    ("camera.mono.resolution_h", -1, "resolution_h is -1, expected one of 400, 720, 800"),
    ("camera.mono.resolution_h", 10**6, "resolution_h is 1000000, expected"),
    ("camera.mono.resolution_h", [], r"resolution_h is \[\], expected"),
    ("camera.rgb.resolution_h", 720, "resolution_h is 720, expected one of 1080, 2160, 3040"),
    ("ai.camera_input", {}, "ai.camera_input is {}"),
    ("ai.shaves", 1.5, "ai.shaves is 1.5, expected an integer"),
    ("ai.shaves", ..., "ai has no shaves"),
    ("ai.keep_aspect_ratio", 1, "keep_aspect_ratio is 1, expected true or false"),
    ("ai.NN_config", 3, "NN_config is 3, expected an object"),
    ("ai.NN_config", {"confidence_threshold": "x"}, "confidence_threshold is 'x'"),
    ("ai.NN_config", {"NN_specific_metadata": []}, r"NN_specific_metadata is \[\]"),
    ("board.left_fov_deg", 0, "left_fov_deg is 0"),
    ("board.rgb_fov_deg", 180, "rgb_fov_deg is 180"),
    ("board.left_to_right_distance_m", -1, "left_to_right_distance_m is -1"),
    ("board.name", {"x": DEEP[:50].decode()}, "board.name is"),
    ("board.revision", "x" * 10_000, "board.revision is 'x"),
    ("board", {"store-to-eeprom": 1}, "store-to-eeprom is 1, expected true or false|has no"),
    ("_board.calib_data.5", None, r"calib_data\[5\] is None, expected a number"),
    ("_board.calib_data.5", 1e300, r"calib_data\[5\] is 1e\+300, expected a number"),
    ("depth.padding_factor", None, "padding_factor is None"),
    ("depth.depth_limit_mm", "far", "depth_limit_mm is 'far'"),
    ("depth.warp_rectify", [], r"warp_rectify is \[\], expected an object"),
    ("ot.max_tracklets", 10**9, "max_tracklets is 1000000000"),
    ("video_config", "mjpeg", "video_config is 'mjpeg', expected an object"),
    ("video_config", {"profile": "h266"}, "profile is 'h266', expected one of h264_baseline"),
    ("video_config", {"bitrate": 10**12}, "bitrate is 10{12}"),
]
#: inBlob -> words of the sentence.
BLOBS = [
    (b"{", "inBlob"),
    (b'{"a":' * 50_000, "inBlob"),
    (b"{}", "inBlob has no input"),
    (changed(GOOD_BLOB, "input", []), r"input is \[\], expected a list of 3"),
    (changed(GOOD_BLOB, "input.1", -1), r"input\[1\] is -1, expected an integer"),
    (changed(GOOD_BLOB, "input.1", 1e3), r"input\[1\] is 1000\.0, expected an integer"),
    (changed(GOOD_BLOB, "input.1", 10**6), r"input\[1\] is 1000000"),
    (changed(GOOD_BLOB, "input", [3, 4000, 4000]), "48000000 bytes, expected at most"),
    (changed(GOOD_BLOB, "outputs", []), r"outputs is \[\], expected a list of"),
    (changed(GOOD_BLOB, "outputs", GOOD_BLOB["outputs"] * 1000), "outputs is .* expected a list"),
    (changed(GOOD_BLOB, "outputs.0", None), r"outputs\[0\] is None, expected an object"),
    (changed(GOOD_BLOB, "outputs.0.name", 3), "name is 3, expected printable text"),
    (changed(GOOD_BLOB, "outputs.0.type", "complex"), "type is 'complex', expected one of"),
    (changed(GOOD_BLOB, "outputs.0.type", {}), "type is {}, expected one of"),
    (changed(GOOD_BLOB, "outputs.0.dimensions", []), "dimensions is"),
    (changed(GOOD_BLOB, "outputs.0.dimensions", [1] * 5), "dimensions is"),
    (changed(GOOD_BLOB, "outputs.0.dimensions.3", 0), r"dimensions\[3\] is 0"),
    (changed(GOOD_BLOB, "outputs.0.dimensions", [1, 4000, 4000, 4000]), "expected at most"),
    (changed(GOOD_BLOB, "outputs.0.values", [1.0]), "values has 1 numbers, expected 24"),
    (changed(GOOD_BLOB, "outputs.0.values", [[1.0]] * 24), r"values\[0\] is \[1\.0\]"),
    (changed(GOOD_BLOB, "shaves", "x"), "shaves is 'x', expected an integer"),
]


class ListeningDevice:
    """The process, and its words."""

    def __init__(self, folder: Path) -> None:
        self.address = f"unix:{folder / 'device'}"
        self._errors = folder / "stderr.txt"
        command = [sys.executable, "-m", "depthai_ros.virtual", "--listen", self.address]
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [*command, "--device", "pattern", "--first-request-s", "0.5"],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self.process.stdout
        assert "waits at" in self.process.stdout.readline()

    def sentences(self) -> list[str]:
        return self._errors.read_text().splitlines()

    def peak_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return int(found[1]) << 10

    def connect(self) -> _core.Link:
        transport = _core.Transport.connect(address=self.address, timeout_s=SOON_S)
        link = _core.Link(transport=transport, role="host")
        link.ping(timeout_s=SOON_S)
        return link

    def close(self) -> None:
        self.process.terminate()
        assert self.process.wait(10) == 0
        assert self.process.stdout
        self.process.stdout.close()


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ListeningDevice]:
    device = ListeningDevice(tmp_path_factory.mktemp("device"))
    yield device
    device.close()


def send(link: _core.Link, stream: str, payload: bytes) -> None:
    link.open_stream(name=stream, window_bytes=max(1024, len(payload)), timeout_s=SOON_S)
    link.write(name=stream, parts=[payload], timeout_s=SOON_S)


def configure(link: _core.Link, text: bytes) -> None:
    send(link, "config_h2d", text.ljust(CONFIG_H2D_BYTES, b"\0"))


def wait_until_down(link: _core.Link) -> None:
    while (event := link.next_event(timeout_s=SOON_S)) is None or event.kind != "down":
        assert event is not None, "the session did not end"


def good_session(device: ListeningDevice, blob: bytes = b"any") -> None:
    """A session that gets frames."""
    link = device.connect()
    try:
        configure(link, json.dumps(good_config()).encode())
        send(link, "inBlob", blob)
        link.open_stream(name="outBlob", window_bytes=102_400, timeout_s=SOON_S)
        assert link.read(name="outBlob", timeout_s=SOON_S)
        for stream in STREAMS:
            link.open_stream(name=stream, window_bytes=4 << 20, timeout_s=SOON_S)
        for stream in STREAMS:
            assert link.read(name=stream, timeout_s=SOON_S)
    finally:
        link.close()


@pytest.mark.parametrize("stream", ["config_h2d", "inBlob"])
def test_bad_document_ends_its_session_with_one_sentence(
    device: ListeningDevice, stream: str
) -> None:
    cases = BLOBS
    if stream == "config_h2d":
        good = good_config()
        cases = TEXTS + [(changed(good, path, value), words) for path, value, words in VALUES]
    good_session(device)
    memory = device.peak_bytes()
    for payload, words in cases:
        before = len(device.sentences())
        link = device.connect()
        try:
            if stream == "config_h2d":
                configure(link, payload)
            else:
                send(link, stream, payload)
        except LinkError:
            pass  # it hung up before the answer was read
        wait_until_down(link)
        link.close()
        until(lambda seen=before: len(device.sentences()) > seen, repr(payload[:80]))
        (sentence,) = device.sentences()[before:]
        assert sentence.startswith("virtual device: WARNING session ends: "), sentence
        assert re.search(words, sentence), f"{payload[:80]!r}: {sentence}"
        assert len(sentence) < 300
    good_session(device)
    assert device.peak_bytes() < memory + ROOM_BYTES
    assert device.process.poll() is None


def test_blob_that_is_no_description_stands_for_an_ssd(device: ListeningDevice) -> None:
    for blob in (b"[]", b"null", b"7", DEEP, b"\x7fELF" + bytes(1000)):
        good_session(device, blob)


@pytest.mark.parametrize("said", [b"", b"only a part of a header"])
def test_silent_connection_does_not_block_the_listener(
    device: ListeningDevice, said: bytes
) -> None:
    before = len(device.sentences())
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(device.address.removeprefix("unix:"))
        silent.sendall(said)
        good_session(device)
    (sentence,) = device.sentences()[before:]
    assert "no request within 0.5 s" in sentence


def test_session_that_only_has_said_hello_stays(device: ListeningDevice) -> None:
    """A Gen1 program may take any time between opening the device and its pipeline."""
    link = device.connect()
    assert link.next_event(timeout_s=1.0) is None  # twice the limit of a silent connection
    configure(link, json.dumps(good_config()).encode())
    link.close()
    good_session(device)


def test_second_configuration_is_checked_too(device: ListeningDevice) -> None:
    before = len(device.sentences())
    link = device.connect()
    document = good_config()
    document["app"]["enable_reconfig"] = True
    configure(link, json.dumps(document).encode())
    link.close_stream(name="config_h2d", timeout_s=SOON_S)
    configure(link, b'{"board": {"store-to-eeprom": true, "name": 7}}')
    wait_until_down(link)
    link.close()
    until(lambda: len(device.sentences()) > before)
    assert "board.name is 7, expected printable text" in device.sentences()[-1]


def test_commands_of_any_content_keep_the_session(device: ListeningDevice) -> None:
    link = device.connect()
    configure(link, json.dumps(good_config()).encode())
    link.open_stream(name="host_capture", window_bytes=1 << 20, timeout_s=SOON_S)
    numbers = b"9" * 4000
    commands = [
        b"3A 5 1 " + numbers + b" " + numbers + b" 1\0",
        b"3A " + b"1 " * 100_000 + b"\0",
        b"3A 5 1 " + b"9" * 5000 + b"\0",
        os.urandom(1000),
        b"\x04",
    ]
    for command in commands:
        link.write(name="host_capture", parts=[command], timeout_s=SOON_S)
    link.open_stream(name="meta_d2h", window_bytes=1 << 20, timeout_s=SOON_S)
    packet = link.read(name="meta_d2h", timeout_s=SOON_S)
    logs = json.loads(bytes(packet.buffer).rstrip(b"\0"))["logs"]
    assert len(logs) == len(commands)
    assert all(len(line) < 200 for line in logs)
    link.close()


@pytest.mark.parametrize("error", [ConfigError("no such profile"), ZeroDivisionError()])
def test_error_in_a_thread_ends_the_session(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """A session whose frames have ended must not stay, silent."""
    ours, _theirs = _core.Transport.pair()
    link = _core.Link(transport=ours, role="device")
    with part_of_session(link, "frames"):
        raise error
    assert not link.is_up
    (record,) = caplog.records
    assert record.message.startswith("session ends: frames: ")
    assert bool(record.exc_info) == isinstance(error, ZeroDivisionError), "a bug has its traceback"
