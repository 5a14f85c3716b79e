"""Reads the files that describe a network: the compiled blob, and how to decode its output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..bounded import clean_text, is_number, shown
from ..errors import ConfigError
from .network_keys import unused_in
from .paths import read_file, read_json_file
from .settings import Settings, stream_list

#: Largest compiled network; a device has 512 MB of memory in all.
_BLOB_BYTES = 1 << 28
#: Numbers of one detection in the output of an SSD, without and with its position.
_SSD_RECORDS = (7, 10)


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """How to decode the output of a network.

    `document` is the NN_config object for the device, `tensors` the descriptions in older Gen1
    files. `confidence_threshold` is the lowest confidence of a reported detection. `unused` says
    what of the file has no effect, and why.
    """

    output_format: Literal["raw", "detection"] = "raw"
    document: Mapping[str, Any] | None = None
    labels: tuple[str, ...] = ()
    tensors: tuple[Mapping[str, Any], ...] = ()
    confidence_threshold: float = 0.0
    unused: tuple[str, ...] = ()


def read_blob(path: str) -> bytes:
    """The compiled network.

    Raises  ConfigError if the file is missing, unreadable or empty
    """
    blob = read_file(path, _BLOB_BYTES)
    if not blob:
        raise ConfigError(f"{path}: the network blob is empty")
    return blob


def read_network_config(path: str, *, confidence_threshold: float = 0.5) -> NetworkConfig:
    """How to decode a network; an empty path means raw tensors.

    The device decodes the SSDs of older files, too: they have `tensors`, and no NN_config.
    `confidence_threshold` is used for a detection network whose file has none.

    Raises  ConfigError naming the file, and the field or the line and column
    """
    if not path:
        return NetworkConfig()
    document = _parse(path)
    labels, tensors = _labels(path, document), _tensors(path, document)
    unused = tuple(unused_in(path, document))
    if tensors and "NN_config" not in document:
        if _is_ssd(tensors):
            document = {"NN_config": {"output_format": "detection", "NN_family": "mobilenet"}}
        else:
            text = (
                f"{path}: tensors is not used: the driver decodes one tensor of the dimensions "
                "[1, 1, N, 7], an SSD; the output of the network is raw on nn/tensors"
            )
            unused = (*unused, text)
    nn_config = document.get("NN_config", {})
    if not isinstance(nn_config, dict):
        raise ConfigError(f"{path}: NN_config is {_kind(nn_config)}, must be an object")
    output_format = _choice(path, nn_config, "output_format", ("raw", "detection"), "raw")
    if output_format == "raw":
        return NetworkConfig("raw", nn_config or None, labels, tensors, unused=unused)
    _choice(path, nn_config, "NN_family", ("mobilenet", "YOLO"), None)
    nn_config, threshold = _with_threshold(path, nn_config, confidence_threshold)
    return NetworkConfig("detection", nn_config, labels, tensors, threshold, unused)


def _is_ssd(tensors: tuple[Mapping[str, Any], ...]) -> bool:
    """True if these older descriptions are those of a network of the SSD family."""
    sizes = tensors[0].get("output_dimensions")
    if len(tensors) > 1 or not isinstance(sizes, list) or len(sizes) != 4:
        return False
    return sizes[:2] == [1, 1] and sizes[3] in _SSD_RECORDS


def _parse(path: str) -> dict[str, Any]:
    document = read_json_file(path)
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: {_kind(document)}, must be an object")
    return document


def _kind(value: Any) -> str:
    """The JSON type of a value, for error messages."""
    names: dict[type, str] = {
        dict: "an object",
        list: "an array",
        str: "text",
        bool: "a truth value",
    }
    return "null" if value is None else names.get(type(value), "a number")


def _choice(
    path: str, document: dict[str, Any], key: str, allowed: tuple[str, ...], default: Any
) -> Any:
    value = document.get(key, default)
    if value not in allowed:
        found = "missing" if value is None else shown(value)
        raise ConfigError(
            f"{path}: NN_config.{key} is {found}, must be one of {', '.join(allowed)}"
        )
    return value


def _with_threshold(
    path: str, nn_config: dict[str, Any], fallback: float
) -> tuple[dict[str, Any], float]:
    """The document with its threshold filled in, and the threshold.

    Source  docs/wire_format.md#configuration: mobilenet has it at the top, YOLO one level below
    """
    section = "NN_specific_metadata" if nn_config["NN_family"] == "YOLO" else ""
    holder = nn_config.get(section, {}) if section else nn_config
    if not isinstance(holder, dict):
        raise ConfigError(f"{path}: NN_config.{section} is {_kind(holder)}, must be an object")
    threshold = holder.get("confidence_threshold", fallback)
    if not is_number(threshold, 0, 1):
        key = ".".join(filter(None, ("NN_config", section, "confidence_threshold")))
        raise ConfigError(f"{path}: {key} is {shown(threshold)}, must be between 0 and 1")
    holder = {**holder, "confidence_threshold": threshold}
    return ({**nn_config, section: holder} if section else holder), float(threshold)


def _labels(path: str, document: dict[str, Any]) -> tuple[str, ...]:
    mappings = document.get("mappings", {})
    labels = mappings.get("labels", []) if isinstance(mappings, dict) else None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ConfigError(f"{path}: mappings.labels must be an array of strings")
    return tuple(map(clean_text, labels))


def _tensors(path: str, document: dict[str, Any]) -> tuple[Mapping[str, Any], ...]:
    tensors = document.get("tensors", [])
    if not isinstance(tensors, list) or not all(isinstance(tensor, dict) for tensor in tensors):
        raise ConfigError(f"{path}: tensors must be an array of objects")
    return tuple(tensors)


def has_positions(network: NetworkConfig) -> bool:
    """True for an SSD of an older description, whose detections have a position."""
    if network.output_format != "detection" or not network.tensors:
        return False
    sizes = network.tensors[0].get("output_dimensions")
    return isinstance(sizes, list) and sizes[-1:] == [_SSD_RECORDS[1]]


def check_network(settings: Settings, network: NetworkConfig) -> None:
    """Check that the network supports the settings; for Gen1 programs only ai.blob_file2.

    Raises  ConfigError naming the option
    """
    if network.output_format == "detection":
        return
    if settings["ai.blob_file2"]:
        raise ConfigError("ai.blob_file2 is set, it needs a first network with detection output")
    if settings.dialect == "gen1":
        return
    source = settings["ai.blob_file_config"] or "an empty ai.blob_file_config"
    if settings["ai.calc_dist_to_bb"]:
        raise ConfigError(
            f"ai.calc_dist_to_bb is set, it needs a network with detection output; "
            f"{source} says raw"
        )
    if "object_tracker" in stream_list(settings):
        raise ConfigError(
            f"stream_list has object_tracker, it needs a network with detection output; "
            f"{source} says raw"
        )
