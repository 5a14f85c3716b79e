"""Reads blob configurations of both Gen1 styles and plans the decoding of results."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..bounded import clean_text, describe
from ..config.network import NetworkConfig
from ..config.network_keys import unused_in
from ..config.paths import read_json_file, resolve_path
from ..config.settings import Settings
from ..errors import ConfigError, ConfigTypeError
from .entries import TensorPlan, bind, read_tensors

_log = logging.getLogger("depthai")

#: NN_config for the device if the host makes the records with distances. The device must report all
#: detections; the host's threshold decides only which of them keep their distances.
_DETECTION = {"output_format": "detection", "NN_family": "mobilenet", "confidence_threshold": 0.0}


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """How to decode the results of a pipeline's networks.

    formats         by stage: output_format; None if the configuration has none
    tensors         tensors of the older style; empty if there are none
    is_legacy       get_tensor() returns flat bytes
    makes_records   the device sends detections, and the host makes the first tensor from them
    """

    network: NetworkConfig | None = None
    formats: tuple[str | None, str | None] = ("raw", "raw")
    tensors: tuple[TensorPlan, ...] = ()
    is_legacy: bool = False
    makes_records: bool = False
    distance_confidence: float = 0.0

    def bound_to(self, layers: tuple[Mapping[str, Any], ...]) -> NetworkPlan:
        """This plan with the offsets of the network's outputs. Raises ConfigTypeError."""
        made_here = 1 if self.makes_records else 0
        return replace(self, tensors=bind(self.tensors, layers, made_here=made_here))


def read_network_plan(settings: Settings) -> NetworkPlan:
    """The plan for the networks of `settings`; the default plan without a blob.

    Raises  ConfigTypeError for invalid JSON, a wrong type or a missing field;
            ConfigError if `tensors` or `mappings` of the older style have a wrong type
    """
    if not settings["ai.blob_file"]:
        return NetworkPlan()
    path = settings["ai.blob_file_config"]
    document = _read(path)
    if "NN_config" in document:
        return _present_style(path, document, settings)
    if "tensors" not in document:
        return NetworkPlan(NetworkConfig())
    plan = _tensors(path, document, settings)
    if not _needs_records(plan[0] if plan else None, settings):
        return NetworkPlan(NetworkConfig(), ("raw", "raw"), plan, is_legacy=True)
    threshold = settings["depth.confidence_threshold"]
    return NetworkPlan(
        NetworkConfig("detection", _DETECTION, (), (), threshold),
        ("raw", "raw"),
        plan,
        is_legacy=True,
        makes_records=True,
        distance_confidence=threshold,
    )


def _needs_records(first: TensorPlan | None, settings: Settings) -> bool:
    """True if distances or a second network are needed: both need decoding on the device."""
    if first is None:
        return False
    with_distances = settings["ai.calc_dist_to_bb"] and first.has_distances
    return with_distances or (bool(settings["ai.blob_file2"]) and first.is_ssd)


def _present_style(path: str, document: Mapping[str, Any], settings: Settings) -> NetworkPlan:
    nn_config = document["NN_config"]
    if not isinstance(nn_config, dict):
        raise ConfigTypeError(f"{path}: NN_config is {describe(nn_config)}, must be an object")
    output_format = nn_config.get("output_format")
    if output_format is not None and not isinstance(output_format, str):
        raise ConfigTypeError(
            f"{path}: NN_config.output_format is {describe(output_format)}, must be text"
        )
    if settings["ai.blob_file2"] and output_format != "detection":
        raise ConfigTypeError(
            f"{path}: NN_config.output_format is {output_format!r}, "
            "must be 'detection' for a second network"
        )
    is_detection = output_format == "detection"
    network = NetworkConfig("detection" if is_detection else "raw", nn_config or None)
    return NetworkPlan(
        network,
        (output_format, "raw"),
        _tensors(path, document, settings),
        makes_records=is_detection,
    )


def _tensors(path: str, document: Mapping[str, Any], settings: Settings) -> tuple[TensorPlan, ...]:
    tensors = document.get("tensors", [])
    if not isinstance(tensors, list):
        raise ConfigError(f"{path}: tensors is {describe(tensors)}, must be an array")
    if tensors:
        _check_mappings(path, document.get("mappings", {}))
    plans = read_tensors(path, tensors)
    if plans and settings["ai.blob_file2"] and settings["ai.blob_file_config2"]:
        path2 = settings["ai.blob_file_config2"]
        more = _read(path2).get("tensors", [])
        if not isinstance(more, list):
            raise ConfigError(f"{path2}: tensors is {describe(more)}, must be an array")
        plans += read_tensors(path2, more, stage=1 + len(plans))
    return plans


def _check_mappings(path: str, mappings: Any) -> None:
    """Check the type only; the program itself reads the mappings."""
    lists = mappings.values() if isinstance(mappings, dict) else [None]
    for texts in lists:
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ConfigError(f"{path}: mappings must be an object of arrays of texts")


def _read(path: str) -> dict[str, Any]:
    """The JSON document of a file; empty if the file does not exist.

    Gen1 accepts every file: what of it has no effect is a warning.
    """
    if not path:
        return {}
    try:
        exists = resolve_path(path).is_file()
    except ConfigError:
        exists = False
    if not exists:
        _log.warning("%s is not used: there is no such file", clean_text(path))
        return {}
    try:
        document = read_json_file(path)
    except ConfigError as cause:
        raise ConfigTypeError(str(cause)) from cause
    if not isinstance(document, dict):
        raise ConfigTypeError(f"{path}: {describe(document)}, must be an object")
    for text in unused_in(path, document):
        _log.warning("%s", text)
    return document
