"""Reads what a device says about itself and its networks: `config_d2h` and `outBlob`.

Every field is checked here, once: types, sizes, ranges, text.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..bounded import clean_text, number, shown, whole
from ..config.paths import safe_name
from ..errors import DecodeError
from ..streams import STREAMS
from ..wire_formats import CAMERAS, TENSOR_DTYPES, TRAILER

_log = logging.getLogger(__name__)

_INT32 = (1 << 31) - 1
_MOST_STREAMS, _LONGEST_STREAM = 64, 64
#: Limits of a network: layers, axes of a tensor, elements along an axis, characters of a name.
_MOST_LAYERS, _MOST_AXES, _LARGEST_AXIS, _LONGEST_NAME = 256, 8, 1 << 16, 255
_MOST_RESOURCES = 1000
#: Size of the largest number in a tensor.
_ITEM_BYTES = 4


def _field(holder: Any, key: str, kind: type, where: str) -> Any:
    """A field of this type. Raises DecodeError."""
    value = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(value, kind):
        found = shown(value) if isinstance(holder, dict) and key in holder else "missing"
        raise DecodeError(f"{where}: {key} is {found}, must be {_KINDS[kind]}")
    return value


_KINDS: dict[type, str] = {dict: "an object", list: "an array", str: "text"}


@dataclass(frozen=True, slots=True)
class Board:
    """The description of a device, from `config_d2h`.

    `eeprom` has finite numbers and printable text; its calibration is checked where it is used.
    """

    cameras: Mapping[str, bool]  # camera -> it is connected
    eeprom: dict[str, Any]
    available_streams: tuple[str, ...]
    firmware_version: str
    mx_id: str


def read_board(document: Mapping[str, Any]) -> Board:
    """The description in a `config_d2h` document. Raises DecodeError."""
    where = "config_d2h"
    present = _field(document, "_cams", dict, where)
    eeprom = _field(document, "eeprom", dict, where)
    whole(eeprom.get("version"), f"{where}: eeprom.version", -_INT32, _INT32)
    return Board(
        cameras={name: _truth(present, name, f"{where}: _cams") for name in CAMERAS},
        eeprom={key: _cleaned(value) for key, value in eeprom.items()},
        available_streams=_streams(_field(document, "_available_streams", list, where)),
        firmware_version=clean_text(str(document.get("_version", ""))),
        mx_id=usable_id(str(document.get("_mx_id", ""))),
    )


def _truth(holder: Mapping[str, Any], key: str, where: str) -> bool:
    """A truth value; 0 and 1 are accepted."""
    value = holder.get(key)
    if value not in (True, False):
        raise DecodeError(f"{where}.{key} is {shown(value)}, must be true or false")
    return bool(value)


def _cleaned(value: Any) -> Any:
    return clean_text(value) if isinstance(value, str) else value


def _streams(names: list[Any]) -> tuple[str, ...]:
    """The names of a list of streams."""
    if len(names) > _MOST_STREAMS or not all(isinstance(name, str) for name in names):
        raise DecodeError(
            f"config_d2h: _available_streams is {shown(names)}, must be an array of at most "
            f"{_MOST_STREAMS} texts"
        )
    return tuple(clean_text(name, _LONGEST_STREAM) for name in names)


def usable_id(mx_id: str) -> str:
    """The MX id if it can be part of a file name, else ""; the device works without one."""
    if mx_id and not safe_name(mx_id):
        _log.warning(
            "the device's MX id is %s, must be at most 64 letters and digits; it is ignored",
            shown(mx_id),
        )
    return safe_name(mx_id)


@dataclass(slots=True)
class Layers:
    """The layers from outBlob, of all networks together."""

    inputs: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    nn_to_depth: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("max_h", "max_w", "off_x", "off_y"), 0)
    )
    input_chw: tuple[int, int, int] | None = None
    first_outputs: int = 0  # outputs of the first network

    def packet_bytes(self) -> dict[str, int]:
        """Stream -> its largest packet, of the streams whose size the networks decide."""
        if self.input_chw is None:
            return {}
        needed = {
            "previewout": math.prod(self.input_chw),
            "metaout": sum(map(_layer_bytes, self.outputs)),
        }
        return {
            name: max(STREAMS[name].max_packet_bytes, size + TRAILER.size)
            for name, size in needed.items()
        }

    def add(self, document: Mapping[str, Any], *, first: bool) -> NetworkResources:
        """Add the layers of one network; returns what it got. Raises DecodeError."""
        inputs, outputs = (_layers(document, key) for key in ("input_layers", "output_layers"))
        metadata = _field(document, "metadata", dict, "outBlob")
        self.inputs += inputs
        self.outputs += outputs
        if first:
            self.first_outputs = len(self.outputs)
            self.input_chw = _input_size(inputs)
            self.nn_to_depth = _mapping(_field(metadata, "nn_to_depth", dict, "outBlob"))
        return _resources(metadata)


@dataclass(frozen=True, slots=True)
class NetworkResources:
    """What a network needs, and whether the device gave it."""

    granted: bool
    shaves: int
    cmx_slices: int


def _resources(metadata: Mapping[str, Any]) -> NetworkResources:
    shaves, cmx_slices = (
        whole(metadata.get(key, 0), f"outBlob: metadata.{key}", 0, _MOST_RESOURCES)
        for key in ("number_of_shaves", "number_of_cmx_slices")
    )
    if "satisfied_resources" not in metadata:
        raise DecodeError("outBlob: metadata.satisfied_resources is missing")
    return NetworkResources(bool(metadata["satisfied_resources"]), shaves, cmx_slices)


def _layer_bytes(layer: Mapping[str, Any]) -> int:
    """Upper limit of the bytes of a tensor in a packet; it begins at a multiple of 64."""
    dimensions: list[int] = layer["shape"]["dimensions"]
    return 64 + _ITEM_BYTES * math.prod(dimensions)


def _layers(document: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    layers = _field(document, key, list, "outBlob")
    if len(layers) > _MOST_LAYERS:
        raise DecodeError(f"outBlob: {key} has {len(layers)} layers, at most {_MOST_LAYERS}")
    return [_layer(layer, f"outBlob: {key}[{index}]") for index, layer in enumerate(layers)]


def _layer(layer: Any, where: str) -> dict[str, Any]:
    """A layer whose fields have been checked."""
    name = _field(layer, "name", str, where)
    shape = _field(layer, "shape", dict, where)
    dimensions = _integers(shape, "dimensions", where, 1, _LARGEST_AXIS)
    strides = _integers(shape, "strides", where, 0, _INT32)
    order = _integers(shape, "order", where, 0, 255)
    if not len(dimensions) == len(strides) == len(order) <= _MOST_AXES:
        raise DecodeError(
            f"{where}: {len(dimensions)} dimensions, {len(strides)} strides and {len(order)} codes "
            f"in order, must be equally many and at most {_MOST_AXES}"
        )
    whole(shape.get("data_type"), f"{where}: data_type", 0, len(TENSOR_DTYPES) - 1)
    whole(layer.get("offset"), f"{where}: offset", 0, _INT32)
    index = whole(layer.get("idx", 0), f"{where}: idx", 0, _INT32)
    return {**layer, "idx": index, "name": clean_text(name, _LONGEST_NAME)}


def _integers(shape: Mapping[str, Any], key: str, where: str, low: int, high: int) -> list[int]:
    numbers = _field(shape, key, list, where)
    return [whole(value, f"{where}: {key}", low, high) for value in numbers]


def _input_size(inputs: list[dict[str, Any]]) -> tuple[int, int, int]:
    """(channels, height, width) of the first input layer."""
    if not inputs:
        raise DecodeError("outBlob: input_layers is empty, the network needs an input")
    shape = inputs[0]["shape"]
    by_code = dict(zip(shape["order"], shape["dimensions"], strict=True))
    if not {1, 2, 3} <= by_code.keys():  # codes: 3 C, 2 H, 1 W
        raise DecodeError(f"outBlob: order of the input is {shape['order']}, must have 1, 2 and 3")
    return by_code[3], by_code[2], by_code[1]


def _mapping(mapping: Mapping[str, Any]) -> dict[str, int]:
    """The part of the depth image that the network's input covers; it may exceed the image."""
    names = {"max_h": "max_height", "max_w": "max_width", "off_x": "offset_x", "off_y": "offset_y"}
    return {
        name: int(
            number(
                mapping.get(key),
                f"outBlob: nn_to_depth.{key}",
                0 if key.startswith("max") else -_LARGEST_AXIS,
                _LARGEST_AXIS,
            )
        )
        for name, key in names.items()
    }
