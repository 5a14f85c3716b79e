"""Imitates the neural network of the virtual device.

The virtual device cannot execute a blob; results come from the objects of the scene. The sizes of
input and outputs are in the header of a compiled network, or in a blob that is JSON text; any other
blob stands for a 300x300 SSD. Tensors that are not SSD output hold a counting pattern.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..blob_header import BlobHeader, is_compiled, read_blob_header
from ..errors import DecodeError
from ..streams import NETWORK_PACKET_BYTES
from ..wire_formats import DETECTION, TENSOR_DTYPES, TRAILER, encode_detections
from .host_documents import NETWORK, read_document

_ALIGNMENT = 64
#: Blanks that may stand before a description.
_BLANK_BYTES = 64
_SSD: dict[str, Any] = {
    "input": [3, 300, 300],
    "outputs": [{"name": "detection_out", "dimensions": [1, 1, 100, 7], "type": "float16"}],
}
_TYPE_CODES = {np.dtype(code).name: number for number, code in enumerate(TENSOR_DTYPES)}
#: Dimension codes of the wire, outermost first: batch, channel, height, width.
_NCHW = [4, 3, 2, 1]
#: Shave cores available to the network, by rgb resolution; the tracker uses two of them.
_FREE_SHAVES = {1080: 14, 2160: 11, 3040: 11}
_TRACKER_SHAVES = 2
#: Threshold of the device if NN_config has no `confidence_threshold`.
DEFAULT_CONFIDENCE = 0.5


@dataclass(frozen=True, slots=True)
class Stage:
    """One network: input (channels, height, width) and output layers in outBlob form."""

    input_chw: tuple[int, int, int]
    outputs: tuple[dict[str, Any], ...]
    bytes_end: int  # end of this stage in a metaout payload
    values: tuple[Any, ...] = ()  # per output: its constant values, or None
    shaves: int = 0  # shaves it was compiled for; 0 = any number
    notes: tuple[str, ...] = ()  # what was not read of a compiled network


def read_stage(blob: bytes, *, first_offset: int = 0) -> Stage:
    """The network that a blob describes; its output tensors start at `first_offset`.

    Raises  DecodeError if the blob is a description or a compiled network, but not a valid one
    """
    document, orders, notes = _description(blob)
    _limit("inBlob.input", 3 * math.prod(document["input"][1:]), "previewout")
    outputs, offset = [], first_offset
    for index, (tensor, order) in enumerate(zip(document["outputs"], orders, strict=True)):
        offset = -(-offset // _ALIGNMENT) * _ALIGNMENT
        layer, size = _layer(index, tensor, order, offset)
        _check_values(tensor)
        outputs.append(layer)
        offset += size
    _limit("inBlob.outputs", offset, "metaout")
    channels, height, width = document["input"]
    values = tuple(tensor.get("values") for tensor in document["outputs"])
    input_chw = (channels, height, width)
    return Stage(input_chw, tuple(outputs), offset, values, document.get("shaves", 0), notes)


def _description(
    blob: bytes,
) -> tuple[dict[str, Any], list[Sequence[int]], tuple[str, ...]]:
    """The checked description of a blob, the axes of each output, and what was not read of it."""
    notes: tuple[str, ...] = ()
    if is_compiled(blob):
        header = read_blob_header(blob)
        if header.inputs:
            return _described(header), [tensor.order for tensor in header.outputs], header.notes
        notes = tuple(f"{note}: it stands for a 300x300 SSD" for note in header.notes)
    document = _SSD
    if blob[:_BLANK_BYTES].removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{"):
        document = read_document("inBlob", blob.removeprefix(codecs.BOM_UTF8), NETWORK)
    return document, [_NCHW[-len(row["dimensions"]) :] for row in document["outputs"]], notes


def _described(header: BlobHeader) -> dict[str, Any]:
    """The description of a compiled network. It names no shaves, because those are assumed."""
    outputs = [
        {
            "name": tensor.name,
            "dimensions": tensor.dimensions,
            "type": np.dtype(TENSOR_DTYPES[tensor.type_code]).name,
        }
        for tensor in header.outputs
    ]
    return {"input": header.inputs[0].chw(), "outputs": outputs}


def _limit(what: str, size: int, stream: str) -> None:
    """Check the size of a stream's payload, bytes."""
    limit = NETWORK_PACKET_BYTES - TRAILER.size
    if size > limit:
        raise DecodeError(f"{what}: {stream} has {size} bytes, expected at most {limit}")


def _check_values(tensor: Mapping[str, Any]) -> None:
    found, expected = len(tensor.get("values", ())), math.prod(tensor["dimensions"])
    if "values" in tensor and found != expected:
        raise DecodeError(
            f"inBlob.outputs: values has {found} numbers, expected {expected} as by dimensions"
        )
    dtype = np.dtype(tensor["type"])
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    for value in tensor.get("values", ()):
        if not limits.min <= value <= limits.max:
            raise DecodeError(f"inBlob.outputs: values has {value}, expected {dtype.name} numbers")


def _layer(
    index: int, tensor: Mapping[str, Any], order: Sequence[int], offset: int
) -> tuple[dict[str, Any], int]:
    """The layer of a described tensor, and its size in bytes."""
    dimensions: Sequence[int] = tensor["dimensions"]
    code = _TYPE_CODES[tensor["type"]]
    element_size = np.dtype(TENSOR_DTYPES[code]).itemsize
    strides = [math.prod(dimensions[i + 1 :]) * element_size for i in range(len(dimensions))]
    layer = {
        "name": tensor["name"],
        "offset": offset,
        "idx": index,
        "shape": {
            "data_type": code,
            "element_size": element_size,
            "order": list(order),
            "dimensions": list(dimensions),
            "strides": strides,
        },
    }
    return layer, math.prod(dimensions) * element_size


def out_blob(
    stage: Stage, config: dict[str, Any], mapping: dict[str, int] | None
) -> dict[str, Any]:
    """The outBlob document of one stage; `mapping` is for the first stage only."""
    streams = {stream["name"] for stream in config["_pipeline"]["_streams"]}
    free = _FREE_SHAVES.get(config["camera"]["rgb"]["resolution_h"], min(_FREE_SHAVES.values()))
    if "object_tracker" in streams:
        free -= _TRACKER_SHAVES
    data = {"name": "data", "dimensions": (1, *stage.input_chw), "type": "uint8"}
    input_layer, _ = _layer(0, data, _NCHW, 0)
    metadata: dict[str, Any] = {
        "satisfied_resources": int(config["ai"]["shaves"] <= free),
        "number_of_shaves": stage.shaves or config["ai"]["shaves"],
        "number_of_cmx_slices": config["ai"]["cmx_slices"],
    }
    if mapping is not None:
        metadata["nn_to_depth"] = mapping
    return {
        "input_layers": [input_layer],
        "output_layers": list(stage.outputs),
        "metadata": metadata,
    }


def nn_to_depth(
    mono_size: tuple[int, int],
    *,
    full_view: bool,
    mono_input: bool,
    left_fov: float,
    rgb_fov: float,
) -> dict[str, int]:
    """Region of the depth image that the NN input covers, pixels.

    Source  docs/virtual_device.md#network
    """
    width, height = mono_size
    if mono_input:
        return {"offset_x": 0, "offset_y": 0, "max_width": width, "max_height": height}
    scale = math.tan(math.radians(rgb_fov) / 2) / math.tan(math.radians(left_fov) / 2)
    seen_width = int(width * scale)
    seen_height = int(seen_width * 9 / 16)
    if not full_view:
        seen_width = seen_height = int(width * scale * 9 / 16)
    return {
        "offset_x": (width - seen_width) // 2,
        "offset_y": (height - seen_height) // 2,
        "max_width": seen_width,
        "max_height": seen_height,
    }


class Network:
    """Converts objects of the scene to `metaout` payloads in the configured layout."""

    def __init__(self, stages: Sequence[Stage], nn_config: dict[str, Any]) -> None:
        self._stages = tuple(stages)
        self._decoded = nn_config.get("output_format") == "detection"
        metadata = nn_config.get("NN_specific_metadata", {})
        self._threshold = float(
            nn_config.get(
                "confidence_threshold", metadata.get("confidence_threshold", DEFAULT_CONFIDENCE)
            )
        )

    @property
    def input_size(self) -> tuple[int, int]:
        """(width, height) of the first network's input."""
        _, height, width = self._stages[0].input_chw
        return width, height

    def select(self, detections: NDArray[Any]) -> NDArray[Any]:
        """The detections above the confidence threshold, best first."""
        confident = detections[detections["confidence"] >= self._threshold]
        return confident[np.argsort(-confident["confidence"], kind="stable")]

    def payload(self, detections: NDArray[Any], sequence: int) -> bytearray:
        """One `metaout` payload of the DETECTION rows from `select`."""
        raw_stages = self._stages[1:] if self._decoded else self._stages
        block = encode_detections(detections) if self._decoded else b""
        size = max([len(block), *(stage.bytes_end for stage in raw_stages)])
        payload = bytearray(block.ljust(size, b"\0"))
        for stage in raw_stages:
            for layer, values in zip(stage.outputs, stage.values, strict=True):
                _fill(payload, layer, detections, sequence, values)
        return payload


def _fill(
    payload: bytearray,
    layer: dict[str, Any],
    rows: NDArray[Any],
    sequence: int,
    constants: Sequence[float] | None,
) -> None:
    shape = layer["shape"]
    dtype = np.dtype(TENSOR_DTYPES[shape["data_type"]])
    tensor: NDArray[Any] = np.ndarray(shape["dimensions"], dtype, payload, layer["offset"])
    if constants is not None:
        tensor[...] = np.asarray(constants, dtype).reshape(tensor.shape)
        return
    if tensor.ndim == 4 and tensor.shape[:2] == (1, 1) and tensor.shape[3] in (7, 10):
        _fill_ssd(tensor[0, 0], rows)
        return
    counting = (np.arange(tensor.size) + sequence) % 251
    values = counting / 251 if dtype.kind == "f" else counting % 128
    tensor[...] = values.astype(dtype).reshape(tensor.shape)


def _fill_ssd(table: NDArray[Any], rows: NDArray[Any]) -> None:
    """SSD rows: image id, label, confidence, box[, position]; image id -1 marks the end."""
    names = [name for name in DETECTION.names or () if name not in ("label", "confidence")]
    table[...] = 0
    rows = rows[: len(table)]
    for index, row in enumerate(rows):
        values = [0.0, row["label"], row["confidence"], *(row[name] for name in names)]
        table[index] = values[: table.shape[1]]
    if len(rows) < len(table):
        table[len(rows), 0] = -1.0
