"""Network results of the Gen1 API: tensors, decoded detections, entries of the older style."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import wire_formats
from ..errors import DecodeError
from .entries import TensorEntryContainer, decode_entries
from .network import NetworkPlan
from .packets import Bytes, FrameMetadata, make_metadata
from .tensors import TensorInfo, make_tensor_info
from .types import Opaque, read_only, unsigned

#: Attributes of a detection, by the names of its wire form.
_POSITIONS = {"x_m": "depth_x", "y_m": "depth_y", "z_m": "depth_z"}
_ATTRIBUTES = tuple(_POSITIONS.get(name, name) for name in wire_formats.DETECTION.names or ())


def _attribute(name: str, doc: str) -> Any:
    position = _ATTRIBUTES.index(name)
    return read_only(lambda detection: detection._values[position], doc)


class Detection(Opaque):
    """One detected object; valid without its packet."""

    __slots__ = ("_values",)
    _values: tuple[Any, ...]

    label = _attribute("label", "Class number of the network.")
    confidence = _attribute("confidence", "0..1.")
    x_min = _attribute("x_min", "Left edge, 0..1 of the network's input.")
    y_min = _attribute("y_min", "Upper edge, 0..1 of the network's input.")
    x_max = _attribute("x_max", "Right edge, 0..1 of the network's input.")
    y_max = _attribute("y_max", "Lower edge, 0..1 of the network's input.")
    depth_x = _attribute("depth_x", "Metres to the right; 0 if not measured.")
    depth_y = _attribute("depth_y", "Metres down; 0 if not measured.")
    depth_z = _attribute("depth_z", "Metres ahead; 0 if not measured.")

    def get_dict(self) -> dict[str, Any]:
        """All attributes by name."""
        return dict(zip(_ATTRIBUTES, self._values, strict=True))


class Detections(Opaque):
    """The objects detected in one frame, at most 100."""

    __slots__ = ("_rows",)
    _rows: list[tuple[Any, ...]]

    size = read_only(lambda detections: len(detections._rows), "Number of objects; an attribute.")

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int, /) -> Detection:
        if not 0 <= index < len(self._rows):
            raise IndexError(f"detection {index} of {len(self._rows)}")
        detection = Detection.__new__(Detection)
        detection._values = self._rows[index]
        return detection

    def __iter__(self) -> Iterator[Detection]:
        return (self[index] for index in range(len(self)))


def read_detections(payload: Bytes) -> Detections:
    """Decode a payload of detections. Raises RuntimeError for any other payload."""
    detections = Detections.__new__(Detections)
    try:
        detections._rows = wire_formats.decode_detections(payload).tolist()
    except DecodeError as cause:
        raise RuntimeError(str(cause)) from cause
    return detections


@dataclass(frozen=True, slots=True)
class ResultReader:
    """How to read the results of one pipeline.

    `layers` are the outputs of all networks; the first `first_stage` of them belong to the first.
    """

    plan: NetworkPlan
    inputs: tuple[Mapping[str, Any], ...]
    layers: tuple[Mapping[str, Any], ...]
    first_stage: int

    def format_of(self, index: int) -> str | None:
        """output_format of the network that has this output."""
        return self.plan.formats[0 if index < self.first_stage else 1]

    def records(self, payload: Bytes) -> Bytes:
        """The first tensor of the older style, made from the device's detections.

        One record of half-precision numbers per detection: 0, label, confidence, box, position; -1
        ends the list. The position is 0 below `distance_confidence`.
        """
        tensor = self.plan.tensors[0]
        table = np.zeros((tensor.count, tensor.width), "<f2")
        rows = read_detections(payload)._rows[: tensor.count]
        for record, row in zip(table, rows, strict=False):
            certain = row[1] >= self.plan.distance_confidence
            values = (0.0, *row[:6], *(row[6:] if certain else (0.0, 0.0, 0.0)))
            record[: len(values)] = values[: tensor.width]
        if len(rows) < tensor.count:
            table[len(rows), 0] = -1.0
        return table.reshape(-1).view(np.uint8)


class NNetPacket(Opaque):
    """Network results of one frame; valid after its pipeline and device are closed."""

    __slots__ = ("_data", "_frame", "_results")
    _data: Bytes
    _frame: wire_formats.FrameTrailer | None
    _results: ResultReader

    def get_tensor(self, key: int | str, /) -> NDArray[Any] | None:
        """One output tensor as a new array, by number or by name; None for an unknown name.

        With a blob configuration of the older style (`tensors`) it is flat uint8: the whole payload
        for number 0 or the first name. Else it has the network's type and shape.
        Raises IndexError, TypeError; RuntimeError if the device decodes that network.
        """
        index = self._index_of(key)
        if index is None:
            return None
        return self._flat(index) if self._results.plan.is_legacy else self._raw(index)

    __getitem__ = get_tensor

    def getOutputsList(self) -> list[NDArray[Any]]:
        """All output tensors. Raises RuntimeError if the device decodes one of the networks."""
        return [self._raw(index) for index in range(self.getTensorsSize())]

    def getOutputsDict(self) -> dict[str, NDArray[Any]]:
        """All output tensors by name, in alphabetical order. Raises RuntimeError as above."""
        tensors = zip(self._results.layers, self.getOutputsList(), strict=True)
        by_name = {str(layer["name"]): tensor for layer, tensor in tensors}
        return dict(sorted(by_name.items(), key=itemgetter(0)))

    def getTensorsSize(self) -> int:
        """Number of output tensors of all networks."""
        return len(self._results.layers)

    def getOutputLayersInfo(self) -> list[TensorInfo]:
        """Descriptions of the output tensors."""
        return [make_tensor_info(layer) for layer in self._results.layers]

    def getInputLayersInfo(self) -> list[TensorInfo]:
        """Descriptions of the input tensors."""
        return [make_tensor_info(layer) for layer in self._results.inputs]

    def getDetectedObjects(self) -> Detections:
        """Detections decoded by the device. Raises RuntimeError for another `output_format`."""
        output_format = self._results.plan.formats[0]
        if output_format not in (None, "detection"):
            raise RuntimeError(
                f"output_format of the network is {output_format!r}: its tensors are raw, "
                "use get_tensor()"
            )
        return read_detections(self._data)

    def getMetadata(self) -> FrameMetadata | None:
        """Metadata of the frame that was the network's input."""
        return make_metadata(self._frame)

    def entries(self) -> TensorEntryContainer:
        """Entries with named properties, by the `tensors` of the blob configuration.

        Raises  RuntimeError if the configuration has no `tensors` or the payload is too short
        """
        plan = self._results.plan
        if not plan.tensors:
            raise RuntimeError("the blob configuration has no `tensors`: entries() needs them")
        if not plan.makes_records:
            return decode_entries(plan.tensors, self._data)
        first = replace(plan.tensors[0], offset=0)
        container = decode_entries([first], self._records())
        container._tables += decode_entries(plan.tensors[1:], self._data)._tables
        return container

    # -- implementation

    def _index_of(self, key: Any) -> int | None:
        if isinstance(key, str):
            names = [str(layer["name"]) for layer in self._results.layers]
            if self._results.plan.is_legacy:
                names = [tensor.name for tensor in self._results.plan.tensors]
            found = [index for index, name in enumerate(names) if name == key]
            return found[-1] if found else None
        return unsigned("index", key)

    def _check_index(self, index: int, count: int) -> None:
        if index >= count:
            raise IndexError(f"tensor {index} of {count}")

    def _records(self) -> Bytes:
        return self._results.records(self._data)

    def _flat(self, index: int) -> Bytes:
        plan = self._results.plan
        self._check_index(index, len(plan.tensors))
        if index == 0:
            return self._records() if plan.makes_records else self._data.copy()
        tensor = plan.tensors[index]
        return self._data[tensor.offset : tensor.offset + tensor.bytes].copy()

    def _raw(self, index: int) -> NDArray[Any]:
        self._check_index(index, self.getTensorsSize())
        plan = self._results.plan
        if plan.is_legacy and plan.makes_records and index == 0:
            return self._records().view("<f2").reshape(plan.tensors[0].dimensions)
        output_format = self._results.format_of(index)
        if output_format not in (None, "raw"):
            raise RuntimeError(
                f"output_format of tensor {index}'s network is {output_format!r}: the device has "
                "decoded it, use getDetectedObjects()"
            )
        try:
            return wire_formats.tensor_view(self._data, self._results.layers[index]).copy(order="C")
        except DecodeError as cause:
            raise RuntimeError(str(cause)) from cause


def make_result(
    data: Bytes, frame: wire_formats.FrameTrailer | None, results: ResultReader
) -> NNetPacket:
    """One packet of `metaout`."""
    packet = NNetPacket.__new__(NNetPacket)
    packet._data, packet._frame, packet._results = data, frame, results
    return packet


class NNetPacketList(list[NNetPacket]):
    """List of network results, returned by `get_available_nnet_and_data_packets`."""
