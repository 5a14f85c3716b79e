"""Readers of what Gen1 programs pass, and of results by their blob configurations."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from hostile_device import layer
from inputs import HOSTILE, Choices, MemoryFile, document, seeds_of, text
from reader import Reader

from depthai_ros.config import NetworkConfig, Settings, validate
from depthai_ros.config.bandwidth import CAPACITY_MB_S, fitted
from depthai_ros.config.device_document import device_config
from depthai_ros.config.options import OPTIONS
from depthai_ros.config.settings import wire_streams
from depthai_ros.device.device import _as_text, _queue_length
from depthai_ros.device.documents import Layers
from depthai_ros.device.pipeline import RunningPipeline
from depthai_ros.errors import ConfigError
from depthai_ros.gen1.config import from_gen1
from depthai_ros.gen1.network import read_network_plan
from depthai_ros.gen1.results import ResultReader, make_result
from depthai_ros.gen1.streams import PacketSource
from depthai_ros.messages.stream_stats import make_stream_stats

MODELS = Path(__file__).resolve().parents[3] / "config/models"
BLOB_CONFIGS = [json.loads(path.read_text()) for path in sorted(MODELS.glob("*.json"))]
_FILE = MemoryFile()

_ENDLESS: list[Any] = []
_ENDLESS.append(_ENDLESS)
_DEEP: Any = ()
for _ in range(3000):
    _DEEP = (_DEEP,)
#: Values that programs and launch files may pass, but no JSON text holds.
_OBJECTS: tuple[Any, ...] = (
    np.float32("nan"), np.int64(-1), np.uint8(255), np.bool_(True), np.array([1, 2]), np.array(3),
    10**5000, 1j, b"x", b"\xff", Path("x"), object(), Decimal("NaN"), {1}, (1, "x"), range(3),
    _ENDLESS, _DEEP, deque([1]), print, int, "\ud800" * 3, [10**5000], {"a": _ENDLESS},
)  # fmt: skip
_VALUES = (*HOSTILE, *_OBJECTS)

GEN1_CONFIGS: list[dict[str, Any]] = [
    {"streams": ["left", {"name": "depth", "max_fps": 5.0}, "metaout"]},
    {
        "streams": [{"name": name} for name in ("previewout", "video", "jpegout", "meta_d2h")],
        "depth": {
            "calibration_file": "x",
            "padding_factor": 0.3,
            "depth_limit_m": 10.0,
            "confidence_threshold": 0.5,
            "median_kernel_size": 7,
            "lr_check": False,
            "warp_rectify": {"use_mesh": False, "mirror_frame": True, "edge_fill_color": 0},
        },
        "ai": {
            "blob_file": "x",
            "blob_file_config": "y",
            "shaves": 7,
            "cmx_slices": 7,
            "NN_engines": 1,
            "camera_input": "rgb",
            "calc_dist_to_bb": True,
            "keep_aspect_ratio": True,
        },
        "ot": {"max_tracklets": 20, "confidence_threshold": 0.5},
        "board_config": {"swap_left_and_right_cameras": True, "left_fov_deg": 71.86, "name": ""},
        "camera": {
            "rgb": {"resolution_h": 1080, "fps": 30},
            "mono": {"resolution_h": 720, "fps": 30},
        },
        "video_config": {"rateCtrlMode": "cbr", "profile": 4, "bitrate": 8000000},
        "app": {"sync_video_meta_streams": False, "enable_reconfig": True},
    },
]
_DEFAULTS = {
    option.key: list(option.default) if isinstance(option.default, tuple) else option.default
    for option in OPTIONS
}
_ROS_VALUES = [_DEFAULTS, {"stream_list": ["left", "depth"], "camera.rgb.fps": 10}]


def use_settings(settings: Settings, network: NetworkConfig | None = None) -> None:
    """What a start makes of settings."""
    _as_text("configuration", device_config(settings, network=network))
    _queue_length(settings)
    names = wire_streams(settings)
    unused: Any = None
    pipeline = RunningPipeline(unused, unused, settings, network, names, Layers())
    if settings.dialect == "gen1":
        PacketSource(pipeline, unused, {"version": -1})
    else:
        make_stream_stats(settings, 0)
        for speed in CAPACITY_MB_S:
            fitted(settings, speed)


def _gen1_config(data: bytes) -> None:
    use_settings(from_gen1(document(Choices(data), GEN1_CONFIGS, _VALUES)))


def _settings(data: bytes) -> None:
    use_settings(validate(document(Choices(data), _ROS_VALUES, _VALUES)))


# -- results


_LAYERS = (
    layer([1, 1, 10, 7], data_type=0, strides=[140, 140, 14, 2]),
    layer([4, 2], offset=1000),
    layer([1, 1, 1, 1], offset=2000),
)
_BASE = {"ai.blob_file": "x", "stream_list": ["metaout"]}


def _plans() -> list[Callable[[str], Settings]]:
    rows: list[dict[str, Any]] = [
        {},
        {"ai.calc_dist_to_bb": True},
        {"ai.blob_file2": "y"},
        {"ai.blob_file2": "y", "ai.calc_dist_to_bb": True},
    ]

    def made(row: dict[str, Any]) -> Callable[[str], Settings]:
        return lambda path: validate(
            {
                **_BASE,
                **row,
                "ai.blob_file_config": path,
                "ai.blob_file_config2": path if "ai.blob_file2" in row else "",
            },
            "gen1",
        )

    return [made(row) for row in rows]


_PLANS = _plans()


def _results(data: bytes) -> None:
    """A blob configuration, and a result that is read by it."""
    content = text(data, BLOB_CONFIGS)
    for make_settings in _PLANS:
        try:
            plan = read_network_plan(make_settings(_FILE.holding(content)))
            bound = plan.bound_to(_LAYERS)
        except ConfigError as cause:
            str(cause).encode()
            continue
        results = ResultReader(bound, _LAYERS, _LAYERS, 1)
        for payload in (np.full(3604, 60, np.uint8), np.frombuffer(data[:200], np.uint8)):
            _use_result(make_result(payload, None, results))


def _use_result(packet: Any) -> None:
    def entries() -> None:
        for found in packet.entries():
            for entry in found:
                assert len(list(entry)) == len(entry)
                assert entry[0] == entry[0]

    uses: list[Callable[[], object]] = [
        entries, packet.getOutputsList, packet.getOutputsDict, packet.getOutputLayersInfo,
        packet.getInputLayersInfo, packet.getDetectedObjects, lambda: packet[0],
        lambda: packet["data"], lambda: packet.get_tensor(2),
    ]  # fmt: skip
    for use in uses:
        try:
            use()
        except (RuntimeError, IndexError) as cause:
            if isinstance(cause, (RecursionError, NotImplementedError)):
                raise


_CHOICES = [bytes([index, 3]) + bytes(range(9, 60)) for index in range(4)]

READERS = {
    "gen1_config": Reader(_gen1_config, (ConfigError,), _CHOICES),
    "settings": Reader(_settings, (ConfigError,), _CHOICES),
    "gen1_results": Reader(_results, (), seeds_of(BLOB_CONFIGS)),
}
