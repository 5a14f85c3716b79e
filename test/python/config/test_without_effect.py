"""Parameters without effect are named with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from depthai_ros.config import NetworkConfig, validate
from depthai_ros.config.unused import without_effect

RAW = NetworkConfig()
SSD_WITH_POSITIONS = NetworkConfig("detection", tensors=({"output_dimensions": [1, 1, 100, 10]},))
#: Parameters, the network, (stream, words) of what has no effect.
WITHOUT_EFFECT = [
    ({}, None, []),
    ({"ai.blob_file_config": "a.json"}, None, [("", "ai.blob_file_config is not used")]),
    ({"ai.labels": ["cat"]}, None, [("", "ai.labels is not used")]),
    ({"ai.labels": ["cat"], "ai.blob_file": "a", "stream_list": ["metaout"]}, RAW,
     [("metaout", "ai.labels is not used: the output of the network is raw")]),
    ({"ai.blob_file": "a", "stream_list": ["left"]}, RAW, [("", "ai.blob_file is not used")]),
    ({"ai.blob_file": "a", "stream_list": ["previewout"]}, RAW, []),
    ({"ai.blob_file": "a", "stream_list": ["metaout"]}, SSD_WITH_POSITIONS,
     [("metaout", "set ai.calc_dist_to_bb")]),
    ({"ai.blob_file": "a", "stream_list": ["metaout"], "ai.calc_dist_to_bb": True},
     SSD_WITH_POSITIONS, []),
    ({"filters.speckle.enable": True}, None, []),
    ({"filters.speckle.enable": True, "stream_list": ["disparity"]}, None,
     [("", "the filters on depth (speckle) are not used: add depth to stream_list")]),
    ({"video_config.numBFrames": 2}, None,
     [("video", "video_config.numBFrames is 2 and not used: the device is asked for no B frames")]),
    ({"depth.left_mesh_file": "a.mesh"}, None, [("", "depth.left_mesh_file is not used")]),
]  # fmt: skip


@pytest.mark.parametrize(("values", "network", "found"), WITHOUT_EFFECT)
def test_parameter_without_effect_is_named(values: Any, network: Any, found: Any) -> None:
    rows = without_effect(validate(values), network)
    assert [row.stream for row in rows] == [stream for stream, _ in found]
    for row, (_, words) in zip(rows, found, strict=True):
        assert words in row.text
