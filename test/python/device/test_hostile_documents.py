"""The host API with devices that send malformed documents: one typed error, nothing else."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hostile_device import GOOD_BOARD, GOOD_OUT_BLOB, HostileDevice, hostile_device, layer

from depthai_ros import config, depthai
from depthai_ros.device.device import OpenDevice
from depthai_ros.errors import ProtocolError


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileDevice]:
    with hostile_device(tmp_path_factory.mktemp("hostile")) as device:
        yield device


@pytest.fixture
def hostile(peer: HostileDevice) -> HostileDevice:
    peer.board, peer.out_blob, peer.packets = GOOD_BOARD, GOOD_OUT_BLOB, {}
    return peer


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of a document with another value at a path such as "input_layers.0.name"."""
    document = copy.deepcopy(document)
    *parents, last = path.split(".")
    holder: Any = document
    for name in parents:
        holder = holder[int(name)] if isinstance(holder, list) else holder[name]
    if value is MISSING:
        del holder[last]
    else:
        holder[int(last) if isinstance(holder, list) else last] = value
    return document


MISSING = object()
#: Texts that are no document at all, with words of the error.
NO_DOCUMENTS = {
    "empty": (b"", "Expecting value"),
    "no JSON": (b"\xff\xfe", "Expecting value"),
    "an array": ("[]", "must be a JSON object"),
    "null": ("null", "must be a JSON object"),
    "nested": ('{"a":' + "[" * 50_000, "nested deeper"),
    "an endless string": ('{"a":"' + '\\"' * 40_000, "Unterminated string"),
}
#: Numbers that no document may hold, as they stand in it.
NUMBERS = {"Infinity": "finite", "NaN": "finite", "1e999": "finite", "1" + "0" * 400: "64 bits"}
#: Path, value, words of the error.
BOARDS: list[tuple[str, Any, str]] = [
    ("_cams", MISSING, "_cams is missing"),
    ("_cams", [], r"_cams is \[\], must be an object"),
    ("_cams.left", MISSING, "_cams.left"),
    ("_cams.left", {}, "must be true or false"),
    ("eeprom", "text", "eeprom is 'text', must be an object"),
    ("eeprom.version", MISSING, "eeprom.version is None"),
    ("eeprom.version", "5", "must be an integer"),
    ("eeprom.version", 5.5, "must be an integer"),
    ("eeprom.version", True, "must be an integer"),
    ("eeprom.version", 1 << 40, "must be an integer"),
    ("_available_streams", "left", "_available_streams is 'left', must be an array"),
    ("_available_streams", [1, 2], "array of at most 64 texts"),
    ("_available_streams", ["left"] * 10_000, "array of at most 64 texts"),
]
OUT_BLOBS: list[tuple[str, Any, str]] = [
    ("input_layers", MISSING, "input_layers is missing"),
    ("input_layers", [], "input_layers is empty"),
    ("input_layers", {}, "must be an array"),
    ("input_layers", [None], r"input_layers\[0\]: name is missing"),
    ("input_layers.0", layer([1, 3, 0, 300]), "dimensions is 0"),
    ("input_layers.0", layer([1, 3, -1, 300]), "dimensions is -1"),
    ("input_layers.0", layer([1, 3, 1e6, 300]), "dimensions is 1000000.0"),
    ("input_layers.0", layer([1, 3, 10**9, 300]), "dimensions is 1000000000"),
    ("input_layers.0", layer([1, 3, True, 300]), "dimensions is True"),
    ("input_layers.0", layer([1, 3, "300", 300]), "dimensions is '300'"),
    ("input_layers.0", layer([300, 300]), "order of the input"),
    ("input_layers.0", layer([1, 3, 300, 300], order=[4, 3]), "equally many"),
    ("input_layers.0", layer([1, 3, 300, 300], order="4321"), "must be an array"),
    ("input_layers.0", layer([1, 3, 300, 300], strides=[-1] * 4), "strides is -1"),
    ("input_layers.0", layer([1, 3, 300, 300], data_type=9), "data_type is 9"),
    ("input_layers.0.name", 7, "name is 7, must be text"),
    ("output_layers", [layer([1])] * 300, "300 layers, at most 256"),
    ("output_layers.0.offset", -1, "offset is -1"),
    ("output_layers.0", layer([1] * 9, order=[1] * 9), "at most 8"),
    ("metadata", [], "metadata is"),
    ("metadata.satisfied_resources", MISSING, "satisfied_resources is missing"),
    ("metadata.number_of_shaves", "16", "number_of_shaves is '16'"),
    ("metadata.nn_to_depth", MISSING, "nn_to_depth is missing"),
    ("metadata.nn_to_depth.max_width", -1, "max_width is -1"),
    ("metadata.nn_to_depth.offset_x", 10**12, "offset_x is 1000000000000"),
    ("metadata.nn_to_depth.offset_y", None, "offset_y is None"),
]


def start(selector: str, blob: str = "") -> None:
    """Open the device, start a pipeline, and end both."""
    device = OpenDevice.open(selector)
    try:
        options = {"stream_list": ["left"], "ai.blob_file": blob}
        device.start_pipeline(config.defaults().replace(options))
    finally:
        device.close()


@pytest.fixture(scope="module")
def blob(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("blob") / "any.blob"
    path.write_bytes(bytes(64))
    return str(path)


def test_the_unchanged_documents_are_good(hostile: HostileDevice, blob: str) -> None:
    start(hostile.selector, blob)


@pytest.mark.parametrize("case", NO_DOCUMENTS)
def test_a_text_that_is_no_document_is_one_error(hostile: HostileDevice, case: str) -> None:
    hostile.board, words = NO_DOCUMENTS[case]
    with pytest.raises(ProtocolError, match=f"config_d2h: .*{words}") as caught:
        start(hostile.selector)
    assert caught.value.culprit == "device"
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("text", NUMBERS, ids=lambda text: text[:9])
def test_a_number_that_is_not_finite_is_one_error(hostile: HostileDevice, text: str) -> None:
    board = json.dumps(changed(GOOD_BOARD, "eeprom.version", "#"))
    hostile.board = board.replace('"#"', text)
    with pytest.raises(ProtocolError, match=f"config_d2h: .*{NUMBERS[text]}"):
        start(hostile.selector)


@pytest.mark.parametrize(("path", "value", "words"), BOARDS)
def test_a_wrong_field_of_the_board_is_one_error(
    hostile: HostileDevice, path: str, value: Any, words: str
) -> None:
    hostile.board = changed(GOOD_BOARD, path, value)
    with pytest.raises(ProtocolError, match=f"config_d2h: .*{words}"):
        start(hostile.selector)


@pytest.mark.parametrize(("path", "value", "words"), OUT_BLOBS)
def test_a_wrong_field_of_a_network_is_one_error(
    hostile: HostileDevice, blob: str, path: str, value: Any, words: str
) -> None:
    hostile.out_blob = changed(GOOD_OUT_BLOB, path, value)
    with pytest.raises(ProtocolError, match=f"outBlob: .*{words}"):
        start(hostile.selector, blob)


def test_text_of_the_device_is_cleaned_where_it_enters(hostile: HostileDevice) -> None:
    text = "\x1b[2J\n[ERROR] \ud800" + "x" * 10_000
    hostile.board = {**GOOD_BOARD, "eeprom": {"version": 2, "board_name": text}, "_version": text}
    device = OpenDevice.open(hostile.selector)
    device.close()
    for cleaned in (device.firmware_version, device.eeprom["board_name"]):
        assert cleaned.startswith("\\x1b[2J\\n[ERROR] \N{REPLACEMENT CHARACTER}xxx")
        assert len(cleaned) == 128
        cleaned.encode()


@pytest.mark.parametrize("mx_id", ["../../x", "/abs/x", "x\n", "", "x" * 65, "\ud800", 7])
def test_an_id_that_is_no_file_name_is_not_taken(
    hostile: HostileDevice, mx_id: Any, caplog: pytest.LogCaptureFixture
) -> None:
    hostile.board = {**GOOD_BOARD, "_mx_id": mx_id}
    with caplog.at_level(logging.WARNING):
        device = OpenDevice.open(hostile.selector)
    device.close()
    assert device.mx_id == ("7" if mx_id == 7 else "")
    assert ("MX id is" in caplog.text) == (mx_id not in ("", 7))


def test_a_report_that_is_no_document_is_rejected_and_counted(hostile: HostileDevice) -> None:
    good = '{"sensors":{"temperature":{"css":40}}}'
    bad = [text for text, _ in NO_DOCUMENTS.values() if text]
    hostile.packets = {"meta_d2h": [*bad, '{"sensors": Infinity}', good]}
    device = OpenDevice.open(hostile.selector)
    try:
        settings = config.defaults().replace({"stream_list": ["meta_d2h"]})
        pipeline = device.start_pipeline(settings)
        frames = []
        while not frames:
            assert pipeline.wait(10.0)
            frames = pipeline.frames()
        assert frames[0].data.tobytes() == good.encode() + b"\0"
        assert pipeline.rejected()["meta_d2h"][0] == len(bad) + 1
    finally:
        device.close()


def test_a_gen1_program_gets_no_pipeline_from_a_malformed_network(
    hostile: HostileDevice, blob: str, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    hostile.out_blob = changed(GOOD_OUT_BLOB, "input_layers", [])
    monkeypatch.setenv("DEPTHAI_DEVICE", hostile.selector)
    device = depthai.Device("", False)
    try:
        assert device.create_pipeline({"streams": ["left"], "ai": {"blob_file": blob}}) is None
    finally:
        device._close()
    assert "outBlob: input_layers is empty" in caplog.text
