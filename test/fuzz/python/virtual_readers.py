"""Readers of the virtual device: what a host sends, and its own description."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from compiled_networks import F16, SSD_OUTPUT, U8, compiled_network
from inputs import seeds_of, text
from reader import Reader, check_document

from depthai_ros.blob_header import read_blob_header, resource_warning
from depthai_ros.config import validate
from depthai_ros.config.device_document import device_config
from depthai_ros.errors import ConfigError, DecodeError
from depthai_ros.virtual.commands import CameraState
from depthai_ros.virtual.eeprom_store import Eeprom
from depthai_ros.virtual.frame_scheduler import exposure_groups
from depthai_ros.virtual.host_documents import BOARD, CONFIG, read_document
from depthai_ros.virtual.network import Network, out_blob, read_stage
from depthai_ros.virtual.settings import parse_settings
from depthai_ros.wire_formats import DETECTION

_CONFIG = device_config(
    validate({"stream_list": ["left", "metaout", "video"], "ai.blob_file": "any"}),
    calibration_floats=[],
)
_STORE: dict[str, Any] = json.loads(json.dumps(_CONFIG))
_STORE["board"] |= {"store-to-eeprom": True}
CONFIGS = [_CONFIG, _STORE]
BLOBS = [
    {
        "input": [3, 30, 40],
        "outputs": [
            {"name": "out", "dimensions": [1, 1, 3, 7], "type": "float16"},
            {"name": "two", "dimensions": [2, 2], "type": "int8", "values": [1, 2, 3, 4]},
        ],
    },
    {"input": [1, 8, 8], "outputs": [{"name": "a", "dimensions": [4], "type": "float32"}]},
]
_STAGE = read_stage(json.dumps(BLOBS[0]).encode())


def _config(data: bytes) -> None:
    config = read_document("config_h2d", text(data, CONFIGS), CONFIG)
    memory = Eeprom(5)
    memory.apply(config)
    check_document(memory.document)
    exposure_groups(config)
    json.dumps(out_blob(_STAGE, config, None), allow_nan=False)
    Network([_STAGE], config["ai"]["NN_config"])


def _board(data: bytes) -> None:
    memory = Eeprom(5)
    memory.apply(read_document("config_h2d", text(data, CONFIGS), BOARD, partial=True))
    check_document(memory.document)


_EMPTY = np.zeros(0, DETECTION)


def _blob(data: bytes) -> None:
    stage = read_stage(text(data, BLOBS))
    json.dumps(out_blob(stage, _CONFIG, None), allow_nan=False).encode()
    Network([stage], {}).payload(_EMPTY, 1)


def _compiled(data: bytes) -> None:
    resource_warning(data, 1, 1).encode()
    header = read_blob_header(data)
    for line in (*map(str, (*header.inputs, *header.outputs)), *header.notes):
        line.encode()
    _blob(data)


def _settings(data: bytes) -> None:
    settings = parse_settings(data.decode("utf-8", "surrogateescape"))
    assert math.isfinite(settings.drift_ppm)
    assert math.isfinite(settings.uptime_s)
    json.dumps(settings.mx_id).encode()


def _command(data: bytes) -> None:
    state = CameraState()
    for part in data.split(b"|"):
        state.execute(part)
        state.execute(b"3A " + part + b"\0")
    for line in state.take_logs():
        line.encode()
    for camera in ("rgb", "left"):
        state.exposure_table(camera)
    state.take_still_request()


_SETTINGS = [
    b"pattern?eeprom=4&strict=0&mx_id=1A&drift_ppm=5&uptime_s=1e3&pace=receiver&usb_speed=HIGH",
    b"images=/x?fault=drop:left:3&absent=left,right",
    b"",
]
_COMMANDS = [b"\xad\xde\xad\xde|\x07|" + bytes(33), b"5 0 100 800|0 1|37 1 -3|38 1 1|23 0"]

_IMAGE = ("data", (1, 3, 8, 8), U8)
_COMPILED = [
    bytes(compiled_network([_IMAGE], [SSD_OUTPUT])),
    bytes(compiled_network([_IMAGE, ("info", (1, 3), F16)], [("a", (1, 4), F16), SSD_OUTPUT])),
]

READERS = {
    "blob_header": Reader(_compiled, (DecodeError,), _COMPILED),
    "host_config": Reader(_config, (DecodeError,), seeds_of(CONFIGS)),
    "host_board": Reader(_board, (DecodeError,), seeds_of(CONFIGS)),
    "host_blob": Reader(_blob, (DecodeError,), seeds_of(BLOBS)),
    "host_command": Reader(_command, (), _COMMANDS),
    "virtual_settings": Reader(_settings, (ConfigError,), _SETTINGS),
}
