"""The installed package: files, commands and interfaces that ROS tools need."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing")
index = pytest.importorskip("ament_index_python")

ROOT = Path(__file__).resolve().parents[1]
#: Packages that `make build` makes where they are missing.
OVERLAY = sorted(path.name for path in (ROOT / "overlay").iterdir())
PREFIX = Path(index.get_package_prefix("depthai_ros"))


@pytest.mark.parametrize("folder", ["/", ROOT], ids=["root of the disk", "source folder"])
@pytest.mark.parametrize("sources_first", [True, False], ids=["checkout on path", "installed only"])
def test_messages_and_node_import_in_one_process(folder: Path | str, sources_first: bool) -> None:
    paths = [path for path in sys.path if path and Path(path).is_dir() and Path(path) != ROOT]
    paths = [str(ROOT), *paths] if sources_first else paths
    program = (
        "import depthai_ros, depthai_ros.msg, depthai_ros.node, depthai_ros._core;"
        "print(depthai_ros.__version__, depthai_ros.msg.Tracklet().status)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split()[1] == "0"


@pytest.mark.parametrize("package", ["depthai_ros", *OVERLAY])
def test_package_is_in_the_resource_index(package: str) -> None:
    assert index.has_resource("packages", package)
    interfaces, _ = index.get_resource("rosidl_interfaces", package)
    if package == "depthai_ros":
        for interface in (*ROOT.glob("msg/*.msg"), *ROOT.glob("srv/*.srv")):
            assert str(interface.relative_to(ROOT)) in interfaces.split()


@pytest.mark.parametrize(
    "name",
    [
        "lib/depthai_ros/camera_node",
        "lib/depthai_ros/draw_boxes.py",
        "lib/depthai_ros/watch_compressed.py",
        "share/depthai_ros/package.xml",
        "share/depthai_ros/config/80-depthai.rules",
        "share/depthai_ros/config/default.yaml",
        "share/depthai_ros/launch/camera.launch.py",
        "share/depthai_ros/urdf/depthai_camera.urdf.xacro",
        "share/depthai_ros/config/boards/oak-d.yaml",
        "share/depthai_ros/config/rviz/oak_d.rviz",
        "share/depthai_ros/msg/Tracklet.msg",
        "share/depthai_ros/srv/DeviceInfo.srv",
    ],
)
def test_file_is_installed_where_ros_tools_expect_it(name: str) -> None:
    path = PREFIX / name
    assert path.is_file()
    assert os.access(path, os.X_OK) or "/lib/" not in str(path)


#: Command -> a word of its help text.
COMMANDS = {
    "depthai-doctor": "--firmware",
    "depthai-firmware": "extract",
    "depthai-list": "--json",
    "depthai-run": "--device",
    "depthai-test": "usage",
    "depthai-udev": "--folder",
    "depthai-view": "--read-only",
}


@pytest.mark.parametrize("folder", ["bin", "lib/depthai_ros"])
@pytest.mark.parametrize("name", COMMANDS)
def test_command_is_installed_for_shells_and_ros_tools(name: str, folder: str) -> None:
    done = subprocess.run([PREFIX / folder / name, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert COMMANDS[name] in done.stdout


#: Module that users start with `python -m` -> a word of its help.
PROGRAMS = {
    "depthai": "SELECTOR",
    "monitor": "--duration",
    "node": "--ros-args",
    "virtual": "--listen",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_module_that_users_start_tells_how(name: str) -> None:
    command = [sys.executable, "-m", f"depthai_ros.{name}", "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert PROGRAMS[name] in done.stdout


def test_every_command_of_the_python_package_is_installed_for_ros_too() -> None:
    assert set(re.findall(r'"(depthai-\w+)=', (ROOT / "setup.py").read_text("utf-8"))) == set(
        COMMANDS
    )


def test_message_constants_are_the_numbers_of_the_device() -> None:
    from depthai_ros.msg import Tracklet

    # Source: docs/wire_format.md, tracklet status
    assert (Tracklet.STATUS_NEW, Tracklet.STATUS_TRACKED, Tracklet.STATUS_LOST) == (0, 1, 2)
    assert Tracklet.STATUS_REMOVED == 3


#: Interfaces of other packages: every field in order, with its type.
#: Source: the vision_msgs repository, branch ros2, version 4.1.1; tf2_msgs of geometry2 0.39;
#: ffmpeg_image_transport_msgs of ros-misc-utilities; foxglove_msgs of foxglove-sdk, ros-v3.4.3
INTERFACES = {
    "vision_msgs/Point2D": "x double, y double",
    "vision_msgs/Pose2D": "position vision_msgs/Point2D, theta double",
    "vision_msgs/BoundingBox2D": "center vision_msgs/Pose2D, size_x double, size_y double",
    "vision_msgs/BoundingBox3D": "center geometry_msgs/Pose, size geometry_msgs/Vector3",
    "vision_msgs/ObjectHypothesis": "class_id string, score double",
    "vision_msgs/ObjectHypothesisWithPose": (
        "hypothesis vision_msgs/ObjectHypothesis, pose geometry_msgs/PoseWithCovariance"
    ),
    "vision_msgs/Detection2D": (
        "header std_msgs/Header, results sequence<vision_msgs/ObjectHypothesisWithPose>,"
        " bbox vision_msgs/BoundingBox2D, id string"
    ),
    "vision_msgs/Detection2DArray": (
        "header std_msgs/Header, detections sequence<vision_msgs/Detection2D>"
    ),
    "vision_msgs/Detection3D": (
        "header std_msgs/Header, results sequence<vision_msgs/ObjectHypothesisWithPose>,"
        " bbox vision_msgs/BoundingBox3D, id string"
    ),
    "vision_msgs/Detection3DArray": (
        "header std_msgs/Header, detections sequence<vision_msgs/Detection3D>"
    ),
    "vision_msgs/VisionClass": "class_id uint16, class_name string",
    "vision_msgs/LabelInfo": (
        "header std_msgs/Header, class_map sequence<vision_msgs/VisionClass>, threshold float"
    ),
    "vision_msgs/VisionInfo": (
        "header std_msgs/Header, method string, database_location string, database_version int32"
    ),
    "ffmpeg_image_transport_msgs/FFMPEGPacket": (
        "header std_msgs/Header, width int32, height int32, encoding string, pts uint64,"
        " flags uint8, is_bigendian boolean, data sequence<uint8>"
    ),
    "foxglove_msgs/CompressedVideo": (
        "timestamp builtin_interfaces/Time, frame_id string, data sequence<uint8>, format string"
    ),
    "tf2_msgs/TFMessage": "transforms sequence<geometry_msgs/TransformStamped>",
}


@pytest.mark.parametrize("interface", INTERFACES)
def test_redeclared_message_has_the_fields_of_the_real_one(interface: str) -> None:
    package, _, name = interface.partition("/")
    message = getattr(__import__(f"{package}.msg").msg, name)
    fields = message.get_fields_and_field_types()
    assert ", ".join(f"{field} {kind}" for field, kind in fields.items()) == INTERFACES[interface]
