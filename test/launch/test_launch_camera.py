"""camera.launch.py: its node, and the priority of argument, parameter file and default."""

from __future__ import annotations

from pathlib import Path

import pytest
from launches import ROOT, Observer, StandIns, StartLaunch

from depthai_ros.ros_features import profile_variable

#: A camera with little load: five small images per second.
SMALL = (
    "device:=virtual",
    "stream_list:=left",
    "camera.mono.fps:=5",
    "camera.mono.resolution_h:=400",
)
BOARDS = sorted(path.stem.upper() for path in (ROOT / "config/boards").iterdir())
CALIBRATED = (*SMALL, "tf_source:=calibration")


def write_parameters(folder: Path, text: str) -> str:
    path = folder / "own.yaml"
    path.write_text(f"/**:\n  ros__parameters:\n{text}")
    return f"params_file:={path}"


def test_camera_publishes_and_ends_cleanly(start_launch: StartLaunch, observer: Observer) -> None:
    from sensor_msgs.msg import Image

    launched = start_launch("camera.launch.py", *CALIBRATED)
    image = observer.first(Image, "/oak/left/image_raw")
    assert (image.width, image.height, image.encoding) == (640, 400, "mono8")
    assert image.header.frame_id == "oak_left_camera_optical_frame"
    assert launched.stop() == 0
    assert "process has finished cleanly" in launched.output


def test_launch_leaves_no_file_behind(
    start_launch: StartLaunch, stand_ins: StandIns, tmp_path: Path
) -> None:
    stand_ins.install("robot_state_publisher", "rviz2")
    folder = tmp_path / "temporary"
    folder.mkdir()
    words = (*SMALL, "autostart:=false", "tf_source:=urdf", "use_rviz:=true")
    launched = start_launch("camera.launch.py", *words, TMPDIR=str(folder))
    stand_ins.wait_for("robot_state_publisher")
    stand_ins.wait_for("rviz2")
    launched.wait_for_output("waiting for the configure transition")
    assert launched.stop() == 0
    assert not list(folder.iterdir())


def test_file_overrides_the_default_of_an_argument_that_is_not_given(
    start_launch: StartLaunch, observer: Observer, tmp_path: Path
) -> None:
    file = write_parameters(
        tmp_path,
        "    device: {id: virtual}\n    stream_list: [right]\n"
        "    camera: {mono: {fps: 4.0, resolution_h: 400}}\n    tf: {source: calibration}\n",
    )
    start_launch("camera.launch.py", file, "camera.mono.fps:=5")
    keys = ("device.id", "stream_list", "camera.mono.fps", "tf.source", "board_config.name")
    values = observer.parameters("/oak", *keys)
    assert values == ["virtual", ["right"], 5.0, "calibration", "BW1098OBC"]


def test_file_overrides_the_default_board_but_not_a_given_one(
    start_launch: StartLaunch, observer: Observer, tmp_path: Path
) -> None:
    file = write_parameters(tmp_path, "    board_config: {left_to_right_distance_cm: 8.0}\n")
    waiting = (*CALIBRATED, file, "autostart:=false")
    start_launch("camera.launch.py", *waiting, "name:=first")
    start_launch("camera.launch.py", *waiting, "name:=second", "camera_model:=BW1097")
    key = "board_config.left_to_right_distance_cm"
    assert observer.parameters("/first", key) == [8.0]
    assert observer.parameters("/second", key) == [9.0]


def test_text_parameters_that_look_like_numbers_stay_text(
    start_launch: StartLaunch, observer: Observer
) -> None:
    words = ("device:=1844301041", "board_config.revision:=1e5", "autostart:=false")
    start_launch("camera.launch.py", *words, "tf_source:=none", "use_sim_time:=true")
    values = observer.parameters("/oak", "device.id", "board_config.revision", "use_sim_time")
    assert values == ["1844301041", "1e5", True]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["devise:=virtual"], "devise is not an argument, the nearest is device"),
        (["camera.mono.fsp:=5"], "the nearest is camera.mono.fps"),
        (["camera.mono.fps:=fast"], "argument camera.mono.fps: 'fast' is not a number"),
        (["camera_model:=OAK-9"], f"'OAK-9' is not one of {', '.join(BOARDS)} and not a path"),
        (["tf_source:=none", "cam_pos_x:=1"], "no effect of cam_pos_x: with"),
        (["tf_source:=both"], "tf_source"),
        (["params_file:=/nowhere.yaml"], "/nowhere.yaml: No such file"),
        (["params_file:=package://depthai_ros/LICENCE"], "package://depthai_ros/LICENCE"),
    ],
)
@pytest.mark.complaint(15)
def test_wrong_argument_is_refused_before_any_process_starts(
    start_launch: StartLaunch, words: list[str], message: str
) -> None:
    launched = start_launch("camera.launch.py", *words)
    assert launched.wait() != 0
    assert message in launched.output
    assert "process started" not in launched.output


def test_missing_package_is_reported_with_an_alternative(start_launch: StartLaunch) -> None:
    bare = str(ROOT / "nothing")
    launched = start_launch("camera.launch.py", *SMALL, "tf_source:=urdf", AMENT_PREFIX_PATH=bare)
    assert launched.wait() != 0
    assert "tf_source urdf (unlike calibration)" in launched.output
    assert "robot_state_publisher, which is not installed" in launched.output


@pytest.mark.complaint(12)
def test_tf_source_urdf_is_the_only_publisher_of_frames(
    start_launch: StartLaunch, stand_ins: StandIns, observer: Observer
) -> None:
    pytest.importorskip("xacro")
    stand_ins.install("robot_state_publisher")
    pose = ("cam_pos_z:=0.5", "cam_yaw:=1.5", "parent_frame:=mast")
    start_launch("camera.launch.py", *SMALL, "namespace:=robot", "name:=eye", *pose)
    (call,) = stand_ins.wait_for("robot_state_publisher")
    assert "__ns:=/robot/eye" in call["words"]
    for part in (
        '<link name="mast"/>',
        '<child link="eye"/>',
        'xyz="0 0 0.5"',
        'rpy="0 0 1.5"',
        "eye_right_camera_optical_frame",
    ):
        assert part.replace('"', '\\"') in call["files"][0] or part in call["files"][0], part
    from sensor_msgs.msg import Image

    image = observer.first(Image, "/robot/eye/left/image_raw")
    assert image.header.frame_id == "eye_left_camera_optical_frame"
    assert observer.parameters("/robot/eye", "tf.source") == ["urdf"]
    assert "/tf_static" not in observer.topics("/robot/eye")


@pytest.mark.complaint(12)
def test_tf_source_calibration_is_the_only_publisher_of_frames(
    start_launch: StartLaunch, stand_ins: StandIns, observer: Observer
) -> None:
    from tf2_msgs.msg import TFMessage

    stand_ins.install("robot_state_publisher")
    start_launch("camera.launch.py", *CALIBRATED, "parent_frame:=mast", "tf_prefix:=eye")
    message = observer.first(TFMessage, "/tf_static", latched=True)
    edges = {(each.header.frame_id, each.child_frame_id) for each in message.transforms}
    assert ("mast", "eye") in edges
    assert ("eye", "eye_left_camera_frame") in edges
    assert len(observer.node.get_publishers_info_by_topic("/tf_static")) == 1
    assert stand_ins.calls("robot_state_publisher") == []


def test_calibrated_camera_can_be_mounted_with_an_offset(
    start_launch: StartLaunch, stand_ins: StandIns, observer: Observer
) -> None:
    stand_ins.install("tf2_ros")
    start_launch("camera.launch.py", *CALIBRATED, "cam_pos_x:=0.2", "cam_pitch:=-0.1")
    (call,) = stand_ins.wait_for("static_transform_publisher")
    words = call["words"]
    given = dict(zip(words[:16:2], words[1:16:2], strict=True))
    assert given == {
        "--x": "0.2", "--y": "0", "--z": "0", "--roll": "0", "--pitch": "-0.1", "--yaw": "0",
        "--frame-id": "oak_parent_frame", "--child-frame-id": "oak",
    }  # fmt: skip
    assert observer.parameters("/oak", "tf.parent_frame") == [""]


def test_node_is_restarted_with_respawn(start_launch: StartLaunch) -> None:
    launched = start_launch(
        "camera.launch.py", "device:=nothing", "tf_source:=none", "respawn:=true"
    )
    launched.wait_for_output("process started", count=2)


def test_profile_for_another_machine_has_the_topics_of_the_launched_node(
    start_launch: StartLaunch,
) -> None:
    from nodes import children_of

    words = (*CALIBRATED, "autostart:=false", "large_messages:=remote")
    launched = start_launch("camera.launch.py", *words, "name:=eye", "namespace:=robot")
    launched.wait_for_output("waiting for the configure transition")
    (node,) = children_of(launched.process.pid)
    variables = Path(f"/proc/{node}/environ").read_text().split("\0")
    (value,) = (text for text in variables if text.startswith(f"{profile_variable()}="))
    profile = Path(value.partition("=")[2]).read_text()
    assert '"/robot/eye/left/image_raw/compressed"' in profile
    assert "/oak/" not in profile.partition("<dds")[2]
