"""The streams and the configuration document that follow from the settings."""

from __future__ import annotations

import json

import numpy as np
import pytest

from depthai_ros import config
from depthai_ros.errors import ConfigError
from depthai_ros.streams import ALIASES, STREAMS, WIRE_STREAMS

BLOB = {"ai.blob_file": "net.blob"}
DETECTING = config.NetworkConfig("detection", {"output_format": "detection"})


# -- streams

#: stream_list, calc_dist_to_bb -> streams on the wire, streams made from others.
WIRE = [
    (["right", "left"], False, ("left", "right"), {}),
    (["left", "left"], False, ("left",), {}),
    (["depth_raw"], False, ("depth",), {}),
    (["depth"], False, ("depth",), {}),
    (["disparity"], False, ("disparity",), {}),
    (["disparity", "depth"], False, ("depth",), {"disparity": "depth"}),
    (["disparity_color"], False, ("disparity",), {"disparity_color": "disparity"}),
    (["disparity_color", "disparity"], False, ("disparity",), {"disparity_color": "disparity"}),
    (["depth_color_h", "depth"], False, ("depth",), {"disparity_color": "depth"}),
    (["disparity", "disparity_color", "depth"], False, ("depth",),
     {"disparity": "depth", "disparity_color": "depth"}),
    (["disparity"], True, ("depth",), {"disparity": "depth"}),
    (["disparity_color", "left"], True, ("left", "depth"), {"disparity_color": "depth"}),
    (["left"], True, ("left",), {}),
    ([], False, (), {}),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "distances", "wire", "derived"), WIRE)
def test_depth_and_disparity_are_never_both_requested(wanted, distances, wire, derived):
    values = {**BLOB, "stream_list": wanted, "ai.calc_dist_to_bb": distances}
    settings = config.validate(values, "ros" if wanted else "gen1")  # a node needs a stream
    assert config.wire_streams(settings) == wire
    assert config.derived_streams(settings) == derived
    network = DETECTING if distances else None
    document = config.device_config(settings, network=network)
    assert {entry["name"] for entry in document["_pipeline"]["_streams"]} == set(wire)


def test_document_has_the_streams_in_the_order_of_the_list():
    settings = config.validate({"stream_list": ["right", "disparity_color", "left"]})
    document = config.device_config(settings)
    names = [entry["name"] for entry in document["_pipeline"]["_streams"]]
    assert names == ["right", "disparity", "left"]


def test_all_streams_are_requested_in_the_devices_order():
    settings = config.validate({**BLOB, "stream_list": [*reversed(STREAMS), *ALIASES]})
    assert config.stream_list(settings) == tuple(STREAMS)
    assert config.wire_streams(settings) == tuple(s for s in WIRE_STREAMS if s != "disparity")


#: Limits of single streams -> entry of the wire stream.
RATES = [
    (["depth"], {"depth": 12.0}, {"name": "depth", "data_type": "uint16", "max_fps": 12.0}),
    (["depth"], {}, {"name": "depth", "data_type": "uint16"}),
    (["left"], {"left": 5.0}, {"name": "left", "max_fps": 5.0}),
    (["disparity_color"], {"disparity_color": 4.0}, {"name": "disparity", "max_fps": 4.0}),
    (["disparity_color"], {"disparity": 4.0}, {"name": "disparity"}),
    (["depth", "disparity"], {"depth": 3.0, "disparity": 9.0},
     {"name": "depth", "data_type": "uint16", "max_fps": 9.0}),
    (["depth", "disparity"], {"depth": 3.0}, {"name": "depth", "data_type": "uint16"}),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "limits", "entry"), RATES)
def test_stream_on_the_wire_is_as_fast_as_its_fastest_user(wanted, limits, entry):
    values = {f"stream.{name}.max_fps": limit for name, limit in limits.items()}
    settings = config.validate({"stream_list": wanted, **values})
    assert config.device_config(settings)["_pipeline"]["_streams"] == [entry]


# -- the document for the device


#: Without `_board` and `_pipeline`. Source: docs/wire_format.md#configuration
DEFAULT_DOCUMENT = {
    "_load_inBlob": True,
    "ai": {
        "NCEs": 1,
        "NN_config": {"output_format": "raw"},
        "blob0_size": 0,
        "blob1_size": 0,
        "calc_dist_to_bb": False,
        "camera_input": "rgb",
        "cmx_slices": 7,
        "keep_aspect_ratio": True,
        "num_stages": 1,
        "shaves": 7,
    },
    "app": {
        "enable_reconfig": True,
        "sync_sequence_numbers": False,
        "sync_video_meta_streams": False,
        "usb_chunk_KiB": 64,
    },
    "board": {
        "clear-eeprom": False,
        "left_fov_deg": 69.0,
        "left_to_rgb_distance_m": 0.0,
        "left_to_right_distance_m": 0.035,
        "name": "",
        "override-eeprom": False,
        "revision": "",
        "rgb_fov_deg": 69.0,
        "stereo_center_crop": False,
        "store-to-eeprom": False,
        "swap-left-and-right-cameras": False,
    },
    "camera": {
        "mono": {"fps": 30.0, "resolution_h": 720, "resolution_w": 1280},
        "rgb": {"fps": 30.0, "resolution_h": 1080, "resolution_w": 1920},
    },
    "depth": {
        "depth_limit_mm": 10000,
        "lr_check": False,
        "median_kernel_size": 7,
        "padding_factor": 0.3,
        "warp_rectify": {"edge_fill_color": -1, "mirror_frame": True, "use_mesh": False},
    },
    "ot": {"confidence_threshold": 0.5, "max_tracklets": 20},
}


def test_default_document_has_every_key_of_a_real_session():
    document = config.device_config(config.defaults())
    assert document["_board"]["calib_data"] == [0.0] * 111
    del document["_board"], document["_pipeline"]
    assert document == DEFAULT_DOCUMENT


#: Resolutions -> (camera.mono, camera.rgb) width and height in the document, sizes in pixels.
RESOLUTIONS = [
    (400, 1080, (640, 400), (1920, 1080), (1920, 1080)),
    (720, 2160, (1280, 720), (3840, 2160), (3840, 2160)),
    (800, 3040, (1280, 800), (0, 3040), (4056, 3040)),
]


@pytest.mark.parametrize(("mono_h", "rgb_h", "mono", "rgb_on_wire", "rgb"), RESOLUTIONS)
def test_widths_follow_from_heights(mono_h, rgb_h, mono, rgb_on_wire, rgb):
    values = {"camera.mono.resolution_h": mono_h, "camera.rgb.resolution_h": rgb_h}
    settings = config.validate(values)
    camera = config.device_config(settings)["camera"]
    assert (camera["mono"]["resolution_w"], camera["mono"]["resolution_h"]) == mono
    assert (camera["rgb"]["resolution_w"], camera["rgb"]["resolution_h"]) == rgb_on_wire
    assert (config.mono_size(settings), config.rgb_size(settings)) == (mono, rgb)


@pytest.mark.parametrize(
    "values", [{"stream_list": ["video"]}, {"video_config.quality": 90}, {"stream_list": ["left"]}]
)
def test_encoder_settings_are_complete_or_absent(values):
    document = config.device_config(config.validate(values))
    if values == {"stream_list": ["left"]}:
        assert "video_config" not in document
        return
    assert document["video_config"] == {
        "rateCtrlMode": "cbr",
        "profile": "h264_high",
        "bitrate": 8_500_000,
        "maxBitrate": 8_500_000,
        "keyframeFrequency": 30,
        "numBFrames": 0,
        "quality": values.get("video_config.quality", 80),
    }


@pytest.mark.parametrize(("dialect", "sent"), [("ros", 0), ("gen1", 2)])
def test_only_gen1_programs_get_b_frames(dialect, sent):
    settings = config.validate({"video_config.numBFrames": 2}, dialect)
    assert config.device_config(settings)["video_config"]["numBFrames"] == sent


def test_networks_and_calibration_reach_the_document_as_json():
    values = {
        **BLOB,
        "ai.blob_file2": "two.blob",
        "board_config.store_to_eeprom": True,
        "depth.calibration_file": "x.calib",
    }
    floats = np.arange(111, dtype=np.float32)
    document = config.device_config(
        config.validate(values),
        network=DETECTING,
        blob_sizes=[100, 200],
        calibration_floats=floats.tolist(),
        center_crop=True,
    )
    ai, board = document["ai"], document["board"]
    assert (ai["num_stages"], ai["blob0_size"], ai["blob1_size"]) == (2, 100, 200)
    assert ai["NN_config"] == {"output_format": "detection"}
    assert (board["store-to-eeprom"], board["stereo_center_crop"]) == (True, True)
    assert json.loads(json.dumps(document))["_board"]["calib_data"] == floats.tolist()


#: Settings, output of the network, calibration -> error.
IMPOSSIBLE = [
    ({"ai.calc_dist_to_bb": True}, None, (), ("ai.calc_dist_to_bb is set, it needs a network with "
     "detection output; an empty ai.blob_file_config says raw")),
    ({"stream_list": ["object_tracker"], "ai.blob_file_config": "net.json"},
     config.NetworkConfig(), (), ("stream_list has object_tracker, it needs a network with "
     "detection output; net.json says raw")),
    ({"ai.blob_file2": "b"}, None, (), ("ai.blob_file2 is set, it needs a first network with "
     "detection output")),
    ({"board_config.override_eeprom": True, "depth.calibration_file": "c"}, None, (),
     "board_config.override_eeprom is set, it needs the values of a calibration file"),
    ({"depth.calibration_file": "c"}, None, (1.0,) * 9,
     "calibration has 9 values, the device needs 111"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "network", "floats", "complaint"), IMPOSSIBLE)
def test_impossible_document_is_refused(values, network, floats, complaint):
    settings = config.validate({**BLOB, **values})
    with pytest.raises(ConfigError) as caught:
        config.device_config(settings, network=network, calibration_floats=floats)
    assert str(caught.value) == complaint
