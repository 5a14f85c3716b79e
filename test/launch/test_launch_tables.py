"""Argument tables and parameter files match the tables of the node."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from depthai_ros.config import BY_KEY, OPTIONS
from depthai_ros.config.options import DEFAULT_NAME
from depthai_ros.config.parameter_files import for_other_nodes, given_files, parameters_in
from depthai_ros.errors import ConfigError
from depthai_ros.launch.arguments import (
    CAMERA,
    LAUNCH_FILES,
    MULTI_CAMERA,
    Argument,
    read,
    unknown,
)
from depthai_ros.launch.environment import MEMORY, segment_bytes
from depthai_ros.launch.plan import board_file, camera, cameras, recorded

ROOT = Path(__file__).resolve().parents[2]


def test_every_launch_file_has_its_arguments_and_every_table_its_file() -> None:
    assert {path.name for path in (ROOT / "launch").iterdir() if path.suffix == ".py"} == set(
        LAUNCH_FILES
    )


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_argument_has_one_row_a_meaning_and_a_possible_default(name: str) -> None:
    arguments = LAUNCH_FILES[name]
    assert len({argument.name for argument in arguments}) == len(arguments)
    for argument in arguments:
        assert argument.meaning, argument
        assert not argument.choices or argument.default in ("", *argument.choices)


def test_every_parameter_of_the_node_is_an_argument() -> None:
    settable = {argument.option for argument in CAMERA} | {"tf.parent_frame"}  # parent_frame
    assert settable == {"", *(option.key for option in OPTIONS if not option.topic)}


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("camera.mono.fps", "5", 5.0),
        ("camera.mono.resolution_h", "400", 400),
        ("depth.lr_check", "True", True),
        ("strict", "false", False),
        ("stream_list", "left, right", ("left", "right")),
        ("stream_list", "[left,right]", ("left", "right")),
        ("device.id", "18443010", "18443010"),
    ],
)
def test_text_is_read_as_the_type_of_its_parameter(key: str, text: str, value: object) -> None:
    found = read(BY_KEY[key], text, key)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("key", "text"),
    [("camera.mono.fps", "fast"), ("camera.mono.resolution_h", "4.5"), ("depth.lr_check", "yes")],
)
def test_text_of_another_type_is_refused(key: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"argument {key}: '{text}' is not"):
        read(BY_KEY[key], text, key)


def test_unknown_argument_gets_the_nearest_name() -> None:
    assert "streamlist is not an argument, the nearest is stream_list" in unknown(
        ["streamlist", "device"], CAMERA
    )
    assert unknown(["device", "depth.lr_check"], CAMERA) == ""
    assert unknown(["nonexistent"], CAMERA).startswith("nonexistent is not an argument. The argu")
    for name in ("device", "cam_pos_x"):
        assert "each camera has its own, in the list that cameras:=FILE names" in unknown(
            [name], MULTI_CAMERA
        )
    assert "every parameter" not in unknown(["x"], (Argument("bag", ""),))


@pytest.mark.parametrize(
    ("document", "value"),
    [
        ("/**: {ros__parameters: {tf: {prefix: a}}}", "a"),
        ("/robot/oak: {ros__parameters: {tf: {prefix: a}}}", "a"),
        ("/robot/oak: {ros__parameters: {tf.prefix: a}}", "a"),
        ("robot: {oak: {ros__parameters: {tf: {prefix: a}}}}", "a"),
        ("/*/oak: {ros__parameters: {tf: {prefix: a}}}", "a"),
        ("/**/oak: {ros__parameters: {tf: {prefix: a}}}", "a"),
        ("/oak: {ros__parameters: {tf: {prefix: a}}}", None),
        ("/**/eye: {ros__parameters: {tf: {prefix: a}}}", None),
        (
            "{/**: {ros__parameters: {tf.prefix: b}}, /*/oak: {ros__parameters: {tf.prefix: a}}}",
            "a",
        ),
    ],
)
def test_parameter_file_is_read_as_ros_reads_it(
    tmp_path: Path, document: str, value: str | None
) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(document)
    assert parameters_in(path, "/robot/oak").get("tf.prefix") == value
    sentence = for_other_nodes(path, "/robot/oak")
    assert sentence.startswith(f"{path} has parameters for /") == (value is None)


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ("/robot1/oak: {ros__parameters: {a: 1}}", "/robot1/oak"),
        ("{a: {ros__parameters: {x: 1}}, b: {c: {ros__parameters: {x: 1}}}}", "/a, /b/c"),
        ("{a: {ros__parameters: {x: 1}}, /oak: {ros__parameters: }}", "/a"),
        ("\n".join(f"n{i}: {{ros__parameters: {{x: 1}}}}" for i in range(9)), "/n0, /n1, /n2, …"),
        ("{a: {ros__parameters: {x: 1}}, oak: {ros__parameters: {x: 1}}}", None),
        ("oak: {ros__parameters: }", None),
    ],
)  # fmt: skip
def test_file_for_other_nodes_is_named_with_them(
    tmp_path: Path, document: str, names: str | None
) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(document)
    sentence = f"{path} has parameters for {names}, none for /oak: the file is not used"
    assert for_other_nodes(path, "/oak") == (sentence if names else "")
    assert camera({"params_file": str(path)}).warnings == ((sentence,) if names else ())


#: arguments without pointcloud.enable, parameters in a file -> part of the warning, "" = none
CLOUDS: list[tuple[dict[str, str], dict[str, Any], str]] = [
    ({}, {}, ""),
    ({"pointcloud.color": "grey"}, {}, "pointcloud.color mono needs rectified_right, which"),
    ({"pointcloud.color": "grey", "stream_list": "depth,rectified_right"}, {}, ""),
    ({"pointcloud.color": "grey"}, {"stream_list": ["depth_raw", "rectified_right"]}, ""),
    ({"stream_list": "left"}, {}, "points.color none needs depth, which stream_list lacks"),
    ({"pointcloud.color": "rgb", "stream_list": "left"}, {}, "rgb needs depth, color, which"),
    ({}, {"points": {"color": "mono"}}, "points.color mono needs rectified_right, which"),
    ({}, {"stream": {"depth": {"publish": False}}}, "stream.NAME.publish switches off"),
    ({"pointcloud.color": "rgb"}, {}, ""),
    ({}, {"stream_list": 5}, ""),
]


@pytest.mark.parametrize(("values", "parameters", "words"), CLOUDS)
def test_cloud_without_its_streams_is_a_warning(
    tmp_path: Path, values: dict[str, str], parameters: dict[str, Any], words: str
) -> None:
    (tmp_path / "p.yaml").write_text(json.dumps({"/**": {"ros__parameters": parameters}}))
    asked = {**values, "params_file": str(tmp_path / "p.yaml")}
    found = camera({**asked, "pointcloud.enable": "true"})
    assert len(found.warnings) == bool(words)
    assert words in "".join(found.warnings)
    assert ("points.color" in found.options) == (not words)
    assert camera(asked).warnings == ()


#: pointcloud.color, points.color as argument and in a file -> points.color of the node
COLORS = [
    ("rgb", "", "", "rgb"),
    ("rgb", "none", "none", "rgb"),
    ("none", "rgb", "rgb", "none"),
    ("", "rgb", "none", "rgb"),
    ("", "", "rgb", "rgb"),
    ("", "", "", "none"),
]


@pytest.mark.parametrize(("given", "argument", "in_file", "color"), COLORS)
def test_cloud_keeps_the_colour_of_the_node_unless_another_is_given(
    tmp_path: Path, given: str, argument: str, in_file: str, color: str
) -> None:
    points = {"color": in_file} if in_file else {}
    (tmp_path / "p.yaml").write_text(json.dumps({"/**": {"ros__parameters": {"points": points}}}))
    values = {"pointcloud.color": given, "points.color": argument}
    asked = {**values, "params_file": str(tmp_path / "p.yaml"), "pointcloud.enable": "true"}
    assert camera(asked).options["points.color"] == color


def test_parameter_files_of_a_node_are_those_after_ros_args() -> None:
    words = (
        "node --params-file a --ros-args --params-file b -p x:=1 --params-file c -- --params-file d"
    )
    assert given_files(words.split()) == ["b", "c"]


@pytest.mark.parametrize("text", ["device: virtual", "[1, 2]", "a: [", "just text"])
def test_file_without_parameters_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(str(path))):
        camera({"params_file": str(path)})


def test_last_of_several_files_wins(tmp_path: Path) -> None:
    for name in ("first", "second"):
        text = f"/**: {{ros__parameters: {{tf: {{prefix: {name}}}}}}}"
        (tmp_path / f"{name}.yaml").write_text(text)
    both = f"{tmp_path}/first.yaml,{tmp_path}/second.yaml"
    assert camera({"params_file": both}).prefix == "second"
    assert camera({"params_file": both, "tf_prefix": "given"}).prefix == "given"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tf_source": "none", "cam_yaw": "1"}, "no effect of cam_yaw: with tf_source none"),
        ({"tf_prefix": "/robot1/oak"}, "tf.prefix is '/robot1/oak', must be a frame name without"),
        (
            {"parent_frame": "/mast"},
            "tf.parent_frame is '/mast', must be a frame name without",
        ),
        ({"parent_frame": "the mast"}, "tf.parent_frame is 'the mast', must be a frame name"),
        ({"tf_source": "none", "parent_frame": "mast"}, "published elsewhere"),
        ({"publish_urdf": "false", "cam_pos_x": "0.1"}, "published elsewhere"),
        ({"cam_pos_x": "left"}, "argument cam_pos_x: 'left' is not a number"),
        ({"camera_model": "./nowhere.yaml"}, "there is no file"),
    ],
)
def test_mount_that_would_not_be_published_is_refused(values: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        camera(values)


@pytest.mark.complaint(12)
def test_frames_have_exactly_one_source() -> None:
    for source in ("urdf", "calibration", "none"):
        asked = camera({"tf_source": source})
        assert asked.options["tf.source"] == asked.tf_source == source
    assert camera({}).tf_source == "urdf"
    assert camera({}).parent_frame == "oak_parent_frame"
    mounted = camera({"tf_source": "calibration", "parent_frame": "mast"})
    assert mounted.options["tf.parent_frame"] == "mast"
    distant = camera({"tf_source": "calibration", "parent_frame": "mast", "cam_pos_x": "1"})
    assert (distant.options["tf.parent_frame"], distant.parent_frame) == ("", "mast")


def test_boards_are_found_by_name_in_any_case() -> None:
    assert board_file("oak-d").samefile(board_file("BW1098OBC"))
    assert board_file("bw1097").name == "bw1097.yaml"


def test_example_of_several_cameras_is_valid() -> None:
    listed = cameras(ROOT / "config" / "multi_camera.yaml", {"stream_list": "left"})
    assert [each["name"] for each in listed] == ["front", "rear"]
    assert [each["stream_list"] for each in listed] == ["left", "left"]
    assert listed[1]["cam_pos_x"] == "-0.2"


# -- recordings

#: topics of a camera -> is it in a compressed recording of all topics?
SELECTED = {
    "/oak/left/image_raw": False,
    "/oak/left/image_raw/compressed": True,
    "/oak/left/camera_info": True,
    "/oak/depth/image_raw/compressedDepth": True,
    "/oak/depth/image/compressedDepth": False,
    "/oak/depth/unfiltered/image_raw/compressedDepth": False,
    "/oak/disparity": False,
    "/oak/points": False,
    "/oak/points_of_interest": True,
    "/oak/nn/detections": True,
    "/oak/rgb/video": True,
    "/oak/rgb/image_raw/ffmpeg": True,
    "/oak/rgb/image_rect_color/compressed": False,
    "/oak/rgb/still/image_raw/compressed": True,
    "/tf": True,
    "/tf_static": True,
    "/tf_static2": False,
    "/oak2/left/image_raw/compressed": False,
    "/robot/oak/left/camera_info": False,
}


def test_compressed_recording_has_compressed_images_and_what_is_small() -> None:
    option, pattern = recorded("/oak", "", compressed=True)
    assert option == "--regex"
    assert {name: bool(re.search(pattern, name)) for name in SELECTED} == SELECTED
    _, everything = recorded("/oak", "", compressed=False)
    ours = [name for name in SELECTED if name.startswith("/oak/")]
    assert all(re.search(everything, name) for name in ours)


@pytest.mark.parametrize(
    ("topics", "compressed", "expected"),
    [
        ("left/image_raw, /odom", False, ["/oak/left/image_raw", "/odom"]),
        ("left/image_raw, /odom", True, ["/oak/left/image_raw/compressed", "/odom"]),
        ("/oak/depth/image_raw", True, ["/oak/depth/image_raw/compressedDepth"]),
        ("depth/image,points", True, ["/oak/depth/image/compressedDepth", "/oak/points"]),
        ("/other/left/image_raw", True, ["/other/left/image_raw"]),
        ("rgb/image_raw/ffmpeg,", True, ["/oak/rgb/image_raw/ffmpeg"]),
    ],
)
def test_chosen_topics_are_recorded_by_their_compressed_ones(
    topics: str, compressed: bool, expected: list[str]
) -> None:
    always = ["/tf", "/tf_static", "/diagnostics"]
    assert recorded("/oak", topics, compressed=compressed) == ["--topics", *expected, *always]


# -- documents


def test_documented_settings_for_subscribers_are_those_of_the_launch_files() -> None:
    text = (ROOT / "docs" / "launch.md").read_text(encoding="utf-8")
    settings = dict(re.findall(r"\b([A-Z_]+)=(\S+)", text))
    assert {name: settings.get(name) for name in MEMORY} == MEMORY
    segment_mib = segment_bytes((ROOT / "config" / "fastdds.xml").read_text()) >> 20
    assert f"`config/fastdds.xml` ({segment_mib} MiB per process," in text


def test_camera_has_its_default_name_in_the_urdf() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "urdf").iterdir()]
    found = re.findall(r'<xacro:arg name="(?:camera_)?name" default="(\w+)"', "".join(texts))
    assert found == [DEFAULT_NAME] * 2
    assert camera({}).node == f"/{DEFAULT_NAME}"
