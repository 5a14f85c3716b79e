"""Readers of what a device sends: documents and packets."""

from __future__ import annotations

import json
import struct
from types import SimpleNamespace
from typing import Any

import numpy as np
from hostile_device import GOOD_BOARD, GOOD_OUT_BLOB, layer
from inputs import Choices, document, seeds_of, text
from reader import Reader, check_document, check_finite

from depthai_ros.bounded import clean_text, device_json, read_json, shown
from depthai_ros.calibration import calibration
from depthai_ros.config import defaults, validate
from depthai_ros.config.settings import wire_streams
from depthai_ros.device.documents import Layers, read_board
from depthai_ros.device.pipeline import RunningPipeline
from depthai_ros.errors import ConfigError, DecodeError
from depthai_ros.gen1.calibration import Gen1Calibration
from depthai_ros.gen1.network import NetworkPlan
from depthai_ros.gen1.packets import DataPacket, read_tracker
from depthai_ros.gen1.results import ResultReader, read_detections
from depthai_ros.gen1.streams import PacketSource
from depthai_ros.gen1.tensors import layer_bytes, make_tensor_info
from depthai_ros.streams import CONFIG_D2H_WINDOW, OUT_BLOB_WINDOW, STREAMS, WIRE_STREAMS
from depthai_ros.virtual.scenes.eeprom import VERSIONS, eeprom_document
from depthai_ros.wire_formats import (
    DETECTIONS_BYTES,
    TRACKLETS_BYTES,
    TRAILER_MAGIC,
    FrameTrailer,
    decode_detections,
    decode_tracklets,
    depth_to_disparity_table,
    disparity_to_depth_table,
    split_packet,
    tensor_view,
)

EEPROMS = [eeprom_document(version) for version in VERSIONS]
BOARDS = [GOOD_BOARD, {**GOOD_BOARD, "eeprom": EEPROMS[-1], "_mx_id": "1A", "_version": "v"}]
_NETWORK = {**GOOD_OUT_BLOB, "output_layers": [layer([1, 1, 10, 7]), layer([4, 2], offset=80)]}
OUT_BLOBS = [GOOD_OUT_BLOB, _NETWORK]
REPORTS = [
    {"sensors": {"temperature": {"css": 41.5, "mss": 40, "upa0": 39.0, "upa1": 1}}, "logs": ["x"]},
    {"sensors": {"temperature": {}}, "logs": []},
]


def array(data: bytes) -> Any:
    """(n,) uint8 that can be written to, as the buffer of a packet."""
    return np.frombuffer(bytearray(data), np.uint8)


# -- documents


def _json(data: bytes) -> None:
    check_document(read_json(text(data, BOARDS), what="x", max_bytes=1 << 20))


def _json_of_text(data: bytes) -> None:
    words = data.decode("utf-8", "surrogateescape")
    check_document(read_json(words, what="x", max_bytes=1 << 20))


def _text(data: bytes) -> None:
    words = data.decode("utf-8", "surrogateescape")
    if data[:1] == b"\0":  # any characters of 16 bits
        words = "".join(map(chr, np.frombuffer(data[: len(data) // 2 * 2], "<u2").tolist()))
    for limit in (1, 3, 128):
        found = clean_text(words, limit)
        found.encode()
        assert len(found) <= limit
        assert len(found.splitlines()) <= 1
        assert "\x1b" not in found
        shown([words], limit).encode()


def _board(data: bytes) -> None:
    what, content = "config_d2h", text(data, BOARDS)
    board = read_board(device_json(content, what=what, max_bytes=CONFIG_D2H_WINDOW))
    check_document(board.eeprom)
    for name in (board.mx_id, board.firmware_version, *board.available_streams):
        name.encode()


def _layers(data: bytes) -> None:
    blob = device_json(text(data, OUT_BLOBS), what="outBlob", max_bytes=OUT_BLOB_WINDOW)
    layers = Layers()
    layers.add(blob, first=True)
    layers.add(blob, first=False)
    payload = array(bytes(1000))
    for row in [*layers.inputs, *layers.outputs]:
        info = make_tensor_info(row)
        info.get_dict()
        repr(info).encode()
        layer_bytes(row)
        try:
            tensor_view(payload, row).copy()
        except DecodeError:
            continue


#: Settings that change how a calibration is read.
_SETTINGS = (
    defaults(),
    validate({"calibration.nominal": True, "camera.mono.resolution_h": 400}),
    validate({"camera.rgb.resolution_h": 3040}),
)


def use_calibration(found: calibration.Calibration) -> None:
    """What the node and the Gen1 API do with a calibration; all numbers are finite."""
    sizes = {"left": [(1280, 720), (640, 400)], "rgb": [(1920, 1080), (4056, 3040), (3840, 2160)]}
    for camera in ("left", "right", "rgb"):
        for size in sizes.get(camera, sizes["left"]):
            model = found.camera(camera, size)
            check_finite(model.k, model.d, model.r, model.p)
    for camera in ("rgb", "rectified_right", "left"):
        for keep in (False, True):
            model = found.preview(camera, (1280, 720), (300, 200), keep)
            check_finite(model.k, model.p)
    check_finite(*found.poses().values(), found.baseline_m)
    for matrix in (*found.homographies((1280, 720)), *(found.intrinsics((1280, 720)) or ())):
        assert matrix is None or np.isfinite(matrix).all()
    board = found.geometry
    depth_to_disparity_table(1280, board.fov_deg, board.baseline_m)
    disparity_to_depth_table(640, board.fov_deg, board.baseline_m)
    "".join([found.board, *found.warnings]).encode()


def stored_eeprom(data: bytes) -> dict[str, Any]:
    """An EEPROM as it comes through the checks of the description."""
    eeprom = device_json(text(data, EEPROMS), what="x", max_bytes=CONFIG_D2H_WINDOW)
    return read_board({**GOOD_BOARD, "eeprom": eeprom}).eeprom


def _eeprom(data: bytes) -> None:
    stored = stored_eeprom(data)
    for lines in (720, 800, 400):
        gen1 = Gen1Calibration(stored, lines)
        for getter in (
            gen1.left_intrinsic, gen1.right_intrinsic, gen1.left_homography,
            gen1.right_homography, gen1.rotation, gen1.translation_cm,
        ):  # fmt: skip
            try:
                check_finite(getter())
            except RuntimeError:  # nothing is stored
                assert not gen1.is_loaded
    for settings in _SETTINGS:
        use_calibration(calibration.load(stored, settings))


# -- packets


def _trailer(choices: Choices, size: int) -> bytes:
    """A trailer with lies."""
    good = FrameTrailer(15, 1, size, size, 1, 0, choices.below(4), 7, 1_016_666_667, size)
    words = bytearray(good.pack())
    for _ in range(choices.below(3)):
        at = choices.below(len(words))
        words[at] = choices.below(256)
    return bytes(words)


class _Packet:
    """A packet of a stream as the link hands it over."""

    received_ns = 5_000_000_000

    def __init__(self, stream: str, content: bytes) -> None:
        self.stream, self.buffer, self.serial = stream, bytearray(content), 0

    def __len__(self) -> int:
        return len(self.buffer)


_SMALL = {
    "camera.mono.resolution_h": 400,
    "stream_list": [name for name in WIRE_STREAMS if name != "disparity"],
    "ai.blob_file": "x",
}
_FRAMES = validate({**_SMALL, "stream_list": [*_SMALL["stream_list"], "disparity_color"]}, "gen1")


def _packets() -> tuple[RunningPipeline, list[_Packet], PacketSource]:
    layers = Layers()
    layers.add(_NETWORK, first=True)
    queued: list[_Packet] = []
    device: Any = SimpleNamespace(selector="x", is_connected=True)
    queue: Any = SimpleNamespace(take=lambda: [queued.pop()])
    pipeline = RunningPipeline(device, queue, _FRAMES, None, wire_streams(_FRAMES), layers)
    outputs = pipeline.output_layers
    results = ResultReader(NetworkPlan(), pipeline.input_layers, outputs, 1)
    return pipeline, queued, PacketSource(pipeline, results, EEPROMS[-1])


_PIPELINE, _QUEUED, _SOURCE = _packets()


def _packet(data: bytes) -> None:
    """A packet of any stream, through the checks of a pipeline, to a Gen1 program."""
    choices = Choices(data)
    stream = choices.of(_PIPELINE.streams)
    kind, layout = choices.below(4), STREAMS[stream].layout
    content = choices.bytes(choices.below(60))
    if kind == 0:  # of the right size
        sizes = {"mono8": 256_000, "depth16": 512_000, "planar8": 270_000, "i420": 3_110_400}
        content = content.ljust(sizes.get(layout, len(content)), b"\x07")
    if layout == "json" and kind == 1:
        content = text(b"\0" + choices.bytes(40), REPORTS)
    content += _trailer(choices, len(content)) if choices.below(4) else choices.rest()
    _QUEUED.append(_Packet(stream, content))
    for packet in _SOURCE.take():
        packet.getMetadata()
        if not isinstance(packet, DataPacket):
            continue
        packet.getData()
        packet.size()
        if layout == "json":
            packet.getDataAsStr()


def _report(data: bytes) -> None:
    _QUEUED.append(_Packet("meta_d2h", text(data, REPORTS)))
    for packet in _SOURCE.take():
        assert isinstance(packet, DataPacket)
        json.loads(packet.getDataAsStr())


def _split(data: bytes) -> None:
    content, trailer = split_packet(array(data))
    assert len(content) <= len(data)
    if trailer is not None:
        assert trailer.camera_name
        assert 0 <= trailer.timestamp_ns < 1 << 62


def _padded(data: bytes, size: int) -> bytes:
    return data.ljust(size, b"\0") if data[:1] != b"\xff" else data[1:]


def _detections(data: bytes) -> None:
    payload = array(_padded(data, DETECTIONS_BYTES))
    assert len(read_detections(payload)) == len(decode_detections(payload))


def _tracklets(data: bytes) -> None:
    payload = array(_padded(data, TRACKLETS_BYTES))
    tracker = read_tracker(payload)
    for index in range(tracker.getNrTracklets()):
        tracker.getTracklet(index).getStatus()
    decode_tracklets(payload)


def _tensor(data: bytes) -> None:
    choices = Choices(data)
    row = document(choices, _NETWORK["output_layers"])
    tensor_view(array(choices.rest() + bytes(100)), row).copy().tobytes()


_IMAGE = bytes(20) + FrameTrailer(15, 4, 5, 5, 1, 0, 1, 7, 1_016_666_667, 20).pack()
_BLOCK = struct.pack("<i", 1) + struct.pack("<I8f", 1, 0.5, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
_TRACK = struct.pack("<i4x4iqii", 1, 1, 2, 30, 40, 5, 1, 1)
_TEXTS = [b'{"a": [1, "x\\n"]}', b"\0x\0\xd8(\x20", b"[1e5]", "é\u202e\x1b".encode(), b'"\\ud800"']
_CHOICES = [bytes([index]) + bytes(range(60)) for index in range(len(WIRE_STREAMS))]
assert struct.pack("<I", TRAILER_MAGIC) in _IMAGE

READERS = {
    "json": Reader(_json, (DecodeError,), seeds_of(BOARDS)),
    "json_of_text": Reader(_json_of_text, (DecodeError,), _TEXTS),
    "text": Reader(_text, (), _TEXTS),
    "board": Reader(_board, (DecodeError,), seeds_of(BOARDS)),
    "layers": Reader(_layers, (DecodeError,), seeds_of(OUT_BLOBS)),
    "eeprom": Reader(_eeprom, (DecodeError, ConfigError), seeds_of(EEPROMS)),
    "packet": Reader(_packet, (UnicodeDecodeError,), _CHOICES),
    "report": Reader(_report, (UnicodeDecodeError,), seeds_of(REPORTS)),
    "split_packet": Reader(_split, (DecodeError,), [_IMAGE]),
    "detections": Reader(_detections, (DecodeError, RuntimeError), [_BLOCK]),
    "tracklets": Reader(_tracklets, (DecodeError, RuntimeError, IndexError), [_TRACK]),
    "tensor": Reader(_tensor, (DecodeError,), _CHOICES),
}
