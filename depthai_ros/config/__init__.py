"""The options: table, validation, network files, and the configuration document for the device."""

from __future__ import annotations

from .device_document import device_config
from .network import NetworkConfig, check_network, read_blob, read_network_config
from .options import BY_KEY, OPTIONS, Option
from .paths import read_file, read_json_file, resolve_path
from .settings import (
    Settings,
    defaults,
    derived_streams,
    mono_size,
    rgb_size,
    stream_list,
    validate,
    wire_streams,
)

__all__ = [
    "BY_KEY",
    "OPTIONS",
    "NetworkConfig",
    "Option",
    "Settings",
    "check_network",
    "defaults",
    "derived_streams",
    "device_config",
    "mono_size",
    "read_blob",
    "read_file",
    "read_json_file",
    "read_network_config",
    "resolve_path",
    "rgb_size",
    "stream_list",
    "validate",
    "wire_streams",
]
