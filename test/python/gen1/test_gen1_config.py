"""Reading the nested configuration of Gen1 programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from depthai_ros import config
from depthai_ros.errors import ConfigError, ConfigTypeError
from depthai_ros.gen1.config import from_gen1
from depthai_ros.streams import STREAMS


def test_gen1_program_without_sections_has_no_streams_and_all_defaults():
    settings = from_gen1({})
    assert settings == {**config.defaults(), "stream_list": ()}
    assert settings.dialect == "gen1"


#: Configuration of a program, and all settings that differ from the defaults then.
PASSED = {
    "streams": [
        "metaout",
        {"name": "depth_raw", "max_fps": 12, "data_type": "x"},
        "left",
        "left",
    ],
    "depth": {
        "calibration_file": Path("/a/b"),
        "padding_factor": np.float32(0.5),
        "median_kernel_size": 5.9,
        "warp_rectify": {"mirror_frame": False, "use_mesh": True, "unknown": 1},
    },
    "ai": {"blob_file": "x.blob", "blob_file_config": None, "shaves": True, "labels": 3},
    "camera": {"mono": {"resolution_h": 400, "resolution_w": 1280, "fps": 25}},
    "video_config": {"profile": "MJPEG", "rateCtrlMode": 1, "quality": 95, "bitrate": 1e6},
    "app": {"enable_imu": True, "sync_sequence_numbers": np.True_},
    "board_config": {"left_fov_deg": 300, "revision": "R1"},
    "nonsense": 5,
}
READ = {
    "stream_list": ("metaout", "depth_raw", "left"),
    "stream.depth.max_fps": 12.0,
    "depth.calibration_file": "/a/b",
    "depth.padding_factor": 0.5,
    "depth.median_kernel_size": 5,
    "depth.warp_rectify.mirror_frame": False,
    "ai.blob_file": "x.blob",
    "ai.shaves": 1,
    "camera.mono.resolution_h": 400,
    "camera.mono.fps": 25.0,
    "video_config.profile": "mjpeg",
    "video_config.rateCtrlMode": "vbr",
    "video_config.quality": 95,
    "video_config.bitrate": 1_000_000,
    "app.sync_sequence_numbers": True,
    "board_config.left_fov_deg": 300.0,
    "board_config.revision": "R1",
}


def test_gen1_dict_is_read_key_by_key():
    settings = from_gen1(PASSED)
    changed = {key: value for key, value in settings.items() if value != config.defaults()[key]}
    assert changed == READ
    assert json.dumps(config.device_config(settings, network=None))


#: Encoder settings in Gen1 programs -> settings.
ENCODER = [
    ("profile", "H265_Main", "h265_main"),
    ("profile", 4, "mjpeg"),
    ("profile", "h266", "h264_high"),
    ("profile", 9, "h264_high"),
    ("rateCtrlMode", 0, "cbr"),
    ("rateCtrlMode", None, "cbr"),
]


@pytest.mark.parametrize(("key", "value", "read"), ENCODER)
def test_gen1_encoder_setting_is_a_name_in_any_case_or_a_number(key, value, read):
    settings = from_gen1({"video_config": {key: value}})
    assert settings[f"video_config.{key}"] == read


#: Gen1 dict, class of the error, text of the error.
GEN1_REFUSED = [
    ({"ai": {"shaves": 17}}, ConfigError, "ai.shaves is 17, must be between 1 and 16"),
    ({"ai": {"shaves": 8, "cmx_slices": 7}}, ConfigError,
     "ai.shaves is 8, must not exceed ai.cmx_slices, which is 7"),
    ({"depth": {"padding_factor": 2}}, ConfigError,
     "depth.padding_factor is 2, must be between 0 and 1"),
    ({"depth": {"confidence_threshold": 1.5}}, ConfigError,
     "depth.confidence_threshold is 1.5, must be between 0 and 1"),
    ({"camera": {"mono": {"resolution_h": 480, "fps": 30}}}, ConfigError,
     "camera.mono.resolution_h is 480, must be one of 400, 720, 800"),
    ({"streams": ["nosuch"]}, ConfigError,
     f"stream_list has 'nosuch', known streams are {', '.join(STREAMS)}"),
    ({"camera": {"rgb": {}}}, ConfigTypeError, "camera.rgb has no resolution_h, it is required"),
    ({"camera": {"mono": {"resolution_h": 400}}}, ConfigTypeError,
     "camera.mono has no fps, it is required"),
    ({"streams": [{"max_fps": 3}]}, ConfigTypeError,
     "an entry of streams is {'max_fps': 3}, it needs a name"),
    ({"streams": [5]}, ConfigTypeError, "an entry of streams is 5 (int), must be a dict"),
    ({"streams": {"left": 1}}, ConfigTypeError,
     "streams is {'left': 1} (dict), must be a list"),
    ({"streams": [{"name": "left", "max_fps": "x"}]}, ConfigTypeError,
     "stream.left.max_fps is 'x' (str), must be a number"),
    ({"depth": {"lr_check": "yes"}}, ConfigTypeError,
     "depth.lr_check is 'yes' (str), must be true or false"),
    ({"depth": {"lr_check": 1}}, ConfigTypeError,
     "depth.lr_check is 1 (int), must be true or false"),
    ({"depth": None}, ConfigTypeError, "depth is None (NoneType), must be a dict"),
    ({"depth": {"warp_rectify": 3}}, ConfigTypeError,
     "depth.warp_rectify is 3 (int), must be a dict"),
    ({"ai": {"blob_file": 3}}, ConfigTypeError, "ai.blob_file is 3 (int), must be text"),
    ({"ai": {"shaves": "7"}}, ConfigTypeError, "ai.shaves is '7' (str), must be a number"),
    ({"ai": {"shaves": float("nan")}}, ConfigTypeError,
     "ai.shaves is nan (float), must be a finite number"),
    ({"ai": {"shaves": 10**400}}, ConfigTypeError,
     "ai.shaves is a number of 1329 bits (int), must be a finite number"),
    ({"board_config": {"left_fov_deg": 10**5000}}, ConfigTypeError,
     "board_config.left_fov_deg is a number of 16610 bits (int), must be a finite number"),
    ({"ai": {"shaves": 1e300}}, ConfigTypeError,
     "ai.shaves is 1e+300 (float), must be an integer of at most 64 bits"),
    ({"streams": ["\ud800\x1b"]}, ConfigError,
     f"stream_list has '\\ud800\\x1b', known streams are {', '.join(STREAMS)}"),
    ([1], ConfigTypeError, "config is [1] (list), must be a dict"),
]  # fmt: skip


@pytest.mark.parametrize(("dictionary", "kind", "text"), GEN1_REFUSED)
def test_gen1_errors_of_type_and_of_value_have_different_classes(dictionary, kind, text):
    with pytest.raises(ConfigError) as caught:
        from_gen1(dictionary)
    assert (type(caught.value), str(caught.value)) == (kind, text)


def test_gen1_program_may_request_features_without_their_files():
    settings = from_gen1(
        {
            "streams": "metaout",
            "ai": {"calc_dist_to_bb": True},
            "board_config": {"store_to_eeprom": True},
        }
    )
    document = config.device_config(settings)
    assert document["board"]["store-to-eeprom"] is False
    assert config.wire_streams(settings) == ("metaout",)
    assert settings.replace({"ai.shaves": 2}).dialect == "gen1"
