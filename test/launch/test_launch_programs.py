"""Launch files that start foreign programs: the arguments of these programs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import yaml
from launches import SHARE, StandIns, StartLaunch

from depthai_ros.launch.arguments import LAUNCH_FILES
from depthai_ros.ros_features import profile_name, profile_variable, remote_profile_name


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_launch_file_is_described_without_device_or_optional_packages(name: str) -> None:
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    description = get_launch_description_from_python_launch_file(str(SHARE / "launch" / name))
    found = {each.name: each for each in description.get_launch_arguments()}
    assert list(found) == [argument.name for argument in LAUNCH_FILES[name]]
    for argument in LAUNCH_FILES[name]:
        assert found[argument.name].description.startswith(argument.meaning)


@pytest.mark.skipif(not shutil.which("ros2"), reason="ros2cli is not installed")
@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_show_args_is_the_reference_page(name: str) -> None:
    command = ["ros2", "launch", "depthai_ros", name, "--show-args"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for argument in LAUNCH_FILES[name]:
        assert f"'{argument.name}':" in shown


#: Makes a cloud in a container.
CLOUD = ("use_composition:=true", "container_name:=vision", "pointcloud.enable:=true")
MISSING = [
    ("camera.launch.py", "tf_source:=calibration", "use_rviz:=true"),
    ("camera.launch.py", "tf_source:=calibration", *CLOUD),
    ("multi_camera.launch.py", "tf_source:=calibration", *CLOUD),
    ("camera_as_part_of_a_robot.launch.py", "use_rviz:=true"),
    ("replay.launch.py", "bag:=recording", "use_rviz:=true"),
    ("replay.launch.py", "bag:=recording", "pointcloud.enable:=true"),
]


@pytest.mark.parametrize("words", MISSING, ids=" ".join)
def test_missing_package_is_reported_before_anything_starts(
    start_launch: StartLaunch, stand_ins: StandIns, words: tuple[str, ...]
) -> None:
    launched = start_launch(*words, AMENT_PREFIX_PATH=str(stand_ins.prefix))
    assert launched.wait() != 0
    option = words[-1].partition(":=")[0]
    assert f"{option} needs the package " in launched.output
    assert "apt install ros-" in launched.output
    assert "process started" not in launched.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_launch_that_is_ended_by_force_leaves_no_file(
    start_launch: StartLaunch, stand_ins: StandIns, tmp_path: Path, number: signal.Signals
) -> None:
    stand_ins.install("rviz2")
    folder = tmp_path / "temporary"
    folder.mkdir()
    launched = start_launch("rviz.launch.py", "use_sim_time:=true", TMPDIR=str(folder))
    (call,) = stand_ins.wait_for("rviz2")
    assert "use_sim_time" in call["files"][0]
    launched.process.send_signal(number)
    launched.wait()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("rviz.launch.py", ("namespace:=robot", "name:=eye", "tf_prefix:=mast_eye")),
        ("rviz.launch.py", ("namespace:=robot", "name:=eye", "rviz_config:=pointcloud")),
        ("rviz.launch.py", ("rviz_config:=multi_camera",)),
    ],
)
def test_rviz_gets_the_topics_of_this_camera(
    start_launch: StartLaunch, stand_ins: StandIns, file: str, words: tuple[str, ...]
) -> None:
    stand_ins.install("rviz2")
    start_launch(file, *words)
    (call,) = stand_ins.wait_for("rviz2")
    text = Path(call["words"][call["words"].index("-d") + 1]).read_text()
    frame = yaml.safe_load(text)["Visualization Manager"]["Global Options"]["Fixed Frame"]
    if "name:=eye" in words:
        assert "/robot/eye/depth/image_raw" in text
        assert "/oak/" not in text
        assert frame == ("mast_eye" if "tf_prefix:=mast_eye" in words else "eye")
    else:
        assert "/front_side/front/left/image_raw" in text
        assert frame == "base_link"


def test_unknown_rviz_configuration_is_refused(
    start_launch: StartLaunch, stand_ins: StandIns
) -> None:
    stand_ins.install("rviz2")
    launched = start_launch("rviz.launch.py", "rviz_config:=cloud")
    assert launched.wait() != 0
    assert "'cloud' is not one of multi_camera, oak_d, pointcloud" in launched.output


@pytest.mark.parametrize(
    ("color", "plugins"),
    [
        ("none", {"depth_image_proc::PointCloudXyzNode"}),
        ("mono", {"depth_image_proc::PointCloudXyziNode"}),
        ("rgb", {"depth_image_proc::RegisterNode", "depth_image_proc::PointCloudXyzrgbNode"}),
    ],
)
def test_point_cloud_components_have_the_namespace_of_the_camera(
    start_launch: StartLaunch, stand_ins: StandIns, color: str, plugins: set[str]
) -> None:
    stand_ins.install("depth_image_proc", "rclcpp_components")
    start_launch("pointcloud.launch.py", "namespace:=robot", f"pointcloud.color:={color}")
    calls = stand_ins.wait_for("load_node", len(plugins))
    assert {call["plugin"] for call in calls} == plugins
    for call in calls:
        assert call["namespace"] == "/robot/oak"
        assert call["container"] == "/robot/oak_container"
        assert not any(
            ":=/" in rule for rule in call["remaps"]
        )  # relative names, so that the file can be included


def test_point_cloud_is_loaded_into_a_running_container(
    start_launch: StartLaunch, stand_ins: StandIns
) -> None:
    stand_ins.install("depth_image_proc", "rclcpp_components")
    start_launch("pointcloud.launch.py", "namespace:=robot", "container_name:=vision")
    stand_ins.wait_for("load_node")
    other = ("namespace:=robot", "name:=eye", "container_name:=vision", "use_composition:=true")
    start_launch("pointcloud.launch.py", *other, "pointcloud.color:=rgb")
    calls = stand_ins.wait_for("load_node", 3)
    assert {call["container"] for call in calls} == {"/robot/vision"}


def test_camera_starts_point_cloud_and_rviz_on_request(
    start_launch: StartLaunch, stand_ins: StandIns
) -> None:
    stand_ins.install("depth_image_proc", "rclcpp_components", "rviz2")
    start_launch("pointcloud.launch.py", "namespace:=robot", "container_name:=vision")
    stand_ins.wait_for("load_node")
    words = ("name:=eye", "namespace:=robot", "device:=virtual", "autostart:=false")
    beside = ("tf_source:=calibration", *CLOUD, "use_rviz:=true")
    launched = start_launch("camera.launch.py", *words, *beside, "pointcloud.color:=grey")
    loads = stand_ins.wait_for("load_node", 2)
    loaded = {(load["namespace"], load["plugin"].rpartition("::")[2]) for load in loads}
    assert ("/robot/eye", "PointCloudXyziNode") in loaded
    (call,) = stand_ins.wait_for("rviz2")
    assert "/robot/eye/points" in Path(call["words"][call["words"].index("-d") + 1]).read_text()
    assert "__ns:=/robot" not in call["words"]
    assert "[WARNING] [depthai_ros]: pointcloud.enable is not used: " in launched.output


def test_page_that_cannot_start_says_why_and_the_camera_goes_on(
    start_launch: StartLaunch, tmp_path: Path
) -> None:
    viser = tmp_path / "viser-0.9.dist-info/METADATA"
    viser.parent.mkdir()
    viser.write_text("Metadata-Version: 2.1\nName: viser\nVersion: 0.9\n")
    words = ("device:=virtual", "tf_source:=none", "autostart:=false", "view:=true")
    paths = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    launched = start_launch("camera.launch.py", *words, PYTHONPATH=paths)
    launched.wait_for_output("has viser 0.9, tested is viser==")
    launched.wait_for_output("waiting for the configure transition")
    launched.wait_for_output("depthai_view-2]: process has died")
    assert launched.process.poll() is None
    assert launched.stop() == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ("bag:=out", "namespace:=robot"),
            ["--output", "out", "--regex", r"^(/robot/oak/|/tf$|/tf_static$|/diagnostics$)"],
        ),
        (
            ("topics:=left/image_raw, /odom",),
            ["--topics", "/oak/left/image_raw", "/odom", "/tf", "/tf_static", "/diagnostics"],
        ),
        (
            ("topics:=depth/image_raw", "name:=eye", "compressed:=true"),
            ["--topics", "/eye/depth/image_raw/compressedDepth", "/tf", "/tf_static"]
            + ["/diagnostics"],
        ),
    ],
)
def test_recorder_gets_topics_and_output(
    start_launch: StartLaunch, stand_ins: StandIns, words: tuple[str, ...], expected: list[str]
) -> None:
    stand_ins.install("ros2bag", "rosbag2_storage_mcap")
    start_launch("record.launch.py", *words)
    (call,) = stand_ins.wait_for("ros2")
    assert call["words"] == ["bag", "record", "--storage", "mcap", *expected]


def test_player_publishes_its_clock_and_rviz_uses_it(
    start_launch: StartLaunch, stand_ins: StandIns
) -> None:
    stand_ins.install("ros2bag", "rosbag2_storage_mcap", "rviz2")
    start_launch("replay.launch.py", "bag:=taken", "rate:=0.5", "loop:=true", "use_rviz:=true")
    (call,) = stand_ins.wait_for("ros2")
    assert call["words"] == ["bag", "play", "taken", "--clock", "--rate", "0.5", "--loop"]
    (viewer,) = stand_ins.wait_for("rviz2")
    assert '"use_sim_time": true' in viewer["files"][0]


def test_player_without_a_recording_is_refused(
    start_launch: StartLaunch, stand_ins: StandIns
) -> None:
    stand_ins.install("ros2bag", "rosbag2_storage_mcap")
    launched = start_launch("replay.launch.py")
    assert launched.wait() != 0
    assert "argument bag is missing" in launched.output


OURS = str((SHARE / "config" / profile_name()).resolve())
#: large_messages, profile file of the shell, profile file that the programs get.
PROFILES = [
    ("true", "", OURS),
    ("true", "/elsewhere.xml", OURS),
    ("remote", "", str((SHARE / "config" / remote_profile_name()).resolve())),
    ("false", "", ""),
    ("", "/elsewhere.xml", "/elsewhere.xml"),
    (f"package://depthai_ros/config/{profile_name()}", "", OURS),
    ("", "", OURS if shutil.disk_usage("/dev/shm").free >= 3 * 64 * 1024 * 1024 else ""),
]


@pytest.mark.parametrize(("argument", "variable", "expected"), PROFILES)
def test_programs_get_the_shared_memory_profile_unless_disabled(
    start_launch: StartLaunch, stand_ins: StandIns, argument: str, variable: str, expected: str
) -> None:
    stand_ins.install("rviz2")
    variables = {profile_variable(): variable}
    start_launch("rviz.launch.py", f"large_messages:={argument}", **variables)
    (call,) = stand_ins.wait_for("rviz2")
    found = call["profile"] and str(Path(call["profile"]).resolve())  # may be a symbolic link
    assert found == expected


def test_missing_profile_file_is_refused(start_launch: StartLaunch, stand_ins: StandIns) -> None:
    stand_ins.install("rviz2")
    launched = start_launch("rviz.launch.py", "large_messages:=none")
    assert launched.wait() != 0
    assert "argument large_messages: there is no file " in launched.output
    assert "true, false, remote or a path is expected" in launched.output
