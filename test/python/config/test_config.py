"""Options: limits, messages, and the files generated from their table."""

from __future__ import annotations

import os
import subprocess
import sys
from array import array
from pathlib import Path
from typing import Any

import pytest
import yaml
from option_document import default_yaml, parameters_markdown

from depthai_ros import config
from depthai_ros.config.limits import Range, between
from depthai_ros.config.options import GROUPS
from depthai_ros.config.unused import without_camera
from depthai_ros.errors import ConfigError, ConfigTypeError
from depthai_ros.streams import STREAMS
from depthai_ros.wire_formats import MAX_TRACKLETS

ROOT = Path(__file__).resolve().parents[3]

#: Settings -> the complete error.
REFUSED = [
    ({"depth.padding_factor": 1.4}, "depth.padding_factor is 1.4, must be between 0 and 1"),
    ({"depth.padding_factor": -1}, "depth.padding_factor is -1, must be between 0 and 1"),
    ({"depth.depth_limit_m": 0}, "depth.depth_limit_m is 0, must be between 0.1 and 65.534"),
    ({"camera.rgb.fps": float("nan")}, "camera.rgb.fps is nan, must be between 0.1 and 118"),
    ({"camera.rgb.fps": float("inf")}, "camera.rgb.fps is inf, must be between 0.1 and 118"),
    ({"camera.rgb.fps": 10**400},
     "camera.rgb.fps is a number of 1329 bits (int), must be a number"),
    ({"camera.rgb.fps": 10**5000},
     "camera.rgb.fps is a number of 16610 bits (int), must be a number"),
    ({"ai.shaves": 1 << 64}, "ai.shaves is a number of 65 bits (int), must be an integer"),
    ({"camera.mono.resolution_h": 480},
     "camera.mono.resolution_h is 480, must be one of 400, 720, 800"),
    ({"depth.median_kernel_size": 4}, "depth.median_kernel_size is 4, must be one of 0, 3, 5, 7"),
    ({"ai.shaves": 17}, "ai.shaves is 17, must be between 1 and 16"),
    ({"ai.shaves": 8}, "ai.shaves is 8, must not exceed ai.cmx_slices, which is 7"),
    ({"ai.NN_engines": 3}, "ai.NN_engines is 3, must be between 0 and 2"),
    ({"ot.max_tracklets": 21}, "ot.max_tracklets is 21, must be between 0 and 20"),
    ({"depth.warp_rectify.use_mesh": True}, "depth.warp_rectify.use_mesh is true, must be false"),
    ({"tf.source": "eeprom"}, "tf.source is 'eeprom', must be one of calibration, urdf, none"),
    ({"video_config.profile": "h266"}, ("video_config.profile is 'h266', must be one of "
     "h264_baseline, h264_main, h264_high, h265_main, mjpeg")),
    ({"depth.lr_check": "yes"}, "depth.lr_check is 'yes' (str), must be true or false"),
    ({"depth.lr_check": 1}, "depth.lr_check is 1 (int), must be true or false"),
    ({"ai.shaves": 7.0}, "ai.shaves is 7.0 (float), must be an integer"),
    ({"ai.shaves": True}, "ai.shaves is True (bool), must be an integer"),
    ({"camera.rgb.fps": True}, "camera.rgb.fps is True (bool), must be a number"),
    ({"camera.rgb.fps": "30"}, "camera.rgb.fps is '30' (str), must be a number"),
    ({"ai.blob_file": 5}, "ai.blob_file is 5 (int), must be text"),
    ({"ai.labels": "person"}, "ai.labels is 'person' (str), must be a list of texts"),
    ({"ai.labels": ["person", 5]}, "ai.labels is ['person', 5] (list), must be a list of texts"),
    ({"stream_list": ["dept"]}, f"stream_list has 'dept', known streams are {', '.join(STREAMS)}"),
    ({"stream_list": [""]},
     f"stream_list is empty, must name at least one of {', '.join(STREAMS)}"),
    ({"stream_list": ["left", "disparity", "color"], "sync.enable": True,
      "stream.disparity.max_fps": 10.0},
     ("sync.enable is set, it needs one rate for all streams of the mono cameras: "
      "stream.left.max_fps is 0, stream.disparity.max_fps is 10")),
    ({"stream_list": ["metaout"]}, "stream_list has metaout, it needs ai.blob_file"),
    ({"stream_list": ["object_tracker"]}, "stream_list has object_tracker, it needs ai.blob_file"),
    ({"ai.calc_dist_to_bb": True}, "ai.calc_dist_to_bb is set, it needs ai.blob_file"),
    ({"ai.blob_file2": "two.blob"}, "ai.blob_file2 is set, it needs ai.blob_file"),
    ({"board_config.store_to_eeprom": True},
     "board_config.store_to_eeprom is set, it needs depth.calibration_file"),
    ({"board_config.override_eeprom": True},
     "board_config.override_eeprom is set, it needs depth.calibration_file"),
    ({"board_config.store_to_eeprom": True, "board_config.clear_eeprom": True,
      "depth.calibration_file": "x.calib"},
     "board_config.clear_eeprom and board_config.store_to_eeprom exclude each other"),
    ({"camera.mono.resolution_w": 640},
     "camera.mono.resolution_w is 640, must be 0 or 1280 for 720 lines"),
    ({"camera.mono.fps": 61.0}, "camera.mono.fps is 61, must be at most 60 for 720 lines"),
    ({"camera.rgb.fps": 60.0, "camera.rgb.resolution_h": 2160},
     "camera.rgb.fps is 60, must be at most 42 for 2160 lines"),
    ({"diagnostics.temp_warn_c": 101.0},
     "diagnostics.temp_warn_c is 101, must not exceed diagnostics.temp_error_c, which is 100"),
    ({"depth.paddingfactor": 0.5},
     "depth.paddingfactor is not an option, the nearest is depth.padding_factor"),
    ({"stream_list": array("q", [0, 100])},
     "stream_list is [0, 100] (list), must be a list of texts"),
    ({"nonexistent": 1}, "nonexistent is not an option"),
    ({"tf.prefix": "/robot1/oak"},
     "tf.prefix is '/robot1/oak', must be a frame name without blanks or a slash at its start"),
    ({"tf.parent_frame": "base link"},
     "tf.parent_frame is 'base link', must be a frame name without blanks or a slash at its start"),
    ({"ai.shave": 7}, "ai.shave is not an option, the nearest is ai.shaves"),
    ({"ai.shaves": 0, "ot.max_tracklets": 21},
     "ai.shaves is 0, must be between 1 and 16; ot.max_tracklets is 21, must be between 0 and 20"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "complaint"), REFUSED)
def test_refused_setting_names_key_value_and_allowed_values(values, complaint):
    with pytest.raises(ConfigError) as caught:
        config.validate(values)
    assert str(caught.value) == complaint


#: Settings -> values read.
ACCEPTED = [
    ("camera.rgb.fps", 30, 30.0),
    ("depth.padding_factor", 1, 1.0),
    ("ai.labels", [""], ()),
    ("ai.labels", [], ()),
    ("ai.labels", ["person", ""], ("person", "")),
    ("stream_list", ["depth_raw"], ("depth_raw",)),
    ("depth.warp_rectify.edge_fill_color", 255, 255),
]


@pytest.mark.parametrize(("key", "value", "read"), ACCEPTED)
def test_accepted_setting_is_read_in_the_type_of_its_default(key, value, read):
    found = config.validate({key: value})[key]
    assert found == read
    assert type(found) is type(config.BY_KEY[key].default)


def test_limits_at_and_above_the_cameras_rate_are_one_rate():
    values = {"stream.left.max_fps": 30.0, "stream.right.max_fps": 60.0}
    assert config.validate({"sync.enable": True, **values})["sync.enable"]


def test_wrong_types_can_be_told_from_wrong_values():
    with pytest.raises(ConfigTypeError):
        config.validate({"ai.shaves": "7"})
    with pytest.raises(ConfigError) as caught:
        config.validate({"ai.shaves": 17})
    assert not isinstance(caught.value, ConfigTypeError)


def test_every_default_is_allowed_and_every_number_has_limits():
    assert config.validate(dict(config.defaults())) == config.defaults()
    for option in config.OPTIONS:
        number = isinstance(option.default, (int, float)) and not isinstance(option.default, bool)
        assert option.limits is not None or not number, option.key
        if isinstance(option.limits, Range):
            ends = (option.limits.low, option.limits.high)
            assert all(type(end) is type(option.default) for end in ends), option.key


def test_as_many_tracklets_may_be_wanted_as_a_packet_holds():
    option = config.BY_KEY["ot.max_tracklets"]
    assert (option.default, option.limits) == (MAX_TRACKLETS, between(0, MAX_TRACKLETS))


def test_option_keys_are_unique_and_belong_to_a_documented_group():
    assert len(config.BY_KEY) == len(config.OPTIONS)
    assert {option.group for option in config.OPTIONS} == set(GROUPS)


def test_no_option_name_is_also_the_name_of_a_section():
    sections = {key.rpartition(".")[0] for key in config.BY_KEY}
    assert not sections & set(config.BY_KEY)


def test_settings_cannot_be_changed_but_replaced():
    before = config.defaults()
    after = before.replace({"ai.shaves": 5})
    assert (before["ai.shaves"], after["ai.shaves"]) == (7, 5)
    assert not hasattr(before, "__setitem__")
    with pytest.raises(ConfigError, match="must not exceed"):
        after.replace({"ai.shaves": 9})
    assert len(after) == len(list(after)) == len(config.OPTIONS)


# -- generated and stored files


def flat(tree: dict, start: str = "") -> dict:
    """Dotted keys of a parameter file's tree."""
    found: dict = {}
    for key, value in tree.items():
        inner = isinstance(value, dict)
        found.update(flat(value, f"{start}{key}.") if inner else {f"{start}{key}": value})
    return found


def parameters(path: Path) -> dict:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert list(document) == ["/**"]
    assert list(document["/**"]) == ["ros__parameters"]
    return flat(document["/**"]["ros__parameters"])


def test_default_parameter_file_holds_every_option_at_its_default():
    """Without those of one topic, which would win over the options for all topics."""
    values = parameters(ROOT / "config/default.yaml")
    assert set(values) == {option.key for option in config.OPTIONS if not option.topic}
    assert config.validate(values) == config.defaults()


@pytest.mark.parametrize("name", ["virtual.yaml", "remote.yaml", "boards/*.yaml"])
def test_stored_parameter_files_are_valid(name):
    paths = sorted((ROOT / "config").glob(name))
    assert paths
    for path in paths:
        values = parameters(path)
        settings = config.validate(values)
        assert all(settings[key] != config.defaults()[key] for key in values), path


def test_virtual_parameter_file_names_networks_that_can_be_read():
    settings = config.validate(parameters(ROOT / "config/virtual.yaml"))
    network = config.read_network_config(settings["ai.blob_file_config"])
    assert (len(network.labels), network.labels[0], network.labels[15]) == (
        21,
        "background",
        "person",
    )
    blob = config.read_blob(settings["ai.blob_file"])
    assert config.device_config(settings, network=network, blob_sizes=[len(blob)])


#: Stored file -> its generator.
DOCUMENTS = {"config/default.yaml": default_yaml, "docs/parameters.md": parameters_markdown}


@pytest.mark.parametrize(("name", "write"), DOCUMENTS.items())
def test_stored_document_is_the_generated_one(name, write):
    stored = (ROOT / name).read_text(encoding="utf-8")
    assert write() == stored, f"{name} is stale, run `make docs`"


def test_reference_page_names_every_option():
    page = parameters_markdown()
    for option in config.OPTIONS:
        topic = option.topic.replace("/", ".")
        key = option.key.replace(f".{topic}.", ".TOPIC.") if topic else option.key
        assert f"| `{key}` |" in page
        assert option.meaning in page
        assert not topic or f"`{topic}`" in page


def test_configuration_needs_neither_yaml_nor_opencv_nor_ros():
    heavy = ("yaml", "cv2", "rclpy", "depthai_ros._core")
    code = (
        "import sys; import depthai_ros.config, depthai_ros.device.clock; "
        "import depthai_ros.calibration.calibration; "
        f"sys.exit(' '.join(name for name in {heavy} if name in sys.modules) or 0)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


#: settings -> by absent camera: the streams that need it
NEEDING: list[tuple[dict[str, Any], dict[str, list[str]]]] = [
    ({"stream_list": ["left", "right", "color", "meta_d2h"]},
     {"left": ["left"], "right": ["right"], "rgb": ["color"]}),
    ({"stream_list": ["depth", "rectified_left"]},
     {"left": ["rectified_left", "depth"], "right": ["rectified_left", "depth"], "rgb": []}),
    ({"stream_list": ["metaout", "previewout"], "ai.blob_file": "x", "ai.calc_dist_to_bb": True},
     {"left": ["metaout"], "right": ["metaout"], "rgb": ["metaout", "previewout"]}),
    ({"stream_list": ["metaout"], "ai.blob_file": "x", "ai.camera_input": "rectified_right"},
     {"left": ["metaout"], "right": ["metaout"], "rgb": []}),
    ({"stream_list": ["left"], "board_config.swap_left_and_right_cameras": True},
     {"left": [], "right": ["left"], "rgb": []}),
]  # fmt: skip


@pytest.mark.parametrize(("values", "needing"), NEEDING)
def test_streams_of_a_camera_that_is_not_connected(
    values: dict[str, Any], needing: dict[str, list[str]]
) -> None:
    settings = config.validate(values)
    for camera, streams in needing.items():
        cameras = {name: name != camera for name in ("rgb", "left", "right")}
        assert [row.stream for row in without_camera(settings, cameras)] == streams
